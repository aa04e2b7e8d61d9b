"""The lines of the ledger: sealed one after the other, read back as they were, and any change is seen."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay.errors import BadInput, Corrupt, LeaseLost, Refused
from assay.store import Store, find_home, leases
from assay.store.ledger_marks import name_of, read_marks
from assay.store.sealed import Mark
from assay.track import ledger
from assay.track.ledger import Kind, LedgerEntry

Opens = Callable[[], Store]
ACCEPT = "assay ledger --accept-loss --reason TEXT"


@pytest.fixture
def opens(home: Path) -> Iterator[Opens]:
    """Opens the home; again for a database that was changed from outside."""
    stores: list[Store] = []

    def begun() -> Store:
        stores.append(Store(find_home(home)))
        return stores[-1]

    yield begun
    for store in stores:
        store.database.dispose()


def append(
    store: Store, body: object = None, *, model: str = "m", kind: Kind = "verdict", bundle: str = "b"
) -> LedgerEntry:
    return store.database.write(lambda connection: ledger.append(connection, model, kind, bundle, body or {}))


def change(home: Path, statement: str, *values: Any) -> None:
    """As somebody can who owns the file."""
    with sqlite3.connect(home / "assay.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement, values)
    connection.close()


def test_each_line_is_sealed_with_that_before(opens: Opens) -> None:
    store = opens()
    started = datetime.now(UTC)
    made = [
        append(store, {"z": 1, "a": ["ü", None]}, model="x", bundle="one"),
        append(store, {"alias": "champion", "version": 1}, kind="published", bundle="two"),
        append(store, {"alias": "beta", "version": 1}, kind="moved"),
    ]
    assert ledger.entries(opens()) == made
    assert [(line.id, line.model, line.kind, line.bundle) for line in made] == [
        (1, "x", "verdict", "one"),
        (2, "m", "published", "two"),
        (3, "m", "moved", "b"),
    ]
    assert made[0].body == '{"a":["ü",null],"z":1}'
    assert made[0].decoded() == {"z": 1, "a": ["ü", None]}
    assert all(started <= line.at <= datetime.now(UTC) for line in made)
    previous = "0" * 64
    for line in made:  # anybody can check a seal with what every language has
        at = line.at.isoformat()
        sealed = [previous, line.id, line.model, line.kind, line.bundle, at, line.body]
        plain = json.dumps(sealed, separators=(",", ":"), ensure_ascii=False).encode()
        assert (line.previous_hash, line.hash) == (previous, hashlib.sha256(plain).hexdigest())
        previous = line.hash
    assert ledger.verify(store) == 3


def test_lines_are_asked_for_by_model_bundle_and_alias(opens: Opens) -> None:
    store = opens()
    lines = [
        append(store, {"n": 1}, bundle="one"),
        append(store, {"n": 2}, bundle="two"),
        append(store, {"n": 3}, bundle="one"),
        append(store, {"version": 1}, kind="published", bundle="one"),  # of a time without other aliases
        append(store, {"alias": "beta", "version": 1}, kind="moved"),
        append(store, {"alias": "champion", "version": None}, kind="removed"),
        append(store, {"alias": "champion", "version": 1}, kind="rolled back", model="other"),
        append(store, {"lost": []}, kind="restored"),
    ]
    assert ledger.entries(store) == lines
    assert ledger.entries(store, "other") == [lines[6]]
    with store.database.read() as connection:
        assert ledger.last_verdict(connection, "one") == lines[2]
        assert ledger.last_verdict(connection, "two") == lines[1]
        assert ledger.last_verdict(connection, "b") is None
        assert ledger.moves(connection, "m") == [lines[3], lines[5]]
        assert ledger.moves(connection, "other") == [lines[6]]
    assert [line.id for line in lines if line.moves("beta")] == [5]
    assert [line.id for line in lines if line.moves()] == [4, 6, 7]
    append(store, {"alias": "beta", "version": 2}, kind="moved")
    append(store, {"n": 4})  # a verdict moves nothing
    with store.database.read() as connection:
        assert ledger.last_told(connection, "m") == ([lines[3], lines[5]], 9)
        assert ledger.last_told(connection, "other") == ([lines[6]], 7)
        assert ledger.last_told(connection, "nobody") == ([], 0)


@pytest.mark.parametrize("column", ["model", "kind", "bundle", "at", "body", "previous_hash", "hash"])
def test_a_line_that_was_changed_is_named(column: str, opens: Opens, home: Path) -> None:
    for n in range(4):
        append(opens(), {"n": n})
    value = {"at": "2013-01-01 00:00:00.000000", "body": '{"n":9}', "kind": "moved"}.get(column, "f" * 64)
    change(home, f"UPDATE ledger SET {column} = ? WHERE id = 3", value)
    with pytest.raises(Corrupt) as told:
        ledger.verify(opens())
    assert str(told.value) == "line 3 of the ledger was changed\nCompare it with a backup of the database."
    with pytest.raises(Corrupt, match="line 3 of the ledger was changed"):
        ledger.accept_loss(opens(), "ann", "never mind")


@pytest.mark.parametrize(
    ("statement", "named"),
    [("DELETE FROM ledger WHERE id = 2", 3), ("UPDATE ledger SET id = 9 WHERE id = 4", 9), ("DELETE FROM ledger WHERE id = 1", 2)],
)  # fmt: skip
def test_a_line_that_was_taken_out_is_seen_by_the_next(statement: str, named: int, opens: Opens, home: Path) -> None:
    for n in range(4):
        append(opens(), {"n": n})
    change(home, statement)
    with pytest.raises(Corrupt, match=f"line {named} of the ledger was changed"):
        ledger.verify(opens())


@pytest.mark.parametrize(("left", "lost"), [(4, "line"), (3, "2 lines"), (0, "5 lines")])
def test_lost_lines_are_told_and_accepted_once(left: int, lost: str, opens: Opens, home: Path) -> None:
    for n in range(5):
        append(opens(), {"n": n})
    newest = ledger.entries(opens())[-1]
    change(home, "DELETE FROM ledger WHERE id > ?", left)
    store = opens()
    with pytest.raises(Refused) as told:
        ledger.verify(store)
    assert str(told.value).splitlines() == [
        f"the ledger lacks its last {lost}: it has {left}, and had 5",
        f"  known from the mark in {store.ledger_marks.name}",
        f"Restore a newer backup of the database. If you know why they are gone: {ACCEPT}",
    ]
    (mark,) = read_marks(store.ledger_marks)
    assert mark.seal == newest.hash
    line = ledger.accept_loss(store, "ann\0", "w" * 1001)
    assert (line.model, line.kind, line.bundle, line.id) == ("", "restored", "", left + 1)
    assert line.decoded() == {"who": "ann\\0", "reason": "w" * 1000, "lost": [name_of(mark)]}
    assert ledger.verify(store) == left + 1
    with pytest.raises(BadInput) as refused:
        ledger.accept_loss(store, "ann", "again")
    assert str(refused.value) == "no line of the ledger is missing\nShow it: assay ledger"


def test_a_line_that_is_another_than_its_mark_says_is_named_the_first_of_them(opens: Opens) -> None:
    store = opens()
    for n in range(5):
        append(store, {"n": n})
    chain = ledger.entries(store)[0].hash
    wrong = [Mark(chain, number, "e" * 64) for number in (4, 2)]
    for mark in wrong:
        store.ledger_marks.put(name_of(mark))
    with pytest.raises(Corrupt) as told:
        ledger.verify(store)
    assert str(told.value).splitlines() == [
        "line 2 of the ledger differs from its mark",
        f"  {store.ledger_marks.name}/{name_of(wrong[1])}",
        f"Compare it with a backup of the database. After a restore that you know of: {ACCEPT}",
    ]
    line = ledger.accept_loss(store, "ann", "")
    assert line.decoded()["lost"] == sorted(name_of(mark) for mark in wrong)
    assert ledger.verify(store) == 6


def test_marks_of_another_ledger_say_nothing_of_this_one(opens: Opens) -> None:
    store = opens()
    append(store)
    store.ledger_marks.put(name_of(Mark("d" * 64, 99, "e" * 64)))
    assert ledger.verify(store) == 1


def test_a_number_that_no_line_has_is_no_line(opens: Opens) -> None:
    store = opens()
    append(store)
    chain = ledger.entries(store)[0].hash
    store.ledger_marks.put(name_of(Mark(chain, 0, "e" * 64)))
    assert ledger.verify(store) == 1


def test_the_mark_of_a_line_takes_the_place_of_that_before(opens: Opens) -> None:
    store = opens()
    for n in range(3):
        line = append(store, {"n": n})
        (mark,) = read_marks(store.ledger_marks)
        first = ledger.entries(store)[0].hash
        assert (mark.chain, mark.number, mark.seal) == (first[:16], n + 1, line.hash)


def test_who_lost_the_lease_of_his_run_adds_no_line(opens: Opens) -> None:
    store = opens()
    lease = store.database.write(lambda connection: leases.acquire(connection, "run/r", "me", 60))
    assert isinstance(lease, leases.Lease)
    with leases.holding(store.database, lease):
        append(store)
        store.database.write(lambda connection: leases.release(connection, lease))
        with pytest.raises(LeaseLost):
            append(store)
    assert len(ledger.entries(store)) == 1


def test_on_postgres_lines_are_added_one_after_the_other(new_postgres: str, home: Path, monkeypatch) -> None:
    monkeypatch.setenv("ASSAY_DATABASE", new_postgres)
    store = Store(find_home(home))
    held = "SELECT mode FROM pg_locks WHERE relation = 'ledger'::regclass AND mode = 'ExclusiveLock' AND granted"
    with store.database.begin() as connection:
        ledger.append(connection, "m", "verdict", "b", {})
        with store.database.read() as other:  # others read meanwhile, and wait with their own lines
            assert other.exec_driver_sql(held).scalars().all() == ["ExclusiveLock"]
            assert other.exec_driver_sql("SELECT count(*) FROM ledger").scalar() == 0
    append(store, {"n": 2})
    assert ledger.verify(store) == 2
    store.database.dispose()
