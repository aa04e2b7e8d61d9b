"""A real Spark to check tables in."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest


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
