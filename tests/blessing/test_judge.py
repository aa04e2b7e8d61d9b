"""Candidates are judged, published and taken back."""

from datetime import timedelta

import msgspec
import pyarrow as pa
import pytest

from assay.blessing import Policy, Verdict, bless, entries, publish, rollback, verify
from assay.errors import BadInput, NotFound, Refused
from assay.model import train
from assay.track import alias, find_runs
from assay.track.provenance import user

POLICY = Policy("auc", margin=0.02, within=(0.55, 1.0), max_age="21d")
HOLDOUT = ("2013-01-15", 7, 60, 2)


def test_a_first_model_needs_an_absolute_range(opened, project, trips) -> None:
    candidate = train(project().model, trips())
    verdict = bless(candidate, trips(*HOLDOUT), Policy("auc", margin=0.02))
    assert (verdict.blessed, verdict.outcome, verdict.comparison) == (False, None, None)
    assert verdict.reasons == ["a first model needs an absolute range: set Policy(within=(low, high))"]
    with pytest.raises(Refused, match="is not blessed"):
        publish(candidate)
    assert bless(candidate, trips(*HOLDOUT), POLICY).blessed
    assert str(publish(candidate)) == "long-trip/1"


def test_what_nobody_judged_is_not_published(opened, project, trips) -> None:
    with pytest.raises(Refused, match="it has not been judged"):
        publish(train(project().model, trips()))


def test_a_score_out_of_range_is_refused_at_either_end(opened, project, trips) -> None:
    candidate = train(project().model, trips())
    for within in ((0.99, 1.0), (0.5, 0.6)):
        verdict = bless(candidate, trips(*HOLDOUT), Policy("auc", margin=0.02, within=within))
        assert not verdict.blessed
        assert "lies outside" in verdict.reasons[0]


def test_an_equal_candidate_is_not_worse_and_a_blind_one_is(opened, project, trips) -> None:
    module = project()
    first = train(module.model, trips())
    assert bless(first, trips(*HOLDOUT), POLICY).blessed
    publish(first)
    same = bless(train(module.model, trips(), trees=19), trips(*HOLDOUT), POLICY)
    assert (same.blessed, same.outcome) == (True, "not worse")
    assert same.comparison
    assert (same.comparison.incumbent, same.comparison.blocks) == ("long-trip/1", 7)
    blind = train(module.model, trips(), blind=True)
    refused = bless(blind, trips(*HOLDOUT), Policy("auc", margin=0.02, within=(0.0, 1.0)))
    assert (refused.blessed, refused.outcome) == (False, "worse")
    with pytest.raises(Refused):
        publish(blind)
    assert str(alias(opened, "long-trip")) == "long-trip/1"


def test_a_better_candidate_replaces_a_blind_incumbent(opened, project, trips) -> None:
    module = project()
    blind = train(module.model, trips(), blind=True)
    assert bless(blind, trips(*HOLDOUT), Policy("auc", margin=0.02, within=(0.0, 1.0))).blessed
    publish(blind)
    assert bless(train(module.model, trips()), trips(*HOLDOUT), POLICY).outcome == "better"


def test_a_metric_that_should_fall_is_signed_so_that_more_is_better(opened, project, trips) -> None:
    module = project()
    policy = Policy("log_loss", margin=0.05, within=(0.0, 1.0))
    blind = train(module.model, trips(), blind=True)
    assert bless(blind, trips(*HOLDOUT), policy).blessed
    publish(blind)
    verdict = bless(train(module.model, trips()), trips(*HOLDOUT), policy)
    assert verdict.comparison
    assert (verdict.outcome, verdict.comparison.difference > 0) == ("better", True)


NEIGHBOURS = {
    "a mean of the column": '{"miles": d.miles - np.nanmean(d.miles), "zone": d.zone}',
    "a rank": '{"miles": np.argsort(np.argsort(d.miles)).astype(float), "zone": d.zone}',
    "the row before": '{"miles": np.roll(d.miles, 1), "zone": d.zone}',
    "a fill from the column": '{"miles": np.where(np.isnan(d.miles), np.nanmedian(d.miles), d.miles), "zone": d.zone}',
}


@pytest.mark.filterwarnings("ignore:All-NaN slice encountered", "ignore:Mean of empty slice")
@pytest.mark.parametrize("feature", NEIGHBOURS)
def test_a_feature_that_depends_on_its_neighbours_is_refused_by_name(feature: str, opened, project, trips) -> None:
    def with_gaps(table):
        miles = [None if i % 5 == 0 else value for i, value in enumerate(table["miles"].to_pylist())]
        return table.set_column(3, "miles", [miles])

    candidate = train(project(NEIGHBOURS[feature]).model, with_gaps(trips()))
    verdict = bless(candidate, with_gaps(trips(*HOLDOUT)), Policy("auc", margin=0.02, within=(0.0, 1.0)))
    assert not verdict.blessed
    assert verdict.reasons[0].startswith("feature miles: ")
    assert "in the batch" in verdict.reasons[0]
    assert [mismatch.feature for mismatch in verdict.parity.mismatches] == ["miles"]


def test_an_engines_rounding_is_a_warning(opened, project, trips) -> None:
    rounding = '{"zone": d.zone, "miles": d.miles if len(d) == 1 else np.nextafter(d.miles, 99)}'
    verdict = bless(train(project(rounding).model, trips()), trips(*HOLDOUT), POLICY)
    assert verdict.blessed
    assert any(warning.startswith("rounding: feature miles") and "1 ulp" in warning for warning in verdict.warnings)


def test_a_holdout_that_overlaps_the_training_rows_is_refused(opened, project, trips) -> None:
    candidate = train(project().model, trips())
    with pytest.raises(BadInput, match="the holdout overlaps the rows it was trained on"):
        bless(candidate, trips("2013-01-14", 7), POLICY)


def test_a_holdout_that_begins_with_the_last_row_of_training_overlaps_it(opened, project, trips) -> None:
    candidate = train(project().model, trips())
    last = candidate.open().facts.trained_until

    def beginning_at(first):
        rows = trips(*HOLDOUT)
        begun = pa.array([first, *rows["start"].to_pylist()[1:]], pa.timestamp("us", "UTC"))
        return rows.set_column(1, "start", begun)

    with pytest.raises(BadInput, match="the holdout overlaps the rows it was trained on"):
        bless(candidate, beginning_at(last), POLICY)
    assert bless(candidate, beginning_at(last + timedelta(microseconds=1)), POLICY).blessed


def test_a_verdict_stays_in_the_ledger_with_all_its_numbers(opened, project, trips) -> None:
    candidate = train(project().model, trips())
    verdict = bless(candidate, trips(*HOLDOUT), POLICY)
    publish(candidate)
    publish(candidate)  # again changes nothing
    judged, published = entries(opened, "long-trip")
    assert msgspec.convert(judged.decoded(), Verdict) == verdict
    by = {"who": user(), "reason": "", "through": "assay"}
    assert published.decoded() == {"alias": "champion", "version": 1, "previous": None, "verdict": judged.id, **by}
    assert verify(opened) == 2
    (run,) = find_runs(opened, name="long-trip")
    assert run.metrics == {"holdout_auc": verdict.score}


def test_rollback_goes_to_the_champion_before_and_to_any_version(opened, project, trips) -> None:
    module = project()
    for trees in (20, 21, 22):
        candidate = train(module.model, trips(), trees=trees)
        assert bless(candidate, trips(*HOLDOUT), POLICY).blessed
        publish(candidate)
    assert str(rollback(opened, "long-trip")) == "long-trip/2"
    assert str(rollback(opened, "long-trip")) == "long-trip/1"
    with pytest.raises(BadInput, match="has no version before it"):
        rollback(opened, "long-trip")
    assert str(rollback(opened, "long-trip", to=3, reason="found the cause")) == "long-trip/3"
    by = {"who": user(), "reason": "found the cause", "through": "assay"}
    assert entries(opened)[-1].decoded() == {"alias": "champion", "version": 3, "previous": 1, **by}
    with pytest.raises(NotFound, match="has no version 9"):
        rollback(opened, "long-trip", to=9)
    with pytest.raises(BadInput, match="is the champion already"):
        rollback(opened, "long-trip", to=3)
