"""Pipelines of ordinary Python whose finished steps are never done again."""

from assay.pipelines.pipeline import Pipeline, pipeline
from assay.pipelines.run import Outcome, resume, run
from assay.pipelines.schedule import ticks
from assay.pipelines.step import step

__all__ = ["Outcome", "Pipeline", "pipeline", "resume", "run", "step", "ticks"]
