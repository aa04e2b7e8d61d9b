"""Decides whether a candidate may replace the incumbent, and keeps every decision in a ledger."""

from assay.blessing.judge import bless
from assay.blessing.ledger import Entry, entries, verify
from assay.blessing.policy import Policy
from assay.blessing.publish import Publication, publish, rollback
from assay.blessing.verdict import Verdict

__all__ = ["Entry", "Policy", "Publication", "Verdict", "bless", "entries", "publish", "rollback", "verify"]
