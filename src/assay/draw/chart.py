"""Charts as inline SVG, drawn from values; they scale with the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from assay.draw.page import Html, Mood

WIDTH, HEIGHT = 340, 130
_LEFT, _BOTTOM, _TOP = 48, 18, 6
_ROW, _NAME = 20, 130


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
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next((power * one for one in (1, 2, 5, 10) if power * one >= span / most), power * 10)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def bars(rows: Sequence[Bar], *, width: int = 700) -> Html:
    """Shares of rows by name: a bar each, the reference behind it and what is allowed as a mark."""
    height, room = _ROW * max(len(rows), 1) + 4, width - _NAME - 60
    most = max(
        [one.share for one in rows] + [one.past or 0 for one in rows] + [one.limit or 0 for one in rows] + [1e-9]
    )
    body: list[str] = []
    for i, one in enumerate(rows):
        y = i * _ROW + 4
        shown = one.name if len(one.name) <= 18 else one.name[:17] + "…"
        body.append(f"<text class='name' x='{_NAME - 8}' y='{y + 11}' text-anchor='end'>{escape(shown)}</text>")
        if one.past is not None:
            body.append(_rect("past", _NAME, y, one.past / most * room, 14, f"reference {one.past:.1%}"))
        body.append(_rect(f"bar {one.mood}", _NAME, y + 3, one.share / most * room, 8, f"{one.name} {one.share:.2%}"))
        if one.limit is not None:
            x = _NAME + one.limit / most * room
            body.append(f"<path class='limit bad' d='M{x:.1f} {y}v14'><title>at most {one.limit:.1%}</title></path>")
        at = _NAME + max(one.share, one.past or 0, one.limit or 0) / most * room + 6
        body.append(f"<text x='{at:.1f}' y='{y + 11}'>{one.share:.1%}</text>")
    return _svg("".join(body), width, height, "shares by name")


def histogram(labels: Sequence[str], now: Sequence[float], past: Sequence[float] | None = None) -> Html:
    """Shares over bins that `labels` name: what is now as an outline over what was, or filled when nothing was."""
    shares = [*now, *(past or [])]
    top = max([value for value in shares if math.isfinite(value)] + [1e-9])
    step, room = (WIDTH - _LEFT) / max(len(labels), 1), HEIGHT - _BOTTOM - _TOP
    heights = [value / top * room for value in now]
    body = [_axis(top)]
    for i, value in enumerate(past or now):
        high, kind = value / top * room, "past" if past else "bar"
        said = f"{labels[i]}: {now[i]:.1%}" + (f", before {value:.1%}" if past else "")
        body.append(_rect(kind, _LEFT + i * step, HEIGHT - _BOTTOM - high, step * 0.94, high, said))
    if past:
        steps = (f"H{_LEFT + i * step:.1f}V{HEIGHT - _BOTTOM - y:.1f}h{step * 0.94:.1f}" for i, y in enumerate(heights))
        body.append(f"<path class='outline' d='M{_LEFT} {HEIGHT - _BOTTOM}{''.join(steps)}V{HEIGHT - _BOTTOM}'/>")
    body.append(_labels(labels, step))
    return _svg("".join(body), WIDTH, HEIGHT, "shares of values")


def _labels(labels: Sequence[str], step: float) -> str:
    """As many labels as there is room for."""
    longest = max((len(label) for label in labels), default=1)
    every = max(1, math.ceil((longest * 6.2 + 8) / step))
    shown = [(i, label) for i, label in enumerate(labels) if i % every == 0]
    return "".join(
        f"<text x='{_LEFT + (i + 0.5) * step:.1f}' y='{HEIGHT - 5}' text-anchor='middle'>{escape(label)}</text>"
        for i, label in shown
        if _LEFT + (i + 0.5) * step + len(label) * 3.1 <= WIDTH + 4
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
    top = max([value for _, value, _ in known] + [value for value, _ in limits] + [1e-9]) * 1.05
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
        said = f"{at:%Y-%m-%d %H:%M} {value:.4g} {escape(unit)}"
        body.append(f"<circle class='dot {mood}' cx='{x:.1f}' cy='{y:.1f}' r='2.6'><title>{said}</title></circle>")
    form = "%H:%M" if seconds < 2 * 86400 else "%Y-%m-%d"
    body.append(f"<text x='{_LEFT}' y='{HEIGHT - 4}'>{begin:{form}}</text>")
    body.append(f"<text x='{WIDTH}' y='{HEIGHT - 4}' text-anchor='end'>{end:{form}}</text>" if end > begin else "")
    return _svg("".join(body), WIDTH, HEIGHT, "over time")


def _axis(top: float, unit: str = "%") -> str:
    """Lines across with their values; shares are shown in per cent."""
    room, drawn = HEIGHT - _BOTTOM - _TOP, []
    for value in ticks(0, top, 3):
        y = HEIGHT - _BOTTOM - value / top * room
        shown = f"{100 * value:.3g} %" if unit == "%" else f"{value:.3g}{' ' if unit else ''}{escape(unit)}"
        drawn.append(f"<path class='axis' d='M{_LEFT} {y:.1f}H{WIDTH}'/>")
        drawn.append(f"<text x='{_LEFT - 5}' y='{y + 4:.1f}' text-anchor='end'>{shown}</text>")
    return "".join(drawn)


def _rect(kind: str, x: float, y: float, width: float, height: float, title: str) -> str:
    size = f"width='{max(width, 0):.1f}' height='{max(height, 0):.1f}'"
    return f"<rect class='{kind}' x='{x:.1f}' y='{y:.1f}' {size}><title>{escape(title)}</title></rect>"


def _svg(body: str, width: float, height: float, title: str) -> Html:
    return Html(f"<svg viewBox='0 0 {width} {height}' role='img'><title>{escape(title)}</title>{body}</svg>")
