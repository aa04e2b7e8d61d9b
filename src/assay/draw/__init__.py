"""Draws pages that need nothing else: no script, no file beside them, light and dark, on screen and on paper."""

from assay.draw.chart import Bar, bars, heat, histogram, line
from assay.draw.document import Html, Mood, badge, cards, figure, folded, page, section, table

__all__ = [
    "Bar",
    "Html",
    "Mood",
    "badge",
    "bars",
    "cards",
    "figure",
    "folded",
    "heat",
    "histogram",
    "line",
    "page",
    "section",
    "table",
]
