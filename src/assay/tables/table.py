"""What every engine offers of the table that it holds."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from assay.tables.facts import Aggregates, Wanted
from assay.tables.view import Digits, Kind


class CantAsk(Exception):
    """The engine can't run a query; one line in its own words."""


class Table(Protocol):
    """A table, opened in the engine that holds it.

    Queries are in the dialect of DuckDB, over the view `assay.tables.view.VIEW`, whichever engine runs them.
    """

    @property
    def name(self) -> str:
        """The table as it was given, without passwords."""
        ...

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Column to its kind, in the table's order."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it is made of; none for a frame or a table of a database."""
        ...

    @property
    def changed(self) -> bool:
        """True when it is no longer the table that was opened."""
        ...

    def facts(self, wanted: Wanted) -> Aggregates:
        """What is wanted of it, and the count of rows at fault of rules that were cheap to count on the way."""
        ...

    def rows(self, query: str, filtered: Collection[str] | None = None) -> list[dict[str, Any]]:
        """What a query gives; `filtered` are all the columns that its filter reads, where they are known.

        Raises `CantAsk` when it does not run, `Unavailable` when the table can't be read.
        """
        ...

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What a query gives, in parts."""
        ...

    def micros(self, time: str) -> str:
        """The SQL for the microseconds since 1970 of a time, or the time itself where an engine has no such function."""
        ...

    @property
    def reads_times(self) -> bool:
        """Whether its engine reads texts as times by a format of strftime."""
        ...

    @property
    def decimals(self) -> Mapping[str, Digits]:
        """The columns of decimal numbers that are compared digit by digit, not as floats."""
        ...

    def storable(self, name: str) -> str:
        """The SQL for a column in a type that a Parquet file can hold: its own where there is one."""
        ...

    def refer(self, name: str) -> Mapping[str, Kind]:
        """Make another table known as `assay.tables.view.other(name)`; its columns and their kinds."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
