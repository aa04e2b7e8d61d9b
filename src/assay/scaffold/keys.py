"""The columns by which the rows of a table are told apart."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

from assay.contract.formats.sql import quoted
from assay.tables import Table
from assay.tables.view import TIMES, VIEW, Kind

#: Names of what tells rows apart.
IDS = re.compile(r"(?i)(^|[^a-z])(id|key|no|number|uuid|code)$|Id$|ID$")
#: So many columns at most are one key; so many combinations are tried, of the first so many columns.
MOST, TRIED, LOOKED_AT = 3, 40, 30
#: Of combinations with many times more possible values than rows, all rows may differ by chance.
DENSE, DENSE_OF_IDS = 5, 50
_KINDS: tuple[Kind, ...] = ("text", "whole", "date")


def key_of(table: Table, facts: Mapping[str, Any], without: Collection[str], time: str | None) -> tuple[str, ...]:
    """A column that differs in every row, or several that together do; empty when there is none.

    `without` are columns that may not be among them, `time` is the event time, which may.
    """
    rows = facts["rows"]
    usable = [
        name
        for name, kind in table.kinds.items()
        if name not in without and (kind in _KINDS or name == time) and facts[f"values.{name}"] == rows
    ]
    alone = [name for name in usable if facts[f"distinct.{name}"] == rows and name != time]
    for name in sorted(alone, key=lambda name: IDS.search(name) is None):
        if IDS.search(name) or table.kinds[name] == "text":
            return (name,)
    if time in usable and facts[f"distinct.{time}"] == rows:
        return (time,)
    tried = list(
        _combinations(table, facts, [name for name in usable if 1 < facts[f"distinct.{name}"] < rows][:LOOKED_AT])
    )
    if not tried:
        return ()
    told = [f"({_different(names)}) AS {quoted(str(i))}" for i, names in enumerate(tried)]
    counted = table.rows(f"SELECT {', '.join(told)}")[0]
    return next((names for i, names in enumerate(tried) if counted[str(i)] == rows), ())


def _combinations(table: Table, facts: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The fewest columns first, and of as many the densest."""
    rows = facts["rows"]
    for count in range(2, MOST + 1):
        found: list[tuple[int, tuple[str, ...]]] = []
        for some in combinations(names, count):
            possible = prod(facts[f"distinct.{name}"] for name in some)
            sure = all(IDS.search(name) or table.kinds[name] in TIMES for name in some)
            if rows <= possible <= rows * (DENSE_OF_IDS if sure else DENSE):
                found.append((possible, some))
        yield from (some for _, some in sorted(found)[: TRIED // 2])


def _different(names: Sequence[str]) -> str:
    return f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(map(quoted, names))} FROM {VIEW}) AS told"
