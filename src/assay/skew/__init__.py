"""Does serving compute what training did? Rows compared one by one, differences named by their shape."""

from assay.skew.find import find_skew
from assay.skew.render import render
from assay.skew.report import ColumnSkew, SkewReport

__all__ = ["ColumnSkew", "SkewReport", "find_skew", "render"]
