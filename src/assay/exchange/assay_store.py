"""Another store of Assay as a source: every column of its runs, models and versions, as it stands; it is only read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, func, select

from assay.errors import AssayError, BadInput, NotFound
from assay.exchange.mlflow_database import open_engine
from assay.exchange.records import (
    FROM,
    WHOLE,
    OutOfReach,
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
from assay.store import Artifacts, Home, migrate
from assay.store import schema as s
from assay.store.bucket import Bucket
from assay.store.folder import Folder
from assay.store.home import NAME
from assay.track.points import Point, microseconds

_POINTS, _RUNS = 20_000, 200
_PLAIN = ("kind", "asof", "artifact_uri", "code_diff", "environment", "data_identity", "error")
_NO_PLACE: dict[str, Table] = {
    "lines of the ledger, which is sealed where it was written": s.ledger,
    "steps in the journal of pipelines": s.journal,
    "profiles of rows": s.profiles,
    "reports of checks": s.check_reports,
}


class AssayStore:
    """A home of Assay, or its database and its artifacts."""

    def __init__(self, place: str, artifacts: str | None = None) -> None:
        """`place` is a home, the folder of its project, or the URL of a database whose `artifacts` are named.

        Raises `NotFound` when there is none, `BadInput` when its schema is another one than this Assay works with.
        """
        self._home: Path | None = None
        if "://" not in place:
            self._home = Path(place, NAME) if Path(place, NAME).is_dir() else Path(place)
            if not (self._home / "assay.db").is_file():
                raise NotFound(
                    f"there is no assay.db in {self._home}",
                    do="Name the state folder of a project, or the URL of its database with --artifacts.",
                )
            place = f"sqlite:///{self._home / 'assay.db'}"
        elif artifacts is None:
            raise BadInput("the place of the artifacts of this database is missing", do="Pass it with --artifacts.")
        self._engine, name = open_engine(place)
        self._name = "assay+" + (self._home.resolve().as_uri() if self._home else name)
        found, wanted = migrate.version(self._engine), migrate.head()
        if found != wanted:
            raise BadInput(
                f"{place} is at schema {found or 'none'}, this Assay works with {wanted}",
                do="Run `assay doctor` there with this version of Assay first, or upgrade Assay here.",
            )
        where = artifacts or str(Home(self._home or Path()).artifacts)
        shelf = Bucket(where, Path()) if where.startswith("s3://") else Folder(Path(where.removeprefix("file://")))
        self._artifacts = Artifacts(shelf)

    @property
    def name(self) -> str:
        """The home as a URI, or the URL of the database without its password."""
        return self._name

    def _rows(self, table: Table, **where: Any) -> list[Any]:
        asked = select(table).order_by(*table.primary_key.columns)
        for column, value in where.items():
            asked = asked.where(table.c[column].in_(value) if isinstance(value, list) else table.c[column] == value)
        with self._engine.connect() as connection:
            return list(connection.execute(asked).all())

    def _texts(self, table: Table, **where: Any) -> dict[str, str]:
        """Tags or parameters; where the other store had a run from stays under another name."""
        found = {row.name: row.value for row in self._rows(table, **where)}
        found.pop(WHOLE, None)
        before = found.pop(FROM, None)
        return found | ({f"{FROM}_before": before} if before else {})

    def experiments(self) -> Iterator[SourceExperiment]:
        """All of them, deleted ones too."""
        for row in self._rows(s.experiments):
            yield SourceExperiment(
                str(row.id),
                row.name,
                microseconds(row.created_at),
                microseconds(row.updated_at),
                deleted=row.deleted_at is not None,
                tags=self._texts(s.experiment_tags, experiment_id=row.id),
                deleted_us=_us(row.deleted_at),
            )

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of one, the oldest first, deleted ones too."""
        r = s.runs.c
        asked = select(s.runs).where(r.experiment_id == int(experiment.key)).order_by(r.started_at, r.id)
        with self._engine.connect() as connection:
            rows = connection.execute(asked).all()
        for row in rows:
            yield self._run(row)

    def _run(self, row: Any) -> SourceRun:
        series = self._series(row.id)
        return SourceRun(
            id=row.id,
            name=row.name,
            status=row.status,
            user=row.user,
            started_us=microseconds(row.started_at),
            ended_us=_us(row.ended_at),
            deleted=row.deleted_at is not None,
            deleted_us=_us(row.deleted_at),
            artifact_uri="",
            params={one.name: one.value for one in self._rows(s.params, run_id=row.id)},
            tags=self._texts(s.tags, run_id=row.id),
            metrics=tuple(name for name, *_ in series),
            points_mark=mark([[str(value) for value in one] for one in series]),
            datasets=self._datasets(row.id),
            links=tuple(
                SourceLink(one.model_id, one.direction, one.step) for one in self._rows(s.run_models, run_id=row.id)
            ),
            parent=row.parent_id,
            code_version=row.code_version,
            command=row.command,
            columns={name: getattr(row, name) for name in _PLAIN},
            contents=_contents(code_diff=row.code_diff, environment=row.environment),
        )

    def _series(self, run_id: str) -> list[Any]:
        m, p = s.metric_series.c, s.metric_points.c
        asked = (
            select(m.name, m.step, m.at_us, m.value, m.is_nan, func.count())
            .join_from(s.metric_series, s.metric_points, m.id == p.series_id)
            .where(m.run_id == run_id)
            .group_by(m.name, m.step, m.at_us, m.value, m.is_nan)
            .order_by(m.name)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(asked).all())

    def _datasets(self, run_id: str) -> tuple[SourceDataset, ...]:
        found: list[SourceDataset] = []
        for use in self._rows(s.run_datasets, run_id=run_id):
            [one] = self._rows(s.datasets, id=use.dataset_id)
            said = [getattr(one, name) for name in ("name", "digest", "source_type", "source", "schema", "profile")]
            found.append(SourceDataset(*said, context=use.context, tags=use.tags))
        return tuple(sorted(found, key=lambda one: (one.name, one.digest)))

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every point of a run."""
        m, p = s.metric_series.c, s.metric_points.c
        asked = (
            select(m.name, p.value, p.is_nan, p.step, p.at_us)
            .join_from(s.metric_series, s.metric_points, m.id == p.series_id)
            .where(m.run_id == run.id)
        )
        with self._engine.connect() as connection:
            for rows in connection.execution_options(yield_per=_POINTS).execute(asked).partitions():
                yield [Point(name, float("nan") if odd else value, step, at) for name, value, odd, step, at in rows]

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """The files of a run or a logged model."""
        if isinstance(of, SourceRun):
            rows = self._rows(s.run_artifacts, run_id=of.id)
        else:
            rows = self._rows(s.logged_model_artifacts, model_id=of.id)
        return [SourceFile(row.name, row.size_bytes, row.digest, row.digest) for row in rows]

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """A copy of a file, checked. Raises `OutOfReach` when it is not there, or damaged."""
        path = folder / uuid4().hex
        try:
            self._artifacts.fetch(file.where, path)
        except AssayError as error:
            raise OutOfReach(error.what) from None
        return path

    def models(self, experiment: SourceExperiment) -> Iterator[SourceModel]:
        """The logged models of an experiment, deleted ones too."""
        for row in self._rows(s.logged_models, experiment_id=int(experiment.key)):
            metrics = [
                (
                    one.name,
                    float("nan") if one.value is None else one.value,
                    one.step,
                    one.at_us,
                    one.run_id,
                    one.dataset_name,
                    one.dataset_digest,
                )
                for one in self._rows(s.logged_model_metrics, model_id=row.id)
            ]
            yield SourceModel(
                row.id,
                row.name,
                row.model_type,
                row.source_run_id,
                row.status,
                microseconds(row.created_at),
                microseconds(row.updated_at),
                row.deleted_at is not None,
                "",
                params={one.name: one.value for one in self._rows(s.logged_model_params, model_id=row.id)},
                tags=self._texts(s.logged_model_tags, model_id=row.id),
                metrics=tuple(sorted(metrics, key=repr)),
                deleted_us=_us(row.deleted_at),
            )

    def registered(self) -> Iterator[SourceRegistered]:
        """The registered models with versions, bundles and aliases."""
        for row in self._rows(s.registered_models):
            yield SourceRegistered(
                row.name,
                row.description,
                microseconds(row.created_at),
                microseconds(row.updated_at),
                self._texts(s.registered_model_tags, model=row.name),
                {one.alias: one.version for one in self._rows(s.aliases, model=row.name)},
                tuple(self._version(one) for one in self._rows(s.model_versions, model=row.name)),
            )

    def _version(self, row: Any) -> SourceVersion:
        return SourceVersion(
            row.version,
            row.run_id,
            row.source,
            row.logged_model_id,
            row.run_link,
            row.user,
            row.description,
            row.stage,
            microseconds(row.created_at),
            microseconds(row.updated_at),
            self._texts(s.model_version_tags, model=row.model, version=row.version),
            columns={"bundle": row.bundle, "trained_until": row.trained_until},
            contents=_contents(bundle=row.bundle),
        )

    def left_out(self) -> dict[str, int]:
        """What stays where it was written."""
        with self._engine.connect() as connection:
            found = {
                what: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for what, table in _NO_PLACE.items()
            }
        if self._home:
            home = Home(self._home)
            found["files of training and served rows: copy the folder tables"] = _count(home.tables, "*.parquet")
            found["segments on their way into that store: run `assay drain` there"] = _count(home.spool, "*")
        return {what: count for what, count in found.items() if count}

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _us(moment: Any) -> int | None:
    return None if moment is None else microseconds(moment)


def _contents(**digests: str | None) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(column, -1, digest, digest) for column, digest in digests.items() if digest)


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for path in folder.rglob(pattern) if path.is_file()) if folder.is_dir() else 0
