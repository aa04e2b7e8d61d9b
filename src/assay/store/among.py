"""Comparison with very many values, which `IN` can't have: databases take 32,766 or 65,535 parameters in a statement."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Boolean, Column, ColumnElement, Text, TypeDecorator, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

#: So many are written out, which is planned best.
FEW = 500


def among(column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column of texts or whole numbers has one of some values, however many they are."""
    if len(values) <= FEW:
        return column.in_(values)
    return _Among(column, bindparam(None, list(values), type_=_Listed(column.type), unique=True))


class _Listed(TypeDecorator[list[Any]]):
    """Values in one parameter: an array for PostgreSQL, JSON for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, of: TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(self.of))

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        return msgspec.json.encode(value).decode() if dialect.name == "sqlite" else value


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True


@compiles(_Among, "sqlite")
def _on_sqlite(element: _Among, compiler: Any, **options: Any) -> str:
    column, listed = element.clauses
    return (
        f"{compiler.process(column, **options)} IN (SELECT value FROM json_each({compiler.process(listed, **options)}))"
    )


@compiles(_Among, "postgresql")
def _on_postgresql(element: _Among, compiler: Any, **options: Any) -> str:
    column, listed = element.clauses
    return f"{compiler.process(column, **options)} = ANY({compiler.process(listed, **options)})"
