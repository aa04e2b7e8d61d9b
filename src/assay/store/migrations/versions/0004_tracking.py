"""Experiments, metric series and points, datasets, logged models, the registry, tokens.

What stood is carried over: runs get the experiment of their name, metrics become series and points.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)
ROW = sa.BigInteger().with_variant(sa.Integer, "sqlite")
#: What is made anew with more columns, children first.
CHANGED = ("params", "metrics", "tags", "run_artifacts", "journal", "model_versions", "aliases", "runs")
INDEXES = {
    "runs": ("runs_by_time", "ix_runs_parent_id"),
    "metrics": ("metrics_of_a_run",),
    "model_versions": ("ix_model_versions_bundle",),
}


def upgrade() -> None:
    """Make the tables as `schema.py` had them at this revision, and carry over what stood."""
    for table in CHANGED:
        for index in INDEXES.get(table, ()):
            op.drop_index(index, table)
        op.rename_table(table, f"old_{table}")
    _create()
    _carry_over(op.get_bind())
    for table in CHANGED:
        op.drop_table(f"old_{table}")


def _carry_over(connection: sa.Connection) -> None:
    run = lambda text, **values: connection.execute(sa.text(text), values)  # noqa: E731
    now = datetime.now(UTC)
    at = sa.bindparam("at", now, MOMENT)
    default = "INSERT INTO experiments (id, name, created_at, updated_at) VALUES (0, 'Default', :at, :at)"
    connection.execute(sa.text(default).bindparams(at))
    run(
        "INSERT INTO experiments (name, created_at, updated_at)"
        " SELECT name, min(started_at), max(started_at) FROM old_runs WHERE name != 'Default' GROUP BY name"
    )
    run(
        "INSERT INTO runs (id, experiment_id, name, kind, parent_id, status, asof, started_at, ended_at, code_version,"
        " environment, data_identity, command, error) SELECT r.id, e.id, r.name, r.kind, r.parent_id, r.status, r.asof,"
        " r.started_at, r.ended_at, r.code_version, r.environment, r.data_identity, r.command, r.error"
        " FROM old_runs r JOIN experiments e ON e.name = r.name"
    )
    for table in ("tags", "run_artifacts", "journal", "aliases"):
        columns = ", ".join(column["name"] for column in sa.inspect(connection).get_columns(f"old_{table}"))
        run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM old_{table}")
    _carry_params(connection)
    _carry_metrics(connection)
    run(
        "INSERT INTO registered_models (name, created_at, updated_at)"
        " SELECT model, min(created_at), max(created_at) FROM old_model_versions GROUP BY model"
    )
    run(
        "INSERT INTO model_versions (model, version, bundle, run_id, trained_until, created_at, updated_at, stage)"
        " SELECT model, version, bundle, run_id, trained_until, created_at, created_at, 'None' FROM old_model_versions"
    )


def _carry_params(connection: sa.Connection) -> None:
    columns = (sa.column("run_id"), sa.column("name"), sa.column("value", sa.JSON))
    old = connection.execute(sa.select(*columns).select_from(sa.table("old_params")))
    made = sa.table("params", *columns, sa.column("text"))
    rows = [{"run_id": run, "name": name, "value": value, "text": str(value)} for run, name, value in old]
    if rows:
        connection.execute(sa.insert(made), rows)


def _carry_metrics(connection: sa.Connection) -> None:
    names = ("run_id", "name", "step", "value")
    columns: list[Any] = [*map(sa.column, names), sa.column("at", MOMENT)]
    old: Any = connection.execute(sa.select(*columns).select_from(sa.table("old_metrics")).order_by(sa.text("id")))
    points: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    for run_id, name, step, value, at in old:
        moment = at if at.tzinfo else at.replace(tzinfo=UTC)
        points.setdefault((run_id, name), []).append((step, round(moment.timestamp() * 1e6), value))
    if not points:
        return
    series: list[dict[str, Any]] = []
    flat: list[dict[str, Any]] = []
    for number, ((run_id, name), logged) in enumerate(points.items(), 1):
        newest = dict(zip(("step", "at_us", "value"), max(logged), strict=True))
        series.append({"run_id": run_id, "name": name, "is_nan": False, **newest})
        flat += [
            {"series_id": number, "step": step, "at_us": at, "value": value, "is_nan": False}
            for step, at, value in set(logged)
        ]
    fields = ("step", "at_us", "value", "is_nan")
    connection.execute(sa.insert(sa.table("metric_series", *map(sa.column, ("run_id", "name", *fields)))), series)
    connection.execute(sa.insert(sa.table("metric_points", *map(sa.column, ("series_id", *fields)))), flat)


def _create() -> None:
    _runs()
    _journal()
    _datasets()
    _logged_models()
    _registry()
    _tokens()


def _runs() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", ROW, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(500), nullable=False, unique=True),
        sa.Column("artifact_uri", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
    )
    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", ROW, sa.ForeignKey("experiments.id"), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("experiment_id", ROW, sa.ForeignKey("experiments.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("parent_id", sa.String(200), sa.ForeignKey("runs.id"), index=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("asof", MOMENT),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("deleted_at", MOMENT),
        sa.Column("user", sa.Text),
        sa.Column("artifact_uri", sa.Text),
        sa.Column("code_version", sa.Text),
        sa.Column("code_diff", sa.String(64)),
        sa.Column("environment", sa.String(64)),
        sa.Column("data_identity", sa.JSON),
        sa.Column("command", sa.Text),
        sa.Column("error", sa.Text),
    )
    op.create_index("runs_by_time", "runs", ["name", "started_at"])
    op.create_index("runs_of_an_experiment", "runs", ["experiment_id", "started_at"])
    op.create_table(
        "params",
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("params_by_text", "params", ["name", sa.text("substr(text, 1, 100)")])
    op.create_table(
        "metric_series",
        sa.Column("id", ROW, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("is_nan", sa.Boolean, nullable=False),
        sa.UniqueConstraint("run_id", "name"),
    )
    op.create_index("metric_series_by_value", "metric_series", ["name", "value"])
    op.create_table(
        "metric_points",
        sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Float(53), primary_key=True),
        sa.Column("is_nan", sa.Boolean, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tags",
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("tags_by_text", "tags", ["name", sa.text("substr(value, 1, 100)")])
    op.create_table(
        "run_artifacts",
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("step", sa.String(200), primary_key=True),
        sa.Column("occurrence", sa.Integer, primary_key=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
    )


def _datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", ROW, primary_key=True, autoincrement=True),
        sa.Column("experiment_id", ROW, sa.ForeignKey("experiments.id"), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schema", sa.Text),
        sa.Column("profile", sa.Text),
        sa.UniqueConstraint("experiment_id", "name", "digest"),
    )
    op.create_table(
        "run_datasets",
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("dataset_id", ROW, sa.ForeignKey("datasets.id"), primary_key=True),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
    )


def _logged_models() -> None:
    op.create_table(
        "logged_models",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("experiment_id", ROW, sa.ForeignKey("experiments.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model_type", sa.Text, nullable=False),
        sa.Column("source_run_id", sa.String(200), nullable=False, index=True),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
    )
    op.create_table(
        "logged_model_params",
        sa.Column("model_id", sa.String(200), sa.ForeignKey("logged_models.id"), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "logged_model_tags",
        sa.Column("model_id", sa.String(200), sa.ForeignKey("logged_models.id"), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "logged_model_metrics",
        sa.Column("id", ROW, primary_key=True, autoincrement=True),
        sa.Column("model_id", sa.String(200), sa.ForeignKey("logged_models.id"), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(200), nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float(53)),
        sa.Column("dataset_name", sa.String(500)),
        sa.Column("dataset_digest", sa.String(64)),
    )
    op.create_index("metrics_of_a_logged_model", "logged_model_metrics", ["model_id", "name"])
    op.create_table(
        "logged_model_artifacts",
        sa.Column("model_id", sa.String(200), sa.ForeignKey("logged_models.id"), primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "run_models",
        sa.Column("run_id", sa.String(200), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("model_id", sa.String(200), primary_key=True),
        sa.Column("direction", sa.String(10), primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
    )


def _registry() -> None:
    op.create_table(
        "registered_models",
        sa.Column("name", sa.String(256), primary_key=True),
        sa.Column("description", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )
    op.create_table(
        "registered_model_tags",
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("bundle", sa.String(64), index=True),
        sa.Column("run_id", sa.String(200)),
        sa.Column("trained_until", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("logged_model_id", sa.String(200)),
        sa.Column("run_link", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("stage", sa.String(20), nullable=False),
    )
    op.create_table(
        "model_version_tags",
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "aliases",
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("alias", sa.String(255), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
    )


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("scope", sa.String(10), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
    )
