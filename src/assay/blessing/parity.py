"""Does one row get the same features and predictions as the same row in a batch? Asked through the path that serving takes."""

from statistics import median
from time import perf_counter_ns
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa

from assay.contract import Decoder, Invalid
from assay.contract.columns import Array, from_rows
from assay.contract.decode import to_json
from assay.contract.formats.arrow import columns
from assay.contract.record import fields
from assay.errors import BadInput
from assay.model import Bundle
from assay.model.frames import FrameForm
from assay.skew.compare import differs, ulps

SAMPLE = 200
#: Of so many of these rows the predictions are compared too: an estimator may take long for one row.
PREDICTED = 20
#: How far a prediction of one row may be from that in a batch: matrices are multiplied in another order.
NEAR = 1e-6
#: Up to here a difference is an engine's rounding, not another computation.
ROUNDING_ULPS = 4


class Mismatch(msgspec.Struct, frozen=True):
    """One feature, or one column of the prediction, that differs between one row and the batch."""

    feature: str
    #: How many of the rows compared differ.
    rows: int
    #: Largest distance in units in the last place; None for texts and for missing against present.
    ulps: int | None
    #: One row's values: in the batch, and alone.
    batch: str
    alone: str
    place: Literal["feature", "prediction"] = "feature"

    @property
    def is_rounding(self) -> bool:
        """True when the difference is no more than an engine's rounding."""
        return self.ulps is not None and self.ulps <= ROUNDING_ULPS

    def __str__(self) -> str:
        size = f", {self.ulps} ulp" if self.is_rounding else ""
        what = "prediction" if self.place == "prediction" else "feature"
        return f"{what} {self.feature}: {self.rows} rows differ, {self.batch} in the batch, {self.alone} alone{size}"


class Parity(msgspec.Struct, frozen=True):
    """What the comparison found."""

    rows: int
    #: Rows of the sample that the contract refuses, and that could not be served.
    refused: int
    mismatches: list[Mismatch] = []
    #: Microseconds that the features of one row take, the median, and the form in which they are computed.
    row_us: float | None = None
    form: FrameForm = "columns"

    @property
    def holds(self) -> bool:
        """True when nothing differs by more than rounding, and some row could be asked at all."""
        return not self.faults()

    def cost(self) -> str:
        """What the features of one row take, in words; empty when no row was asked."""
        if self.row_us is None:
            return ""
        on = "numpy columns" if self.form == "columns" else f"a {self.form} frame"
        return f"{self.row_us:,.0f} us for one row, on {on}"

    def faults(self) -> list[str]:
        """What keeps the features from being served."""
        unserved = [] if self.rows else ["no row of the holdout fits the contract, so none could be served"]
        return [str(mismatch) for mismatch in self.mismatches if not mismatch.is_rounding] + unserved

    def warnings(self) -> list[str]:
        """What differs by an engine's rounding only."""
        return [f"rounding: {mismatch}" for mismatch in self.mismatches if mismatch.is_rounding]


def check_parity(bundle: Bundle, rows: pa.Table) -> Parity:
    """Compare the features of a sample of rows in the batch with those of each row alone, bit for bit.

    Each row goes through JSON and the contract, as a request does.
    """
    batch = bundle.features(columns(rows, bundle.model.takes))
    step = max(1, len(rows) // SAMPLE)
    chosen = np.arange(0, len(rows), step)
    names = [field.name for field in fields(bundle.model.takes)]
    decoder = Decoder(bundle.model.takes)
    served: list[int] = []
    alone: list[dict[str, Array]] = []
    took_ns: list[int] = []
    for position, row in zip(chosen, rows.select(names).take(pa.array(chosen)).to_pylist(), strict=True):
        try:
            decoded = decoder.decode(to_json(row)).rows
        except Invalid:
            continue
        served.append(int(position))
        began = perf_counter_ns()
        alone.append(_features_alone(bundle, from_rows(decoded, bundle.model.takes)))
        took_ns.append(perf_counter_ns() - began)
    found = [_mismatch(name, column[served], [row[name] for row in alone]) for name, column in batch.items()]
    differing = [mismatch for mismatch in found if mismatch]
    if not differing:
        differing = _predictions(bundle, {name: column[served] for name, column in batch.items()}, alone)
    row_us = median(took_ns) / 1000 if took_ns else None
    return Parity(len(served), len(chosen) - len(served), differing, row_us, bundle.form)


def _predictions(bundle: Bundle, batch: dict[str, Array], alone: list[dict[str, Array]]) -> list[Mismatch]:
    """The columns of the prediction that differ for a row alone; asked only when the features are equal."""
    if not alone:
        return []
    together, each = bundle.predict(batch), [bundle.predict(row) for row in alone[:PREDICTED]]
    found: list[Mismatch] = []
    for name, column in together.items():
        expected, again = column[: len(each)], np.concatenate([row[name] for row in each])
        where = np.flatnonzero(differs(expected, again, tolerance=NEAR) & ~_almost_zero(expected, again))
        if len(where):
            first = where[0]
            found.append(
                Mismatch(name, len(where), None, f"{expected[first]!s}", f"{again[first]!s}", place="prediction")
            )
    return found


def _almost_zero(a: Array, b: Array) -> Array:
    """Where two numbers are so small that their relative distance says nothing."""
    return np.abs(a - b) <= NEAR**2 if a.dtype.kind == b.dtype.kind == "f" else np.zeros(len(a), dtype=bool)


def _features_alone(bundle: Bundle, row: object) -> dict[str, Array]:
    try:
        return bundle.features(row)  # pyright: ignore[reportArgumentType]
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"features() of {bundle.model.name} fails on a single row: {type(error).__name__}: {error}",
            do="Compute a feature from its own row only.",
        ) from error


def _mismatch(name: str, batch: Array, rows: list[Array]) -> Mismatch | None:
    if not rows:
        return None
    alone = np.concatenate(rows)
    if batch.dtype.kind == "T":
        pairs = zip(batch.tolist(), alone.tolist(), strict=True)
        differ = [a != b and (a == a or b == b) for a, b in pairs]  # NaN is missing, and equal to itself here
        distance = None
    else:
        differ = batch.view(np.int64) != alone.view(np.int64)
        differ &= ~(np.isnan(batch) & np.isnan(alone))
        one_missing = bool((np.isnan(batch) != np.isnan(alone)).any())
        distance = None if one_missing else ulps(batch[differ], alone[differ]) if differ.any() else 0
    where = np.flatnonzero(differ)
    if len(where) == 0:
        return None
    return Mismatch(name, len(where), distance, f"{batch[where[0]]!s}", f"{alone[where[0]]!s}")
