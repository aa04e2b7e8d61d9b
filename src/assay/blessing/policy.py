"""What a candidate must show before it may replace the incumbent."""

from dataclasses import dataclass
from datetime import timedelta
from math import inf

from assay.errors import BadInput
from assay.metrics import Metric, find
from assay.times import duration, span

FEWEST_RESAMPLES = 200


@dataclass(frozen=True, init=False)
class Policy:
    """One metric, how much worse a candidate may be, where it must lie, and how old the incumbent may grow."""

    measure: Metric
    #: A candidate less than this much worse is not worse (non-inferiority margin), in units of the metric.
    margin: float
    #: The candidate's own score must lie in here, ends included; a first model can't be blessed without it.
    within: tuple[float, float] | None
    #: Age of the incumbent at which an undecidable candidate gets the whole margin.
    max_age: timedelta | None
    #: Confidence of the two-sided interval of the difference.
    level: float
    #: Bootstrap resamples.
    resamples: int

    def __init__(
        self,
        metric: str | Metric,
        *,
        margin: float,
        within: tuple[float, float] | None = None,
        max_age: str | timedelta | None = None,
        level: float = 0.9,
        resamples: int = 2000,
    ) -> None:
        """Declare the policy; raises `BadInput` for one that can't work."""
        measure = find(metric) if isinstance(metric, str) else metric
        age = duration(max_age) if max_age is not None else None
        _refuse_numbers(margin, within, age, level, resamples)
        values = (measure, float(margin), within, age, level, resamples)
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def metric(self) -> str:
        """The name of its metric."""
        return self.measure.name


def _refuse_numbers(
    margin: float, within: tuple[float, float] | None, max_age: timedelta | None, level: float, resamples: int
) -> None:
    if not 0 <= margin < inf:
        raise BadInput(
            f"margin={margin} must be a number of 0 or more",
            do="With a margin of 0 a candidate must not be worse at all.",
        )
    if within is not None and not -inf < within[0] < within[1] < inf:
        raise BadInput(f"within={within} is not a range", do="Give two numbers, the smaller one first.")
    if max_age is not None and max_age <= timedelta():
        raise BadInput(f"max_age={span(max_age)} is not an age", do='Give a length of time, like "21d".')
    if not 0.5 <= level < 1:
        raise BadInput(f"level={level} is not a confidence level", do="Give a number from 0.5 to below 1, like 0.9.")
    if resamples < FEWEST_RESAMPLES:
        raise BadInput(f"resamples={resamples} are too few for an interval", do="Give 200 or more, like 2000.")
