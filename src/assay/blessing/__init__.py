"""Decides whether a candidate may replace the incumbent, and keeps every decision in a ledger."""

from assay.blessing.judge import bless
from assay.blessing.policy import Policy
from assay.blessing.publish import Publication, publish, rollback
from assay.blessing.render import render
from assay.blessing.verdict import Verdict
from assay.track.ledger import LedgerEntry, entries, verify

__all__ = [
    "LedgerEntry",
    "Policy",
    "Publication",
    "Verdict",
    "bless",
    "entries",
    "publish",
    "render",
    "rollback",
    "verify",
]
