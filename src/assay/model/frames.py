"""Columns in the form that `features` and `learn` ask for by the annotation of their first parameter.

| annotation of d                | form                                | missing              | times             |
|--------------------------------|-------------------------------------|----------------------|-------------------|
| none, `assay.Columns[...]`     | numpy columns                       | NaN, NaT             | datetime64, UTC   |
| `pd.DataFrame`                 | a frame of these columns            | NaN, NaT             | with the zone UTC |
| `pl.DataFrame`                 | a frame with the contract's types   | null                 | with the zone UTC |
| `pa.Table`                     | a table with the contract's types   | null                 | with the zone UTC |
| `nw.DataFrame` of narwhals     | this `pa.Table`, wrapped            | null                 | with the zone UTC |

Each column has a fixed type, whatever its values are: a column of one missing text is a column of texts.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from assay.contract import Columns
from assay.contract.columns import Array
from assay.errors import BadInput
from assay.model.annotations import annotation, named, shown

FrameForm = Literal["columns", "pandas", "polars", "arrow", "narwhals"]
_FORMS: dict[tuple[str, str], FrameForm] = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "arrow",
    ("narwhals", "DataFrame"): "narwhals",
}
#: Libraries of frames.
LIBRARIES = ("pandas", "polars", "pyarrow", "narwhals")
#: What computes in each form: its versions are kept in the bundle.
ENGINES: dict[FrameForm, tuple[str, ...]] = {
    "columns": (),
    "pandas": ("pandas",),
    "polars": ("polars",),
    "arrow": ("pyarrow",),
    "narwhals": ("narwhals", "pyarrow"),
}
_UTC = pa.timestamp("us", tz="UTC")


@lru_cache(maxsize=256)  # a request has only some microseconds
def form_of(model: str, function: Callable[..., Any], called: str) -> FrameForm:
    """The form that a function asks for. Raises `BadInput` for a type of a frame library that is none of them."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError, NameError):
        return "columns"
    if not parameters:
        return "columns"
    asked = parameters[0].annotation
    if isinstance(asked, str) and not _may_be_a_frame(asked):
        return "columns"
    found = annotation(model, function, called, parameters[0])
    form = _FORMS.get(named(found))
    if form is None and named(found)[0] in LIBRARIES:
        raise BadInput(
            f"{model}: {called}() asks for its columns as {shown(found)}",
            do="Annotate them as assay.Columns[...], pd.DataFrame, pl.DataFrame, pa.Table or nw.DataFrame.",
        )
    return form or "columns"


def _may_be_a_frame(asked: str) -> bool:
    return any(word in asked for word in ("Frame", "Series", "Table"))


def in_frame(columns: Columns[Any], form: FrameForm) -> Any:
    """Columns in a form. Raises `BadInput` when its library is not installed."""
    return columns if form == "columns" else _MAKERS[form](columns)


def library(name: str) -> Any:
    """A library that a form needs. Raises `BadInput` when it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise BadInput(f"{name} is not installed, and the model wants its features as {name}",
                       do=f"Run: pip install {name}") from None  # fmt: skip


def _pandas(columns: Columns[Any]) -> Any:
    pd = library("pandas")
    made: dict[str, Any] = {}
    for name, column in columns.items():
        if column.dtype.kind == "T":
            made[name] = pd.array(column.tolist(), dtype=_text_of(pd))
        elif column.dtype == np.dtype("datetime64[us]"):
            made[name] = pd.DatetimeIndex(column, tz="UTC")
        else:
            made[name] = column
    return pd.DataFrame(made)


@lru_cache(maxsize=1)
def _text_of(pd: Any) -> Any:
    """The type of texts: that of pandas 3 where there is one."""
    return pd.StringDtype(na_value=np.nan) if int(pd.__version__.split(".")[0]) >= 3 else object


def _polars(columns: Columns[Any]) -> Any:
    pl = library("polars")
    utc = pl.Datetime("us", "UTC")
    made: list[Any] = []
    for name, column in columns.items():
        if column.dtype.kind == "T":
            made.append(pl.Series(name, without_nan(column.tolist()), dtype=pl.String))
        elif column.dtype == np.dtype("datetime64[us]"):
            made.append(pl.Series(name, column).cast(utc))
        else:
            made.append(pl.Series(name, column, nan_to_null=True))
    return pl.DataFrame(made)


def _arrow(columns: Columns[Any]) -> pa.Table:
    return pa.table({name: _arrow_column(column) for name, column in columns.items()})


def _arrow_column(column: Array) -> pa.Array:
    if column.dtype.kind == "T":
        return pa.array(without_nan(column.tolist()), pa.string())
    made = pa.array(column, from_pandas=True)
    return made.cast(_UTC) if pa.types.is_timestamp(made.type) else made


def without_nan(values: list[Any]) -> list[Any]:
    """Texts with None where one is missing."""
    return [None if value != value else value for value in values]


_MAKERS: dict[FrameForm, Callable[[Columns[Any]], Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "arrow": _arrow,
    "narwhals": lambda columns: library("narwhals").from_native(_arrow(columns), eager_only=True),
}
