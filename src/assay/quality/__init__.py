"""What is odd about a table, worst first: leaks of the label, missing, constant, alike and far values."""

from assay.quality.render import quality_page, render
from assay.quality.report import Finding, Quality
from assay.quality.summary import quality

__all__ = ["Finding", "Quality", "quality", "quality_page", "render"]
