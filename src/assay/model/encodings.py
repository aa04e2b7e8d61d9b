"""Numbers from values: buckets, hashes, circles, indicators, and what stands for a missing value.

Each row's result depends on that row alone and is made of operations that IEEE 754 rounds in one way: one row, a million
rows and another processor give the same bits. What must be learnt from many rows comes from `Model.learn`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from assay.contract.columns import TEXT, Array
from assay.errors import BadInput

#: Coefficients of sin(x) and cos(x) for |x| <= pi/4, below 1 ulp: Sun's fdlibm, k_sin.c and k_cos.c.
_SIN = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COS = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)


def cyclic(values: Array, period: float) -> tuple[Array, Array]:
    """Sine and cosine of values on a circle of `period`: hour 23 is beside hour 0. Two float64 arrays of shape (n,).

    Raises `BadInput` for a period that is not a positive number.

    >>> sine, cosine = cyclic(np.array([0.0, 6.0, 18.0, np.nan]), 24)
    >>> sine, cosine
    (array([ 0.,  1., -1., nan]), array([ 1.,  0.,  0., nan]))
    """
    if not 0 < period < np.inf:
        raise BadInput(f"{period} is not a period", do="Give a positive number: 24 for hours.")
    with np.errstate(invalid="ignore"):
        quarters = np.fmod(_numbers(values), period) / period * 4
        nearest = np.rint(quarters)
        angle = (quarters - nearest) * (np.pi / 2)
        sine, cosine = _sine(angle), _cosine(angle)
        turns = np.where(np.isfinite(nearest), nearest, 0).astype(np.int64) % 4
    across = turns % 2 == 1
    first, second = np.where(across, cosine, sine), np.where(across, sine, cosine)
    # Adding 0.0 makes -0.0, which is another text, the same as 0.0.
    return np.where(turns >= 2, -first, first) + 0.0, np.where((turns == 1) | (turns == 2), -second, second) + 0.0


def _sine(x: Array) -> Array:
    z = x * x
    series = _polynomial(z, _SIN)
    return x + x * z * series


def _cosine(x: Array) -> Array:
    z = x * x
    return 1.0 - (0.5 * z - z * z * _polynomial(z, _COS))


def _polynomial(z: Array, coefficients: Sequence[float]) -> Array:
    value = np.full_like(z, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * z + coefficient
    return value


def bucket(values: Array, edges: Sequence[float]) -> Array:
    """The number of `edges` at or below each value, 0 to k; float64 of shape (n,), NaN for NaN.

    Raises `BadInput` unless the k edges rise.

    >>> bucket(np.array([-1.0, 18.0, 40.0, np.nan]), [18, 65])
    array([ 0.,  1.,  1., nan])
    """
    limits = np.asarray(edges, np.float64)
    if limits.ndim != 1 or not len(limits) or not np.all(limits[:-1] < limits[1:]) or np.isnan(limits).any():
        raise BadInput("the edges of a bucket must rise", f"{list(edges)}", do="Sort them, each once.")
    numbers = _numbers(values)
    return np.where(np.isnan(numbers), np.nan, np.searchsorted(limits, numbers, side="right"))


def hashed(values: Array, buckets: int) -> Array:
    """A number from 0 to `buckets` - 1 for each text or whole number, the same in every process and on every machine.

    float64 of shape (n,), NaN for a missing value. It is BLAKE2b of the text in UTF-8. Raises `BadInput` for other columns.

    >>> hashed(np.array(["N14228", "N24211", np.nan], dtype=TEXT), 100)
    array([88., 13., nan])
    """
    if not 0 < buckets <= 1 << 53:
        raise BadInput(f"{buckets} buckets are not possible", do="Give a whole number above 0.")
    if values.dtype.kind not in "TUiu":
        raise BadInput(f"a column of {values.dtype} can't be hashed", do="Give a column of texts or whole numbers.")
    return np.array([_hash(value, buckets) for value in values.tolist()], np.float64)


@lru_cache(maxsize=100_000)
def _hash(value: object, buckets: int) -> float:
    if value != value:
        return np.nan
    digest = blake2b(str(value).encode(errors="surrogatepass"), digest_size=8).digest()
    return float(int.from_bytes(digest) % buckets)


def one_hot(values: Array, known: Iterable[str | int | bool], *, name: str) -> dict[str, Array]:
    """A column of 0 and 1 for each of the `known` values, called `name_value`; float64 of shape (n,).

    A value that is none of them, or missing, is 0 in all. Raises `BadInput` when `known` is empty or names one twice.

    >>> one_hot(np.array(["EWR", "JFK"], dtype=TEXT), ["EWR", "LGA"], name="origin")
    {'origin_EWR': array([1., 0.]), 'origin_LGA': array([0., 0.])}
    """
    chosen = list(known)
    named = {f"{name}_{value}": value for value in chosen}
    if not named or len(named) < len(chosen):
        raise BadInput(f"{name}: the values of one_hot must be given, each once", f"{chosen}", do="Correct the list.")
    of_texts = values.dtype.kind in "TU"
    if odd := next((value for value in chosen if isinstance(value, str) is not of_texts), None):
        raise BadInput(f"{name}: {odd!r} can't be in a column of {values.dtype}", do="Give values of its type.")
    return {column: (values == value).astype(np.float64) for column, value in named.items()}


def impute(values: Array, value: float | str) -> Array:
    """The column with `value` where one is missing; of the same type, shape (n,).

    `value` is a constant, or what `Model.learn` found: never take it from the column itself, which is one row in serving.
    Raises `BadInput` for a value of another type, and for one that is missing itself.

    >>> impute(np.array([1.0, np.nan]), 7)
    array([1., 7.])
    """
    of_texts = values.dtype.kind in "TU"
    if values.dtype.kind not in "TUfiub" or isinstance(value, str) is not of_texts or value != value:
        raise BadInput(
            f"{value!r} can't stand for what is missing in a column of {values.dtype}", do="Give one that can."
        )
    if of_texts:
        return np.array([value if one != one else one for one in values.tolist()], TEXT)
    return np.where(np.isnan(values), value, values) if values.dtype.kind == "f" else values


def _numbers(values: Array) -> Array:
    if values.dtype.kind not in "fiub":
        raise BadInput(f"a column of {values.dtype} holds no numbers", do="Give a column of numbers.")
    return values.astype(np.float64, copy=False)
