"""Several fields that are one key: which rows are the same, in checks, scoring and the comparison with training."""

import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from assay import store
from assay.contract.decode import to_json
from assay.model.loaded import load_version
from assay.predictions import drain_predictions
from assay.scoring import score
from assay.serve.answer import answer, open_served
from assay.skew import find_skew
from assay.store import Store
from assay.track import By, aliases, champion, register

PROJECT = """
from typing import Annotated, Literal

import lightgbm as lgb

import assay


class Hour(assay.Record):
    station: assay.Key[str]
    platform: Annotated[assay.Key[int], assay.field(name="Platform no.")]
    at: TIME
    temp: float


class Riders(assay.Record):
    riders: float


def features(d):
    return {"hour": assay.hour(d.at, tz="UTC"), "temp": d.temp}


def fit(x, y):
    return lgb.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1).fit(x.values, y)


model = assay.Model("riders", takes=Hour, gives=Riders, label="n", features=features, fit=fit, metrics=["mae"], table="hours.parquet")
"""
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def hours() -> pa.Table:
    """Two platforms of two stations by the hour: no two of these three alone tell the rows apart."""
    rows = [
        {"station": station, "Platform no.": platform, "at": FIRST + timedelta(hours=hour)}
        for hour in range(60)
        for station in ("north", "south")
        for platform in (1, 2)
    ]
    values = [{"temp": float(i), "n": float(i % 7)} for i in range(len(rows))]
    return pa.Table.from_pylist([a | b for a, b in zip(rows, values, strict=True)])


@pytest.fixture(params=["assay.Key[assay.EventTime]", "assay.EventTime"], ids=["time in the key", "time beside it"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    (tmp_path / "riders.py").write_text(PROJECT.replace("TIME", request.param))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    pq.write_table(hours(), tmp_path / "hours.parquet")
    with store.use(store.find_home(tmp_path / ".assay")) as opened:
        candidate = assay.train(importlib.import_module("riders").model, hours())
        with opened.database.begin() as connection:
            version = register(connection, "riders", candidate.bundle, run_id=candidate.run_id, trained_until=None)
            aliases.move(connection, "riders", version.version, By("a test"))
        yield opened
        opened.database.dispose()
    sys.modules.pop("riders", None)


def test_a_served_row_is_compared_with_the_row_of_the_whole_key(project: Store) -> None:
    served = open_served(project, champion(project, "riders"), rotate_s=600)
    for i, row in enumerate(hours().drop_columns(["n"]).to_pylist()):
        answer(served, to_json(row | ({"temp": row["temp"] * 1.8 + 32} if i % 10 == 0 else {})), f"r{i}")
    answer(served, to_json({"station": "north", "Platform no.": 3, "at": FIRST, "temp": 1.0}), "unknown")
    served.log.close()
    drain_predictions(project.home)
    report = find_skew(project, "riders")
    (found,) = report.findings
    assert (found.place, found.column, found.rows, found.compared) == ("input", "temp", 24, 240)
    assert "elsius" in found.shapes[0].sentence or "ahrenheit" in found.shapes[0].sentence
    assert report.unknown_keys == 1
    assert found.examples[0].key.startswith("north, 1")


def test_rows_of_one_key_are_duplicates(project: Store) -> None:
    contract: Any = sys.modules["riders"].Hour
    rows = hours()
    wanted = ["station", "Platform no.", "at"] if contract.__assay_fields__[2].is_key else ["station", "Platform no."]
    report = assay.check(pa.concat_tables([rows, rows.slice(7, 1)]), contract)
    (unique,) = [one for one in report.results if one.rule == "unique"]
    assert unique.column == ", ".join(wanted)
    if len(wanted) == 3:
        assert assay.check(rows, contract).passed
        assert unique.failing == 2
        assert list(unique.worst[0].values) == wanted


def test_a_scored_row_has_the_whole_key(project: Store, tmp_path: Path) -> None:
    score(project, load_version(project, "riders"), str(tmp_path / "hours.parquet"), tmp_path / "out")
    columns = pq.read_schema(tmp_path / "out" / "part-00000.parquet").names
    assert columns == ["row", "station", "Platform no.", "at", "riders", "error"]
