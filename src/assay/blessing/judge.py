"""Judges a candidate: parity first, then its own range, then the incumbent on the same rows."""

import logging
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from assay.blessing import ledger
from assay.blessing.bootstrap import Interval, paired_interval
from assay.blessing.parity import Parity, check_parity
from assay.blessing.policy import Policy
from assay.blessing.verdict import FEW_BLOCKS, Comparison, Outcome, Verdict, compare, leniency, range_fault, reasons_for
from assay.contract.columns import Array
from assay.contract.formats.arrow import columns
from assay.errors import BadInput
from assay.model import Bundle, Candidate, Model
from assay.model.score import METRICS, score, scorer
from assay.model.split import event_times
from assay.model.train import with_label
from assay.predictions import log_training
from assay.store import Store, current
from assay.track import ModelVersion, Run, alias

log = logging.getLogger(__name__)


def bless(candidate: Candidate, holdout: pa.Table, policy: Policy) -> Verdict:
    """Decide whether `candidate` may replace the champion, and write the verdict into the ledger.

    Both models are scored on the same rows of `holdout`, whose rows without a label are left out. The first model of
    a name needs `policy.within`. A feature that depends on other rows than its own refuses the candidate.
    Raises `BadInput` when the holdout does not fit the contract, is empty, or overlaps the training rows.
    """
    store = current()
    bundle = candidate.open()
    rows, label = with_label(bundle.model, holdout)
    times = event_times(rows, bundle.model.takes)
    _refuse_overlap(bundle, times)
    predicted = _predict_and_log(store, candidate, bundle, rows, label)
    scores = {name: score(name, label, predicted) for name in dict.fromkeys([policy.metric, *bundle.model.metrics])}
    incumbent = alias(store, bundle.model.name)
    verdict = _decide(
        candidate,
        policy,
        scores,
        check_parity(bundle, rows),
        _against(incumbent, policy, rows, label, predicted, times),
        times,
    )
    with store.database.begin() as connection:
        ledger.append(connection, bundle.model.name, "verdict", candidate.bundle, verdict)
    Run(store, candidate.run_id).log_metrics({f"holdout_{name}": value for name, value in scores.items()})
    log.info("%s", verdict)
    return verdict


class _Against:
    """The incumbent, scored on the candidate's rows."""

    def __init__(
        self, version: ModelVersion, own_score: float, interval: Interval, age: timedelta, warnings: list[str]
    ) -> None:
        self.version, self.score, self.interval, self.age, self.warnings = version, own_score, interval, age, warnings


def _against(
    incumbent: ModelVersion | None, policy: Policy, rows: pa.Table, label: Array, predicted: Array, times: Array
) -> _Against | None:
    if incumbent is None:
        return None
    bundle = Candidate(incumbent.model, incumbent.bundle, "").open()
    theirs = bundle.predict(bundle.features(columns(rows, bundle.model.takes)))
    days, blocks = np.unique((times - times.min()) // np.timedelta64(1, "D"), return_inverse=True)
    sign = 1 if METRICS[policy.metric].greater_is_better else -1
    interval = paired_interval(
        scorer(policy.metric, label, predicted, blocks),
        scorer(policy.metric, label, theirs, blocks),
        len(days),
        level=policy.level,
        resamples=policy.resamples,
        sign=sign,
    )
    trained_until = bundle.facts.trained_until
    end: datetime = times.max().item().replace(tzinfo=UTC)
    warnings = []
    if trained_until >= times.min().item().replace(tzinfo=UTC):
        warnings.append(f"the incumbent {incumbent} was trained on rows of this holdout, which favours it")
    return _Against(incumbent, score(policy.metric, label, theirs), interval, end - trained_until, warnings)


def _decide(
    candidate: Candidate,
    policy: Policy,
    scores: dict[str, float],
    parity: Parity,
    against: _Against | None,
    times: Array,
) -> Verdict:
    own = scores[policy.metric]
    refusals = [str(mismatch) for mismatch in parity.mismatches if not mismatch.is_rounding]
    if parity.rows == 0:
        refusals.append("no row of the holdout fits the contract, so none could be served")
    if fault := range_fault(own, policy):
        refusals.append(fault)
    outcome, reasons = _compared(policy, own, against, refusals)
    warnings = [f"rounding: {mismatch}" for mismatch in parity.mismatches if mismatch.is_rounding]
    if against:
        warnings += against.warnings
        if against.interval.blocks < FEW_BLOCKS:
            warnings.append(
                f"the interval rests on {against.interval.blocks} days; from {FEW_BLOCKS} on it is dependable"
            )
    return Verdict(
        model=candidate.model,
        bundle=candidate.bundle,
        run_id=candidate.run_id,
        blessed=not refusals,
        outcome=outcome,
        metric=policy.metric,
        score=own,
        margin=policy.margin,
        within=policy.within,
        rows=len(times),
        holdout_from=f"{times.min()}Z",
        holdout_until=f"{times.max()}Z",
        scores=scores,
        comparison=_comparison(against, policy),
        parity=parity,
        reasons=refusals or reasons,
        warnings=warnings,
    )


def _compared(
    policy: Policy, own: float, against: _Against | None, refusals: list[str]
) -> tuple[Outcome | None, list[str]]:
    """The outcome and what speaks for the candidate; what speaks against it is added to `refusals`."""
    if against is None:
        if policy.within is None:
            refusals.append("a first model needs an absolute range: set Policy(within=(low, high))")
            return None, []
        return None, [f"first model: {policy.metric} {own:.4f} lies in {policy.within[0]:g} to {policy.within[1]:g}"]
    outcome = compare(against.interval, policy.margin)
    passes, reasons = reasons_for(outcome, against.interval, policy, against.age)
    if not passes:
        refusals.extend(reasons)
    return outcome, reasons


def _comparison(against: _Against | None, policy: Policy) -> Comparison | None:
    if against is None:
        return None
    interval = against.interval
    finite = interval.blocks > 1
    return Comparison(
        incumbent=str(against.version),
        incumbent_score=against.score,
        difference=interval.difference,
        low=interval.low if finite else None,
        high=interval.high if finite else None,
        blocks=interval.blocks,
        incumbent_age_s=against.age.total_seconds(),
        leniency=leniency(policy, against.age),
    )


def _refuse_overlap(bundle: Bundle, times: Array) -> None:
    first: datetime = times.min().item().replace(tzinfo=UTC)
    if bundle.facts.trained_until >= first:
        raise BadInput(
            f"{bundle.model.name}: the holdout overlaps the rows it was trained on",
            f"trained until {bundle.facts.trained_until:%Y-%m-%dT%H:%MZ}, the holdout begins {first:%Y-%m-%dT%H:%MZ}",
            do="Judge it on rows that come after: assay.split() does that.",
        )


def _predict_and_log(store: Store, candidate: Candidate, bundle: Bundle, rows: pa.Table, label: Array) -> Array:
    model: Model = bundle.model
    inputs = columns(rows, model.takes)
    features = bundle.features(inputs)
    predicted = bundle.predict(features)
    said = {model.output.name: predicted}
    log_training(store.home, bundle.layout, candidate.run_id, None, "holdout", inputs, features, said, label)
    return predicted
