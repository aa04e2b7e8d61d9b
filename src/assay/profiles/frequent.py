"""Frequent values that merge: the summary of Misra and Gries, exact while a column has few distinct values.

Source: Misra and Gries (1982), Finding Repeated Elements; merging: Agarwal et al. (2012), Mergeable Summaries, PODS.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made when it is loaded
KEPT = 200
#: A text is known by so many of its first characters.
LONGEST = 100


class Frequent(msgspec.Struct, frozen=True):
    """The most frequent values of a column."""

    #: Value to a count that is too low by at most `error`; most frequent first.
    counts: dict[str, int] = {}
    #: 0 when every value is here; never more than the values' number / (KEPT + 1).
    error: int = 0

    @property
    def complete(self) -> bool:
        """True when `counts` has every value of the column, counted exactly."""
        return self.error == 0


def frequent(values: pa.Array) -> Frequent:
    """The frequent values of an Arrow array of texts; nulls are left out."""
    encoded = values.dictionary_encode()
    names: pa.Array = encoded.dictionary
    counts = np.bincount(encoded.indices.drop_null().to_numpy(), minlength=len(names))
    if (pc.max(pc.binary_length(names)).as_py() or 0) > LONGEST:
        short = pc.utf8_slice_codeunits(names, 0, LONGEST).dictionary_encode()
        names = short.dictionary
        counts = np.bincount(short.indices.to_numpy(), counts).astype(np.int64)
    error = 0
    if len(counts) > KEPT:
        order = np.argpartition(counts, len(counts) - KEPT - 1)
        error = int(counts[order[len(counts) - KEPT - 1]])
        kept = np.flatnonzero(counts > error)
        names, counts = names.take(pa.array(kept)), counts[kept] - error
    return Frequent(_ordered(dict(zip(names.to_pylist(), counts.tolist(), strict=True))), error)


def merge_frequent(parts: Sequence[Frequent]) -> Frequent:
    """The frequent values of all parts together; errors add up, and stay within the bound."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part.counts)
    error = sum(part.error for part in parts)
    if len(total) > KEPT:
        cut = sorted(total.values(), reverse=True)[KEPT]
        total = Counter({name: count - cut for name, count in total.items() if count > cut})
        error += cut
    return Frequent(_ordered(total), error)


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
