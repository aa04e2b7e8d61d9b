"""Assay keeps models fresh and honest."""

__version__ = "0.1.0"
