"""Decides whether a candidate may replace the incumbent, and keeps every decision in a ledger."""

from assay.bless.judge import bless
from assay.bless.ledger import Entry, entries, verify
from assay.bless.policy import Policy
from assay.bless.publish import Publication, publish, rollback
from assay.bless.verdict import Verdict

__all__ = ["Entry", "Policy", "Publication", "Verdict", "bless", "entries", "publish", "rollback", "verify"]
