"""Runs, model versions, the journal and the ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)
ROW = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables as `schema.py` had them at this revision."""
    _runs()
    _models()
    _ledger()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("parent_id", sa.String(200), sa.ForeignKey("runs.id"), index=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("asof", MOMENT),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("code_version", sa.Text),
        sa.Column("environment", sa.String(64)),
        sa.Column("data_identity", sa.JSON),
        sa.Column("command", sa.Text),
        sa.Column("error", sa.Text),
    )
    op.create_index("runs_by_time", "runs", ["name", "started_at"])
    op.create_table(
        "params",
        _run_id(primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )
    op.create_table(
        "metrics",
        sa.Column("id", ROW, primary_key=True, autoincrement=True),
        _run_id(nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("metrics_of_a_run", "metrics", ["run_id", "name", "step"])
    op.create_table(
        "tags",
        _run_id(primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "run_artifacts",
        _run_id(primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "journal",
        _run_id(primary_key=True),
        sa.Column("step", sa.String(200), primary_key=True),
        sa.Column("occurrence", sa.Integer, primary_key=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
    )


def _run_id(**options: Any) -> sa.Column[str]:
    return sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), **options)


def _models() -> None:
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("bundle", sa.String(64), nullable=False, index=True),
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id")),
        sa.Column("trained_until", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "aliases",
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("alias", sa.String(100), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
    )


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.String(200), nullable=False, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False, index=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER ledger_refuses_{change.lower()} BEFORE {change} ON ledger "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )
        op.execute(  # INSERT OR REPLACE deletes without a DELETE that a trigger would see
            "CREATE TRIGGER ledger_refuses_replace BEFORE INSERT ON ledger "
            "WHEN EXISTS (SELECT 1 FROM ledger WHERE id = NEW.id) "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )
    else:
        op.execute(
            "CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER ledger_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger "
            "EXECUTE FUNCTION ledger_is_append_only()"
        )
