"""Charts as inline SVG, drawn from values; they scale with the page."""

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from assay.draw.document import Html, Mood
from assay.draw.text import escape

WIDTH, HEIGHT = 340, 130
_LEFT, _BOTTOM, _TOP = 48, 18, 6
_ROW, _NAME = 20, 130
#: Letters of a name that there is room for.
_LETTERS = 18
_CELL = 30
#: Characters that no XML may hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart; shares from 0 to 1."""

    name: str
    share: float
    #: The share of a reference, drawn behind it.
    past: float | None = None
    #: The share that is allowed, drawn as a mark.
    limit: float | None = None
    mood: Mood = ""


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round values from `low` to `high`, in steps of 1, 2 or 5 times a power of ten; at most `most` + 1.

    >>> ticks(0, 1), ticks(-3, 47)
    ([0.0, 0.5, 1.0], [0.0, 20.0, 40.0])
    """
    span = high - low
    if not 1e-300 < span < 1e307:  # steps of others under- or overflow
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next((power * one for one in (1, 2, 5, 10) if power * one >= span / most), power * 10)
    first = math.ceil(low / step - 1e-9)
    found = (min(max(i * step, low), high) for i in range(first, math.floor(high / step + 1e-9) + 1))
    return list(dict.fromkeys(found))


def bars(rows: Sequence[Bar], *, width: int = 700) -> Html:
    """Shares of rows by name: a bar each, the reference behind it and what is allowed as a mark."""
    height, room = _ROW * max(len(rows), 1) + 4, width - _NAME - 60
    most = max([_length(share) for one in rows for share in (one.share, one.past, one.limit)] + [1e-9])
    body: list[str] = []
    for i, one in enumerate(rows):
        y = i * _ROW + 4
        body.append(f"<text class='name' x='{_NAME - 8}' y='{y + 11}' text-anchor='end'>{_cut(one.name)}</text>")
        if one.past is not None:
            body.append(_rect("past", _NAME, y, _length(one.past) / most * room, 14, f"reference {_amount(one.past)}"))
        long, said = _length(one.share) / most * room, f"{one.name} {_amount(one.share)}"
        body.append(_rect(f"bar {one.mood}", _NAME, y + 3, long, 8, said))
        if one.limit is not None:
            x, allowed = _NAME + _length(one.limit) / most * room, f"at most {_amount(one.limit)}"
            body.append(f"<path class='limit bad' d='M{x:.1f} {y}v14'><title>{allowed}</title></path>")
        at = _NAME + max(map(_length, (one.share, one.past, one.limit))) / most * room + 6
        body.append(f"<text x='{at:.1f}' y='{y + 11}'>{_amount(one.share)}</text>")
    return _svg("".join(body), width, height, "shares by name")


def histogram(labels: Sequence[str], now: Sequence[float], past: Sequence[float] | None = None) -> Html:
    """Shares over bins that `labels` name: what is now as an outline over what was, or filled when nothing was."""
    shares = [*now, *(past or [])]
    top = max([*map(_length, shares), 1e-9])
    step, room = (WIDTH - _LEFT) / max(len(labels), 1), HEIGHT - _BOTTOM - _TOP
    heights = [_length(value) / top * room for value in now]
    body = [_axis(top)]
    for i, value in enumerate(past or now):
        high, kind = _length(value) / top * room, "past" if past else "bar"
        said = f"{labels[i]}: {_amount(now[i])}" + (f", before {_amount(value)}" if past else "")
        body.append(_rect(kind, _LEFT + i * step, HEIGHT - _BOTTOM - high, step * 0.94, high, said))
    if past:
        steps = (f"H{_LEFT + i * step:.1f}V{HEIGHT - _BOTTOM - y:.1f}h{step * 0.94:.1f}" for i, y in enumerate(heights))
        body.append(f"<path class='outline' d='M{_LEFT} {HEIGHT - _BOTTOM}{''.join(steps)}V{HEIGHT - _BOTTOM}'/>")
    body.append(_labels(labels, step))
    return _svg("".join(body), WIDTH, HEIGHT, "shares of values")


def _labels(labels: Sequence[str], step: float) -> str:
    """As many labels as there is room for."""
    longest = max((min(len(label), _LETTERS) for label in labels), default=1)
    every = max(1, math.ceil((longest * 6.2 + 8) / step))
    return "".join(
        f"<text x='{_LEFT + (i + 0.5) * step:.1f}' y='{HEIGHT - 5}' text-anchor='middle'>{_cut(label)}</text>"
        for i, label in enumerate(labels)
        if i % every == 0 and _LEFT + (i + 0.5) * step + min(len(label), _LETTERS) * 3.1 <= WIDTH + 4
    )


def line(
    points: Sequence[tuple[datetime, float, Mood]], *, unit: str = "", limits: Sequence[tuple[float, Mood]] = ()
) -> Html:
    """A value over time, a dot each, with limits as broken lines; points that are no numbers are left out."""
    known = [point for point in points if math.isfinite(point[1])]
    if not known:
        return _svg(
            f"<text x='{WIDTH / 2}' y='{HEIGHT / 2}' text-anchor='middle'>nothing yet</text>", WIDTH, HEIGHT, ""
        )
    begin, end = min(point[0] for point in known), max(point[0] for point in known)
    limits = [limit for limit in limits if math.isfinite(limit[0])]
    highest = max([value for _, value, _ in known] + [value for value, _ in limits] + [1e-9])
    top = min(highest * 1.05, sys.float_info.max)
    seconds = (end - begin).total_seconds() or 1.0

    def place(at: datetime, value: float) -> tuple[float, float]:
        x = _LEFT + 4 + (at - begin).total_seconds() / seconds * (WIDTH - _LEFT - 10)
        return x, HEIGHT - _BOTTOM - max(value, 0) / top * (HEIGHT - _BOTTOM - _TOP)

    places = [place(at, value) for at, value, _ in known]
    body = [_axis(top, unit)]
    body += [
        f"<path class='limit {mood}' d='M{_LEFT} {place(begin, value)[1]:.1f}H{WIDTH}'/>" for value, mood in limits
    ]
    body.append(f"<polyline class='line' points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in places)}'/>")
    for (x, y), (at, value, mood) in zip(places, known, strict=True):
        said = f"{at:%Y-%m-%d %H:%M} {escape(_amount(value, unit))}"
        body.append(f"<circle class='dot {mood}' cx='{x:.1f}' cy='{y:.1f}' r='2.6'><title>{said}</title></circle>")
    form = "%Y-%m-%d" if seconds >= 2 * 86400 else "%Y-%m-%d %H:%M"
    body.append(f"<text x='{_LEFT}' y='{HEIGHT - 4}'>{begin:{form}}</text>")
    body.append(f"<text x='{WIDTH}' y='{HEIGHT - 4}' text-anchor='end'>{end:{form}}</text>" if end > begin else "")
    return _svg("".join(body), WIDTH, HEIGHT, "over time")


def heat(names: Sequence[str], values: Sequence[Sequence[float]]) -> Html:
    """A square of correlations from -1 to 1: blue above 0, orange below, the stronger the fuller.

    `values` has a row and a column for each name, shape (n, n). What is no number is left empty.
    """
    side = _CELL * max(len(names), 1)
    body: list[str] = []
    for i, name in enumerate(names):
        y = i * _CELL
        body.append(f"<text class='name' x='{_NAME - 8}' y='{y + 19}' text-anchor='end'>{_cut(name)}</text>")
        for j, other in enumerate(names):
            body.append(_cell(_NAME + j * _CELL, y, values[i][j], f"{name}, {other}"))
    return _svg("".join(body), _NAME + side, side, "correlations")


def _cell(x: int, y: int, value: float, of: str) -> str:
    known = math.isfinite(value)
    said = escape(f"{of}: {value:.2f}" if known else f"{of}: not known")
    # Not over 0.6, so that the figure stays readable on it.
    full, kind = (min(abs(value), 1) * 0.6, "plus" if value >= 0 else "minus") if known else (0, "plus")
    size = f"width='{_CELL - 2}' height='{_CELL - 2}'"
    figure = f"{value:.1f}".replace("-", "−") if known and abs(value) <= 1 else ""
    return (
        f"<g><title>{said}</title><rect class='{kind}' x='{x + 1}' y='{y + 1}' {size} fill-opacity='{full:.2f}'/>"
        f"<text class='name' x='{x + _CELL // 2}' y='{y + 19}' text-anchor='middle'>{figure}</text></g>"
    )


def _length(value: float | None) -> float:
    """What can be drawn of a value: nothing of what is missing, infinite or below 0."""
    return max(value, 0.0) if value is not None and math.isfinite(value) else 0.0


def _amount(value: float, unit: str = "%") -> str:
    """A value as text; shares in per cent."""
    if not math.isfinite(value):
        return "not known"
    if unit == "%":
        return f"{100 * value:.{3 if abs(value) >= 0.01 else 2}g} %"
    return f"{value:.3g}{' ' if unit else ''}{unit}"


def _cut(name: str) -> str:
    return escape(name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…")


def _axis(top: float, unit: str = "%") -> str:
    """Lines across with their values; shares are shown in per cent."""
    room, drawn = HEIGHT - _BOTTOM - _TOP, []
    for value in ticks(0, top, 3):
        y = HEIGHT - _BOTTOM - value / top * room
        drawn.append(f"<path class='axis' d='M{_LEFT} {y:.1f}H{WIDTH}'/>")
        drawn.append(f"<text x='{_LEFT - 5}' y='{y + 4:.1f}' text-anchor='end'>{escape(_amount(value, unit))}</text>")
    return "".join(drawn)


def _rect(kind: str, x: float, y: float, width: float, height: float, title: str) -> str:
    size = f"width='{max(width, 0):.1f}' height='{max(height, 0):.1f}'"
    return f"<rect class='{kind}' x='{x:.1f}' y='{y:.1f}' {size}><title>{escape(title)}</title></rect>"


def _svg(body: str, width: float, height: float, title: str) -> Html:
    body = _NOT_XML.sub("\ufffd", body)
    return Html(f"<svg viewBox='0 0 {width} {height}' role='img'><title>{escape(title)}</title>{body}</svg>")
