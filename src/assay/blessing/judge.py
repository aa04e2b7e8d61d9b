"""Judges a candidate: parity first, then its own range, then the incumbent on the same rows."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from assay import context
from assay.blessing import what_if
from assay.blessing.bootstrap import Interval, paired_interval
from assay.blessing.parity import Parity, check_parity
from assay.blessing.policy import Policy
from assay.blessing.verdict import FEW_BLOCKS, Comparison, Outcome, Verdict, compare, leniency, range_fault, reasons_for
from assay.blessing.what_if import Standing
from assay.contract import fields
from assay.contract.columns import Array
from assay.contract.formats.arrow import columns
from assay.errors import BadInput
from assay.metrics import Scorer
from assay.model import Bundle, Candidate, Model, open_bundle
from assay.model.judged import score_of, scorer_of
from assay.model.labels import with_labels
from assay.model.settled import Settled, values_of
from assay.model.split import DAY, event_times
from assay.model.train import answered
from assay.model.truth import Truth
from assay.predictions import log_training
from assay.store import Store, current
from assay.store.database import retried
from assay.tables import Frame, as_table
from assay.track import Run, alias, ledger

log = logging.getLogger(__name__)


def bless(candidate: Candidate, holdout: Frame, policy: Policy) -> Verdict:
    """Decide whether `candidate` may replace the champion, and write the verdict into the ledger.

    Both models are scored on the same rows of `holdout`, whose rows without a label are left out. The first model of
    a name needs `policy.within`. A feature that depends on other rows than its own refuses the candidate.
    In a what-if, as runs of the past are, the incumbent is that of the what-if, which keeps the verdict.
    Raises `BadInput` when the holdout does not fit the contract, is empty, or overlaps the training rows.
    """
    store = current()
    bundle = candidate.open()
    rows, truth = with_labels(bundle.model, as_table(holdout))
    times = event_times(rows, bundle.model.takes)
    _refuse_overlap(bundle, times)
    settled = _predict_and_log(store, candidate, bundle, rows, truth)
    metrics = bundle.model.measures | {policy.metric: policy.measure}
    outputs, targets = fields(bundle.model.gives), bundle.model.targets
    predicted = settled.raw
    scores = {name: score_of(outputs, targets, metric, truth, predicted) for name, metric in metrics.items()}
    known = _standing(store, bundle.model.name, _moment(times.min()))
    days = np.unique((times - times.min()) // DAY, return_inverse=True)[1]
    own = scorer_of(outputs, targets, policy.measure, truth, predicted, days)
    incumbent = _score_incumbent(known, policy, rows, Judged(bundle.model, truth, own, days), times) if known else None
    parity = check_parity(bundle, rows)
    warnings = parity.warnings() + output_warnings(settled) + unseen_warnings(bundle)
    warnings += incumbent.warnings if incumbent else []
    verdict = _decide(candidate, policy, scores, incumbent, parity, times, warnings)
    _keep(store, candidate, bundle, verdict)
    run = Run(store, candidate.run_id)
    run.log_metrics({f"holdout_{name}": value for name, value in scores.items()})
    run.flush()
    log.info("%s", verdict)
    return verdict


def _standing(store: Store, model: str, before: datetime) -> Standing | None:
    """Whom to judge a candidate beside: the champion, or the incumbent of the what-if at hand."""
    scope = context.what_if()
    if scope:
        return what_if.incumbent(store, scope, model, before)
    known = alias(store, model)
    return Standing(str(known), known.bundle) if known and known.bundle else None


@retried
def _keep(store: Store, candidate: Candidate, bundle: Bundle, verdict: Verdict) -> None:
    scope = context.what_if()
    with store.database.begin() as connection:
        if scope:
            what_if.append(connection, scope, "verdict", candidate, bundle.facts.trained_until, verdict)
        else:
            ledger.append(connection, bundle.model.name, "verdict", candidate.bundle, verdict)


@dataclass(frozen=True)
class _Incumbent:
    """The incumbent, scored on the candidate's rows."""

    name: str
    score: float
    interval: Interval
    #: From its newest training row to the end of the holdout.
    age: timedelta
    warnings: list[str]


@dataclass(frozen=True)
class Judged:
    """A candidate on a holdout: its model, what happened, and its score by day."""

    model: Model
    truth: Truth
    scorer: Scorer
    #: The number of the day of each row, from 0, none empty.
    days: Array


def _score_incumbent(known: Standing, policy: Policy, rows: pa.Table, judged: Judged, times: Array) -> _Incumbent:
    bundle = open_bundle(current(), known.bundle)
    theirs = _score_again(known, bundle, policy, rows, judged)
    days = int(judged.days.max()) + 1
    interval = paired_interval(
        judged.scorer,
        theirs,
        days,
        level=policy.level,
        resamples=policy.resamples,
        sign=1 if policy.measure.greater_is_better else -1,
    )
    trained_until = bundle.facts.trained_until
    warnings: list[str] = []
    if trained_until >= _moment(times.min()):
        warnings.append(f"the incumbent {known.name} was trained on rows of this holdout, which favours it")
    if interval.blocks < FEW_BLOCKS:
        warnings.append(f"the interval rests on {interval.blocks} days; {FEW_BLOCKS} or more make it reliable")
    age = _moment(times.max()) - trained_until
    return _Incumbent(known.name, float(theirs(np.ones((1, days)))[0]), interval, age, warnings)


def _score_again(known: Standing, bundle: Bundle, policy: Policy, rows: pa.Table, judged: Judged) -> Scorer:
    """The scorer of the incumbent on the same rows, by the candidate's labels."""
    try:
        predicted = bundle.predict(bundle.features(columns(rows, bundle.model.takes)))
        answered(known.name, bundle, predicted)
        outputs = fields(bundle.model.gives)
        targets = _same_labels(judged.model, bundle.model)
        return scorer_of(outputs, targets, policy.measure, judged.truth, predicted, judged.days)
    except BadInput as error:
        raise BadInput(
            f"the incumbent {known.name} can't be scored on this holdout",
            str(error),
            do="Keep its columns in the table until a newer model is published, or give the new model another name.",
        ) from error


def _same_labels(candidate: Model, incumbent: Model) -> dict[str, str]:
    """The candidate's label of each field that the incumbent gives: of the field of that name, or the only one.

    Raises `BadInput` for a field that the candidate does not have, when it has several labels.
    """
    known, only = candidate.targets, candidate.labels[0] if len(candidate.labels) == 1 else None
    found = {field.name: known.get(field.name, only) for field in fields(incumbent.gives)}
    missing = [name for name, label in found.items() if label is None]
    if missing:
        raise BadInput(f"it predicts {', '.join(missing)}, of which the candidate has no label")
    return {name: label for name, label in found.items() if label is not None}


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
        incumbent=incumbent.name,
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
            do="Judge it on later rows: use assay.split().",
        )


def _predict_and_log(store: Store, candidate: Candidate, bundle: Bundle, rows: pa.Table, truth: Truth) -> Settled:
    inputs = columns(rows, bundle.model.takes)
    features = bundle.features(inputs)
    predicted = bundle.predict(features)
    who = f"{candidate.model} from run {candidate.run_id}"
    said, labels = answered(who, bundle, predicted), truth.columns()
    log_training(store.home, bundle.layout, candidate.run_id, None, "holdout", inputs, features, said, labels)
    return bundle.settle(predicted)


def output_warnings(settled: Settled) -> list[str]:
    """How predictions break what the model says it gives, if they do: serving refuses to answer with them."""
    found: list[str] = []
    for field in settled.fields:
        outside = settled.outside_by_field[field.name]
        if field.range is None or not outside.any():
            continue
        first = values_of(field, {name: settled.raw[name][outside][:1] for name in field.columns})[0]
        shown = f"{first:.6g}" if isinstance(first, float | int) else str(first)
        share = outside.sum() / len(outside)
        serving = {"refuse": "refuses these rows", "clip": "clips them", "allow": "answers them as they are"}
        of = f" of {field.name}" if len(settled.fields) > 1 else ""
        said = f"{int(outside.sum()):,} of {len(outside):,} predictions{of} ({share:.2%}), like {shown}"
        found.append(f"{said}, are not {field.rule}: serving {serving[field.range.outside]}")
    return found


def unseen_warnings(bundle: Bundle) -> list[str]:
    """Declared classes that the model can't have learnt."""
    return [
        f"no row of training had {label} {', '.join(map(str, classes))}"
        for label, classes in bundle.facts.unseen.items()
    ]
