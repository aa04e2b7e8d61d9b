"""A contract as SQL: the columns of a table that holds its records."""

from datetime import date, datetime
from typing import Literal

from assay.contract.fields import Field, Scalar
from assay.contract.record import Record, fields, key_fields

Dialect = Literal["duckdb", "postgresql", "sqlite"]
_TYPES: dict[Dialect, dict[Scalar, str]] = {
    "duckdb": {float: "DOUBLE", int: "BIGINT", bool: "BOOLEAN", str: "VARCHAR", datetime: "TIMESTAMPTZ", date: "DATE"},
    "postgresql": {
        float: "DOUBLE PRECISION",
        int: "BIGINT",
        bool: "BOOLEAN",
        str: "TEXT",
        datetime: "TIMESTAMPTZ",
        date: "DATE",
    },
    "sqlite": {float: "REAL", int: "INTEGER", bool: "INTEGER", str: "TEXT", datetime: "TEXT", date: "TEXT"},
}


def quoted(name: str) -> str:
    """An SQL identifier; any name is safe in it.

    >>> quoted('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | float) -> str:
    """An SQL literal of a text or a number."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def create_table(record: type[Record], table: str, dialect: Dialect = "duckdb") -> str:
    """The statement that makes a table for a contract, with its rules as constraints.

    Probabilities and lists are a column for each part. For SQLite the table is STRICT (SQLite 3.37), without which a text goes into a column of numbers.

    >>> from assay.contract import Key, Record
    >>> class Trip(Record):
    ...     trip: Key[str]
    ...     miles: float | None
    >>> print(create_table(Trip, "trips"))
    CREATE TABLE "trips" (
      "trip" VARCHAR PRIMARY KEY,
      "miles" DOUBLE
    )
    """
    keys = key_fields(record)
    alone = len(keys) == 1
    lines = [
        _column(field, name, dialect, is_key=field.is_key and alone)
        for field in fields(record)
        for name in field.columns
    ]
    if len(keys) > 1:
        lines.append(f"PRIMARY KEY ({', '.join(quoted(field.name) for field in keys)})")
    body = ",\n".join(f"  {line}" for line in lines)
    return f"CREATE TABLE {quoted(table)} (\n{body}\n)" + (" STRICT" if dialect == "sqlite" else "")


def _column(field: Field, name: str, dialect: Dialect, *, is_key: bool) -> str:
    parts = [quoted(name), _TYPES[dialect][field.type]]
    if is_key:
        parts.append("PRIMARY KEY")
    if not field.nullable and (not is_key or dialect == "sqlite"):  # SQLite lets a primary key be null
        parts.append("NOT NULL")
    if field.type is bool and dialect == "sqlite":
        parts.append(f"CHECK ({quoted(name)} IN (0, 1))")
    if field.categories is not None:
        parts.append(f"CHECK ({quoted(name)} IN ({', '.join(map(literal, field.categories))}))")
    if field.range is not None:
        ends = ((field.range.low, ">="), (field.range.high, "<="))
        bounds = [f"{quoted(name)} {sign} {end!r}" for end, sign in ends if end is not None]
        parts.append(f"CHECK ({' AND '.join(bounds)})")
    return " ".join(parts)
