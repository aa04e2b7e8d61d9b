"""Two homes on one PostgreSQL and one bucket: files reach everybody, a bucket that hangs slows nobody, gc takes nothing
that another's spool still brings."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, delete, text

from assay import store
from assay.store import Artifacts, Store
from assay.store.bucket import Bucket
from assay.store.marks import marked
from assay.store.schema import run_artifacts, runs
from assay.track import begin_run, find_runs
from assay.track.outbox import deliver
from assay.track.pending import hand_on, pending
from assay.track.purge import purge

NOTHING = "postgresql://nobody@127.0.0.1:1/nothing"
CONTENT = b"a model of B"


@pytest.fixture
def database(postgres: str) -> str:
    """A database of its own."""
    name = f"t{uuid4().hex}"
    admin = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the team keeps its artifacts."""
    return request.getfixturevalue("bucket") if request.param == "bucket" else f"file://{tmp_path}/shared"


@pytest.fixture
def home(tmp_path: Path, database: str, place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Store]]:
    """Opens the home of a machine; `url` is what it sees of the database."""
    opened: list[Store] = []

    def open_one(name: str, url: str = database) -> Store:
        monkeypatch.setenv("ASSAY_DATABASE", url)
        monkeypatch.setenv("ASSAY_ARTIFACTS", place)
        found = Store(store.find_home(tmp_path / name / ".assay"))
        _ = found.artifacts
        opened.append(found)
        return found

    yield open_one
    for one in opened:
        if one.database_url != NOTHING:
            one.database.dispose()


def log_one(opened: Store, content: bytes = CONTENT) -> str:
    with begin_run(opened, "m") as run:
        return run.log_artifact("model.bin", content)


both = pytest.mark.parametrize("place", ["bucket", "folder"], indirect=True)


@both
def test_what_one_machine_logs_the_other_reads(home: Callable[..., Store]) -> None:
    digest = log_one(home("b"))
    assert home("a").artifacts.get(digest) == CONTENT


@both
def test_gc_on_one_machine_leaves_what_the_spool_of_another_still_brings(home: Callable[..., Store]) -> None:
    """The database is away for B, longer than the age that gc spares; the artifacts are not."""
    a = home("a")
    assert find_runs(a) == []
    digest = log_one(home("b", NOTHING))
    time.sleep(1.1)  # S3 tells seconds
    purge(a, older_than=timedelta(), young=timedelta())  # as if a day had gone by
    back = home("b")
    assert back.artifacts.get(digest) == CONTENT  # here it is found all the time
    deliver(back)
    assert a.artifacts.get(digest) == CONTENT
    assert [path for path in (back.home.path / "pending").rglob("*") if path.is_file()] == []
    time.sleep(1.1)
    purge(a, older_than=timedelta(), young=timedelta())
    assert a.artifacts.get(digest) == CONTENT


@both
def test_a_file_is_handed_on_only_once_its_row_is_there_and_no_clean_up_has_marked_it(
    home: Callable[..., Store],
) -> None:
    b = home("b")
    waiting = pending(b.home.path)
    digest = waiting.put(CONTENT)
    hand_on(b)
    assert [name for name, _, _ in b.artifacts.digests()] == []  # without a row it is of nobody
    with begin_run(b, "m") as run, marked(b.database, [digest]):
        run.log_artifact("model.bin", CONTENT)
        run.flush()
        assert [name for name, _, _ in b.artifacts.digests() if name == digest] == []
    assert [name for name, _, _ in b.artifacts.digests() if name == digest] == [digest]


@both
def test_content_that_nobody_refers_to_any_more_is_removed_unless_it_is_kept_again(
    home: Callable[..., Store],
) -> None:
    a = home("a")
    digest = log_one(a)
    with a.database.begin() as connection:
        connection.execute(delete(run_artifacts))
        connection.execute(delete(runs))
    assert purge(a, older_than=timedelta()).files == 0  # young
    assert log_one(home("b")) == digest
    time.sleep(1.1)
    purge(a, older_than=timedelta(), young=timedelta())
    assert a.artifacts.get(digest) == CONTENT
    with a.database.begin() as connection:
        connection.execute(delete(run_artifacts))
    assert purge(a, older_than=timedelta(), young=timedelta()).files >= 1
    assert digest not in [name for name, _, _ in a.artifacts.digests()]


@pytest.mark.parametrize("place", ["bucket"], indirect=True)
def test_an_old_object_that_is_kept_again_is_young_again(
    home: Callable[..., Store], place: str, tmp_path: Path
) -> None:
    a = home("a")
    digest = a.artifacts.put(CONTENT)
    (first,) = [modified for name, _, modified in a.artifacts.digests() if name == digest]
    time.sleep(1.1)  # S3 tells seconds
    a.artifacts.put(CONTENT)
    assert [modified for name, _, modified in a.artifacts.digests() if name == digest] == [first]
    Artifacts(Bucket(place, tmp_path, renew_after=timedelta(seconds=1))).put(CONTENT)
    assert [modified > first for name, _, modified in a.artifacts.digests() if name == digest] == [True]


LOGS = """
import time
import assay
with assay.start_run("m", system_metrics=False) as run:
    begun = time.perf_counter()
    for n in range(100):
        assay.log_text(f"{n}.txt", f"text {n}")
        assay.log_metric("loss", n, n)
    print(time.perf_counter() - begun)
"""


def test_a_bucket_that_takes_connections_and_never_answers_slows_no_call(
    tmp_path: Path, s3: dict[str, str], bucket: str
) -> None:
    environment = {**os.environ, **s3, "ASSAY_ARTIFACTS": bucket, "ASSAY_HOME": str(tmp_path / ".assay")}
    environment.pop("ASSAY_DATABASE", None)
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        hanging = {**environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", LOGS], env=hanging, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        took = time.monotonic() - begun
    assert float(done.stdout) < 15  # one request alone would wait for 15 s
    assert took < 60
    waiting = pending(tmp_path / ".assay")
    assert len(list(waiting.digests())) >= 100
    code = "from assay.store import current; from assay.track.outbox import deliver; deliver(current())"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
    assert list(waiting.digests()) == []
