"""The tables of the metadata database. Each is queried only by the part named beside it."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

from assay.times import aware


class Moment(TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite has no zones, so the offset is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To the database; raises `BadInput` for a time without an offset."""
        return aware(value) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value and value.astimezone(UTC)


metadata = MetaData()
_ROW = BigInteger().with_variant(Integer, "sqlite")

# track: a run is a training run, or the run of a pipeline whose children the training runs are
runs = Table(
    "runs",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("kind", String(20), nullable=False),  # pipeline, training
    Column("parent_id", ForeignKey("runs.id"), index=True),
    Column("status", String(20), nullable=False),  # running, finished, failed
    Column("asof", Moment),  # the moment a pipeline run is for
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("code_version", Text),
    Column("environment", String(64)),  # digest of an artifact
    Column("data_identity", JSON),
    Column("command", Text),
    Column("error", Text),
    Index("runs_by_time", "name", "started_at"),
)
params = Table(
    "params",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", JSON, nullable=False),
)
metrics = Table(
    "metrics",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String(250), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("value", Float(53), nullable=False),
    Column("at", Moment, nullable=False),
    Index("metrics_of_a_run", "run_id", "name", "step"),
)
tags = Table(
    "tags",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
run_artifacts = Table(
    "run_artifacts",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(500), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

# track: versions of a model, and which of them is the champion
model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("bundle", String(64), nullable=False, index=True),
    Column("run_id", ForeignKey("runs.id")),
    Column("trained_until", Moment),
    Column("created_at", Moment, nullable=False),
)
aliases = Table(
    "aliases",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("alias", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
)

# pipeline: one row a finished or failed step; results by reference
journal = Table(
    "journal",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("step", String(200), primary_key=True),
    Column("occurrence", Integer, primary_key=True),
    Column("status", String(20), nullable=False),  # finished, failed
    Column("result", JSON),
    Column("error", Text),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
)

# bless: every verdict and every move of an alias, append-only (triggers refuse UPDATE and DELETE), hash-chained
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("model", String(200), nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # verdict, published, rolled back
    Column("bundle", String(64), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

# profiles: of the training rows of each model version (day is empty), and of each day of served rows
profiles = Table(
    "profiles",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("source", String(20), primary_key=True),  # trained, served
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),  # YYYY-MM-DD of the event time, UTC
    Column("rows", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# checks: every report of the command line and of pipelines
check_reports = Table(
    "check_reports",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("target", String(1000), nullable=False),
    Column("checked_at", Moment, nullable=False),
    Column("run_id", String(200)),
    Column("status", String(20), nullable=False),  # pass, warn, fail, error: the worst of its results
    Column("rows", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("check_reports_by_time", "target", "checked_at"),
)
