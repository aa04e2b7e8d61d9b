"""Every kind of field, from a request through spool and table to the comparison with training."""

import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from assay import store
from assay.contract import fields
from assay.contract.decode import to_json
from assay.contract.formats.arrow import schema
from assay.predictions import drain_predictions, read_rows
from assay.serve.answer import answer, open_served
from assay.skew import find_skew
from assay.store import Store
from assay.track import By, aliases, champion, register

PROJECT = """
from datetime import date, datetime
from typing import Annotated, Literal

import lightgbm as lgb
import numpy as np

import assay


class Every(assay.Record):
    key: assay.Key[int]
    at: assay.EventTime
    number: float
    number_or_none: float | None
    whole: int
    whole_or_none: int | None
    flag: bool
    flag_or_none: bool | None
    text: str
    text_or_none: str | None
    moment: datetime
    moment_or_none: datetime | None
    day: date
    day_or_none: date | None
    word: Literal["a", "b"]
    word_or_none: Literal["a", "b"] | None
    level: Literal[1, 2]
    level_or_none: Literal[1, 2] | None


class Said(assay.Record):
    value: float


def features(d):
    return {
        "number": d.number, "whole": d.whole, "flag": d.flag, "text": d.text, "word": d.word_or_none,
        "day": d.day.astype(np.int64), "age": assay.hour(d.moment_or_none, tz="UTC"),
        "late": np.where(np.isnat(d.day_or_none), np.nan, d.day_or_none.astype(np.int64)),
        "known": d.flag_or_none, "count": d.whole_or_none, "level": d.level_or_none,
    }


def fit(x, y):
    options = {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    return lgb.train(options, lgb.Dataset(x.values, y, feature_name=x.names), num_boost_round=3)


model = assay.Model("every", takes=Every, gives=Said, label="y", features=features, fit=fit, metrics=["rmse"], table="data")
"""
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
#: The edges that a column of each kind holds, and one plain value.
EDGES: dict[str, list[Any]] = {
    "number": [0.1, -0.0, 1.7976931348623157e308, 5e-324],
    "whole": [3, 2**63 - 1, -(2**63), 0],
    "flag": [True, False, True, False],
    "text": ["plain", "", "w\u00f6rd \U0001f600", "a\x00b\x1b[31m\n"],
    "moment": [FIRST, datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, UTC), FIRST],
    "day": [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31)],
    "word": ["a", "b", "a", "b"],
    "level": [1, 2, 1, 2],
}
SAFE_WHOLE = [3, 2**53, -(2**53), 0]


def rows(count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for i in range(count):
        row: dict[str, Any] = {"key": i, "at": FIRST + timedelta(hours=i)}
        for name, edges in EDGES.items():
            row[name] = edges[i % 4]
            held = SAFE_WHOLE if name == "whole" else edges
            row[f"{name}_or_none"] = None if i % 3 == 0 else held[i % 4]
        made.append(row | {"y": float(i % 7)})
    return made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, list[dict[str, Any]]]]:
    (tmp_path / "every_scalar.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(tmp_path)
    with store.use(store.find_home(tmp_path / ".assay")) as opened:
        declared = importlib.import_module("every_scalar")
        made = rows(60)
        names = [*schema(declared.Every), pa.field("y", pa.float64())]
        table = pa.Table.from_pylist(made, pa.schema([pa.field(one.name, one.type) for one in names]))
        (tmp_path / "data").mkdir()
        pq.write_table(table, tmp_path / "data" / "rows.parquet")
        candidate = assay.train(declared.model, table)
        with opened.database.begin() as connection:
            version = register(connection, "every", candidate.bundle, run_id=candidate.run_id, trained_until=None)
            aliases.move(connection, "every", version.version, By("a test"))
        yield opened, made
        opened.database.dispose()
    sys.modules.pop("every_scalar", None)


def test_every_scalar_is_in_the_table_as_it_was_sent_and_equal_to_training(
    project: tuple[Store, list[dict[str, Any]]],
) -> None:
    opened, made = project
    served = open_served(opened, champion(opened, "every"), rotate_s=600)
    takes = served.bundle.model.takes
    for i, row in enumerate(made):
        sent = {name: value for name, value in row.items() if name != "y"}
        answer(served, to_json(sent), f"r{i:03}")
    for drained in (False, True):
        if drained:
            served.log.close()
            assert drain_predictions(opened.home).damaged == []
        found = read_rows(opened.home, "every")
        assert found is not None
        seen = found.sort_by("request_id").to_pylist()
        for field in fields(takes):
            values = [row[f"input_{field.name}"] for row in seen]
            assert values == [row[field.name] for row in made], field.name
            assert [str(value) for value in values] == [str(row[field.name]) for row in made], field.name
        report = find_skew(opened, "every")
        assert (report.clean, report.rows, report.unknown_keys) == (True, 60, 0), report.findings


@pytest.mark.parametrize("name", [name for edge in EDGES for name in (edge, f"{edge}_or_none")])
def test_another_value_of_every_scalar_is_found(project: tuple[Store, list[dict[str, Any]]], name: str) -> None:
    opened, made = project
    served = open_served(opened, champion(opened, "every"), rotate_s=600)
    edges = EDGES[name.removesuffix("_or_none")]
    for i, row in enumerate(made):
        other = next(value for value in edges if value != row[name] and abs_or_self(value) < 2**53)
        sent = {n: value for n, value in row.items() if n != "y"} | ({name: other} if i == 7 else {})
        answer(served, to_json(sent), f"r{i:03}")
    (found,) = [one for one in find_skew(opened, "every").findings if one.place == "input"]
    assert (found.column, found.rows, found.where) == (name, 1, [("r007", 0)])


def abs_or_self(value: Any) -> Any:
    return abs(value) if type(value) in (int, float) else 0
