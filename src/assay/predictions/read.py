"""Reads the prediction log: the tables, and the rows still in spools, as one."""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import TypeVar

import duckdb
import pyarrow as pa

from assay.contract.formats.sql import literal, quoted
from assay.errors import Corrupt, NotFound, Unavailable
from assay.predictions.asked import asked, choose_days
from assay.predictions.layout import Source, table_name
from assay.predictions.write import TOPIC, decode_segment
from assay.store import Home
from assay.store.drain import snapshot
from assay.store.duck import connect
from assay.store.shared import files_for_all, files_here
from assay.store.table_files import FileSelection, TableFile, every
from assay.store.tables import filed_days, folder

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Files = Callable[[Home, str, FileSelection], list[TableFile]]
#: How often files that vanish while they are read are looked for again.
LOOKS = 5


def read_rows(
    home: Home,
    model: str,
    source: Source = "served",
    *,
    since: datetime | None = None,
    request_id: str | None = None,
    day: tuple[int, str] | None = None,
    away: list[str] | None = None,
) -> pa.Table | None:
    """The rows of a model, oldest first, with those not yet drained; None when there are none at all.

    `since` bounds when they were received; `request_id` is that of a request, or the id of a training run;
    `day` is a model version and the day (YYYY-MM-DD) that its rows are filed under. Only files that can hold such
    rows are opened. Raises `Unavailable` when the place that all machines share is away; with a list in `away`, why
    is added to it instead, and the rows are those that are on this machine.
    """
    name = table_name(source, model)
    run = request_id if source == "trained" else None

    def is_wanted(file: TableFile) -> bool:
        return file.since(since) and (not run or file.run == run or (not file.run and file.id.startswith(run)))

    files = _or_here(away) if away is not None else files_for_all
    wanted = FileSelection((lambda _: {f"day={day[1]}"}) if day else every, is_wanted)
    return _steady(lambda: _rows(home, name, _where(since, request_id, day), files, wanted))


def _or_here(away: list[str]) -> _Files:
    """As `files_for_all`, with what this machine has when it can't be asked; why is then in `away`."""

    def files(home: Home, table: str, wanted: FileSelection) -> list[TableFile]:
        try:
            return files_for_all(home, table, wanted)
        except Unavailable as error:
            away[:] = [error.what]
            return files_here(home, table, wanted)

    return files


def _rows(home: Home, name: str, where: str, files: _Files, wanted: FileSelection) -> pa.Table | None:
    with closing(connect_log()) as connection:
        live = _live(home) if name.startswith("served.") else {}
        stored = files(home, name, wanted)
        # Nothing that is wanted: then an older file tells the columns.
        stored = stored or files_here(home, name)[-1:]
        if not _add_view(connection, name, stored, live):
            return None
        view = ".".join(map(quoted, name.split(".")))
        return connection.sql(f"SELECT * FROM {view} {where} ORDER BY received_at, request_id, row").to_arrow_table()


def _where(since: datetime | None, request_id: str | None, day: tuple[int, str] | None) -> str:
    wanted = [f"received_at >= TIMESTAMPTZ {literal(since.isoformat())}"] if since else []
    wanted += [f"request_id = {literal(request_id)}"] if request_id is not None else []
    wanted += [f"model_version = {day[0]} AND day = {literal(day[1])}"] if day else []
    return f"WHERE {' AND '.join(wanted)}" if wanted else ""


def count_days(home: Home, model: str) -> dict[tuple[int, str], int]:
    """The served rows of each model version and day that they are filed under, those not yet drained included."""
    name = table_name("served", model)
    view = ".".join(map(quoted, name.split(".")))

    def counted() -> dict[tuple[int, str], int]:
        with closing(connect_log()) as connection:
            if not _add_view(connection, name, files_for_all(home, name), _live(home)):
                return {}
            asked = f"SELECT model_version, day, count(*) FROM {view} GROUP BY ALL ORDER BY ALL"
            return {(version, day): rows for version, day, rows in connection.sql(asked).fetchall()}

    return _steady(counted)


def _steady(look: Callable[[], _T]) -> _T:
    """Look again when files were merged into another between being listed and being opened."""
    for _ in range(LOOKS - 1):
        try:
            return look()
        except (duckdb.IOException, NotFound):
            continue
    return look()


def connect_log() -> duckdb.DuckDBPyConnection:
    """A DuckDB with the schemas of the prediction log, still empty."""
    connection = connect()
    connection.execute("CREATE SCHEMA served")
    connection.execute("CREATE SCHEMA trained")
    return connection


def _live(home: Home) -> dict[str, pa.Table]:
    """Rows that are still in spools, by table, with the day that they will be filed under."""
    found: dict[str, list[pa.Table]] = {}
    for segment in snapshot(home.spool, TOPIC):
        if segment.records:
            try:
                meta, rows = decode_segment(segment)
            except Corrupt as error:
                log.warning("rows still in a spool are left out: %s", error)  # the drainer keeps them in quarantine
                continue
            name = table_name("served", meta["model"])
            days = filed_days(folder(home.tables, name), rows, day=meta["day"], at="received_at")
            dated = rows.append_column("day", pa.array(days.tolist(), pa.string()))
            found.setdefault(name, []).append(dated)
    return {name: pa.concat_tables(parts, promote_options="default") for name, parts in found.items()}


def add_log(connection: duckdb.DuckDBPyConnection, home: Home, query: str) -> None:
    """Add a view for each table of the prediction log that a query may look at.

    Those that it names have the rows of all machines, but only of days that it asks for. Raises `Unavailable` when it names one and the place that all machines share is away.
    """
    wants = asked(connection, query)
    live = _live(home) if wants.others or any(name.startswith("served.") for name in wants.days) else {}
    wanted = {name: _of_days(connection, conditions) for name, conditions in wants.days.items()}
    here = {path.name for folder in (home.tables, home.shared) for path in folder.glob("*.*") if path.is_dir()}
    others = (here | set(live)) - set(wanted) if wants.others or not set(wanted) <= here | set(live) else set()
    for name in sorted(others):
        _add_view(connection, name, files_here(home, name), live)
    for name, some in wanted.items():
        _steady(lambda: _add_view(connection, name, files_for_all(home, name, some), live))  # noqa: B023


def _of_days(connection: duckdb.DuckDBPyConnection, conditions: list[str] | None) -> FileSelection:
    """The files for what a query says of days; they have every column of the table."""
    if conditions is None:
        return FileSelection()

    def folders(found: set[str]) -> set[str]:
        days = {name.removeprefix("day=") for name in found if name.startswith("day=")}
        try:
            others = days - choose_days(connection, conditions, days)
        except duckdb.Error:  # for the query itself to say
            return found
        return found - {f"day={day}" for day in others}

    return FileSelection(folders, all_columns=True)


def _add_view(
    connection: duckdb.DuckDBPyConnection, name: str, stored: list[TableFile], live: dict[str, pa.Table]
) -> bool:
    # The spools were looked at before the tables: a segment drained meanwhile, or one that a killed drainer left half
    # way, is in both, and never in neither. Then the spool's rows count; those written later belong to the next query.
    parts = [_scan(files) for files in _alike(stored)]
    if name in live:
        connection.register(f"live:{name}", live[name])
        spooled = live[name].column("segment").unique().to_pylist()
        parts = [f"{part} WHERE segment NOT IN ({', '.join(map(literal, spooled))})" for part in parts]
        parts.append(f"SELECT * FROM {quoted(f'live:{name}')}")
    if not parts:
        return False
    view = ".".join(map(quoted, name.split(".")))
    connection.execute(f"CREATE VIEW {view} AS {' UNION ALL BY NAME '.join(parts)}")
    return True


def _alike(files: list[TableFile]) -> list[list[TableFile]]:
    """The files in groups of equal columns, so that one of each is opened to know them; those of older names are one."""
    groups: dict[tuple[bool, str], list[TableFile]] = {}
    for file in files:
        groups.setdefault((bool(file.day), file.columns if file.first else ""), []).append(file)
    return list(groups.values())


def _scan(files: list[TableFile]) -> str:
    """The SELECT over files of equal columns; the day of a row is its folder's, or a column of a run's file."""
    paths = ", ".join(literal(str(file.path)) for file in files)
    by_day = (
        "hive_partitioning = true, hive_types = {'day': 'VARCHAR'}" if files[0].day else "hive_partitioning = false"
    )
    each = str(not files[0].first).lower()
    return f"SELECT * FROM read_parquet([{paths}], union_by_name = {each}, {by_day})"
