"""Numbers of experiments are given once: that of one which was deleted for good would name another's artifacts."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table of SQLite anew, whose numbers go on from the highest that was there; PostgreSQL has a sequence."""
    if op.get_bind().dialect.name != "sqlite":
        return
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "experiments_0009",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(500), nullable=False, unique=True),
        sa.Column("artifact_uri", sa.Text),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("deleted_at", moment),
        sqlite_autoincrement=True,
    )
    columns = "id, name, artifact_uri, created_at, updated_at, deleted_at"
    op.execute(f"INSERT INTO experiments_0009 ({columns}) SELECT {columns} FROM experiments")
    op.drop_table("experiments")
    op.rename_table("experiments_0009", "experiments")
