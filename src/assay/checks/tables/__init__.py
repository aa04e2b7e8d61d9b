"""The table that is checked, in the engine that holds it: files, frames, a database, Spark."""

import os
from collections.abc import Sequence

from assay.checks.tables import files
from assay.checks.tables.database import is_database, open_database
from assay.checks.tables.duck import open_files
from assay.checks.tables.frame import ArrowFrame, LazyFrame, open_frame
from assay.checks.tables.spark import is_spark, open_spark
from assay.checks.tables.table import CantAsk, Table

Target = str | os.PathLike[str] | ArrowFrame | LazyFrame

__all__ = ["CantAsk", "Table", "Target", "open_table"]


def open_table(target: Target, texts: Sequence[str] = ()) -> Table:
    """Open what is to be checked; `texts` are the columns that hold text, even if CSV shows nothing but digits in them.

    Raises `BadInput` for what is absent or no table, `Unavailable` for a damaged file or a database that is away.
    """
    if is_spark(target):
        return open_spark(target)
    if not isinstance(target, str | os.PathLike):
        return open_frame(target)
    name = os.fspath(target)
    if is_database(name):
        return open_database(name)
    kind, found = files.find(name)
    return open_files(name, found, kind, texts)
