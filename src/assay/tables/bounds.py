"""How large a table may be at all: its columns, the depth of a column, the header of a CSV file."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from assay.errors import BadInput, Unavailable

#: A table with more columns, one nested deeper, and a CSV file with a longer header are refused.
MAX_COLUMNS, MAX_DEPTH, MAX_HEADER_BYTES = 10_000, 16, 2_000_000
_SEPARATORS = b",;\t|"
#: The types of DuckDB that are made of others.
_NESTED = ("list", "struct", "map", "array", "union")
_T = TypeVar("_T")


def check_header(file: Path) -> None:
    """Raise `BadInput` for a CSV file whose first line is no header of a table: DuckDB would take minutes and memory.

    A line feed within quotes ends the line early, which lets more pass.
    """
    opener = gzip.open if file.name.lower().endswith(".gz") else open
    try:
        with opener(file, "rb") as opened:
            line = opened.readline(MAX_HEADER_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unavailable(f"{file} can't be read", str(error), do="Write it again: it is damaged.") from None
    if len(line) > MAX_HEADER_BYTES:
        what = f"its first line is longer than {MAX_HEADER_BYTES:,} bytes"
        raise BadInput(f"{file} can't be read as CSV", what, do="Give it a header, and a line feed after each row.")
    columns = 1 + max(line.count(bytes([one])) for one in _SEPARATORS)
    check_width(str(file), columns)


def check_width(name: str, columns: int) -> None:
    """Raise `BadInput` for a table with too many columns."""
    if columns > MAX_COLUMNS:
        what = f"it has {columns:,} columns, and may have {MAX_COLUMNS:,}"
        raise BadInput(f"{name} is too wide", what, do="Keep a table of fewer columns, or one row for each value.")


def check_depth(name: str, types: Mapping[str, _T], inside: Callable[[_T], Iterable[_T]]) -> None:
    """Raise `BadInput` for a column of lists or structs nested too deep: DuckDB reads lists in time 2**depth.

    `inside` gives the types that a type is made of.
    """
    for column, kind in types.items():
        layer, depth = [kind], 0
        while layer := [one for each in layer for one in inside(each)]:
            depth += 1
            if depth > MAX_DEPTH:
                what = f"the column {column} is nested more than {MAX_DEPTH} deep"
                raise BadInput(f"{name} can't be read", what, do="Flatten it, or leave it out.")


def inside_arrow(kind: pa.DataType) -> list[pa.DataType]:
    """The types that an Arrow type is made of."""
    if pa.types.is_dictionary(kind):
        return [kind.value_type]
    if pa.types.is_map(kind):
        return [kind.key_type, kind.item_type]
    return [kind.field(i).type for i in range(kind.num_fields)]


def check_arrow_depth(name: str, schema: pa.Schema) -> None:
    """As `check_depth`, for the columns of an Arrow schema."""
    check_depth(name, {each.name: each.type for each in schema}, inside_arrow)


def inside_duckdb(kind: Any) -> list[Any]:
    """The types that a type of DuckDB is made of."""
    return [one for _, one in kind.children if not isinstance(one, int)] if kind.id in _NESTED else []
