"""`--json` of the commands: one encoder, which knows what numpy and paths are."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from assay import store
from assay.contract.decode import to_json
from assay.predictions import drain_predictions
from assay.serve.answer import answer, open_served
from assay.track import champion

Row = dict[str, object]


def serve(change: Callable[[int, Row], Row], count: int = 300, *, days: int = 10) -> None:
    """The champion answers rows of several days, each changed."""
    table = pq.read_table("trips.parquet").drop_columns(["long"]).to_pylist()
    first = datetime(2013, 1, 1, tzinfo=UTC)
    with store.use(store.find_home()) as opened:
        served = open_served(opened, champion(opened, "long-trip"), rotate_s=600)
        for i in range(count):
            row = table[i] | {"start": first + timedelta(hours=24 * days * i / count)}
            answer(served, to_json(change(i, row)), f"r{i}")
        served.log.close()
        drain_predictions(opened.home)


def test_skew_with_shifts_is_json(published: Path, assay) -> None:
    serve(lambda i, row: row | {"miles": 40 + i / 100})
    said = assay("skew", "long-trip", "--json")
    report = json.loads(said.out)
    assert said.code == 1
    assert [shift["feature"] for shift in report["shifts"]] == ["miles"]
    assert report["shifts"][0]["psi"] > 1
    assert report["skipped"] == []


@pytest.mark.parametrize(
    "command",
    [
        ["runs"],
        ["experiments"],
        ["models"],
        ["models", "long-trip"],
        ["ledger"],
        ["drift", "long-trip"],
        ["drift", "trips.parquet", "--time", "start", "--every", "1d"],
        ["check", "trips.parquet", "--contract", "taxi:Trip"],
        ["quality", "trips.parquet"],
        ["doctor"],
        ["gc", "--dry-run"],
        ["drain"],
        ["sql", "SELECT 1 AS a, DATE '2013-01-01' AS d, [1, NULL] AS l, 'NaN'::DOUBLE AS n, '\\x01'::BLOB AS b"],
        ["sql", "SELECT * FROM profiles"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_command_prints_json(command: list[str], published: Path, assay) -> None:
    serve(lambda i, row: row, 20)
    said = assay(*command, "--json")
    assert said.err == "" or "Traceback" not in said.err
    for text in [said.out] if command[0] != "sql" else said.out.splitlines():
        json.loads(text)
    assert said.out


def test_skew_says_what_it_could_not_compare_and_does_not_say_no_skew(published: Path, assay) -> None:
    serve(lambda _, row: row)
    with store.use(store.find_home()) as opened, opened.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM profiles")
    for path in (published / ".assay" / "tables").rglob("*.parquet"):
        if "trained." in str(path):
            path.unlink()
    said = assay("skew", "long-trip", "--against", "trips.parquet", "--json")
    report = json.loads(said.out)
    assert [(one["place"], one["absent"]) for one in report["skipped"]] == [("world", True)]
    shown = assay("skew", "long-trip")
    assert "world not compared: neither the profile nor the rows that long-trip/1 was trained on" in shown.out
    assert "NO SKEW  " not in shown.out


def test_few_rows_are_no_fault_but_said(published: Path, assay) -> None:
    serve(lambda _, row: row, 3, days=0)
    said = assay("skew", "long-trip")
    assert "world not compared: long-trip/1 served 3 of these rows; distributions need 200 from a week" in said.out


def test_the_profile_of_training_is_published_though_the_rows_are_gone(project: Path, assay) -> None:
    code = (
        "import taxi, assay, assay.times, shutil\n"
        "rows = assay.read('trips.parquet', taxi.Trip)\n"
        "past, holdout = assay.split(rows, taxi.Trip, holdout='7d', until=assay.times.instant('2013-01-21'))\n"
        "candidate = assay.train(taxi.model, past)\n"
        "assert assay.bless(candidate, holdout, taxi.policy).blessed\n"
        "shutil.rmtree('.assay/tables')\n"  # another machine has none of them
        "assay.publish(candidate)\n"
        "print(len(past))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    from assay.profiles.profile_rows import kept

    with store.use(store.find_home()) as opened:
        (found,) = kept(opened, "long-trip", "trained").values()
    assert found.rows == int(said.stdout)
    assert {"feature_miles", "input_zone", "prediction_probability", "label"} <= set(found.columns)
    assert np.isfinite(found.columns["prediction_probability"].moments.mean)
