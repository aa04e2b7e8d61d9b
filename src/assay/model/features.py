"""From a contract's columns to what an estimator is fitted on, the same for a million rows and for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from assay.contract import Columns
from assay.contract.columns import TEXT, Array
from assay.errors import BadInput
from assay.times import zone

if TYPE_CHECKING:
    from assay.model.model import Model

Kind = Literal["number", "text"]
_QUARTER_US = 15 * 60 * 1_000_000  # offsets of zones change only on quarters of an hour
_NAT = np.iinfo(np.int64).min
#: So many rows, as a server has them at once, are looked up faster one by one than made unique.
_FEW = 100
#: Two days within what `datetime` can hold, so that a zone's offset never leaves it.
_FIRST_QUARTER, _LAST_QUARTER = (
    int(np.datetime64(day, "us").astype(np.int64)) // _QUARTER_US for day in ("0001-01-03", "9999-12-29")
)


@dataclass(frozen=True)
class Matrix:
    """What an estimator is fitted on and asked with."""

    #: float64 of shape (n, k); text features as codes, missing and unseen values as NaN.
    values: Array
    #: The k names, in the order of the columns.
    names: list[str]
    #: The positions of the columns that hold codes of categories.
    categorical: list[int]

    def __len__(self) -> int:
        return len(self.values)


def compute(model: "Model", columns: Columns[Any]) -> dict[str, Array]:
    """Call the model's feature function and look at what it gives.

    Returns named columns of shape (n,): float64 or text. Raises `BadInput`, naming the feature, for anything else.
    The input is read-only meanwhile: what is logged as input must be what came in.
    """
    for name in columns:
        columns[name].flags.writeable = False
    with np.errstate(all="ignore"):
        given: Any = model.features(columns)
    if not isinstance(given, Mapping) or not given:
        what = "no feature" if isinstance(given, Mapping) else f"a {type(given).__name__}"
        raise BadInput(f"{model.name}: features() gave {what}", do="Return a dict of numpy columns.")
    return {str(name): _checked(model.name, name, column, len(columns)) for name, column in given.items()}


def _checked(model: str, name: str, column: Any, rows: int) -> Array:
    array = np.asarray(column)
    if array.dtype == np.float64 and array.shape == (rows,):
        return array
    if array.shape != (rows,):
        raise BadInput(
            f"{model}: feature {name} has shape {array.shape} for {rows} rows", do="Give one value for each row."
        )
    if array.dtype.kind in "fiub":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind in "TU":
        return array.astype(TEXT, copy=False)
    raise BadInput(
        f"{model}: feature {name} is {array.dtype}", do="Give numbers or texts; take hour() or weekday() of times."
    )


def kinds(features: Mapping[str, Array]) -> dict[str, Kind]:
    """Which features are numbers and which are texts."""
    return {name: "text" if column.dtype.kind == "T" else "number" for name, column in features.items()}


def same_bits(a: Array, b: Array) -> bool:
    """True when two features are equal to the last bit, missing values being equal."""
    if a.dtype.kind == "T" or b.dtype.kind == "T":
        return a.dtype == b.dtype and all(
            x == y or (x != x and y != y) for x, y in zip(a.tolist(), b.tolist(), strict=True)
        )
    return bool(np.all((a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))))


def learn_categories(features: Mapping[str, Array]) -> dict[str, list[str]]:
    """The values of each text feature, sorted: their positions are the codes."""
    texts = {name: column for name, column in features.items() if column.dtype.kind == "T"}
    return {
        name: sorted({value for value in column.tolist() if isinstance(value, str)}) for name, column in texts.items()
    }


def encode(features: Mapping[str, Array], names: Sequence[str], codes: Mapping[str, Mapping[Any, float]]) -> Matrix:
    """The matrix of shape (n, k) in the order of `names`; a text that `codes` does not know becomes NaN."""
    rows = len(next(iter(features.values())))
    values = np.empty((rows, len(names)))
    for i, name in enumerate(names):
        column = features[name]
        known = codes.get(name)
        values[:, i] = column if known is None else [known.get(value, np.nan) for value in column.tolist()]
    return Matrix(values, list(names), [i for i, name in enumerate(names) if name in codes])


def hour(times: Array, *, tz: str) -> Array:
    """The hour of the day, 0 to 23, on the wall clock of `tz`; float64 of shape (n,), NaN where the time is missing.

    >>> hour(np.array(["2013-07-01T12:30", "NaT"], dtype="datetime64[us]"), tz="America/New_York")
    array([ 8., nan])
    """
    local = _local_us(times, tz)
    return _float(local // 3_600_000_000 % 24, times)


def weekday(times: Array, *, tz: str) -> Array:
    """The day of the week, Monday 0 to Sunday 6, on the calendar of `tz`; float64 of shape (n,).

    >>> weekday(np.array(["2013-07-01T03:00"], dtype="datetime64[us]"), tz="America/New_York")
    array([6.])
    """
    local = _local_us(times, tz)
    return _float((local // 86_400_000_000 + 3) % 7, times)  # 1970-01-01 was a Thursday


def month(times: Array, *, tz: str) -> Array:
    """The month, 1 to 12, on the calendar of `tz`; float64 of shape (n,)."""
    local = _local_us(times, tz).view("datetime64[us]")
    return _float(local.astype("datetime64[M]").astype(np.int64) % 12 + 1, times)


def _float(values: Array, times: Array) -> Array:
    return np.where(np.isnat(times), np.nan, values)


def _local_us(times: Array, tz: str) -> Array:
    """Wall-clock microseconds since 1970 in `tz`."""
    if times.dtype.kind != "M":
        raise BadInput(f"{times.dtype} is not a column of times", do="Give a column that the contract says is a time.")
    micros = times.astype("datetime64[us]").view(np.int64)
    quarters = micros // _QUARTER_US
    if len(quarters) <= _FEW:
        return micros + np.array([_offset_us(tz, quarter) for quarter in quarters.tolist()], np.int64)
    values, positions = np.unique(quarters, return_inverse=True)
    return micros + np.array([_offset_us(tz, quarter) for quarter in values.tolist()], np.int64)[positions]


@lru_cache(maxsize=200_000)
def _offset_us(tz: str, quarter: int) -> int:
    if quarter == _NAT // _QUARTER_US:
        return 0
    within = min(max(quarter, _FIRST_QUARTER), _LAST_QUARTER)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=within * _QUARTER_US)
    offset = at.astimezone(_zone(tz)).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


@lru_cache(maxsize=64)
def _zone(tz: str) -> ZoneInfo:
    return zone(tz)
