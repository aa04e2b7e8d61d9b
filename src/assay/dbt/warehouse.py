"""A warehouse as the questions see it, whichever database it is."""

from datetime import UTC, datetime
from typing import Any, Protocol

from assay.dbt.declared import Relation


class AskError(Exception):
    """A query that the warehouse refused."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        #: Whether a table or its schema does not exist.
        self.absent = absent


class Warehouse(Protocol):
    """A database that answers SQL."""

    #: Type and place, without secrets.
    name: str

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns and the rows; times are aware where the column is. Raises `AskError`."""
        ...

    def near(self, relation: Relation) -> list[str]:
        """The tables that a misspelt relation may mean, as schema.table."""
        ...


def tables_where(warehouse: Warehouse, condition: str) -> list[str]:
    """The tables of a warehouse's catalogue, as schema.table; none when it may not be read."""
    sql = f"SELECT table_schema, table_name FROM information_schema.tables WHERE {condition} ORDER BY 1, 2"
    try:
        return [f"{schema}.{table}" for schema, table in warehouse.ask(sql)[1]]
    except AskError:
        return []


def utc(moment: datetime) -> datetime:
    """An aware time in UTC; a naive one is taken as UTC, as dbt does."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def first_line(error: Exception) -> str:
    """What a database says, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
