"""A table of any kind, opened in the engine that holds it."""

import os
from collections.abc import Collection, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from assay.errors import BadInput
from assay.tables import files
from assay.tables.csv_files import Csv
from assay.tables.database import is_database, open_database, open_sqlite
from assay.tables.duck import open_files
from assay.tables.duck_database import open_duckdb
from assay.tables.footers import unreadable
from assay.tables.frame import Frame, open_frame
from assay.tables.lake import lake, open_lake
from assay.tables.reserved import refuse_reserved, refuse_reserved_files
from assay.tables.spark import is_spark, open_spark
from assay.tables.table import CantAsk, Table

Target = str | os.PathLike[str] | Frame


def open_table(target: Target, texts: Sequence[str] = (), without: Collection[Path] = ()) -> Table:
    """Open a table; `texts` are the columns that hold text, even if CSV shows nothing but digits in them.

    Files in `without` are left out. Raises `BadInput` for what is absent or no table, `Unavailable` for a damaged file or a database that is away.
    """
    try:
        table = _opened(target, texts, without)
    except CantAsk as error:
        raise BadInput(f"{target} can't be read: {error}", do="Give each column a name of its own.") from None
    try:
        refuse_reserved(table.name, table.kinds)
    except BadInput:
        table.close()
        raise
    if "" in table.kinds:
        table.close()
        raise BadInput(f"{table.name} has a column without a name", do="Name it, or leave it out.")
    return table


@contextmanager
def using(target: Target, texts: Sequence[str] = ()) -> Generator[Table]:
    """A table for the length of a block. Raises as `open_table`, and `BadInput` when it can't answer a query."""
    with closing(open_table(target, texts)) as table:
        try:
            yield table
        except CantAsk as error:
            do = "Correct the column, or leave it out."
            raise BadInput(f"{table.name} can't be evaluated", str(error), do=do) from None


def _opened(target: Target, texts: Sequence[str], without: Collection[Path]) -> Table:
    if is_spark(target):
        return open_spark(target)
    if not isinstance(target, str | os.PathLike):
        return open_frame(target)
    name = os.fspath(target)
    if is_database(name):
        return open_database(name)
    if kind := lake(name):
        return open_lake(name, kind)
    if known := files.database_file(name):
        engine, file, table = known
        return open_duckdb(file, table) if engine == "duckdb" else open_sqlite(file, table)
    kind, found = files.find(name)
    if kind == "parquet":
        refuse_reserved_files(name, found[:1])
    source = target if isinstance(target, Csv) else None
    return open_files(name, [file for file in found if file not in without], kind, texts, source)


class Damaged(NamedTuple):
    """A file that can't be read."""

    #: Below the folder that all files of its table share.
    place: str
    why: str


def damaged(target: Target) -> dict[Path, Damaged]:
    """The Parquet files of a target that can't be read; none when no other is left."""
    name = os.fspath(target) if isinstance(target, str | os.PathLike) else ""
    if not name or is_database(name) or files.database_file(name) or lake(name):
        return {}
    kind, found = files.find(name)
    said = {file: unreadable(file) for file in found} if kind == "parquet" else {}
    broken = {file: Damaged(files.below(str(file), found), why) for file, why in said.items() if why}
    return broken if len(broken) < len(found) else {}
