"""Judges a candidate: parity first, then its own range, then the incumbent on the same rows."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf, isfinite
from typing import Any

import msgspec
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
from assay.model import Bundle, Candidate, open_bundle
from assay.model.score import METRICS, score, scorer
from assay.model.split import DAY, event_times
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
    metrics = dict.fromkeys([policy.metric, *bundle.model.metrics])
    scores = {name: score(name, label, predicted) for name in metrics}
    known = alias(store, bundle.model.name)
    incumbent = _score_incumbent(known, policy, rows, label, predicted, times) if known else None
    parity = check_parity(bundle, rows)
    warnings = parity.warnings() + output_warnings(bundle, predicted) + (incumbent.warnings if incumbent else [])
    verdict = _decide(candidate, policy, scores, incumbent, parity, times, warnings)
    with store.database.begin() as connection:
        ledger.append(connection, bundle.model.name, "verdict", candidate.bundle, verdict)
    run = Run(store, candidate.run_id)
    run.log_metrics({f"holdout_{name}": value for name, value in scores.items()})
    run.flush()
    log.info("%s", verdict)
    return verdict


@dataclass(frozen=True)
class _Incumbent:
    """The incumbent, scored on the candidate's rows."""

    version: ModelVersion
    score: float
    interval: Interval
    #: From its newest training row to the end of the holdout.
    age: timedelta
    warnings: list[str]


def _score_incumbent(
    known: ModelVersion, policy: Policy, rows: pa.Table, label: Array, predicted: Array, times: Array
) -> _Incumbent:
    bundle = open_bundle(current(), known.bundle)
    theirs = _predict_again(known, bundle, rows)
    days, blocks = np.unique((times - times.min()) // DAY, return_inverse=True)
    interval = paired_interval(
        scorer(policy.metric, label, predicted, blocks),
        scorer(policy.metric, label, theirs, blocks),
        len(days),
        level=policy.level,
        resamples=policy.resamples,
        sign=1 if METRICS[policy.metric].greater_is_better else -1,
    )
    trained_until = bundle.facts.trained_until
    warnings: list[str] = []
    if trained_until >= _moment(times.min()):
        warnings.append(f"the incumbent {known} was trained on rows of this holdout, which favours it")
    if interval.blocks < FEW_BLOCKS:
        warnings.append(f"the interval rests on {interval.blocks} days; from {FEW_BLOCKS} on it is dependable")
    age = _moment(times.max()) - trained_until
    return _Incumbent(known, score(policy.metric, label, theirs), interval, age, warnings)


def _predict_again(known: ModelVersion, bundle: Bundle, rows: pa.Table) -> Array:
    try:
        predicted = bundle.predict(bundle.features(columns(rows, bundle.model.takes)))
        _refuse_no_numbers(str(known), predicted)
    except BadInput as error:
        raise BadInput(
            f"the incumbent {known} can't be scored on this holdout",
            str(error),
            do="Keep what it needs in the table until a newer model is published, or name the new model differently.",
        ) from error
    return predicted


def _moment(time: Any) -> datetime:
    return time.item().replace(tzinfo=UTC)


def _decide(
    candidate: Candidate,
    policy: Policy,
    scores: dict[str, float],
    incumbent: _Incumbent | None,
    parity: Parity,
    times: Array,
    warnings: list[str],
) -> Verdict:
    own = scores[policy.metric]
    outcome, passes, reasons = _compared(policy, own, incumbent)
    outside = range_fault(own, policy)
    against = parity.faults() + ([outside] if outside else []) + ([] if passes else reasons)
    return Verdict(
        **msgspec.structs.asdict(candidate),
        blessed=not against,
        outcome=outcome,
        metric=policy.metric,
        score=own,
        margin=policy.margin,
        within=policy.within,
        rows=len(times),
        holdout_from=f"{times.min()}Z",
        holdout_until=f"{times.max()}Z",
        scores=scores,
        comparison=_comparison(incumbent, policy) if incumbent else None,
        parity=parity,
        reasons=against or reasons,
        warnings=warnings,
    )


def _compared(policy: Policy, own: float, incumbent: _Incumbent | None) -> tuple[Outcome | None, bool, list[str]]:
    """The outcome, whether it allows the candidate, and why."""
    if incumbent is not None:
        outcome = compare(incumbent.interval, policy.margin)
        return outcome, *reasons_for(outcome, incumbent.interval, policy, incumbent.age)
    if policy.within is None:
        return None, False, ["a first model needs an absolute range: set Policy(within=(low, high))"]
    low, high = policy.within
    return None, True, [f"first model: {policy.metric} {own:.4f} lies in {low:g} to {high:g}"]


def _comparison(incumbent: _Incumbent, policy: Policy) -> Comparison:
    interval = incumbent.interval
    return Comparison(
        incumbent=str(incumbent.version),
        incumbent_score=incumbent.score,
        difference=interval.difference,
        low=interval.low if isfinite(interval.low) else None,
        high=interval.high if isfinite(interval.high) else None,
        blocks=interval.blocks,
        incumbent_age_s=incumbent.age.total_seconds(),
        leniency=leniency(policy, incumbent.age),
    )


def _refuse_overlap(bundle: Bundle, times: Array) -> None:
    first = _moment(times.min())
    if bundle.facts.trained_until >= first:
        raise BadInput(
            f"{bundle.model.name}: the holdout overlaps the rows it was trained on",
            f"trained until {bundle.facts.trained_until:%Y-%m-%dT%H:%MZ}, the holdout begins {first:%Y-%m-%dT%H:%MZ}",
            do="Judge it on rows that come after: assay.split() does that.",
        )


def _predict_and_log(store: Store, candidate: Candidate, bundle: Bundle, rows: pa.Table, label: Array) -> Array:
    inputs = columns(rows, bundle.model.takes)
    features = bundle.features(inputs)
    predicted = bundle.predict(features)
    _refuse_no_numbers(f"{candidate.model} from run {candidate.run_id}", predicted)
    said = {bundle.model.output.name: predicted}
    log_training(store.home, bundle.layout, candidate.run_id, None, "holdout", inputs, features, said, label)
    return predicted


def _refuse_no_numbers(who: str, predicted: Array) -> None:
    odd = predicted[~np.isfinite(predicted)]
    if len(odd):
        raise BadInput(
            f"{who} predicts {odd[0]} for {len(odd):,} of {len(predicted):,} rows", do="Look at its features and fit()."
        )


def output_warnings(bundle: Bundle, predicted: Array) -> list[str]:
    """How predictions break what the model says it gives, if they do: serving refuses to answer with them."""
    output = bundle.model.output
    low, high = output.bounds
    outside = predicted[(predicted < (-inf if low is None else low)) | (predicted > (inf if high is None else high))]
    if len(outside) == 0:
        return []
    return [f"{len(outside):,} of {len(predicted):,} predictions, like {outside[0]:.6g}, are not {output.rule}"]
