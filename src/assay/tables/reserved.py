"""Names of columns that are Assay's own, or no names."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import BadInput

OWN = "assay:"


def refuse_reserved(table: str, names: Iterable[object]) -> None:
    """Raise `BadInput` for a column whose name begins as those do that Assay adds to a table."""
    own = next((name for name in names if isinstance(name, str) and name.startswith(OWN)), None)
    if own is not None:
        raise BadInput(
            f"{table} has a column {own}: names with {OWN} are Assay's own", do="Rename it, or leave it out."
        )


def refuse_reserved_files(table: str, found: Sequence[Path]) -> None:
    """As `refuse_reserved`, by the footers of Parquet files; one that can't be read says nothing."""
    for file in found:
        try:
            refuse_reserved(f"{table}: {file.name}", pq.read_schema(file).names)
        except (pa.ArrowException, OSError, ValueError):
            continue


def with_names(frame: Any) -> Any:
    """A frame of pandas with a text for each column's name, as `pd.DataFrame([[1, 2]])` has numbers; others as they are.

    Raises `BadInput` for names of several levels, and for a number and a text that read alike.
    """
    if not hasattr(frame, "iloc"):
        return frame
    columns = frame.columns
    if getattr(columns, "nlevels", 1) > 1:
        do = 'Make one level of them, like: frame.columns = ["_".join(map(str, each)) for each in frame.columns]'
        raise BadInput("pandas.DataFrame has names of several levels", f"like {tuple(columns[0])!r}", do=do)
    if all(isinstance(name, str) for name in columns):
        return frame
    names = [str(name) for name in columns]
    if len(set(names)) < len(names):
        raise BadInput("pandas.DataFrame has columns whose names read alike", ", ".join(names), do="Rename them.")
    return frame.set_axis(names, axis=1)
