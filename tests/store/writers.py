"""The functions that write the database, each as a case: what it finds, how it is called, and what holds afterwards.

A case is called by many threads of two processes at once. What holds must be what calls one after the other leave.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from sqlalchemy import func, insert, select, text, update

from assay import store as stores
from assay.access.tokens import every, make_token, note_use, remove_token, tokens
from assay.blessing import Policy, bless, entries, publish, rollback, verify
from assay.checks.report import Report
from assay.checks.report_rows import keep_report, past_reports
from assay.context import WhatIf, scope, within
from assay.drift.find import _keep_day
from assay.errors import AssayError
from assay.exchange import bring, open_assay
from assay.model import Candidate, train
from assay.pipelines import lease
from assay.pipelines.journal import Journal
from assay.profiles import profile
from assay.profiles.profile_rows import kept_rows
from assay.store import Store, schema
from assay.store.spool import Spool
from assay.times import now
from assay.track import By, aliases, begin_run, died, get_run, ledger, register
from assay.track.alive import DIED, renew
from assay.track.events import META, Started, encode
from assay.track.experiments import (
    create,
    delete_experiment,
    find_experiments,
    get_experiment,
    rename_experiment,
    restore_experiment,
)
from assay.track.outbox import TOPIC
from assay.track.points import Point, add_points, history
from assay.track.purge import purge
from assay.track.runs import Run
from assay.track.show import artifacts_of, set_deleted
from assay.track.versions import versions

PROJECT = """
import lightgbm as lgb
import assay


class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    miles: float


class Long(assay.Record):
    probability: float


def features(d):
    return {"miles": d.miles}


def fit(x, y, *, trees: int = 5):
    data = lgb.Dataset(x.values, y, feature_name=x.names)
    return lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=trees)


"""
MODELS = [f"trips{number}" for number in range(12)]
PROJECT += "".join(
    f'{name} = assay.Model("{name}", takes=Trip, gives=Long, label="long", features=features, fit=fit)\n'
    for name in MODELS
)
POLICY = Policy("auc", margin=0.02, within=(0.55, 1.0), resamples=200)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Results:
    """What the calls came to."""

    good: list[Any]
    #: Names of errors.
    errors: Counter[str]

    def all_good(self) -> None:
        assert not self.errors, self.errors

    def one_wins(self, error: str) -> Any:
        assert len(self.good) == 1, (self.good, self.errors)
        assert set(self.errors) == {error}, self.errors
        return self.good[0]


@dataclass(frozen=True)
class Case:
    """A writing function as it is tried."""

    #: Makes what is there before the calls; gives what they are called with.
    before: Callable[[Store], Any]
    #: One call, with its number.
    call: Callable[[Store, Any, int], Any]
    after: Callable[[Store, Any, Results], None]
    #: How many threads of a process call.
    threads: int = 10


CASES: dict[str, Case] = {}
#: Spools that are open while a case is tried.
WRITTEN: list[Spool] = []
#: The name of the project's module, which the test has imported.
MODULE = "written_trips"


def run(store: Store, name: str, given: Any, first: int, threads: int) -> list[tuple[str, Any]]:
    """Call a case from several threads at once: for each, "" and what it gave, or the name of an error and its text."""
    barrier = Barrier(threads)

    def one(number: int) -> tuple[str, Any]:
        barrier.wait()
        try:
            return "", CASES[name].call(store, given, number)
        except AssayError as error:
            return type(error).__name__, str(error)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(first, first + threads)))


def work(connection: Any) -> None:
    """A process that calls what it is told to; the environment says in which store."""
    store = stores.current()
    store.database.schema()
    while (asked := connection.recv()) is not None:
        connection.send(run(store, *asked))


def results_of(said: Sequence[tuple[str, Any]]) -> Results:
    told = [text for error, text in said if error in ("Unavailable", "Conflict", "Corrupt")]
    assert not told, told
    return Results([value for error, value in said if not error], Counter(error for error, _ in said if error))


def case(threads: int = 10) -> Callable[[type[Any]], type[Any]]:
    """Add the case that a class is: its functions `before`, `call` and `after`."""

    def added(made: type[Any]) -> type[Any]:
        CASES[made.__name__] = Case(made.before, made.call, made.after, threads)
        return made

    return added


def a_run(store: Store, experiment: str | None = None) -> str:
    made = begin_run(store, experiment or uuid4().hex)
    made.finish()
    return made.id


def an_experiment(store: Store) -> str:
    name = uuid4().hex
    store.database.write(lambda connection: create(connection, name))
    return name


def trips(first: str, days: int) -> pa.Table:
    random = np.random.default_rng(1)
    count = days * 20
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    miles = random.uniform(0, 50, count)
    at = [start + timedelta(days=days * i / count) for i in range(count)]
    facts = {"trip": [f"{first}-{i}" for i in range(count)], "start": pa.array(at, pa.timestamp("us", "UTC"))}
    return pa.table(facts | {"miles": miles, "long": miles + random.normal(0, 8, count) > 25})


def trained(_: Store) -> Candidate:
    """A candidate of a model that no other case has."""
    MODELS.append(MODELS.pop(0))
    return train(getattr(sys.modules[MODULE], MODELS[-1]), trips("2013-01-01", 14))


def blessed(store: Store) -> Candidate:
    candidate = trained(store)
    assert bless(candidate, trips("2013-01-15", 7), POLICY).blessed
    return candidate


@case()
class RunsOfOneNewExperiment:
    def before(store: Store) -> str:
        return uuid4().hex

    def call(store: Store, name: str, number: int) -> str:
        return begin_run(store, name, run_id=f"{name}-{number}").id

    def after(store: Store, name: str, results: Results) -> None:
        results.all_good()
        assert {get_run(store, one).experiment for one in results.good} == {name}
        assert len([one for one in find_experiments(store) if one.name == name]) == 1


@case()
class RunsBelowAParentThatIsOnItsWay:
    def before(store: Store) -> str:
        """A run that only a spool knows, which its process still writes."""
        event = Started(run=uuid4().hex, experiment=uuid4().hex, name="above", kind="pipeline", at=now())
        spool = Spool(store.home.spool, TOPIC, META)
        spool.append(encode(event))
        WRITTEN.append(spool)
        return event.run

    def call(store: Store, parent: str, number: int) -> str:
        return begin_run(store, f"below {parent}", parent=parent).id

    def after(store: Store, parent: str, results: Results) -> None:
        WRITTEN.pop().close()
        results.all_good()
        assert {get_run(store, one).parent_id for one in results.good} == {parent}
        assert get_run(store, parent).name == "above"


@case()
class EventsOfOneRun:
    def before(store: Store) -> str:
        return a_run(store)

    def call(store: Store, run_id: str, number: int) -> None:
        one = Run(store, run_id)
        one.log_metrics({"m": number, f"m{number}": 1}, step=number)
        one.log_params({f"p{number}": number, "p": number})
        one.set_tags({f"t{number}": "v"})
        one.log_artifact(f"f{number}", b"x")
        one.log_dataset("rows", pa.table({"x": [1]}))
        one.flush()

    def after(store: Store, run_id: str, results: Results) -> None:
        results.all_good()
        found = get_run(store, run_id)
        numbers = range(len(results.good))
        assert {f"m{i}": 1 for i in numbers} | {"m": numbers[-1]} == found.metrics
        assert {f"p{i}": i for i in numbers}.items() <= found.params.items()
        assert {f"t{i}" for i in numbers} <= found.tags.keys()
        assert sorted(point.step for point in history(store, run_id, "m")) == list(numbers)
        assert {one.name for one in artifacts_of(store, run_id)} >= {f"f{i}" for i in numbers}


@case()
class RunsDeletedAndRestored:
    def before(store: Store) -> list[str]:
        name = uuid4().hex
        return [a_run(store, name) for _ in range(3)]

    def call(store: Store, ids: list[str], number: int) -> None:
        set_deleted(store, ids[:: 1 if number % 2 else -1], deleted=number % 3 == 0)

    def after(store: Store, ids: list[str], results: Results) -> None:
        results.all_good()
        with store.database.read() as connection:
            asked = select(schema.runs.c.deleted_at.is_(None)).where(schema.runs.c.id.in_(ids)).distinct()
            assert len(connection.execute(asked).all()) == 1  # all of them, or none


@case()
class ExperimentsDeletedRestoredAndUsed:
    def before(store: Store) -> str:
        name = an_experiment(store)
        for _ in range(3):
            a_run(store, name)
        return name

    def call(store: Store, name: str, number: int) -> None:
        if number % 3 == 0:
            begin_run(store, name)
        else:
            (delete_experiment if number % 3 == 1 else restore_experiment)(store, name)

    def after(store: Store, name: str, results: Results) -> None:
        assert set(results.errors) <= {"BadInput"}, results.errors  # a run in an experiment that was deleted
        number = get_experiment(store, name).id
        delete_experiment(store, name)
        with store.database.read() as connection:
            of = schema.runs.c.experiment_id == number
            left = connection.execute(select(schema.runs.c.id).where(of, schema.runs.c.deleted_at.is_(None))).all()
        assert left == []


@case()
class OneExperimentGetsTheName:
    def before(store: Store) -> list[str]:
        return [an_experiment(store) for _ in range(20)] + [uuid4().hex]

    def call(store: Store, names: list[str], number: int) -> int:
        rename_experiment(store, names[number], names[-1])
        return number

    def after(store: Store, names: list[str], results: Results) -> None:
        won = results.one_wins("Taken") if results.errors else results.good[0]
        left = {one.name for one in find_experiments(store)}
        assert names[-1] in left
        assert names[won] not in left


@case(threads=3)
class WhatWasDeletedGoesOnce:
    def before(store: Store) -> tuple[list[str], str, str]:
        name, gone = uuid4().hex, uuid4().hex
        ids = [a_run(store, name) for _ in range(3)]
        delete_experiment(store, name)
        number = get_experiment(store, name).id
        at = {"created_at": LONG_AGO, "updated_at": LONG_AGO, "deleted_at": LONG_AGO}
        row = {"id": gone, "experiment_id": number, "name": "m", "model_type": "", "source_run_id": "", "status": 2}
        store.database.write(lambda connection: connection.execute(insert(schema.logged_models), [row | at]))
        return ids, name, store.artifacts.put(uuid4().bytes)

    def call(store: Store, given: Any, number: int) -> int:
        return purge(store, older_than=timedelta(0), young=timedelta(0)).experiments

    def after(store: Store, given: Any, results: Results) -> None:
        results.all_good()
        ids, name, digest = given
        assert sum(results.good) >= 1
        assert name not in {one.name for one in find_experiments(store, deleted=None)}
        with store.database.read() as connection:
            left = connection.execute(select(schema.runs.c.id).where(schema.runs.c.id.in_(ids))).all()
            marks = connection.execute(select(func.count()).select_from(schema.gc_marks)).scalar_one()
        assert (left, marks) == ([], 0)
        assert digest not in {one for one, _, _ in store.artifacts.digests()}


def running(store: Store, **values: Any) -> list[str]:
    """Runs that are running since long ago."""
    ids = [a_run(store) for _ in range(4)]
    row = {"status": "running", "ended_at": None, "error": None, "started_at": LONG_AGO, "owner": None} | values
    changed = update(schema.runs).where(schema.runs.c.id.in_(ids)).values(**row)
    store.database.write(lambda connection: connection.execute(changed))
    return ids


def closed_once(store: Store, ids: list[str], results: Results) -> None:
    results.all_good()
    told = Counter(one for closed in results.good for one in closed if one in ids)
    assert told == dict.fromkeys(ids, 1)
    assert {get_run(store, one).status for one in ids} == {"killed"}


@case()
class SilentRunsAreClosedOnce:
    def before(store: Store) -> list[str]:
        return running(store)

    def call(store: Store, ids: list[str], number: int) -> list[str]:
        return died.finish_silent(store, now() - timedelta(days=1))

    after = closed_once


@case()
class DiedRunsAreClosedOnce:
    def before(store: Store) -> list[str]:
        return running(store, owner=f"elsewhere/1-{uuid4().hex}")

    def call(store: Store, ids: list[str], number: int) -> list[str]:
        return died.sweep(store)

    after = closed_once


@case()
class LeasesOfProcessesAreRenewed:
    def before(store: Store) -> tuple[list[str], str]:
        owner = f"elsewhere/2-{uuid4().hex}"
        return running(store, owner=owner, status="killed", error=DIED), owner

    def call(store: Store, given: tuple[list[str], str], number: int) -> None:
        renew(store, [given[1]])

    def after(store: Store, given: tuple[list[str], str], results: Results) -> None:
        results.all_good()
        assert {get_run(store, one).status for one in given[0]} == {"running"}
        set_deleted(store, given[0], deleted=True)


@case()
class OneTokenOfAName:
    def before(store: Store) -> str:
        return uuid4().hex

    def call(store: Store, name: str, number: int) -> str:
        return make_token(store, name, "read")

    def after(store: Store, name: str, results: Results) -> None:
        if results.errors:
            results.one_wins("Taken")
        assert [one.name for _, one in every(store) if one.name == name] == [name]


@case()
class OneRemovalOfAToken:
    def before(store: Store) -> str:
        make_token(store, name := uuid4().hex, "read")
        return name

    def call(store: Store, name: str, number: int) -> None:
        remove_token(store, name)

    def after(store: Store, name: str, results: Results) -> None:
        if results.errors:
            results.one_wins("NotFound")
        assert name not in {one.name for one in tokens(store)}


@case()
class UseOfTokens:
    def before(store: Store) -> list[str]:
        names = sorted(uuid4().hex for _ in range(5))
        for name in names:
            make_token(store, name, "read")
        return names

    def call(store: Store, names: list[str], number: int) -> None:
        note_use(store, names[:: 1 if number % 2 else -1])

    def after(store: Store, names: list[str], results: Results) -> None:
        results.all_good()
        assert all(one.used_at for one in tokens(store) if one.name in names)


@case()
class EveryReport:
    def before(store: Store) -> str:
        return uuid4().hex

    def call(store: Store, target: str, number: int) -> None:
        keep_report(store, Report(target=target, rows=number, files=0, checked_at=now(), results=()))

    def after(store: Store, target: str, results: Results) -> None:
        results.all_good()
        assert sorted(one.rows for one in past_reports(store, target)) == list(range(len(results.good)))


@case()
class ProfileOfADay:
    def before(store: Store) -> str:
        return uuid4().hex

    def call(store: Store, model: str, number: int) -> None:
        _keep_day(store, model, 1, "2026-01-02", profile(pa.table({"x": [1.0] * (number + 1)})))

    def after(store: Store, model: str, results: Results) -> None:
        results.all_good()
        assert kept_rows(store, model, "served").keys() == {(1, "2026-01-02")}


@case()
class OneStepOfARun:
    def before(store: Store) -> str:
        return a_run(store)

    def call(store: Store, run_id: str, number: int) -> int:
        return Journal(store, run_id).perform("load", lambda: number)

    def after(store: Store, run_id: str, results: Results) -> None:
        results.all_good()
        again = Journal(store, run_id).perform("load", lambda: None)
        assert again in results.good
        with store.database.read() as connection:
            assert len(connection.execute(select(schema.journal).filter_by(run_id=run_id)).all()) == 1


@case()
class OneProcessAtATime:
    def before(store: Store) -> str:
        return a_run(store)

    def call(store: Store, run_id: str, number: int) -> int:
        with lease.leased(store, run_id) as held:
            lease._renew(store, held, 30.0)
            return held.token

    def after(store: Store, run_id: str, results: Results) -> None:
        assert set(results.errors) <= {"BadInput"}, results.errors
        assert sorted(results.good) == list(range(1, len(results.good) + 1))
        assert results.good


@case(threads=2)
class EveryVerdict:
    def before(store: Store) -> Candidate:
        return trained(store)

    def call(store: Store, candidate: Candidate, number: int) -> bool:
        return bless(candidate, trips("2013-01-15", 7), POLICY).blessed

    def after(store: Store, candidate: Candidate, results: Results) -> None:
        results.all_good()
        assert len(entries(store, candidate.model)) == len(results.good)
        verify(store)


@case()
class OnePublicationOfACandidate:
    before = blessed

    def call(store: Store, candidate: Candidate, number: int) -> int | None:
        return publish(candidate).version

    def after(store: Store, candidate: Candidate, results: Results) -> None:
        results.all_good()
        assert set(results.good) == {1}
        assert [one.version for one in versions(store, candidate.model)] == [1]
        assert [one.kind for one in entries(store, candidate.model)] == ["verdict", "published"]
        verify(store)


@case()
class OnePublicationInAWhatIf:
    def before(store: Store) -> Candidate:
        with within(scope, WhatIf("past", "tick")):
            return blessed(store)

    def call(store: Store, candidate: Candidate, number: int) -> str:
        with within(scope, WhatIf("past", "tick")):
            return publish(candidate).what_if

    def after(store: Store, candidate: Candidate, results: Results) -> None:
        results.all_good()
        assert set(results.good) == {"past"}
        with store.database.read() as connection:
            asked = select(schema.what_ifs.c.kind).filter_by(model=candidate.model).order_by(schema.what_ifs.c.id)
            assert list(connection.execute(asked).scalars()) == ["verdict", "published"]
        assert versions(store, candidate.model) == []


@case()
class OneStepBack:
    def before(store: Store) -> str:
        model = uuid4().hex
        for number in range(3):
            bundle = store.artifacts.put(f"{model} {number}".encode())

            def moved(connection: Any, bundle: str = bundle) -> None:
                made = register(connection, model, bundle, run_id=None, trained_until=None)
                aliases.move(connection, model, made.version, By("me"), kind="published")

            store.database.write(moved)
        return model

    def call(store: Store, model: str, number: int) -> int:
        return rollback(store, model, to=1).version

    def after(store: Store, model: str, results: Results) -> None:
        assert (results.one_wins("BadInput") if results.errors else results.good[0]) == 1
        assert [one.kind for one in entries(store, model)][3:] == ["rolled back"]
        verify(store)


@case()
class OneLossIsAccepted:
    def before(store: Store) -> None:
        for _ in range(3):
            store.database.write(lambda connection: ledger.append(connection, "m", "verdict", "b", {"blessed": False}))
        on_sqlite = store.database.engine.dialect.name == "sqlite"
        drop = f"DROP TRIGGER IF EXISTS ledger_refuses_{'delete' if on_sqlite else 'change ON ledger'}"

        def cut(connection: Any) -> None:
            connection.execute(text(drop))
            connection.execute(text("DELETE FROM ledger WHERE id = (SELECT max(id) FROM ledger)"))

        store.database.write(cut)

    def call(store: Store, given: None, number: int) -> int:
        return ledger.accept_loss(store, "me", "a restored backup").id

    def after(store: Store, given: None, results: Results) -> None:
        if results.errors:
            results.one_wins("BadInput")
        assert [one.id for one in entries(store) if one.kind == "restored"][-1:] == results.good
        verify(store)


@case(threads=3)
class OneImport:
    def before(store: Store) -> Path:
        """Another store, with all that can come."""
        home = stores.find_home(store.home.path.parent / uuid4().hex / ".assay")
        home.path.mkdir(parents=True)
        other = Store(home)
        other.database_url = f"sqlite:///{home.path / 'assay.db'}"
        number = uuid4().hex

        def fill(connection: Any) -> None:
            at = {"created_at": LONG_AGO, "updated_at": LONG_AGO}
            e = create(connection, f"e{number}")
            one = {"id": f"r{number}", "experiment_id": e, "name": "r", "kind": "training", "status": "finished"}
            one |= {"started_at": LONG_AGO}
            connection.execute(insert(schema.runs), [one])
            connection.execute(insert(schema.runs), [one | {"id": f"c{number}", "parent_id": f"r{number}"}])
            add_points(connection, f"r{number}", [Point("m", 0.5, 1, 1)])
            file = {"run_id": f"r{number}", "name": "a.txt", "digest": other.artifacts.put(b"a"), "size_bytes": 1}
            connection.execute(insert(schema.run_artifacts), [file])
            model = {"id": f"l{number}", "experiment_id": e, "name": "m", "model_type": "", "source_run_id": ""}
            connection.execute(insert(schema.logged_models), [model | {"status": 2} | at])
            bundle = other.artifacts.put(b"bundle")
            made = register(connection, f"m{number}", bundle, run_id=f"r{number}", trained_until=LONG_AGO)
            aliases.move(connection, made.model, made.version, By("me"), name="staging")

        other.database.write(fill)
        other.database.dispose()
        return home.path

    def call(store: Store, path: Path, number: int) -> list[str]:
        return [why for why in bring(store, open_assay(str(path))).refused if "moved here" not in why]

    def after(store: Store, path: Path, results: Results) -> None:
        results.all_good()
        assert results.good == [[]] * len(results.good)
        again = bring(store, open_assay(str(path)))
        assert not again.changed
        assert again.complete
