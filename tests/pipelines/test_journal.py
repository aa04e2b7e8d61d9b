"""The journal: a finished step is never done again, and what it gave is what the journal gives back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from assay.errors import BadInput, LeaseLost
from assay.pipelines.journal import Journal, StepEvent
from assay.store import Store, find_home, leases
from assay.store.schema import journal as table
from assay.times import now
from assay.track import begin_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    opened = Store(find_home(tmp_path / ".assay"))
    yield opened
    opened.database.dispose()


@pytest.fixture
def run_id(store: Store) -> str:
    return begin_run(store, "r").id


def rows(store: Store) -> list[Any]:
    with store.database.read() as connection:
        return list(connection.execute(select(table).order_by(table.c.started_at)))


def broken() -> None:
    raise ZeroDivisionError("no rows")


def never() -> None:
    raise AssertionError("done again")


def test_a_finished_step_is_replayed_and_the_first_unfinished_one_is_done(store: Store, run_id: str) -> None:
    begun = now()
    first = Journal(store, run_id)
    assert first.perform("load", lambda: {"day": 1}) == {"day": 1}
    assert first.perform("part", lambda: 10) == 10
    assert first.perform("part", lambda: 20) == 20
    with pytest.raises(ZeroDivisionError):
        first.perform("part", broken)
    again = Journal(store, run_id)
    assert again.perform("load", never) == {"day": 1}
    assert [again.perform("part", never) for _ in range(2)] == [10, 20]  # by how often it came before
    assert again.perform("part", lambda: 30) == 30  # what failed is done again
    found = rows(store)
    assert [(row.run_id, row.step, row.occurrence, row.status, row.result, row.error) for row in found] == [
        (run_id, "load", 1, "finished", {"day": 1}, None),
        (run_id, "part", 1, "finished", 10, None),
        (run_id, "part", 2, "finished", 20, None),
        (run_id, "part", 3, "finished", 30, None),
    ]
    assert all(begun <= row.started_at <= row.ended_at <= now() for row in found)


def test_the_reason_of_a_failed_step_is_kept(store: Store, run_id: str) -> None:
    with pytest.raises(ZeroDivisionError):
        Journal(store, run_id).perform("load", broken)
    (row,) = rows(store)
    assert (row.step, row.occurrence, row.status, row.result) == ("load", 1, "failed", None)
    assert row.error == "ZeroDivisionError: no rows"


def test_a_step_that_gives_nothing_is_not_done_again(store: Store, run_id: str) -> None:
    assert Journal(store, run_id).perform("notify", lambda: None) is None
    assert Journal(store, run_id).perform("notify", never) is None


def test_what_a_step_gives_is_what_the_journal_gives_back(store: Store, run_id: str) -> None:
    """A resumed run sees what the first one saw: a table or bytes by way of the artifacts, numbers of numpy as Python's."""
    import numpy as np

    first = Journal(store, run_id).perform("load", lambda: [b"bytes", np.float64(0.5), (1, timedelta(1))])
    assert first == Journal(store, run_id).perform("load", never) == [b"bytes", 0.5, (1, timedelta(1))]
    assert type(first[1]) is float
    with pytest.raises(BadInput, match=r"step odd returned a builtins\.object"):
        Journal(store, run_id).perform("odd", object)
    assert [row.status for row in rows(store)] == ["finished", "failed"]


def test_steps_of_another_run_are_not_this_ones(store: Store, run_id: str) -> None:
    Journal(store, run_id).perform("load", lambda: 1)
    assert Journal(store, begin_run(store, "other").id).perform("load", lambda: 2) == 2


def test_who_watches_hears_what_happens_to_each_step(store: Store, run_id: str) -> None:
    heard: list[StepEvent] = []

    def slow() -> int:
        until = now() + timedelta(seconds=0.02)
        while now() < until:
            pass
        return 1

    first = Journal(store, run_id, heard.append)
    first.perform("load", slow)
    with pytest.raises(ZeroDivisionError):
        first.perform("load", lambda: slow() / 0)
    Journal(store, run_id, heard.append).perform("load", never)
    assert [(one.step, one.occurrence, one.event) for one in heard] == [
        ("load", 1, "started"),
        ("load", 1, "finished"),
        ("load", 2, "started"),
        ("load", 2, "failed"),
        ("load", 1, "replayed"),
    ]
    assert [one.seconds >= 0.02 for one in heard] == [False, True, False, True, False]
    assert [one.seconds for one in heard if one.event in ("started", "replayed")] == [0.0] * 3


def test_who_lost_the_lease_of_the_run_neither_begins_a_step_nor_keeps_one(store: Store, run_id: str) -> None:
    lease = store.database.write(lambda connection: leases.acquire(connection, f"run/{run_id}", "me", 60))
    assert isinstance(lease, leases.Lease)

    def taken_over() -> int:
        store.database.write(lambda connection: leases.release(connection, lease))
        return 1

    journal = Journal(store, run_id)
    with leases.holding(store.database, lease):
        assert journal.perform("first", lambda: 0) == 0
        with pytest.raises(LeaseLost):
            journal.perform("second", taken_over)
        with pytest.raises(LeaseLost):
            journal.perform("third", never)
    assert [(row.step, row.status) for row in rows(store)] == [("first", "finished")]
