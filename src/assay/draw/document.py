"""The parts of a page, each HTML from values; every text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from assay.draw.style import STYLE
from assay.draw.text import escape


class Html(str):
    """HTML that is safe to put into a page; only functions of this package make it."""

    __slots__ = ()


Mood = Literal["good", "warn", "bad", ""]
_SIGNS: dict[Mood, str] = {"good": "✓ ", "warn": "▲ ", "bad": "✕ ", "": ""}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(title: str, *parts: Html, under: str = "", foot: str = "") -> str:
    """A whole document."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<meta name='viewport' content='width=device-width'><title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1><p class='under'>{escape(under)}</p>{''.join(parts)}"
        f"<footer>{escape(foot)}</footer></body></html>\n"
    )


def section(title: str, *parts: Html, note: str = "", grid: bool = False) -> Html:
    """A heading with what belongs to it; `grid` puts its parts beside each other."""
    under = f"<p class='under'>{escape(note)}</p>" if note else ""
    body = "".join(parts)
    return Html(f"<h2>{escape(title)}</h2>{under}" + (f"<div class='grid'>{body}</div>" if grid else body))


def cards(figures: Mapping[str, tuple[str, Mood]]) -> Html:
    """Key figures: what it is, to its value and mood."""
    shown = (
        f"<div><b class='{mood}'>{escape(value)}</b><span>{escape(name)}</span></div>"
        for name, (value, mood) in figures.items()
    )
    return Html(f"<div class='cards'>{''.join(shown)}</div>")


def badge(word: str, mood: Mood) -> Html:
    """A word with a sign and a colour."""
    return Html(f"<span class='badge {mood}'>{_SIGNS[mood]}{escape(word)}</span>")


def table(head: Sequence[str], rows: Iterable[Sequence[str | Html]]) -> Html:
    """A table; cells that are `Html` are put in as they are, others escaped."""
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return Html(f"<div class='wide'><table><tr>{titles}</tr>{body}</table></div>")


def _cell(cell: str | Html) -> str:
    return cell if isinstance(cell, Html) else escape(cell)


def folded(summary: str, lines: Sequence[str], *, before: str = "") -> Html:
    """A text, and lines that open below a summary."""
    return Html(
        f"{escape(before)}<details><summary>{escape(summary)}</summary><pre>{escape(chr(10).join(lines))}</pre></details>"
    )


def figure(name: str, drawing: Html, note: str = "") -> Html:
    """A chart with its name and what it shows."""
    return Html(f"<figure><figcaption><b>{escape(name)}</b> {escape(note)}</figcaption>{drawing}</figure>")
