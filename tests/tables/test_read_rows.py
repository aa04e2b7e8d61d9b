"""Tables whose files were written at other times."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from assay.errors import BadInput
from assay.tables import read


class Ride(assay.Record):
    start: assay.EventTime
    miles: float | None
    seats: int | None


def written(project: Path, *columns: dict[str, pa.Array]) -> None:
    for day, values in enumerate(columns, 1):
        folder = project / "rides" / f"day=2013-01-0{day}"
        folder.mkdir(parents=True)
        start = pa.array([datetime(2013, 1, day, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        pq.write_table(pa.table({"start": start, **values}), folder / "part.parquet")


@pytest.mark.parametrize(
    "first",
    [pa.array([None]), pa.array([7]), pa.array([7.0], pa.float32())],
    ids=["nothing yet", "whole numbers", "half as long"],
)
def test_later_files_may_have_wider_types(first: pa.Array, opened, tmp_path: Path) -> None:
    seats = pa.array([4])
    written(tmp_path, {"miles": first, "seats": seats}, {"miles": pa.array([2.5]), "seats": seats})
    assert read("rides", Ride)["miles"].to_pylist() == [*first.to_pylist(), 2.5]


def test_a_column_that_came_later_is_null_before(opened, tmp_path: Path) -> None:
    miles = pa.array([1.0])
    written(tmp_path, {"miles": miles}, {"miles": miles, "seats": pa.array([4])})
    assert read("rides", Ride, until="2013-01-03", last="7d")["seats"].to_pylist() == [None, 4]


def test_files_that_can_t_agree_are_bad_input(opened, tmp_path: Path) -> None:
    seats = pa.array([4])
    written(tmp_path, {"miles": pa.array([1.0]), "seats": seats}, {"miles": pa.array(["far"]), "seats": seats})
    with pytest.raises(BadInput, match="the files of rides disagree"):
        read("rides", Ride)
