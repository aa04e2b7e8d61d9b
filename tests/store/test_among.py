"""What is looked up or changed for very many ids, more than a statement has parameters, on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from assay.access.tokens import note_use
from assay.errors import NotFound
from assay.store import Store, find_home, leases, schema
from assay.store.among import among
from assay.times import now
from assay.track import aliases, begin_run, find
from assay.track.events import known
from assay.track.experiments import find_experiments
from assay.track.points import newest_points
from assay.track.show import set_deleted
from assay.web.mlflow import logged
from assay.web.mlflow.inputs import inputs_and_outputs

MANY = 70_000


@pytest.fixture
def opened(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("ASSAY_DATABASE", url)
    store = Store(find_home(tmp_path / ".assay"))
    store.database.upgrade()
    yield store
    store.database.dispose()


def test_as_many_values_as_one_likes_are_compared_with(opened: Store) -> None:
    rows = [{"digest": f"ü'{number}", "gc": "g", "at": now()} for number in range(0, MANY, 1000)]
    with opened.database.begin() as connection:
        connection.execute(insert(schema.gc_marks), rows)
        c = schema.gc_marks.c
        for count in (0, 1, 400, MANY):
            values = [f"ü'{number}" for number in range(count)]
            found = set(connection.execute(select(c.digest).where(among(c.digest, values))).scalars())
            assert found == {row["digest"] for row in rows} & set(values)
        assert connection.execute(delete(schema.gc_marks).where(among(c.digest, set(values)))).rowcount == len(rows)
        numbers = among(schema.experiments.c.id, range(MANY))
        assert list(connection.execute(select(schema.experiments.c.name).where(numbers)).scalars()) == ["Default"]


def test_runs_and_what_belongs_to_them_are_found_among_very_many(opened: Store) -> None:
    with begin_run(opened, "e") as run:
        run.log_params({"p": 1})
        run.log_metrics({"m": 1.0})
    ids = [run.id, *(f"none-{number}" for number in range(MANY))]
    experiments = [one.id for one in find_experiments(opened)]
    with opened.database.read() as connection:
        (found,) = find.load(connection, ids)
        assert (found.params, found.metrics) == ({"p": 1}, {"m": 1.0})
        assert inputs_and_outputs(connection, ids).keys() == set(ids)
        assert newest_points(connection, ids).keys() == {run.id}
        assert known(connection, schema.runs, set(ids)) == {run.id}
        assert aliases.pointing(connection, ids) == {}
        assert logged.load(connection, among(schema.logged_models.c.id, ids)) == []
    page = find.search(opened, "", experiment_ids=[*experiments, *range(10**6, 10**6 + MANY)])
    assert [one.id for one in page.runs] == [run.id]


def test_very_many_are_changed_at_once(opened: Store) -> None:
    with begin_run(opened, "e") as run:
        pass
    with pytest.raises(NotFound, match="there is no run 'none'"):
        set_deleted(opened, [run.id, "none"], deleted=True)
    assert find.get_run(opened, run.id).deleted_at is None
    names: list[Any] = [f"none-{number}" for number in range(MANY)]
    note_use(opened, names)
    opened.database.write(lambda connection: leases.forget(connection, names))
