"""From numbers to a verdict; pure."""

from datetime import timedelta
from math import floor, sqrt
from typing import Literal

import msgspec

from assay.blessing.bootstrap import Interval
from assay.blessing.parity import Parity
from assay.blessing.policy import Policy
from assay.draw import Shown
from assay.errors import printable
from assay.times import span

Outcome = Literal["better", "not worse", "undecidable", "worse"]
FEW_BLOCKS = 14
LONGEST_DAYS = 3650


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate and incumbent on the same rows; differences are signed so that more is better."""

    incumbent: str
    incumbent_score: float
    difference: float
    low: float | None
    high: float | None
    blocks: int
    incumbent_age_s: float
    #: How much worse an undecidable candidate may look at this age of the incumbent.
    leniency: float


class Verdict(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a candidate, and every number behind it."""

    model: str
    bundle: str
    run_id: str
    blessed: bool
    #: The comparison with the incumbent; None for a first model.
    outcome: Outcome | None
    metric: str
    score: float
    margin: float
    within: tuple[float, float] | None
    rows: int
    holdout_from: str
    holdout_until: str
    #: Every metric that the model declares, on the holdout.
    scores: dict[str, float]
    comparison: Comparison | None
    parity: Parity
    #: Why it was decided so, the decisive reason first.
    reasons: list[str]
    warnings: list[str] = []

    def __str__(self) -> str:
        word = "BLESSED" if self.blessed else "REFUSED"
        return printable(f"{word} {self.model}: {'; '.join(self.reasons)}")


def compare(interval: Interval, margin: float) -> Outcome:
    """The four-valued outcome of an interval of candidate minus incumbent, more being better.

    better: surely above 0. not worse: surely above -margin. worse: surely below 0 without being surely within the
    margin. undecidable: the interval spans both.

    >>> compare(Interval(0.0, -0.02, 0.02, 7), 0.01)
    'undecidable'
    """
    if interval.low > 0:
        return "better"
    if interval.low > -margin:
        return "not worse"
    return "worse" if interval.high < 0 else "undecidable"


def leniency(policy: Policy, age: timedelta) -> float:
    """How much worse an undecidable candidate may look: 0 beside a new incumbent, the margin at its age limit.

    Past the limit it is twice the margin: an incumbent that old is itself a risk. Without a limit it is 0.
    """
    if policy.max_age is None:
        return 0.0
    share = max(age / policy.max_age, 0.0)
    return policy.margin * (share if share <= 1 else 2)


def days_to_decide(interval: Interval, margin: float) -> int | None:
    """About how many blocks would decide, were the difference what it seems; None when ten years would not.

    An end of the interval comes nearer with the root of the number of blocks: the lower one must pass -margin, or the
    upper one 0 when the candidate seems worse than that.
    """
    near = interval.difference > -margin
    reach = interval.difference - interval.low if near else interval.high - interval.difference
    distance = interval.difference + margin if near else -interval.difference
    if distance <= 0 or reach / distance > sqrt(LONGEST_DAYS):
        return None
    days = floor(interval.blocks * (reach / distance) ** 2) + 1
    return days if days <= LONGEST_DAYS else None


def reasons_for(outcome: Outcome, interval: Interval, policy: Policy, age: timedelta) -> tuple[bool, list[str]]:
    """Whether the comparison allows the candidate, and why."""
    seen = f"{policy.metric} {interval.difference:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
    if outcome in ("better", "not worse"):
        return True, [f"{outcome}: {seen}, margin {policy.margin:g}"]
    if outcome == "worse":
        return False, [f"worse: {seen}, margin {policy.margin:g}"]
    limit = 0.0 - leniency(policy, age)  # never -0.0, which would be shown so
    days = days_to_decide(interval, policy.margin)
    more = f"; about {days} days of holdout would decide" if days else ""
    passes = interval.difference >= limit
    sign = "at least" if passes else "below"
    beside = f"an incumbent of {span(age)}" if age > timedelta() else "an incumbent of newer data"
    why = f"undecidable: {seen} is {sign} {limit:+.4f}, the limit beside {beside}{more}"
    return passes, [why]


def range_fault(score: float, policy: Policy) -> str | None:
    """Why the candidate's own score is out of range, if it is."""
    if policy.within is None or policy.within[0] <= score <= policy.within[1]:
        return None
    low, high = policy.within
    return f"{policy.metric} {score:.4f} lies outside {low:g} to {high:g}"
