"""The champion goes forward to what was blessed beside it, and back to what was there before."""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from assay import context
from assay.blessing import publish, rollback
from assay.blessing import what_if as what_ifs
from assay.context import WhatIf
from assay.errors import BadInput, Corrupt, NotFound, Refused
from assay.model import Candidate, train
from assay.model.train import PROFILE
from assay.predictions import read_rows
from assay.profiles.profile_rows import kept, kept_rows
from assay.store import Store
from assay.store.schema import model_versions, run_artifacts
from assay.times import now
from assay.track import By, ModelVersion, alias, aliases, ledger, register
from assay.track.provenance import user
from assay.track.versions import version_of

MODEL = "long-trip"
BLESSED = {"blessed": True, "reasons": ["within its range"], "comparison": None}


@pytest.fixture
def candidate(opened: Store, project, trips) -> Candidate:
    """Trained on one day."""
    return train(project().model, trips(days=1), trees=1)


def judged(store: Store, candidate: Candidate, *, beside: str | None = None, **more: Any) -> ledger.LedgerEntry:
    """A verdict, as `bless` leaves it."""
    body = BLESSED | ({"comparison": {"incumbent": beside}} if beside else {}) | more
    return store.database.write(
        lambda connection: ledger.append(connection, candidate.model, "verdict", candidate.bundle, body)
    )


@pytest.fixture
def three(opened: Store) -> Iterator[Store]:
    """A store with three versions of the model, the last of which is the champion."""
    for number in (1, 2, 3):
        made(opened, number)
    return opened


def made(store: Store, number: int, model: str = MODEL) -> None:
    digest = store.artifacts.put(f"bundle {number}".encode())
    with store.database.begin() as connection:
        register(connection, model, digest, run_id=None, trained_until=None)
        aliases.move(connection, model, number, By("ann"), kind="published")


def move(store: Store, version: int) -> None:
    with store.database.begin() as connection:
        aliases.move(connection, MODEL, version, By("ann"))


def test_what_was_blessed_becomes_the_champion_with_all_that_is_known_of_it(
    opened: Store, candidate: Candidate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    verdict = judged(opened, candidate)
    published = publish(candidate)
    assert (published.model, published.version, published.what_if, str(published)) == (MODEL, 1, "", f"{MODEL}/1")
    champion = alias(opened, MODEL)
    assert champion
    assert (champion.version, champion.bundle, champion.run_id) == (1, candidate.bundle, candidate.run_id)
    assert champion.trained_until == candidate.open().facts.trained_until
    line = ledger.entries(opened)[-1]
    assert (line.model, line.kind, line.bundle) == (MODEL, "published", candidate.bundle)
    by = {"who": user(), "reason": "", "through": "assay"}
    assert line.decoded() == {"alias": "champion", "version": 1, "previous": None, "verdict": verdict.id, **by}
    assert kept_rows(opened, MODEL, "trained") == {(1, ""): 60}
    assert "published long-trip/1" in caplog.messages
    assert publish(candidate) == published  # again changes nothing
    assert len(ledger.entries(opened)) == 2


def test_the_profile_of_a_run_that_kept_none_is_that_of_its_training_rows(
    opened: Store, candidate: Candidate, trips
) -> None:
    from assay.blessing import Policy, bless

    assert bless(candidate, trips("2013-01-15", 2, 60, 2), Policy("auc", margin=0.5, within=(0, 1))).blessed
    rows = read_rows(opened.home, MODEL, "trained", request_id=candidate.run_id)
    assert rows
    assert sorted(set(rows["part"].to_pylist())) == ["holdout", "train"]
    with opened.database.begin() as connection:
        gone = run_artifacts.delete().where(run_artifacts.c.name == PROFILE)
        assert connection.execute(gone).rowcount == 1
    publish(candidate)
    profile = kept(opened, MODEL, "trained")[(1, "")]
    assert profile.rows == 60
    assert {"input_miles", "feature_miles"} <= set(profile.columns)
    assert not {"part", "request_id", "received_at"} & set(profile.columns)


def test_without_rows_and_profile_there_is_none(opened: Store, candidate: Candidate) -> None:
    import shutil

    with opened.database.begin() as connection:
        connection.execute(run_artifacts.delete().where(run_artifacts.c.name == PROFILE))
    shutil.rmtree(opened.home.tables)
    judged(opened, candidate)
    publish(candidate)
    assert kept_rows(opened, MODEL, "trained") == {}


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (None, "it has not been judged"),
        ({"blessed": False, "reasons": ["worse: auc", "a feature"]}, "worse: auc; a feature"),
    ],
)
def test_what_is_not_blessed_is_refused_with_the_reasons(
    verdict: dict[str, Any] | None, why: str, opened: Store, candidate: Candidate
) -> None:
    if verdict:
        judged(opened, candidate)
        judged(opened, candidate, **verdict)  # the last one counts
    with pytest.raises(Refused) as refused:
        publish(candidate)
    assert str(refused.value).splitlines() == [
        f"{MODEL} from run {candidate.run_id} is not blessed",
        f"  {why}",
        "Publish only a blessed candidate.",
    ]
    assert alias(opened, MODEL) is None


def test_a_verdict_of_before_the_champion_changed_is_refused_with_what_happened_since(
    three: Store, candidate: Candidate
) -> None:
    def refusal() -> str:
        with pytest.raises(Refused) as refused:
            publish(candidate)
        first, middle, last = str(refused.value).splitlines()
        assert first == f"{MODEL} from run {candidate.run_id} was judged before the champion changed"
        assert last == "Judge it again with assay.bless, beside the present champion."
        verdict = [line for line in ledger.entries(three) if line.kind == "verdict"][-1]
        start = f"  judged {verdict.at:%Y-%m-%dT%H:%M:%SZ} "
        assert middle.startswith(start)
        return middle.removeprefix(start)

    def newest() -> str:
        return f"{ledger.entries(three)[-1].at:%Y-%m-%dT%H:%M:%SZ}"

    judged(three, candidate)
    assert refusal() == f"beside no incumbent; the champion is {MODEL}/3"
    judged(three, candidate, beside=f"{MODEL}/3")
    move(three, 1)
    move(three, 3)
    assert refusal() == f"beside {MODEL}/3; version 3 was moved {newest()}"
    judged(three, candidate, beside=f"{MODEL}/3")
    rollback(three, MODEL)
    assert refusal() == f"beside {MODEL}/3; version 1 was rolled back {newest()}"
    judged(three, candidate, beside=f"{MODEL}/1")
    with three.database.begin() as connection:
        aliases.remove(connection, MODEL, By("ann"))
    assert refusal() == f"beside {MODEL}/1; version 1 was removed {newest()}"
    judged(three, candidate, beside=f"{MODEL}/1")
    assert refusal() == f"beside {MODEL}/1; there is no champion now"
    judged(three, candidate)
    assert str(publish(candidate)) == f"{MODEL}/4"


def test_a_verdict_beside_the_champion_of_now_is_good(three: Store, candidate: Candidate) -> None:
    judged(three, candidate, beside=f"{MODEL}/3")
    assert str(publish(candidate)) == f"{MODEL}/4"
    assert ledger.entries(three)[-1].decoded()["previous"] == 3


def test_in_a_what_if_it_becomes_the_incumbent_there_and_production_stays(
    three: Store, candidate: Candidate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scope = WhatIf("past", "tick-1")
    until = candidate.open().facts.trained_until

    def say(verdict: dict[str, Any]) -> None:
        with three.database.begin() as connection:
            what_ifs.append(connection, scope, "verdict", candidate, until, verdict)

    judged(three, candidate, beside=f"{MODEL}/3")  # in production, which says nothing here
    with context.within(context.scope, scope):
        with pytest.raises(Refused, match="it has not been judged"):
            publish(candidate)
        say({"blessed": False, "reasons": ["worse"]})
        with pytest.raises(Refused, match="\n  worse\n"):
            publish(candidate)
        say(BLESSED)
        published = publish(candidate)
        assert publish(candidate) == published
    assert (published.model, published.version, published.what_if) == (MODEL, None, "past")
    assert str(published) == f"{MODEL}, in the what-if past"
    assert f"{MODEL} would be published, in the what-if past" in caplog.messages
    with three.database.read() as connection:
        lines = connection.exec_driver_sql("SELECT kind, model, bundle, run_id, tick, body FROM what_ifs").all()
    assert [line[0] for line in lines] == ["verdict", "verdict", "published"]
    assert lines[-1][1:] == (MODEL, candidate.bundle, candidate.run_id, "tick-1", "{}")
    assert str(alias(three, MODEL)) == f"{MODEL}/3"


def test_a_step_back_names_who_why_and_where_to(three: Store, caplog: pytest.LogCaptureFixture) -> None:
    back = rollback(three, MODEL)
    assert (str(back), str(alias(three, MODEL))) == (f"{MODEL}/2", f"{MODEL}/2")
    line = ledger.entries(three)[-1]
    assert (line.kind, line.bundle) == ("rolled back", back.bundle)
    by = {"who": user(), "reason": "", "through": "assay"}
    assert line.decoded() == {"alias": "champion", "version": 2, "previous": 3, **by}
    assert caplog.messages[-1] == f"rolled {MODEL} back to version 2: no reason given"
    assert str(rollback(three, MODEL, to=3, reason="found the cause")) == f"{MODEL}/3"
    assert ledger.entries(three)[-1].decoded()["reason"] == "found the cause"
    assert caplog.messages[-1] == f"rolled {MODEL} back to version 3: found the cause"


def test_steps_back_go_one_further_each_time_until_there_is_none(three: Store) -> None:
    assert [rollback(three, MODEL).version for _ in range(2)] == [2, 1]
    with pytest.raises(BadInput) as refused:
        rollback(three, MODEL)
    assert str(refused.value).splitlines() == [
        f"{MODEL}/1 has no version before it",
        "Name one: assay rollback MODEL --to VERSION",
    ]


def test_while_there_is_no_champion_a_step_back_goes_to_the_last_one(three: Store) -> None:
    move(three, 1)
    with three.database.begin() as connection:
        aliases.remove(connection, MODEL, By("ann"))
    assert str(rollback(three, MODEL)) == f"{MODEL}/1"


def test_a_model_that_never_had_a_champion_has_nothing_to_go_back_to(opened: Store) -> None:
    with opened.database.begin() as connection:
        register(connection, MODEL, "0" * 64, run_id=None, trained_until=None)
    with pytest.raises(BadInput, match=f"^{MODEL} has no version before it\n"):
        rollback(opened, MODEL)


def test_where_nobody_can_go_back_to_is_told(three: Store) -> None:
    with pytest.raises(NotFound, match="did you mean long-trip"):
        rollback(three, "long-tripp")
    with pytest.raises(NotFound, match="has no version 9"):
        rollback(three, MODEL, to=9)
    with pytest.raises(BadInput) as same:
        rollback(three, MODEL, to=3)
    assert str(same.value) == f"{MODEL}/3 is the champion already\nList the versions: assay models {MODEL}"
    with three.database.begin() as connection:
        at = {"created_at": now(), "updated_at": now()}
        connection.execute(insert(model_versions).values(model=MODEL, version=4, stage="None", **at))
    with pytest.raises(BadInput) as foreign:
        rollback(three, MODEL, to=4)
    assert str(foreign.value).splitlines() == [
        f"{MODEL}/4 was registered by a client of MLflow",
        "Load it with MLflow: Assay serves only the models that it trained.",
    ]
    assert str(alias(three, MODEL)) == f"{MODEL}/3"


def overtaken(store: Store, held: int, overtake: Callable[[], object], **options: Any) -> ModelVersion:
    """A step back while which `overtake` happens: reading the bundle of the version `held` waits for it, at a pipe."""
    path = bundle_of(store, held)
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        back = pool.submit(rollback, store, MODEL, **options)
        with path.open("wb") as pipe:  # opens when the reader, which has decided, opens it too
            overtake()
            path.unlink()
            path.write_bytes(content)
            pipe.write(content)
        return back.result()


def test_a_step_back_that_another_overtakes_is_decided_again(three: Store, caplog: pytest.LogCaptureFixture) -> None:
    back = overtaken(three, 2, lambda: move(three, 1), reason="twice")
    assert (str(back), str(alias(three, MODEL))) == (f"{MODEL}/3", f"{MODEL}/3")  # what was before the other's move
    line = ledger.entries(three)[-1]
    assert line.kind == "rolled back"
    assert (line.decoded()["version"], line.decoded()["previous"], line.decoded()["reason"]) == (3, 1, "twice")
    assert caplog.messages[-1] == f"rolled {MODEL} back to version 3: twice"


def test_a_step_to_a_version_that_another_took_meanwhile_is_refused(three: Store) -> None:
    with pytest.raises(BadInput, match=f"{MODEL}/2 is the champion already"):
        overtaken(three, 2, lambda: move(three, 2), to=2)
    assert [line.decoded()["version"] for line in ledger.entries(three)] == [1, 2, 3, 2]


def bundle_of(store: Store, version: int) -> Path:
    with store.database.read() as connection:
        digest = version_of(connection, MODEL, version).bundle
    (path,) = [path for path in Path(store.home.path / "artifacts").rglob("*") if digest[4:] in path.name]
    path.parent.chmod(0o700)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_a_bundle_that_can_not_be_served_is_not_gone_back_to(three: Store, harm: str) -> None:
    path = bundle_of(three, 2)
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"another")
    with pytest.raises(Corrupt if harm == "damaged" else NotFound):
        rollback(three, MODEL)
    assert str(alias(three, MODEL)) == f"{MODEL}/3"


def test_a_step_back_does_not_wait_for_artifacts_that_do_not_come(
    three: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from assay.store import find_home

    monkeypatch.setenv("ASSAY_ARTIFACTS", "s3://nowhere/at-all")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    away = Store(find_home(three.home.path))
    assert str(rollback(away, MODEL)) == f"{MODEL}/2"
    (said,) = [one for one in caplog.messages if "could not be verified" in one]
    assert said.startswith(f"the bundle of {MODEL}/2 could not be verified: ")
    assert len(said) > len(f"the bundle of {MODEL}/2 could not be verified: None")
    away.database.dispose()
