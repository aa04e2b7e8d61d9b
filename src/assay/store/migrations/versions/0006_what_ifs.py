"""What would have happened: the verdicts and publications of what-ifs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table as `schema.py` had it at this revision."""
    op.create_table(
        "what_ifs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("tick", sa.String(250), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(200), nullable=False, index=True),
        sa.Column("trained_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Index("what_ifs_by_name", "name", "model"),
    )
