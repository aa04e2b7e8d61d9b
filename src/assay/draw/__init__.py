"""Draws pages that need nothing else: no script, no file beside them, light and dark, on screen and on paper."""

from assay.draw.chart import Bar, bars, heat, histogram, line
from assay.draw.document import Html, Mood, badge, cards, figure, folded, page, section, table
from assay.draw.shown import Shown, in_notebook, printed, to_terminal

__all__ = [
    "Bar",
    "Html",
    "Mood",
    "Shown",
    "badge",
    "bars",
    "cards",
    "figure",
    "folded",
    "heat",
    "histogram",
    "in_notebook",
    "line",
    "page",
    "printed",
    "section",
    "table",
    "to_terminal",
]
