"""Findings of one kind and severity in one sentence, so that a wide table's summary stays a screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from assay.quality.report import Finding, Kind, Quality, Severity

#: What is said of several columns together, and what to do where that names one column.
_SAID: dict[Kind, tuple[str, str | None]] = {
    "duplicate columns": ("groups of columns are the same in every row", None),
    "missing": ("columns lack values", None),
    "coded missing": ("columns hold values that look like missing ones", None),
    "kept as text": ("columns hold numbers or times as text", "Convert them where the table is written."),
    "constant": (
        "columns hold one value in all rows, or nearly all",
        "Leave them out: a model learns nothing from them.",
    ),
    "correlated": ("groups of columns are almost equivalent", None),
    "outliers": ("columns hold values far from the others", "Declare each possible range: col(...).between(...)."),
    "spelling": ("columns have categories that differ in case or spaces alone", None),
    "many values": ("columns have too many texts for categories", None),
}
#: How many columns a sentence names, and how long a name may be.
_NAMED, _LONG = 4, 40


@dataclass(frozen=True)
class Group:
    """What was found of one kind and severity."""

    kind: Kind
    severity: Severity
    sentence: str
    do: str
    findings: tuple[Finding, ...]


def grouped(found: Quality) -> list[Group]:
    """The findings of a table in groups, in the order of the worst of each."""
    groups: dict[tuple[Severity, Kind], list[Finding]] = {}
    for one in found.findings:
        groups.setdefault((one.severity, one.kind), []).append(one)
    return [_group(found, findings) for findings in groups.values()]


def _group(found: Quality, findings: Sequence[Finding]) -> Group:
    worst = findings[0]
    if len(findings) == 1:
        return Group(worst.kind, worst.severity, worst.sentence, worst.do, tuple(findings))
    words, do = _SAID.get(worst.kind, ("", None))
    if worst.kind == "leakage":
        named = _list([f"{_name(one)} (AUC {one.figure})" for one in findings])
        sentence = f"{named} each predict {found.label} alone; all other columns together reach {found.together:.2f}"
        do = worst.do.replace("it is", "they are").replace("it out", "them out")
    else:
        named = _list([f"{_name(one)} ({one.figure})" if one.figure else _name(one) for one in findings])
        sentence = f"{len(findings):,} {words}: {named}"
    return Group(worst.kind, worst.severity, sentence, do or worst.do, tuple(findings))


def _name(one: Finding) -> str:
    names = [name if len(name) <= _LONG else f"{name[: _LONG - 1]}…" for name in one.columns[:3]]
    more = len(one.columns) - len(names)
    return "some" if not names else " = ".join([*names, *([f"{more} more"] if more else [])])


def _list(said: Sequence[str]) -> str:
    """Some of the things said, and how many others there are.

    >>> _list(["a", "b"]), _list(["a", "b", "c", "d", "e"]), _list([*"abcdefg"])
    ('a and b', 'a, b, c, d and e', 'a, b, c, d and 3 others')
    """
    if len(said) <= _NAMED + 1:
        return f"{', '.join(said[:-1])} and {said[-1]}"
    return f"{', '.join(said[:_NAMED])} and {len(said) - _NAMED:,} others"
