"""Numbered migrations of the metadata database, run by Alembic."""
