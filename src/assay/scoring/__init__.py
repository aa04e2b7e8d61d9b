"""Scores whole tables with a published model: in parts that can be taken up again, and on Spark."""

from assay.scoring.parts import Scored, score
from assay.scoring.spark import score_spark

__all__ = ["Scored", "score", "score_spark"]
