"""Alembic calls this file; the connection comes from `assay.store.database`."""

from alembic import context

from assay.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
