"""Real databases and a real Spark to check tables in."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from sqlalchemy import create_engine


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
        columns = ", ".join(f'"{field.name.replace("%", "%%")}" {types[field.type]}' for field in table.schema)
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
        pytest.skip("MISSING: Spark. Run make parts, and install Java 17.")
    from pyspark.sql import SparkSession

    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.sql.session.timeZone": "UTC"}
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
