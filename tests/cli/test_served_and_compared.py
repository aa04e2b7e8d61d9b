"""What a server answered, compared by the command, when contracts and clients are odd."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay import store
from assay.contract.decode import to_json
from assay.errors import BadInput, Refused
from assay.predictions import drain_predictions
from assay.serve.answer import answer, open_served
from assay.serve.send import parse_fault
from assay.track import champion

Row = dict[str, Any]


def serve(change: Callable[[Row], Row], rows: range) -> None:
    """The champion answers some rows of the table, each changed."""
    table = pq.read_table("trips.parquet").drop_columns(["long"]).to_pylist()
    with store.use(store.find_home()) as opened:
        served = open_served(opened, champion(opened, "long-trip"), rotate_s=600)
        for i in rows:
            answer(served, to_json(change(table[i])), f"r{i}")
        served.log.close()
        drain_predictions(opened.home)


@pytest.mark.parametrize("year", [1, 9999])
def test_an_event_time_at_the_end_of_time_is_a_finding_and_stops_nothing(year: int, published: Path, assay) -> None:
    serve(lambda row: row | {"start": datetime(year, 1, 1, tzinfo=UTC)} if row["trip"] == "t1" else row, range(5))
    said = assay("skew", "long-trip")
    assert said.code == 1, said
    assert "start: 1 of 5 rows differ" in said.out


def test_rows_of_versions_with_other_contracts_are_compared_each_with_its_own(published: Path, assay) -> None:
    serve(lambda row: row, range(3))
    script = (published / "taxi.py").read_text()
    (published / "taxi.py").write_text(
        script.replace('unit="mi")]\n', 'unit="mi")]\n    seats: int\n', 1).replace(
            '"miles": d.miles', '"miles": d.miles, "seats": d.seats'
        )
    )
    table = pq.read_table("trips.parquet")
    pq.write_table(table.append_column("seats", pa.array(range(len(table)))), "trips.parquet")
    assert "published as long-trip/2" in assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish", "--again").out
    assert assay("skew", "long-trip").code == 0  # nothing served by it yet
    serve(lambda row: row, range(3, 6))
    said = assay("skew", "long-trip")
    assert (said.code, "6 served rows, version 1, 2, 6 of them in trips.parquet" in said.out) == (0, True), said


def test_parameters_of_several_types_are_read_by_sql_whatever_the_case(published: Path, assay) -> None:
    assay("run", "taxi:daily", "--asof", "2013-01-20", "--publish", "--set", "trees=7")
    said = assay("sql", "SELECT name, value FROM Params WHERE value = '7'")
    assert said.code == 0
    assert "trees" in said.out


@pytest.mark.parametrize("fault", ["miles*abc", "zone+5", "start+fortnight", "miles+1:.%", "miles+1:1.2.3%"])
def test_a_fault_that_does_not_fit_its_column_is_named(fault: str, published: Path) -> None:
    row = pq.read_table("trips.parquet").slice(0, 1).to_pylist()[0]
    with pytest.raises(BadInput, match=r"does not fit|is not a fault|is not a length"):
        parse_fault(fault, list(row)).apply(row)


def test_a_verdict_beside_a_champion_that_was_replaced_meanwhile_is_no_blessing(
    published: Path, assay, monkeypatch
) -> None:
    # Judged beside version 2; while it is judged somebody rolls back to 1.
    script = (published / "taxi.py").read_text()
    assert assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish", "--set", "trees=9", "--again").code == 0
    (published / "taxi.py").write_text(
        script.replace(
            "def features(d: assay.Columns[Trip]) -> dict[str, np.ndarray]:\n",
            "def features(d: assay.Columns[Trip]) -> dict[str, np.ndarray]:\n    meanwhile()\n",
        ).replace("def fit(", MEANWHILE + "\n\ndef fit(", 1)
    )
    said = assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish", "--set", "trees=11", "--again")
    assert said.code == Refused.exit_code, said
    assert "was judged before the champion changed" in said.err
    assert "beside long-trip/2" in said.err
    assert "long-trip  1" in assay("models").out


MEANWHILE = """
def meanwhile():
    from assay.blessing import rollback
    from assay.store import current
    from assay.track import alias
    import sys
    frame = sys._getframe(3)
    while frame:
        if frame.f_code.co_name == "check_parity" and alias(current(), "long-trip").version == 2:
            rollback(current(), "long-trip", to=1)
        frame = frame.f_back
"""
