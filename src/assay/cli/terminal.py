"""Prints results for people; what clients and files sent is harmless in it."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from assay.errors import printable

#: Characters of one text that a person is shown.
LONGEST_TEXT = 4_000


class Terminal(Console):
    """Prints what clients and files sent so that it is read, and does nothing: escaped, not as markup, never at any length.

    This is the net below all commands; values of rows are shortened where they are printed, with `errors.shown`.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The pieces that are printed, each harmless."""
        if isinstance(renderable, Text) and len(renderable) > LONGEST_TEXT:
            renderable = renderable[:LONGEST_TEXT].append("…")
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text with markup; only its beginning when it is long."""
        return super().render_str(text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…", **options)
