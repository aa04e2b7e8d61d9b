"""Columns of texts that are numbers or times: they are called that, and the numbers are looked at as numbers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.checks.words import cell, number
from assay.contract.columns import Array
from assay.quality.report import Finding

#: Words that stand for a missing value.
WORDS = ("", "na", "n/a", "nan", "null", "none", "unknown", "undefined", "missing", "?", "-", "--", "tbd")
#: The share of the values that must be numbers, or times.
_MOST = 0.95
#: Whole numbers of so few values are codes of categories, and stay texts.
_CODES = 20
_SIGNS = "$€£¥% \u00a0"
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+|(?=\.\d))(\.\d*)?([eE][+-]?\d+)?")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?|\d{1,2}[/.]\d{1,2}[/.](\d{2}|\d{4})"
)
#: Of many different texts the first are tried, and the others only when those are mostly numbers or times.
_FIRST = 200


@dataclass(frozen=True)
class AsText:
    """What a column of texts holds: its numbers (NaN for other texts), or None where it holds times."""

    numbers: Array | None
    #: The other texts, and in how many rows they are.
    others: tuple[str, ...]
    rows: int


def read(codes: Array, texts: Sequence[str]) -> AsText | None:
    """What texts hold when nearly all are numbers or times, else None.

    Texts with leading zeros, few whole numbers without any other text, and whole numbers that differ in every row are
    codes or keys, not numbers.

    >>> read(np.array([0, 1, 2, 1]), ["1.5", "1,200.0", "?"]).numbers.tolist()
    [1.5, 1200.0, nan, 1200.0]
    >>> read(np.array([0, 1]), ["8001", "3012"])
    """
    for reader in (_number, _time):
        if any(reader(text) is not None for text in texts[:_FIRST]) and (found := _read(codes, texts, reader)):
            return found
    return None


def _read(codes: Array, texts: Sequence[str], reader: Callable[[str], float | None]) -> AsText | None:
    numeric = reader is _number
    values = np.array([np.nan if (value := reader(text)) is None else value for text in texts], float)
    rows = np.bincount(codes[codes >= 0], minlength=len(texts))
    known = ~np.isnan(values)
    words = np.array([text.strip().lower() in WORDS for text in texts], bool)
    if not known.any() or rows[known].sum() < _MOST * rows[~words].sum():
        return None
    held = [text for text, is_number in zip(texts, known, strict=True) if is_number]
    if numeric and not _numbers(held, values[known], int(rows[known].sum()), others=not known.all()):
        return None
    others = tuple(text for text, is_number in zip(texts, known, strict=True) if not is_number)
    numbers = np.where(codes < 0, np.nan, values[codes]) if numeric else None
    return AsText(numbers, others, int(rows[~known].sum()))


def _numbers(texts: Sequence[str], values: Array, rows: int, *, others: bool) -> bool:
    if any(re.match(r"[+-]?0\d", text) for text in texts) or len(texts) < 2:
        return False
    whole = not (values % 1).any() and not any("." in text for text in texts)
    return not whole or others or _CODES < len(texts) < rows


def _number(text: str) -> float | None:
    text = text.strip(_SIGNS)
    return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


def _time(text: str) -> float | None:
    return 0.0 if _TIME.fullmatch(text.strip()) else None


def findings(columns: Mapping[str, AsText]) -> Iterator[Finding]:
    """Numbers and times that are kept as text."""
    for name, one in columns.items():
        what = "times" if one.numbers is None else "numbers"
        but = f"; {number(one.rows)} {'row holds' if one.rows == 1 else 'rows hold'} {_some(one.others)} instead"
        yield Finding(
            kind="kept as text",
            columns=(name,),
            severity="medium",
            sentence=f"{name} holds {what} as text{but if one.rows else ''}",
            do=f"Convert it to {what} where the table is written; a model treats each text as a category.",
            value=float(one.rows),
            figure=what,
        )


def _some(texts: Sequence[str]) -> str:
    shown = ", ".join(map(cell, texts[:3]))
    return shown if len(texts) <= 3 else f"{shown} or {len(texts) - 3:,} others"
