"""A report as one HTML page with plots that needs nothing else: no script, no file beside it."""

from collections.abc import Sequence

import numpy as np

from assay.contract.columns import Array
from assay.draw import Html, badge, figure, page, section, table
from assay.draw.text import escape
from assay.drift.report import DriftReport, Moved
from assay.drift.windows import Window
from assay.profiles import HISTORY, ColumnProfile
from assay.profiles.bins import TOP_CATEGORIES
from assay.profiles.past import null_share
from assay.profiles.table import merge_columns

WIDTH, HEIGHT, BINS = 300, 90, 24
_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def drift_page(report: DriftReport, windows: Sequence[Window]) -> str:
    """The page: what moved, worst first, and for each column its weeks and the newest beside those before."""
    moved = report.moved
    if report.silent:
        head = (
            f"Too few windows: {len(report.windows)} windows, and drift is computed from the {report.needed + 1}th on."
        )
    else:
        head = f"{report.judged} windows judged; {len(moved)} warnings."
    names = list(
        dict.fromkeys([*(one.shift.column for one in moved), *(n for w in windows for n in w.profile.columns)])
    )
    columns = section("Columns", *(_section(name, report, windows) for name in names))
    return page(
        f"Drift of {report.name}",
        *[section("Moved columns, the worst first", moved_table(moved))] * bool(moved),
        columns,
        under=head,
    )


def moved_table(moved: Sequence[Moved]) -> Html:
    """What moved, in which window and by how much."""
    rows = (
        (f"{one.start:%Y-%m-%d}", one.shift.column or "(rows)", one.shift.sentence, f"{one.shift.severity:.1f}")
        for one in moved
    )
    return table(("window", "column", "what moved", "x limit"), rows)


def _section(name: str, report: DriftReport, windows: Sequence[Window]) -> Html:
    columns = [window.profile.columns.get(name) for window in windows]
    newest = next((column for column in reversed(columns) if column), None)
    if newest is None or newest.kind == "time":
        return Html("")
    marked = {i for i, one in enumerate(report.windows) for shift in one.shifts if shift.column == name}
    weeks = _shares(columns, marked) if newest.categorical else _quantiles(columns, marked)
    nulls = max((null_share(column) for column in columns if column), default=0.0)
    words = f"{len(marked)} window{'s' * (len(marked) != 1)} moved" if marked else "calm"
    season = "<br>goes with the season" if name in report.seasonal else ""
    title = badge(words, "warn") if marked else Html(words)
    return Html(
        f"<div class='row'><div><b>{escape(name)}</b><br>{title}{season}</div>"
        + figure("", weeks, f"window by window{f'; nulls (grey) up to {nulls:.0%}' if nulls else ''}")
        + figure("", _newest(columns), f"newest (line) and the {HISTORY} before (grey)")
        + "</div>"
    )


def _svg(body: str, title: str) -> Html:
    return Html(f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'><title>{escape(title)}</title>{body}</svg>")


def _marks(marked: set[int], count: int) -> str:
    step = WIDTH / max(count - 1, 1)
    return "".join(f"<path class='mark' d='M{i * step:.1f} 0V{HEIGHT}'/>" for i in sorted(marked))


def _points(xs: Array, ys: Array) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))


def _quantiles(columns: Sequence[ColumnProfile | None], marked: set[int]) -> Html:
    """The median of each window with the bands that hold half and four fifths of the values."""
    found = np.array([_levels(column) for column in columns])
    ends = found[np.isfinite(found)]
    if len(ends) == 0:
        return _svg("", "no values")
    low, span = float(ends.min()), float(np.ptp(ends)) or 1.0
    heights = HEIGHT - 4 - (found - low) / span * (HEIGHT - 8)
    xs = np.linspace(0, WIDTH, len(columns))
    whole = np.isfinite(found).all(axis=1)
    bands = "".join(
        f"<polygon class='{kind}' points='{_points(xs[whole], heights[whole, a])} "
        f"{_points(xs[whole][::-1], heights[whole, b][::-1])}'/>"
        for kind, a, b in (("faint", 0, 4), ("band", 1, 3))
    )
    median = f"<polyline class='line' points='{_points(xs[whole], heights[whole, 2])}'/>"
    return _svg(bands + median + _nulls(columns) + _marks(marked, len(columns)), f"{low:.4g} to {low + span:.4g}")


def _levels(column: ColumnProfile | None) -> Array:
    if column is None or not column.count:
        return np.full(len(_LEVELS), np.nan)
    values, weights = column.sample
    ranks = np.cumsum(weights) / weights.sum()
    return values[np.minimum(np.searchsorted(ranks, _LEVELS), len(values) - 1)]


def _nulls(columns: Sequence[ColumnProfile | None]) -> str:
    step = WIDTH / max(len(columns), 1)
    shares = [null_share(column) if column else 0.0 for column in columns]
    return "".join(
        f"<rect class='nulls' x='{i * step:.1f}' y='{HEIGHT - share * HEIGHT:.1f}' width='{step * 0.5:.1f}' "
        f"height='{share * HEIGHT:.1f}'/>"
        for i, share in enumerate(shares)
        if share
    )


def _shares(columns: Sequence[ColumnProfile | None], marked: set[int]) -> Html:
    """The shares of the most frequent categories, stacked."""
    whole = _whole(columns)
    names = list(whole.frequent.counts)[:6] if whole else []
    xs, base, body = np.linspace(0, WIDTH, len(columns)), np.zeros(len(columns)), ""
    for i, name in enumerate(names):
        top = base + [c.frequent.counts.get(name, 0) / c.count if c and c.count else 0.0 for c in columns]
        up, down = HEIGHT - top * HEIGHT, HEIGHT - base * HEIGHT
        points = f"{_points(xs, up)} {_points(xs[::-1], down[::-1])}"
        body += f"<polygon class='now' opacity='{1 - i * 0.15:.2f}' points='{points}'><title>{escape(name)}</title></polygon>"
        base = top
    return _svg(body + _nulls(columns) + _marks(marked, len(columns)), ", ".join(names))


def _whole(columns: Sequence[ColumnProfile | None]) -> ColumnProfile | None:
    """All windows of a column as one; None when there is none, those of another kind than the newest left out."""
    known = [column for column in columns if column]
    same = [column for column in known if column.kind == known[-1].kind]
    return merge_columns(same) if same else None


def _newest(columns: Sequence[ColumnProfile | None]) -> Html:
    """The histogram of the newest window over that of those before it, as shares."""
    newest, before = columns[-1], _whole(columns[-1 - HISTORY : -1])
    if newest is None or before is None or not newest.count or not before.count or newest.kind != before.kind:
        return _svg("", "nothing to compare")
    shares = _category_shares(before, newest) if newest.categorical else _number_shares(before, newest)
    top = max(float(share.max(initial=0.0)) for share in shares) or 1.0
    past, now = (share / top * (HEIGHT - 4) for share in shares)
    step = WIDTH / max(len(past), 1)
    bars = "".join(
        f"<rect class='past' x='{i * step:.1f}' y='{HEIGHT - y:.1f}' width='{step * 0.9:.1f}' height='{y:.1f}'/>"
        for i, y in enumerate(past)
    )
    line = "".join(
        f"{'M' if i == 0 else 'L'}{i * step:.1f} {HEIGHT - y:.1f}h{step * 0.9:.1f}" for i, y in enumerate(now)
    )
    return _svg(f"{bars}<path class='outline' d='{line}'/>", "shares")


def _category_shares(before: ColumnProfile, newest: ColumnProfile) -> tuple[Array, Array]:
    names = list(before.frequent.counts)[:TOP_CATEGORIES]
    names += [name for name in newest.frequent.counts if name not in before.frequent.counts][:3]
    a, b = (
        np.array([column.frequent.counts.get(name, 0) / column.count for name in names]) for column in (before, newest)
    )
    return a, b


def _number_shares(before: ColumnProfile, newest: ColumnProfile) -> tuple[Array, Array]:
    samples = [
        (values[np.isfinite(values)], weights[np.isfinite(values)])
        for values, weights in (before.sample, newest.sample)
    ]
    ends = np.concatenate([values for values, _ in samples])
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    a, b = (np.histogram(values, edges, weights=weights)[0] / max(weights.sum(), 1) for values, weights in samples)
    return a, b
