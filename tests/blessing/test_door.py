"""The champion moves only through its door, with a line in the ledger, whoever asks; and publishing goes on after it."""

import ast
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay import store as stores
from assay.blessing import Policy, bless, entries, publish, rollback, verify
from assay.errors import BadInput, NotFound, Refused
from assay.model import train
from assay.store import Store
from assay.track import By, alias, aliases, champion, register
from assay.track.provenance import user

SOURCES = Path(__file__).parents[2] / "src" / "assay"
POLICY = Policy("auc", margin=0.02, within=(0.55, 1.0))
HOLDOUT = ("2013-01-15", 7, 60, 2)
MODEL = "long-trip"


def candidate_of(module: Any, trips: Callable[..., Any], trees: int) -> Any:
    candidate = train(module.model, trips(), trees=trees)
    assert bless(candidate, trips(*HOLDOUT), POLICY).blessed
    return candidate


def move(store: Store, version: int, reason: str = "") -> None:
    with store.database.begin() as connection:
        aliases.move(connection, MODEL, version, By("ann", reason, "MLflow's API"))


#: It asks which versions an alias names, so that their training rows stay; it lies beside `track`, and may not import it.
READS = "predictions/bounds.py"


def test_no_other_module_writes_the_table_of_aliases() -> None:
    written = (SOURCES / READS).read_text()
    assert not any(f"{word}(aliases" in written for word in ("insert", "upsert", "update", "insert_new", "delete"))
    knowing = set[str]()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = isinstance(node, ast.ImportFrom) and node.module == "assay.store.schema"
            named = imported and any(one.name in ("aliases", "*") for one in node.names)
            named |= (
                isinstance(node, ast.ImportFrom)
                and node.module == "assay.store"
                and any(one.name == "schema" for one in node.names)
            )
            named |= isinstance(node, ast.Import) and any(one.name == "assay.store.schema" for one in node.names)
            if named:
                knowing.add(path.relative_to(SOURCES).as_posix())
    assert knowing - {READS, "exchange/assay_store.py"} == {"track/aliases.py"}  # which reads another store


def test_a_move_by_hand_is_a_line_with_who_and_why_and_publishing_goes_on(opened, project, trips) -> None:
    module = project()
    for trees in (20, 21, 22):
        publish(candidate_of(module, trips, trees))
    move(opened, 1, "a complaint")
    line = entries(opened)[-1]
    assert (line.kind, line.model) == ("moved", MODEL)
    assert line.decoded() == {
        "alias": "champion",
        "version": 1,
        "previous": 3,
        "who": "ann",
        "reason": "a complaint",
        "through": "MLflow's API",
    }
    assert str(publish(candidate_of(module, trips, 23))) == f"{MODEL}/4"
    assert verify(opened) == 9


def test_a_move_to_where_it_stands_is_no_line(opened, project, trips) -> None:
    publish(candidate_of(project(), trips, 20))
    before = entries(opened)
    move(opened, 1)
    assert entries(opened) == before


def test_a_step_back_undoes_a_move_by_hand(opened, project, trips) -> None:
    module = project()
    for trees in (20, 21, 22):
        publish(candidate_of(module, trips, trees))
    move(opened, 1)
    assert str(rollback(opened, MODEL)) == f"{MODEL}/3"
    assert str(rollback(opened, MODEL)) == f"{MODEL}/2"


def test_what_was_rolled_back_does_not_come_back_by_its_old_verdict(opened, project, trips) -> None:
    # The verdict was made beside version 1, which is champion again: only the order of the ledger tells.
    module = project()
    publish(candidate_of(module, trips, 20))
    second = candidate_of(module, trips, 21)
    publish(second)
    rollback(opened, MODEL)
    with pytest.raises(Refused, match="was judged before the champion changed"):
        publish(second)
    assert str(alias(opened, MODEL)) == f"{MODEL}/1"
    assert bless(second, trips(*HOLDOUT), POLICY).blessed
    assert str(publish(second)) == f"{MODEL}/2"


@pytest.mark.parametrize("how", ["moved and moved back", "removed and put back"])
def test_a_verdict_does_not_count_after_the_champion_was_another_meanwhile(how: str, opened, project, trips) -> None:
    module = project()
    for trees in (20, 21):
        publish(candidate_of(module, trips, trees))
    third = candidate_of(module, trips, 22)
    if how == "moved and moved back":
        move(opened, 1)
    else:
        with opened.database.begin() as connection:
            aliases.remove(connection, MODEL, By("ann"))
    move(opened, 2)
    with pytest.raises(Refused, match="was judged before the champion changed"):
        publish(third)


def test_the_champion_can_be_removed_and_made_again(opened, project, trips) -> None:
    module = project()
    for trees in (20, 21):
        publish(candidate_of(module, trips, trees))
    judged_before = candidate_of(module, trips, 22)
    with opened.database.begin() as connection:
        aliases.remove(connection, MODEL, By("ann"))
    assert (entries(opened)[-1].kind, entries(opened)[-1].decoded()["previous"]) == ("removed", 2)
    with pytest.raises(NotFound, match="none of them is the champion"):
        champion(opened, MODEL)
    with pytest.raises(Refused, match="version 2 was removed"):
        publish(judged_before)
    assert str(rollback(opened, MODEL)) == f"{MODEL}/2"
    with opened.database.begin() as connection:
        aliases.remove(connection, MODEL, By("ann"))
    assert str(publish(candidate_of(module, trips, 23))) == f"{MODEL}/3"  # as a first model, by its own range
    assert str(rollback(opened, MODEL)) == f"{MODEL}/2"


def test_a_version_that_can_not_be_served_does_not_become_the_champion(opened, project, trips) -> None:
    publish(candidate_of(project(), trips, 20))
    with opened.database.begin() as connection:
        by_a_client(connection, MODEL)
    with pytest.raises(BadInput, match="has no bundle to serve"):
        move(opened, 2)
    with pytest.raises(BadInput, match="was registered by a client of MLflow"):
        rollback(opened, MODEL, to=2)
    assert str(alias(opened, MODEL)) == f"{MODEL}/1"


def by_a_client(connection: Any, model: str) -> None:
    from sqlalchemy import insert

    from assay.store.schema import model_versions
    from assay.track.versions import next_version

    at = datetime(2026, 1, 1, tzinfo=UTC)
    row = {
        "model": model,
        "version": next_version(connection, model),
        "created_at": at,
        "updated_at": at,
        "stage": "None",
    }
    connection.execute(insert(model_versions).values(row))


def test_publishing_begins_anew_beside_a_champion_of_an_mlflow_client(opened, project, trips) -> None:
    with opened.database.begin() as connection:
        by_a_client(connection, MODEL)
        aliases.move(connection, MODEL, 1, By("ann"))
    assert entries(opened) == []  # not a model of ours yet
    assert str(publish(candidate_of(project(), trips, 20))) == f"{MODEL}/2"
    assert entries(opened)[-1].decoded()["previous"] == 1


def test_a_published_model_keeps_its_name(opened, project, trips) -> None:
    publish(candidate_of(project(), trips, 20))
    with (
        pytest.raises(BadInput, match="can't be renamed: Assay published versions of it"),
        opened.database.begin() as connection,
    ):
        aliases.rename(connection, MODEL, "another")


def test_a_move_that_fails_leaves_neither_line_nor_alias(opened, project, trips) -> None:
    module = project()
    for trees in (20, 21):
        publish(candidate_of(module, trips, trees))
    with pytest.raises(ZeroDivisionError), opened.database.begin() as connection:
        aliases.move(connection, MODEL, 1, By("ann"))
        _ = 1 / 0
    assert (str(alias(opened, MODEL)), len(entries(opened))) == (f"{MODEL}/2", 4)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with five versions, whose first is the champion."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgres")
    monkeypatch.setenv("ASSAY_DATABASE", url)
    with stores.use(stores.find_home(tmp_path / ".assay")) as store:
        with store.database.begin() as connection:
            for number in range(1, 6):
                digest = store.artifacts.put(f"bundle {number}".encode())
                register(connection, MODEL, digest, run_id=None, trained_until=None)
                aliases.move(connection, MODEL, number, By("ann"), kind="published")
        yield store
        store.database.dispose()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each gives, or the error it raises, when all begin together."""
    start = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return work()
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def chain(store: Store) -> list[tuple[Any, Any]]:
    """What was before, and what came: each line of the champion."""
    return [(line.decoded()["previous"], line.decoded()["version"]) for line in entries(store, MODEL)]


def test_steps_back_at_once_end_as_one_after_the_other(shared: Store) -> None:
    found = at_once(*[lambda: rollback(shared, MODEL).version] * 3)
    assert sorted(found) == [2, 3, 4]
    assert str(champion(shared, MODEL)) == f"{MODEL}/2"
    moves = chain(shared)
    assert moves[-3:] == [(5, 4), (4, 3), (3, 2)]
    assert verify(shared) == 8


def test_moves_at_once_are_lines_one_after_the_other(shared: Store) -> None:
    works = [lambda version=version: move(shared, version) for version in (1, 2, 3, 4)] * 3
    works += [lambda: rollback(shared, MODEL)] * 2
    odd = [one for one in at_once(*works) if isinstance(one, Exception) and not isinstance(one, BadInput)]
    assert odd == []
    moves = chain(shared)
    assert all(before == came for (_, came), (before, _) in itertools.pairwise(moves))
    assert champion(shared, MODEL).version == moves[-1][1]
    verify(shared)


def test_versions_made_at_once_have_numbers_of_their_own(shared: Store) -> None:
    def made(text: str) -> int:
        with shared.database.begin() as connection:
            if text.startswith("client"):
                by_a_client(connection, MODEL)
                return 0
            version = register(connection, MODEL, shared.artifacts.put(text.encode()), run_id=None, trained_until=None)
            aliases.move(connection, MODEL, version.version, By("ann"), kind="published")
            return version.version

    found = at_once(*[lambda text=text: made(text) for text in ("a", "client", "b", "client", "c", "client", "d")])
    assert [one for one in found if isinstance(one, Exception)] == []
    assert len(set(found) - {0}) == 4
    moves = chain(shared)
    assert all(before == came for (_, came), (before, _) in itertools.pairwise(moves))


def test_who_steps_back_is_the_user(shared: Store) -> None:
    rollback(shared, MODEL, reason="too eager")
    body = entries(shared)[-1].decoded()
    assert (body["who"], body["reason"], body["through"]) == (user(), "too eager", "assay")
