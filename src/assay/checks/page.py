"""A report as a page with plots: what failed, missing values, distributions beside a reference, freshness over time."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa

from assay.checks.declare import Checks
from assay.checks.likeness import Like
from assay.checks.report import Report, Result, Status
from assay.checks.rules import Fresh, Nulls
from assay.checks.words import moment, number
from assay.contract.columns import Array
from assay.contract.formats.sql import quoted
from assay.draw import Bar, Html, Mood, badge, bars, cards, figure, folded, histogram, line, page, section, table
from assay.draw.chart import WIDTH
from assay.errors import AssayError
from assay.profiles import ColumnProfile, Profile, profile
from assay.tables import Target, using
from assay.tables.view import VIEW

_MOODS: dict[Status, Mood] = {"pass": "good", "warn": "warn", "fail": "bad", "error": "bad"}
_BINS = 24
_CATEGORIES = 12
#: Bins of wider numbers would overflow.
_HUGE = 8e307
#: Above it days are enough to tell bins apart, in seconds.
_DAYS_S = 3 * 86_400
#: Profiles are made of so many rows at most, chosen by chance.
SAMPLE = 1_000_000


def report_page(report: Report, checks: Checks, *, shown: Profile | None = None, past: Sequence[Report] = ()) -> str:
    """The page of a report; `shown` is the profile of the table, `past` are earlier reports of it, oldest first."""
    reference = _reference(checks)
    parts = [head(report), section("Checks", results(report.results))]
    if shown and shown.rows:
        parts.append(_missing(shown, reference, checks))
        parts.append(_distributions(shown, reference))
    if over_time := [*_over_time([*past, report], checks)]:
        count = len(past) + 1
        note = f"{number(count)} report{'s' * (count > 1)} kept of this table"
        parts.append(section("Over time", *over_time, note=note, grid=True))
    under = f"checked {moment(report.checked_at.replace(microsecond=0))}"
    return page(
        f"Checks of {report.target}",
        *parts,
        under=under,
        foot="Made by Assay; no part of this page is loaded from elsewhere.",
    )


def sampled_profile(target: Target) -> Profile:
    """The profile of a table, of a sample where it has more than a million rows. Raises as `open_table` does."""
    with using(target) as source:
        total: int = source.rows(f"SELECT count(*) AS n FROM {VIEW}")[0]["n"]
        some = f" WHERE random() < {SAMPLE / total}" if total > SAMPLE else ""
        batches = list(source.batches(f"SELECT {', '.join(map(quoted, source.kinds))} FROM {VIEW}{some}"))
    return profile(pa.Table.from_batches(batches)) if batches else Profile()


def _reference(checks: Checks) -> Profile | None:
    rule = next((rule for rule in checks.rules if isinstance(rule, Like)), None)
    try:
        return rule.known if rule else None
    except AssayError:  # its result says so
        return None


def head(report: Report) -> Html:
    """How many rules of each status there are."""
    counts: dict[str, tuple[str, Mood]] = {"rows": (number(report.rows), "")}
    if report.files:
        counts["files"] = (number(report.files), "")
    words: dict[Status, str] = {"pass": "passed", "warn": "warned", "fail": "failed", "error": "could not be asked"}
    for status, word in words.items():
        if (found := len(report.having(status))) or status == "pass":
            counts[word] = (number(found), _MOODS[status] if found else "")
    return cards(counts)


def results(found: Sequence[Result]) -> Html:
    """What is broken, the worst first; what passed is folded."""
    order: list[Status] = ["error", "fail", "warn", "pass"]
    ranked = sorted(found, key=lambda one: (order.index(one.status), -one.failing))
    broken = [one for one in ranked if one.status != "pass"]
    passed = [
        f"{one.rule:<8} {one.column:<20} {one.expected}: {one.observed}" for one in ranked if one.status == "pass"
    ]
    rows = [(badge(one.status, _MOODS[one.status]), one.rule, one.column, one.expected, _found(one)) for one in broken]
    shown = table(("", "rule", "column", "expected", "found"), rows) if rows else Html("")
    return Html(shown + folded(f"{len(passed)} passed", passed)) if passed else shown


def _found(result: Result) -> str | Html:
    message = result.message.replace("   ", " · ")
    if not result.worst:
        return message
    several = result.failing > len(result.worst)
    what = f"the {len(result.worst)} worst of {number(result.failing)} rows" if several else "rows at fault"
    return folded(what, [row.text() for row in result.worst], before=message)


def _missing(shown: Profile, reference: Profile | None, checks: Checks) -> Html:
    allowed = {rule.column: rule.max for rule in checks.rules if isinstance(rule, Nulls) and not rule.where}
    rows: list[Bar] = []
    for name, column in shown.columns.items():
        was = reference.columns.get(name) if reference else None
        before = was.nulls / was.rows if was and was.rows else None
        part, limit = column.nulls / max(column.rows, 1), allowed.get(name)
        if part or before or limit:
            broken = limit is not None and part > limit
            rows.append(Bar(name, part, before, limit, "bad" if broken else ""))
    rows.sort(key=lambda one: -one.share)
    note = (
        "share of rows; grey is the reference, a dashed line the limit"
        if reference
        else "share of rows; a dashed line is the limit"
    )
    if not rows:
        return section("Missing values", note="none in any column")
    return section("Missing values", bars(rows, width=1000), note=note)


def _distributions(shown: Profile, reference: Profile | None) -> Html:
    drawn: list[Html] = []
    for name, column in shown.columns.items():
        was = reference.columns.get(name) if reference else None
        was = was if was and was.kind == column.kind and was.count else None
        if column.count and (not column.categorical or column.frequent.complete):
            drawing = _categories(column, was) if column.categorical else histogram(*_numbers(column, was))
            drawn.append(figure(name, drawing, _spread(column)))
    note = "blue is this table, grey the reference" if reference else "shares of the values that are there"
    return section("Distributions", *drawn, note=note, grid=True)


def _spread(column: ColumnProfile) -> str:
    if column.categorical:
        return f"{number(len(column.frequent.counts))} values"
    if column.kind == "time" or column.low is None or column.high is None:
        return ""
    return f"{column.low:.4g} to {column.high:.4g}, mean {column.moments.mean:.4g}"


def _categories(column: ColumnProfile, was: ColumnProfile | None) -> Html:
    counts = (was or column).frequent.counts
    names = dict.fromkeys([*list(counts)[:_CATEGORIES], *list(column.frequent.counts)[:_CATEGORIES]])
    return bars([Bar(name, _part(column, name), _part(was, name) if was else None) for name in names], width=WIDTH)


def _part(column: ColumnProfile, name: str) -> float:
    return column.frequent.counts.get(name, 0) / column.count


def _numbers(column: ColumnProfile, was: ColumnProfile | None) -> tuple[list[str], list[float], list[float] | None]:
    """Over equal bins from the 0.5 % to the 99.5 % point of both, with the rest in the bins at the ends."""
    samples = [one.sample for one in (column, was or column)]
    ends = [_point(*sample, at) for sample in samples for at in (0.005, 0.995)]
    low, high = min(ends), max(ends)
    low, high = max(low, -_HUGE), min(high, _HUGE)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    now, past = (
        np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)[0] / weights.sum()
        for values, weights in samples
    )
    labels = [_label(column, (a + b) / 2, high - low) for a, b in pairwise(edges.tolist())]
    return labels, now.tolist(), past.tolist() if was else None


def _point(values: Array, weights: Array, at: float) -> float:
    finite = np.isfinite(values)
    values, weights = values[finite], weights[finite]
    if not len(values):
        return 0.0
    return float(values[np.minimum(np.searchsorted(np.cumsum(weights) / weights.sum(), at), len(values) - 1)])


def _label(column: ColumnProfile, value: float, span: float) -> str:
    if column.kind != "time":
        bin_width = span / _BINS
        if abs(value) >= 1e6 or not bin_width > 1e-4:
            return f"{value:.3g}"
        return f"{value:,.{max(0, -math.floor(math.log10(bin_width)))}f}"
    unit = "D" if span > _DAYS_S else "m"
    return str(np.datetime64(int(value), "s").astype(f"datetime64[{unit}]")).replace("T", " ")


def _over_time(reports: Sequence[Report], checks: Checks) -> list[Html]:
    """Age by which freshness was judged, and for each rule that was ever broken the share of rows at fault."""
    drawn: list[Html] = []
    keys = list(dict.fromkeys((one.rule, one.column) for report in reports for one in report.results))
    rules = {(rule.name, rule.label): rule for rule in checks.rules}
    for key in keys:
        found = [(report, one) for report in reports for one in report.results if (one.rule, one.column) == key]
        rule = rules.get(key)
        if any(one.age_s is not None for _, one in found):
            points = [_point_of(r, one, one.age_s / 3600) for r, one in found if one.age_s is not None]
            drawn.append(
                figure(f"age of {key[1]}", line(points, unit="h", limits=_bounds(rule)), "when it was checked")
            )
        elif len(found) > 1 and any(one.status != "pass" and one.failing for _, one in found):
            points = [_point_of(r, one, one.failing / max(one.total, 1)) for r, one in found]
            drawn.append(figure(f"{key[0]} {key[1]}", line(points, unit="%"), "share of rows at fault"))
    return drawn


def _point_of(report: Report, result: Result, value: float) -> tuple[datetime, float, Mood]:
    return report.checked_at, value, _MOODS[result.status]


def _bounds(rule: object) -> list[tuple[float, Mood]]:
    if not isinstance(rule, Fresh):
        return []
    bounds: list[tuple[timedelta | None, Mood]] = [(rule.warn, "warn"), (rule.error, "bad")]
    return [(bound.total_seconds() / 3600, mood) for bound, mood in bounds if bound is not None]
