"""A real Spark gives the same bits as this process."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from assay.errors import BadInput
from assay.model import LoadedModel
from assay.scoring import score_spark
from assay.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")


def test_spark_gives_the_same_bits(
    champion: LoadedModel, opened: Store, trips: pa.Table, in_spark: Callable[[pa.Table], Any]
) -> None:
    miles = trips["miles"].to_pylist()
    miles[7] = -5.0
    bad = trips.drop_columns(["length"]).set_column(3, "miles", pa.array(miles))
    frame = score_spark(opened, champion, in_spark(bad).repartition(3))
    found = {row["trip"]: row.asDict() for row in frame.collect()}
    here = champion.score(bad).to_pylist()
    assert len(found) == 600
    for trip, row in zip(bad["trip"].to_pylist(), here, strict=True):
        assert {name: found[trip][name] for name in row} == row
    assert found["t7"]["error"] == "miles: -5.0, expected a number, 0 to 100 mi"


def test_a_frame_that_does_not_fit_is_refused_at_once(
    champion: LoadedModel, opened: Store, trips: pa.Table, in_spark: Callable[[pa.Table], Any]
) -> None:
    with pytest.raises(BadInput, match="no column miles"):
        score_spark(opened, champion, in_spark(trips.drop_columns(["miles"])))
    with pytest.raises(BadInput, match="has a column length already"):
        score_spark(opened, champion, in_spark(trips))
