"""Columns that say the same; thousands of them are compared in seconds, and each group of them is one finding."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

import numpy as np

from assay.contract.columns import Array
from assay.quality.correlation import cramers_v, rank_correlations
from assay.quality.report import Finding
from assay.quality.sample import Sample

#: Alike from here on.
_ALIKE = 0.95
#: More columns of categories are not compared pair by pair, and one with more categories not at all.
TEXTS, CATEGORIES = 100, 100
#: Columns of a group that a sentence names.
_NAMED = 4


def alike(sample: Sample) -> Iterator[Finding]:
    """Columns that are the same, or rise and fall together, or whose categories go together.

    Each column is compared with the first of a group only.
    """
    numbers = {name: sample.numbers(name) for name in sample.of("number", "whole")}
    numbers = {name: values for name, values in numbers.items() if not np.isnan(values).all()}
    groups = _equal((name, _digest(values + 0.0)) for name, values in numbers.items())
    yield from (_same(names) for names in groups if len(names) > 1)
    yield from _correlated({names[0]: numbers[names[0]] for names in groups})
    texts = {name: one for name, one in sample.codes.items() if 1 < len(one[1]) <= CATEGORIES}
    groups = _equal((name, _digest(codes, *known)) for name, (codes, known) in texts.items())
    yield from (_same(names) for names in groups if len(names) > 1)
    yield from _going_together({names[0]: texts[names[0]][0] for names in groups})


def _digest(values: Array, *texts: str) -> bytes:
    found = blake2b(np.where(np.isnan(values), np.nan, values).tobytes(), digest_size=16)
    for text in texts:
        found.update(text.encode(errors="surrogatepass") + b"\0")
    return found.digest()


def _equal(digests: Iterable[tuple[str, bytes]]) -> list[list[str]]:
    """The names of equal columns, those of each group in the table's order."""
    groups: dict[bytes, list[str]] = {}
    for name, digest in digests:
        groups.setdefault(digest, []).append(name)
    return list(groups.values())


def _correlated(columns: Mapping[str, Array]) -> Iterator[Finding]:
    names, taken = list(columns), np.zeros(len(columns), bool)
    for i, strengths in enumerate(rank_correlations(list(columns.values()))):
        found = np.flatnonzero((np.abs(strengths) > _ALIKE) & ~taken)
        others = found[found > i]
        if taken[i] or not len(others):
            continue
        taken[others] = True
        least = float(np.abs(strengths[others]).min())
        yield _equivalent([names[i], *(names[j] for j in others)], min(least, 1.0), "rank correlation")


def _going_together(columns: Mapping[str, Array]) -> Iterator[Finding]:
    names, taken = list(columns)[:TEXTS], set[str]()
    for i, name in enumerate(names):
        if name in taken:
            continue
        strengths = {other: cramers_v(columns[name], columns[other]) for other in names[i + 1 :] if other not in taken}
        others = [other for other, strength in strengths.items() if strength > _ALIKE]
        taken.update(others)
        if others:
            yield _equivalent([name, *others], min(strengths[other] for other in others), "Cramér's V")
    if len(columns) > TEXTS:
        yield Finding(
            kind="correlated",
            columns=(),
            severity="low",
            sentence=f"only the first {TEXTS} of {len(columns):,} columns of categories were compared with each other",
            do="Look at the others in a table of their own.",
            value=0.0,
        )


_DO = "Keep one, unless they may differ when the model is served."


def _same(names: list[str]) -> Finding:
    sentence = f"{_listed(names)} are the same in every row"
    return Finding(
        kind="duplicate columns", columns=tuple(names), severity="medium", sentence=sentence, do=_DO, value=1.0
    )


def _equivalent(names: list[str], strength: float, how: str) -> Finding:
    least = "" if len(names) == 2 else "at least "
    sentence = f"{_listed(names)} are almost equivalent ({how} {least}{strength:.3f})"
    return Finding(
        kind="correlated",
        columns=tuple(names),
        severity="low",
        sentence=sentence,
        do=_DO,
        value=strength,
        figure=f"{least}{strength:.3f}",
    )


def _listed(names: list[str]) -> str:
    """Some names, and how many others there are.

    >>> _listed(["a", "b"]), _listed([f"c{i}" for i in range(9)])
    ('a and b', 'c0, c1, c2, c3 and 5 others')
    """
    if len(names) <= _NAMED + 1:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED:,} others"
