"""A DataFrame of Spark, asked through Spark SQL: the rows stay where they are."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay.contract.formats.sql import quoted
from assay.errors import BadInput
from assay.tables.dialect import translated, view
from assay.tables.facts import Aggregates, Wanted, scan, scanned
from assay.tables.table import CantAsk
from assay.tables.view import VIEW, Digits, Kind, other

_KINDS: dict[str, Kind] = {
    "string": "text",
    **dict.fromkeys(("float", "double"), "number"),
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "whole"),
    "boolean": "truth",
    "timestamp": "time",
    "timestamp_ntz": "naive",
    "date": "date",
}
_FLOATS = ("float", "double")


@dataclass
class SparkTable:
    """A DataFrame as a temporary view of its session."""

    session: Any
    kinds: Mapping[str, Kind]
    views: dict[str, str]
    temporary: str
    name: str = "pyspark.DataFrame"
    files: tuple[Path, ...] = ()
    changed: bool = False

    def close(self) -> None:
        """Drop the view."""
        self.session.catalog.dropTempView(self.temporary)

    def facts(self, wanted: Wanted) -> Aggregates:
        """What is wanted, from one pass over the rows."""
        return scanned(self.rows(scan(wanted, self.kinds, self.micros))[0], wanted)

    def rows(self, query: str, filtered: Collection[str] | None = None) -> list[dict[str, Any]]:  # noqa: ARG002
        """What the query gives. Raises `CantAsk` when it does not run."""
        return self._answer(query).to_pylist()

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What the query gives, in parts."""
        yield from self._answer(query).to_batches()

    def micros(self, time: str) -> str:
        """The time itself: what Spark returns tells it."""
        return time

    @property
    def reads_times(self) -> bool:
        """Its engine does not read texts by a format of strftime."""
        return False

    @property
    def decimals(self) -> Mapping[str, Digits]:
        """None is compared digit by digit: its engine may lack the digits of an end."""
        return {}

    def storable(self, name: str) -> str:
        """The SQL for a column in a type that a Parquet file can hold."""
        return quoted(name)

    def refer(self, name: str) -> dict[str, Kind]:
        """Make the view over another table of Spark's catalog."""
        from pyspark.errors import PySparkException

        try:
            kinds, floats = _columns(self.session.table(name))
        except PySparkException as error:
            raise BadInput(f"Spark has no table {name}", _first_line(error), do="Name one of its catalog.") from None
        source = ".".join(map(quoted, name.split(".")))
        self.views[other(name)] = view(source, floats, kinds, "spark", hidden=False)
        return kinds

    def _answer(self, query: str) -> pa.Table:
        from pyspark.errors import PySparkException

        sql = translated(query, self.views, "spark")
        try:
            return self.session.sql(sql).toArrow()
        except PySparkException as error:
            raise CantAsk(_first_line(error)) from None


def open_spark(frame: Any) -> SparkTable:
    """Open a DataFrame of Spark 4 or newer."""
    temporary = f"assay_{uuid.uuid4().hex}"
    frame.createOrReplaceTempView(temporary)
    kinds, floats = _columns(frame)
    return SparkTable(frame.sparkSession, kinds, {VIEW: view(temporary, floats, kinds, "spark")}, temporary)


def is_spark(target: object) -> bool:
    """True for a DataFrame of Spark, classic or through Spark Connect."""
    return any(one.__module__.startswith("pyspark.sql") and one.__name__ == "DataFrame" for one in type(target).__mro__)


def spark_rows(frame: Any) -> pa.Table:
    """All rows of a DataFrame, brought here. Raises `BadInput` for a query that fails."""
    from pyspark.errors import PySparkException

    try:
        return frame.toArrow()
    except PySparkException as error:
        raise BadInput("pyspark.DataFrame can't be read", _first_line(error), do="Correct the query.") from None


def _columns(frame: Any) -> tuple[dict[str, Kind], dict[str, str]]:
    types: list[tuple[str, str]] = frame.dtypes
    kinds: dict[str, Kind] = {
        name: "number" if kind.startswith("decimal") else _KINDS.get(kind, "other") for name, kind in types
    }
    return kinds, {name: "DOUBLE" for name, kind in types if kind in _FLOATS}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
