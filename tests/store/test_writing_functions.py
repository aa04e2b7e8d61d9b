"""Every function that writes the database: at once from two processes, and alone, with an eye on what it locks.

Which functions these are is read from the code. One without a case in `writers.py` fails the first test.
"""

import ast
import importlib
import multiprocessing
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, event

sys.path.insert(0, str(Path(__file__).parent))
import writers

from assay import store as stores
from assay.store import Store, locks
from assay.store.connect import WRITES

SOURCES = Path(stores.__file__).parents[1]
GATE = SOURCES / "store" / "database.py"


def writing_functions() -> set[str]:
    """The functions that begin a transaction which writes; those of `web` are tried through their routes."""
    found = set[str]()
    for path in SOURCES.rglob("*.py"):
        if path != GATE and not path.is_relative_to(SOURCES / "web"):
            found |= {f"{path.relative_to(SOURCES)}:{name}" for name in _writing(ast.parse(path.read_text()), "")}
    return found


def _writing(node: ast.AST, within: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            of = child.func.value
            name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
            if child.func.attr in ("begin", "write") and name.lstrip("_") == "database":
                yield within
        yield from _writing(child, f"{within}.{child.name}".lstrip(".") if named else within)


class Watched:
    """The transactions of a store that write: by which function each was begun, and which tables it locked in turn."""

    def __init__(self, store: Store) -> None:
        self.begun = set[str]()
        self.locked: list[list[str]] = []
        self._engine = store.database.engine
        event.listen(self._engine, "begin", self._begin)
        event.listen(self._engine, "before_cursor_execute", self._execute)

    def stop(self) -> None:
        event.remove(self._engine, "begin", self._begin)
        event.remove(self._engine, "before_cursor_execute", self._execute)

    def _begin(self, connection: Any) -> None:
        connection.info["watched"] = None
        if connection.get_execution_options().get(WRITES):
            connection.info["watched"] = []
            self.locked.append(connection.info["watched"])
            frame: Any = sys._getframe()
            while frame and not (
                Path(frame.f_code.co_filename).is_relative_to(SOURCES) and frame.f_code.co_filename != str(GATE)
            ):
                frame = frame.f_back
            if frame:
                self.begun.add(f"{Path(frame.f_code.co_filename).relative_to(SOURCES)}:{frame.f_code.co_qualname}")

    def _execute(self, connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        into, table = connection.info.get("watched"), locked_by(statement, parameters)
        if into is not None and table:
            into.append(table)


_WRITES = re.compile(r"\s*(?:INSERT(?: OR IGNORE)? INTO|UPDATE|DELETE FROM|LOCK TABLE)\s+(\w+)")
_LOCKS = re.compile(r".*?\bFROM\s+(\w+)\b.*\bFOR (?:NO KEY |KEY )?(?:UPDATE|SHARE)", re.DOTALL)
#: Leases of processes come before all else, those of runs after it.
PROCESSES = "leases of processes"


def locked_by(statement: str, parameters: Any) -> str | None:
    """The table of which a statement locks rows. Foreign keys lock too, but only against deletion for good."""
    found = _WRITES.match(statement) or _LOCKS.match(statement)
    if not found or (found[1] == "leases" and "process/" in repr(parameters)):
        return PROCESSES if found else None
    return found[1]


RANKS = {PROCESSES: -1} | {table.name: rank for rank, table in enumerate(locks.ORDER)}


def test_the_watch_knows_what_a_statement_locks() -> None:
    assert locked_by("SELECT a, b FROM runs WHERE id = %s ORDER BY id FOR NO KEY UPDATE", ()) == "runs"
    assert locked_by("SELECT a\nFROM experiments\nWHERE x FOR SHARE", ()) == "experiments"
    assert locked_by("SELECT a FROM runs", ()) is None
    assert locked_by("UPDATE leases SET x", {"name": "process/a"}) == PROCESSES
    assert locked_by("INSERT INTO metric_series AS old (a) VALUES (1)", ()) == "metric_series"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("writers")
    (folder / f"{writers.MODULE}.py").write_text(writers.PROJECT)
    sys.path.insert(0, str(folder))
    importlib.import_module(writers.MODULE)
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop(writers.MODULE, None)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home = tmp_path_factory.mktemp("home") / ".assay"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_HOME", str(home))
        patch.delenv("ASSAY_DATABASE", raising=False)
        if request.param == "postgresql":
            patch.setenv("ASSAY_DATABASE", new_database(request.getfixturevalue("postgres")))
        patch.chdir(home.parent)
        with stores.use(stores.find_home(home)) as found:
            found.database.upgrade()
            yield found
            found.database.dispose()


def new_database(server: str) -> str:
    name = f"t{uuid4().hex}"
    admin = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="module")
def processes(store: Store) -> Iterator[list[Pipe]]:
    spawn = multiprocessing.get_context("spawn")
    ends: list[Pipe] = []
    started: list[Any] = []
    for _ in range(2):
        mine, theirs = spawn.Pipe()
        started.append(spawn.Process(target=writers.work, args=(theirs,)))
        started[-1].start()
        theirs.close()
        ends.append(mine)
    yield ends
    for end in ends:
        end.send(None)
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0]


def test_every_writing_function_has_a_case_and_locks_in_order(store: Store) -> None:
    watched = Watched(store)
    for name, case in writers.CASES.items():
        given = case.before(store)
        case.after(store, given, writers.results_of(writers.run(store, name, given, 0, 1)))
    watched.stop()
    assert writing_functions() - watched.begun == set()
    if store.database.engine.dialect.name == "sqlite":  # of which the whole is locked when a transaction begins
        return
    for locked in watched.locked:
        ranked = [RANKS[table] for table in dict.fromkeys(locked) if table in RANKS]
        assert all(one < next_one for one, next_one in pairwise(ranked)), locked


@pytest.mark.parametrize("name", writers.CASES)
def test_two_processes_with_many_threads_leave_what_calls_in_turn_leave(
    store: Store, processes: list[Pipe], name: str
) -> None:
    case = writers.CASES[name]
    given = case.before(store)
    for number, end in enumerate(processes):
        end.send((name, given, number * case.threads, case.threads))
    said = [one for end in processes for one in end.recv()]
    case.after(store, given, writers.results_of(said))
