"""A database of MLflow as a source: an SQLite file, or PostgreSQL and others by URL; it is only read."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from assay.errors import BadInput, NotFound, Unavailable
from assay.exchange import mlflow_values as values
from assay.exchange.artifact_folders import list_folder, local_folder
from assay.exchange.mlflow_values import Row
from assay.exchange.records import (
    SourceDataset,
    SourceExperiment,
    SourceFile,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
    mark,
)
from assay.track.points import Point

#: The versions of the schema that are known, from MLflow 1.27 to 3.17.
KNOWN = frozenset(
    """
    bd07f7e963c5 0c779009ac13 cc1f77228345 97727af70f4d 3500859a5d39 7f2a7d5fae7d 2d6e25af4d3e acf3f17fdcc7
    867495a8f9d4 5b0e9adcef9c 4465047574b1 f5a4f2784254 0584bdc529eb 400f98739977 6953534de441 bda7b8c39065
    cbc13b556ace 770bee3ae1dd a1b2c3d4e5f6 de4033877273 1a0cddfcaa16 534353b11cbc 71994744cf8e 3da73c924c2f
    bf29a5ff90ea 1bd49d398cd23 b7c8d9e0f1a2 5d2d30f0abce c9d4e5f6a7b8 2c33131f4dae d3e4f5a6b7c8 d0e1f2a3b4c5
    c8d9e0f1a2b3 1b5f0d9ad7c1 e1f2a3b4c5d6 76601a5f987d c3d6457b6d8a a5b4c3d2e1f0 ae8bbe7743c9 7d34483879f0
    da6fb0208061 89d3d66ed43f b7e4c1a90f23 a8b9c0d1e2f3 c1d2e3f4a5b6 c3d9e7f1a2b4 6f8d9c3b2a1e 1971f2d9a75b
    17e22815139b b7e2c1a4d9f3 75868b020152 dc11669786a5
    """.split()  # noqa: SIM905
)
_WORKSPACE = "default"
_RUNS = 200
_POINTS = 20_000


class MlflowDatabase:
    """One database of MLflow, in the state that it had when it was first looked at or later."""

    def __init__(self, url: str, proxied: Path | None) -> None:
        """`proxied` is the folder in which a server keeps the artifacts that it hands out itself.

        Raises `BadInput` for a URL or schema that is not known, `NotFound` for an SQLite file that is absent,
        `Unavailable` when the database does not answer.
        """
        self._engine, self._name = open_engine(url)
        self._proxied = proxied
        try:
            with self._engine.connect() as connection:
                _check(connection, self._name)
                tables = MetaData()
                tables.reflect(connection, resolve_fks=False)
        except DatabaseError as error:
            raise Unavailable(
                f"the database {self._name} does not answer", _first_line(error), do="Start it, or correct the URL."
            ) from None
        self._tables = tables.tables

    @property
    def name(self) -> str:
        """The URL, without its password."""
        return self._name

    def experiments(self) -> Iterator[SourceExperiment]:
        """Those of the default workspace, deleted ones too."""
        tags = self._grouped("experiment_tags", "experiment_id")
        for row in self._rows("experiments", order="experiment_id"):
            if row.get("workspace", _WORKSPACE) == _WORKSPACE:
                yield values.experiment(row, values.pairs(tags[row["experiment_id"]]))

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of one, the oldest first, deleted ones too."""
        runs = self._tables["runs"]
        of = runs.c.experiment_id == int(experiment.key)
        rows = self._rows("runs", where=of, order="start_time")
        for start in range(0, len(rows), _RUNS):
            yield from self._whole(rows[start : start + _RUNS])

    def _whole(self, rows: Sequence[Row]) -> Iterator[SourceRun]:
        ids = [row["run_uuid"] for row in rows]
        params, tags = (self._grouped(name, "run_uuid", ids) for name in ("params", "tags"))
        counts = self._counts(ids)
        datasets, links = self._datasets(ids), self._links(ids)
        for row in rows:
            one = row["run_uuid"]
            yield values.run(
                row,
                params=values.pairs(params[one]),
                tags=values.pairs(tags[one]),
                metrics=[name for name, _ in counts[one]],
                points_mark=mark(sorted(counts[one])),
                datasets=datasets[one],
                links=links[one],
            )

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every point of a run."""
        m = self._tables["metrics"].c
        asked = select(m.key, m.value, m.timestamp, m.step, m.is_nan).where(m.run_uuid == run.id)
        with self._engine.connect() as connection:
            found = connection.execution_options(yield_per=_POINTS).execute(asked)
            for rows in found.partitions():
                yield [
                    values.point(key, float("nan") if is_nan else value, step, at)
                    for key, value, at, step, is_nan in rows
                ]

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """The files of a run or a model, when they are on this machine. Raises `OutOfReach`."""
        return list_folder(local_folder(of.artifact_uri, self._proxied))

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """Where the file is."""
        del folder
        return Path(file.where)

    def models(self, experiment: SourceExperiment) -> Iterator[SourceModel]:
        """The logged models of an experiment; databases before MLflow 3 have none."""
        if "logged_models" not in self._tables:
            return
        of = self._tables["logged_models"].c.experiment_id == int(experiment.key)
        rows = self._rows("logged_models", where=of, order="creation_timestamp_ms")
        ids = [row["model_id"] for row in rows]
        params, tags, metrics = (
            self._grouped(f"logged_model_{what}", "model_id", ids) for what in ("params", "tags", "metrics")
        )
        for row in rows:
            one = row["model_id"]
            yield values.model(
                row,
                params={p["param_key"]: p["param_value"] for p in params[one]},
                tags={t["tag_key"]: t["tag_value"] for t in tags[one]},
                metrics=[
                    {name.removeprefix("metric_"): v for name, v in m.items()} | _of_metric(m) for m in metrics[one]
                ],
            )

    def registered(self) -> Iterator[SourceRegistered]:
        """The registered models of the default workspace, by name."""
        tags, aliases = (self._grouped(f"registered_model_{what}", "name") for what in ("tags", "aliases"))
        versions, version_tags = self._grouped("model_versions", "name"), self._grouped("model_version_tags", "name")
        for row in self._rows("registered_models", order="name"):
            if row.get("workspace", _WORKSPACE) != _WORKSPACE:
                continue
            name = row["name"]
            yield values.registered(
                row,
                tags=values.pairs(tags[name]),
                aliases={alias["alias"]: alias["version"] for alias in aliases[name]},
                versions=[_version(one, version_tags[name]) for one in versions[name]],
            )

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def left_out(self) -> dict[str, int]:
        """What has no place here, and what stands in other workspaces."""
        found = {what: self._count(table) for what, table in _NO_PLACE.items()}
        with self._engine.connect() as connection:
            for table in ("experiments", "registered_models"):
                if table in self._tables and "workspace" in self._tables[table].c:
                    other = self._tables[table].c.workspace != _WORKSPACE
                    asked = select(func.count()).select_from(self._tables[table]).where(other)
                    found[f"{table.replace('_', ' ')} of other workspaces"] = connection.execute(asked).scalar_one()
        return {what: count for what, count in found.items() if count}

    def _count(self, table: str) -> int:
        if table not in self._tables:
            return 0
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(self._tables[table])).scalar_one()

    def _rows(self, table: str, *, where: ColumnElement[bool] | None = None, order: str | None = None) -> Sequence[Row]:
        if table not in self._tables:
            return []
        asked = select(self._tables[table])
        asked = asked if where is None else asked.where(where)
        asked = asked if order is None else asked.order_by(self._tables[table].c[order])
        with self._engine.connect() as connection:
            return cast("Sequence[Row]", connection.execute(asked).mappings().all())

    def _grouped(self, table: str, key: str, ids: Sequence[str] | None = None) -> dict[Any, list[Row]]:
        found: dict[Any, list[Row]] = defaultdict(list)
        if table in self._tables:
            where = None if ids is None else self._tables[table].c[key].in_(ids)
            for row in self._rows(table, where=where):
                if row.get("workspace", _WORKSPACE) == _WORKSPACE:
                    found[row[key]].append(row)
        return found

    def _counts(self, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        m = self._tables["metrics"].c
        asked = select(m.run_uuid, m.key, func.count()).where(m.run_uuid.in_(ids)).group_by(m.run_uuid, m.key)
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        with self._engine.connect() as connection:
            for run_id, key, count in connection.execute(asked):
                found[run_id].append((key, count))
        return found

    def _datasets(self, ids: Sequence[str]) -> dict[str, list[SourceDataset]]:
        found: dict[str, list[SourceDataset]] = defaultdict(list)
        if "inputs" not in self._tables:
            return found
        uses = self._inputs("destination_id", ids, source_type="DATASET", destination_type="RUN")
        tags = self._grouped("input_tags", "input_uuid", [use["input_uuid"] for use in uses])
        seen = self._grouped("datasets", "dataset_uuid", [use["source_id"] for use in uses])
        for use in uses:
            for row in seen[use["source_id"]]:
                said = {tag["name"]: tag["value"] for tag in tags[use["input_uuid"]]}
                found[use["destination_id"]].append(values.dataset(row, said))
        return found

    def _links(self, ids: Sequence[str]) -> dict[str, list[SourceLink]]:
        found: dict[str, list[SourceLink]] = defaultdict(list)
        if "inputs" in self._tables:
            for row in self._inputs("source_id", ids, source_type="RUN_INPUT", destination_type="MODEL_INPUT"):
                found[row["source_id"]].append(SourceLink(row["destination_id"], "input"))
            for row in self._inputs("source_id", ids, source_type="RUN_OUTPUT", destination_type="MODEL_OUTPUT"):
                found[row["source_id"]].append(SourceLink(row["destination_id"], "output", int(row.get("step", 0))))
        return found

    def _inputs(self, key: str, ids: Sequence[str], **types: str) -> Sequence[Row]:
        table: Table = self._tables["inputs"]
        where = table.c[key].in_(ids)
        for name, value in types.items():
            where &= table.c[name] == value
        return self._rows("inputs", where=where)


_NO_PLACE = {
    "traces": "trace_info",
    "assessments": "assessments",
    "evaluation datasets": "evaluation_datasets",
    "scorers": "scorers",
    "webhooks": "webhooks",
}


def _of_metric(row: Row) -> dict[str, Any]:
    return {"key": row["metric_name"], "timestamp": row["metric_timestamp_ms"]}


def _version(row: Row, tags: list[Row]) -> SourceVersion:
    return values.version(row, values.pairs(tag for tag in tags if tag["version"] == row["version"]))


def open_engine(url: str) -> tuple[Engine, str]:
    """An engine that reads a database, and its URL without a password. Raises `BadInput` or `NotFound`."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            return create_engine(_read_only(parsed)), url
        return create_engine(parsed), make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise BadInput(
            f"{url.partition('@')[2] or url!r} can't be read: {error}",
            do="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
        ) from None
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the driver {error.name} of this database is not installed", do=f"Run: pip install {error.name}"
        ) from None


def _read_only(url: URL) -> URL:
    path = Path(url.database or "")
    if not path.is_file():
        raise NotFound(f"there is no database {path}", do="Name the file that the server's --backend-store-uri has.")
    return url.set(database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})


def _check(connection: Connection, name: str) -> None:
    if not {"alembic_version", "experiments", "runs", "metrics"} <= set(inspect(connection).get_table_names()):
        raise BadInput(f"{name} is not a database of MLflow", "it has no experiments and runs", do="Choose another.")
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if not found or not KNOWN.issuperset(found):
        raise BadInput(
            f"{name} has an unknown schema: {', '.join(found) or 'none'}",
            "Assay knows those of MLflow 1.27 to 3.17",
            do="Start an MLflow server on it and import from that: assay import mlflow http://HOST:PORT",
        )


def _first_line(error: DatabaseError) -> str:
    return next(iter(str(error.orig).strip().splitlines()), "")
