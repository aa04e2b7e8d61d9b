"""The rows that are looked at closely, as columns of numbers and codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from assay.contract.columns import Array
from assay.contract.formats.sql import quoted
from assay.quality import kept_as_text
from assay.tables import Table
from assay.tables.view import FILE, ROW, TIMES, VIEW, Kind

#: The most rows, and the most values of all columns together.
ROWS, VALUES = 200_000, 20_000_000
#: What the hash of a row's place is divided by.
_PARTS = 1_000_000_000


@dataclass(frozen=True)
class Sample:
    """Some rows of a table, chosen by a hash of their place where they have one: the same each time."""

    table: pa.Table
    kinds: Mapping[str, Kind]
    #: Columns of texts that hold numbers or times; those of numbers are in `table` as numbers.
    as_text: Mapping[str, kept_as_text.AsText] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def numbers(self, name: str) -> Array:
        """A column of numbers, truths or times (seconds) as float64, missing as NaN."""
        column = self.table[name]
        if self.kinds[name] in TIMES:
            column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
            return column.cast(pa.float64(), safe=False).to_numpy() / 1e6
        return (
            column.cast(pa.int8() if self.kinds[name] == "truth" else pa.float64(), safe=False)
            .cast(pa.float64())
            .to_numpy()
        )

    @cached_property
    def codes(self) -> dict[str, tuple[Array, list[str]]]:
        """Each column of texts as codes, -1 for missing, and the texts that they stand for."""
        found: dict[str, tuple[Array, list[str]]] = {}
        for name, kind in self.kinds.items():
            if kind == "text":
                encoded = self.table[name].cast(pa.string()).combine_chunks().dictionary_encode()
                codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
                found[name] = codes, encoded.dictionary.to_pylist()
        return found

    def of(self, *kinds: Kind) -> list[str]:
        """The columns of these kinds."""
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def without(self, name: str | None) -> "Sample":
        """The same rows without a column."""
        return replace(self, kinds={one: kind for one, kind in self.kinds.items() if one != name})


def take(table: Table, total: int) -> Sample:
    """At most some 200,000 rows, fewer where there are more than 100 columns."""
    kinds: dict[str, Kind] = {name: kind for name, kind in table.kinds.items() if kind != "other"}
    picked = f"SELECT {', '.join(map(quoted, kinds))} FROM {VIEW}"
    most = min(ROWS, VALUES // max(len(kinds), 1))
    if total > most:
        placed = table.rows(f"SELECT count({quoted(ROW)}) AS n FROM {VIEW}")[0]["n"] == total
        part = most / total
        place = f"hash(concat({quoted(FILE)}, ' ', {quoted(ROW)})) % {_PARTS} < {round(part * _PARTS)}"
        picked += f" WHERE {place if placed else f'random() < {part}'}"
    batches = list(table.batches(picked))
    rows = pa.Table.from_batches(batches) if batches else pa.table({name: pa.array([], pa.null()) for name in kinds})
    return _read_texts(Sample(rows, kinds))


def _read_texts(sample: Sample) -> Sample:
    """The same rows, with numbers that are kept as text as numbers, and without times that are."""
    read = {name: one for name, coded in sample.codes.items() if (one := kept_as_text.read(*coded))}
    table, kinds = sample.table, dict(sample.kinds)
    for name, one in read.items():
        kinds[name] = "other" if one.numbers is None else "number"
        if one.numbers is not None:
            numbers = pa.array(one.numbers, from_pandas=True)
            table = table.set_column(table.column_names.index(name), name, numbers)
    return Sample(table, kinds, read)
