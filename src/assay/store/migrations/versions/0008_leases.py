"""Leases, the processes that write a run, and when a client last wrote to one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make what `schema.py` had at this revision."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
    )
    op.add_column("runs", sa.Column("owner", sa.Text))
    op.add_column("runs", sa.Column("written_at", moment))
    owned = sa.text("owner IS NOT NULL")
    op.create_index("runs_with_owner", "runs", ["status"], sqlite_where=owned, postgresql_where=owned)
