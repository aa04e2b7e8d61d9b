"""The tables of the metadata database. Each is queried only by the part named beside it."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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
    UniqueConstraint,
    func,
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
#: So many characters of a text are in its index: PostgreSQL refuses long ones.
INDEXED = 100
_ROW = BigInteger().with_variant(Integer, "sqlite")

# track: an experiment is what runs are compared within: a model, a pipeline, a question
experiments = Table(
    "experiments",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("name", String(500), nullable=False, unique=True),
    Column("artifact_uri", Text),  # where clients put artifacts; null: here
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("deleted_at", Moment),
    sqlite_autoincrement=True,  # no number is given twice, not even that of an experiment deleted for good
)
experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)

# track: a run is a training run, or the run of a pipeline whose children the training runs are
runs = Table(
    "runs",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(20), nullable=False),  # pipeline, training, tracked
    Column("parent_id", ForeignKey("runs.id"), index=True),
    Column("status", String(20), nullable=False),  # scheduled, running, finished, failed, killed
    Column("asof", Moment),  # the moment a pipeline run is for
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("deleted_at", Moment),
    Column("user", Text),
    Column("artifact_uri", Text),  # where a client puts artifacts; null: here
    Column("code_version", Text),
    Column("code_diff", String(64)),  # digest of an artifact
    Column("environment", String(64)),  # digest of an artifact
    Column("data_identity", JSON),
    Column("command", Text),
    Column("error", Text),
    # the processes that write it, one a line, while it runs; null: a client of MLflow does, or nobody any more
    Column("owner", Text),
    Column("written_at", Moment),  # when a client of MLflow last wrote to it, to the minute
    Index("runs_by_time", "name", "started_at"),
    Index("runs_of_an_experiment", "experiment_id", "started_at"),
)
Index(
    "runs_with_owner",
    runs.c.status,
    sqlite_where=runs.c.owner.is_not(None),
    # In PostgreSQL too, as the migration makes it: saying so here would load its dialect into every server.
)
params = Table(
    "params",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("text", Text, nullable=False),  # the value as searches see it: str(value)
)
Index("params_by_text", params.c.name, func.substr(params.c.text, 1, INDEXED))
# One row a metric of a run, with its newest value: what searches compare and order by.
metric_series = Table(
    "metric_series",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String(250), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("value", Float(53), nullable=False),  # 0 when it is not a number
    Column("is_nan", Boolean, nullable=False),
    UniqueConstraint("run_id", "name"),
    Index("metric_series_by_value", "name", "value"),
)
# Every point ever logged, the narrow table: 100 million rows are meant to fit. All of it is the key, so that the same
# point logged twice is there once, and so that one metric of one run lies together on the disk.
metric_points = Table(
    "metric_points",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Float(53), primary_key=True),
    Column("is_nan", Boolean, primary_key=True),
    sqlite_with_rowid=False,
)
tags = Table(
    "tags",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
Index("tags_by_text", tags.c.name, func.substr(tags.c.value, 1, INDEXED))
run_artifacts = Table(
    "run_artifacts",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(500), primary_key=True),
    Column("digest", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
)
datasets = Table(
    "datasets",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("experiment_id", ForeignKey("experiments.id"), nullable=False),
    Column("name", String(500), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text),
    Column("profile", Text),
    UniqueConstraint("experiment_id", "name", "digest"),
)
run_datasets = Table(
    "run_datasets",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("context", Text, nullable=False),  # what for: training, evaluation; empty when not said
    Column("tags", JSON, nullable=False),
)

# track: what a run made that can predict, before anybody registers it
logged_models = Table(
    "logged_models",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("model_type", Text, nullable=False),
    Column("source_run_id", String(200), nullable=False, index=True),
    Column("status", Integer, nullable=False),  # 0 unspecified, 1 pending, 2 ready, 3 failed
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("deleted_at", Moment),
)
logged_model_params = Table(
    "logged_model_params",
    metadata,
    Column("model_id", ForeignKey("logged_models.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    Column("model_id", ForeignKey("logged_models.id"), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
logged_model_metrics = Table(
    "logged_model_metrics",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("model_id", ForeignKey("logged_models.id"), nullable=False),
    Column("name", String(250), nullable=False),
    Column("run_id", String(200), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("value", Float(53)),  # null when it is not a number
    Column("dataset_name", String(500)),
    Column("dataset_digest", String(64)),
    Index("metrics_of_a_logged_model", "model_id", "name", "at_us"),
)
logged_model_artifacts = Table(
    "logged_model_artifacts",
    metadata,
    Column("model_id", ForeignKey("logged_models.id"), primary_key=True),
    Column("name", String(500), primary_key=True),
    Column("digest", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
)
run_models = Table(
    "run_models",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("model_id", String(200), primary_key=True),
    Column("direction", String(10), primary_key=True),  # input, output
    Column("step", BigInteger, nullable=False),
)

# track: registered models, their versions, and which of them is the champion
registered_models = Table(
    "registered_models",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("description", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
registered_model_tags = Table(
    "registered_model_tags",
    metadata,
    Column("model", String(256), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(256), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("bundle", String(64), index=True),  # digest; null: a model that another client registered
    Column("run_id", String(200)),
    Column("trained_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("source", Text),  # the artifact URI that another client registered
    Column("logged_model_id", String(200)),
    Column("run_link", Text),
    Column("user", Text),
    Column("description", Text),
    Column("stage", String(20), nullable=False),  # None, Staging, Production, Archived
)
model_version_tags = Table(
    "model_version_tags",
    metadata,
    Column("model", String(256), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
aliases = Table(
    "aliases",
    metadata,
    Column("model", String(256), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("version", Integer, nullable=False),
)

# web: who may ask the server from afar; only the hash of a token is kept
tokens = Table(
    "tokens",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("scope", String(10), nullable=False),  # read, write, admin
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
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

# store: who works on what: run/ID, and process/HOLDER for processes that write runs; times are the database's
leases = Table(
    "leases",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("holder", Text, nullable=False),  # empty: nobody
    Column("token", BigInteger, nullable=False),  # grows with each holder
    Column("renewed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
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

# bless: the verdicts and publications of what-ifs, which production knows nothing of
what_ifs = Table(
    "what_ifs",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("name", String(250), nullable=False),
    Column("tick", String(250), nullable=False),  # the run of a pipeline, or the call of one
    Column("model", String(200), nullable=False),
    Column("kind", String(20), nullable=False),  # verdict, published
    Column("bundle", String(64), nullable=False),
    Column("run_id", String(200), nullable=False, index=True),  # the training run
    Column("trained_until", Moment, nullable=False),
    Column("at", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Index("what_ifs_by_name", "name", "model"),
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

# gc: what a clean-up is about to remove, so that nobody counts on it meanwhile
gc_marks = Table(
    "gc_marks",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("gc", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
)
