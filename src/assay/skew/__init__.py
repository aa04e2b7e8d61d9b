"""Does serving compute what training did? Rows compared one by one, differences named by their shape."""

from assay.skew.find import find_skew
from assay.skew.report import Finding, SkewReport

__all__ = ["Finding", "SkewReport", "find_skew"]
