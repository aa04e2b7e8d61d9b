"""What is odd about single columns, seen in a sample of the rows."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from assay.checks.words import cell, number, share
from assay.contract.columns import Array
from assay.quality.kept_as_text import WORDS
from assay.quality.report import Finding
from assay.quality.sample import Sample

#: Nearly constant, and too many values to be categories.
_NEARLY, _MANY = 0.995, 1000
#: How many interquartile ranges beyond the quartiles a value is far, and very far.
_FAR, _VERY_FAR, _FEW = 10, 50, 0.005
_CODES = (-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0)


def constant(sample: Sample) -> Iterator[Finding]:
    """Columns with one value, and with almost one."""
    for name in [*sample.of("number", "whole", "truth"), *sample.codes]:
        values = sample.codes[name][0] if name in sample.codes else sample.numbers(name)
        there = values[values >= 0] if name in sample.codes else values[~np.isnan(values)]
        if len(there) < 2:
            continue
        top = int(np.unique(there, return_counts=True)[1].max())
        if top == len(there):
            said, severity = "holds one and the same value in every row", "medium"
        elif top / len(there) > _NEARLY:
            said, severity = f"is the same in {share(top / len(there))} of the rows", "low"
        else:
            continue
        do = "Leave it out: a model learns nothing from it."
        yield Finding(
            kind="constant",
            columns=(name,),
            severity=severity,
            sentence=f"{name} {said}",
            do=do,
            value=top / len(there),
            figure="" if top == len(there) else share(top / len(there)),
        )


def outliers(sample: Sample) -> Iterator[Finding]:
    """Few values far beyond the others: more than ten interquartile ranges from the quartiles.

    Source: Tukey (1977), Exploratory Data Analysis, whose far fences lie at three.
    """
    for name in sample.of("number", "whole"):
        values = sample.numbers(name)
        values = values[np.isfinite(values)]
        low, high = np.quantile(values, [0.25, 0.75]) if len(values) > 20 else (0.0, 0.0)
        spread = high - low
        if not spread > 0:
            continue
        far = np.maximum(low - values, values - high) / spread
        odd = values[far > _FAR]
        if 0 < len(odd) <= max(_FEW * len(values), 1) and not _coded(odd):
            worst = float(values[far.argmax()])
            yield Finding(
                kind="outliers",
                columns=(name,),
                severity="high" if far.max() > _VERY_FAR else "medium",
                sentence=f"{name}: {_many(len(odd))} far from the others, like {number(worst)}; half lie in "
                f"{number(float(low))} to {number(float(high))}",
                do=f'Declare the possible range: col("{name}").between(...).',
                value=float(far.max()),
                figure=f"like {number(worst)}",
            )


def _many(count: int) -> str:
    return "1 value lies" if count == 1 else f"{number(count)} values lie"


def _coded(odd: Array) -> bool:
    return len(np.unique(odd)) == 1 and float(odd[0]) in _CODES


def coded_missing(sample: Sample) -> Iterator[Finding]:
    """Values that stand for a missing one: -999 far from the others, "unknown"."""
    for name in sample.of("number", "whole"):
        values = sample.numbers(name)
        values = values[np.isfinite(values)]
        for code in _CODES:
            is_code = values == code
            rest = values[~is_code]
            if is_code.sum() < 3 or len(rest) < 20 or (code in (-1.0, -9.0) and rest.min() < 0):
                continue
            spread = float(np.ptp(np.quantile(rest, [0.05, 0.95])))
            away = max(float(rest.min()) - code, code - float(rest.max()))
            if away > max(spread, 1e-9) * 0.5 or (code < 0 <= rest.min() and code in (-1.0, -9.0, -99.0)):
                yield _stands(name, f"{code:g}", float(is_code.mean()))
    for name, (codes, texts) in sample.codes.items():
        for i, text in enumerate(texts):
            if text.strip().lower() in WORDS:
                yield _stands(name, text, float((codes == i).mean()))


def _stands(name: str, code: str, part: float) -> Finding:
    return Finding(
        kind="coded missing",
        columns=(name,),
        severity="high" if part > 0.01 else "medium",
        sentence=f"{name} is {cell(code)} in {share(part)} of the rows, which looks like a missing value",
        do="Write null instead, because a model treats it as a value.",
        value=part,
        figure=f"{cell(code)} in {share(part)}",
    )


def spelling(sample: Sample) -> Iterator[Finding]:
    """Categories that differ in case or spaces alone."""
    for name, (_, texts) in sample.codes.items():
        if len(texts) > _MANY:
            continue
        alike: defaultdict[str, list[str]] = defaultdict(list)
        for text in texts:
            alike[" ".join(text.split()).casefold()].append(text)
        several = [ways for ways in alike.values() if len(ways) > 1]
        if several:
            shown = "; ".join(" and ".join(map(cell, ways)) for ways in several[:3])
            yield Finding(
                kind="spelling",
                columns=(name,),
                severity="medium",
                sentence=f"{name} has categories that differ in case or spaces alone: {shown}",
                do="Use one spelling for each.",
                value=float(len(several)),
                figure=" and ".join(map(cell, several[0])),
            )


def many_values(sample: Sample) -> Iterator[Finding]:
    """Texts with so many values that they are no categories; one that differs in every row is a key, and fine."""
    for name, (codes, texts) in sample.codes.items():
        there = int((codes >= 0).sum())
        if _MANY < len(texts) < there * 0.99:
            yield Finding(
                kind="many values",
                columns=(name,),
                severity="low",
                sentence=f"{name} has {number(len(texts))} different values in {number(there)} rows",
                do="Group rare categories, or leave the column out: a model memorises them.",
                value=len(texts) / there,
                figure=number(len(texts)),
            )
