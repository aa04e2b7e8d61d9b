"""Writes a project for a table: contract, features, fit, policy and pipeline, as a first draft that runs."""

from assay.scaffold.draft import Draft
from assay.scaffold.guess import guess
from assay.scaffold.source import source

__all__ = ["Draft", "guess", "source"]
