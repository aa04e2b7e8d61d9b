"""Pipelines of ordinary Python whose finished steps are never done again."""

from assay.pipeline.pipeline import Pipeline, pipeline
from assay.pipeline.run import Outcome, resume, run
from assay.pipeline.schedule import ticks
from assay.pipeline.step import step

__all__ = ["Outcome", "Pipeline", "pipeline", "resume", "run", "step", "ticks"]
