"""The table that is checked, in the engine that holds it: files, frames, a database, Spark."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from assay.checks.tables import files
from assay.checks.tables.database import is_database, open_database
from assay.checks.tables.duck import open_files
from assay.checks.tables.footers import unreadable
from assay.checks.tables.frame import ArrowFrame, LazyFrame, open_frame
from assay.checks.tables.spark import is_spark, open_spark
from assay.checks.tables.table import CantAsk, Table
from assay.errors import BadInput

Target = str | os.PathLike[str] | ArrowFrame | LazyFrame

__all__ = ["CantAsk", "Table", "Target", "damaged", "open_table"]


def open_table(target: Target, texts: Sequence[str] = (), without: Collection[Path] = ()) -> Table:
    """Open what is to be checked; `texts` are the columns that hold text, even if CSV shows nothing but digits in them.

    Files in `without` are left out. Raises `BadInput` for what is absent or no table, `Unavailable` for a damaged file or a database that is away.
    """
    try:
        table = _opened(target, texts, without)
    except CantAsk as error:
        raise BadInput(f"{target} can't be read: {error}", do="Give each column a name of its own.") from None
    if "" in table.kinds:
        table.close()
        raise BadInput(f"{table.name} has a column without a name", do="Name it, or leave it out.")
    return table


def _opened(target: Target, texts: Sequence[str], without: Collection[Path]) -> Table:
    if is_spark(target):
        return open_spark(target)
    if not isinstance(target, str | os.PathLike):
        return open_frame(target)
    name = os.fspath(target)
    if is_database(name):
        return open_database(name)
    kind, found = files.find(name)
    return open_files(name, [file for file in found if file not in without], kind, texts)


class Damaged(NamedTuple):
    """A file that can't be read."""

    #: Below the folder that all files of its table share.
    place: str
    why: str


def damaged(target: Target) -> dict[Path, Damaged]:
    """The Parquet files of a target that can't be read; none when no other is left."""
    name = os.fspath(target) if isinstance(target, str | os.PathLike) else ""
    if not name or is_database(name):
        return {}
    kind, found = files.find(name)
    said = {file: unreadable(file) for file in found} if kind == "parquet" else {}
    broken = {file: Damaged(files.below(str(file), found), why) for file, why in said.items() if why}
    return broken if len(broken) < len(found) else {}
