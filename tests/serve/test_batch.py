"""Requests that arrive together are answered at once, and each as if it had come alone."""

import asyncio
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from running import ROW

from assay import store
from assay.contract.decode import to_json
from assay.model import Bundle
from assay.model.estimator import Opened
from assay.predictions import read_rows
from assay.serve.answer import Served, Unanswerable, open_served, read
from assay.serve.batch import MAX_ROWS, Batcher
from assay.skew import find_skew
from assay.store import Home
from assay.track import champion, find_version


@pytest.fixture
def opened(home: Path):
    with store.use(Home(home)) as found:
        yield found


def served(opened: store.Store, model: str = "long-trip", version: int | None = None) -> Served:
    found = find_version(opened, model, version) if version else champion(opened, model)
    return open_served(opened, found, rotate_s=600)


def ask_together(asked: list[tuple[Served, list[dict] | dict]]) -> list[dict | BaseException]:
    async def all_of_them() -> list[bytes | BaseException]:
        batcher = Batcher()
        waiting = [
            batcher.answer(one, read(one, to_body(rows), f"r{number}")) for number, (one, rows) in enumerate(asked)
        ]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return [said if isinstance(said, BaseException) else json.loads(said) for said in asyncio.run(all_of_them())]


def to_body(rows: list[dict] | dict) -> bytes:
    return b"[%s]" % b",".join(map(to_json, rows)) if isinstance(rows, list) else to_json(rows)


def logged(opened: store.Store, model: str) -> list[tuple[str, int, float]]:
    rows = read_rows(opened.home, model)
    if rows is None:
        return []
    return [(row["request_id"], row["row"], row["input_miles"]) for row in rows.to_pylist()]


def miles(*values: float) -> list[dict]:
    return [ROW | {"miles": value} for value in values]


def test_each_gets_the_answer_that_it_would_get_alone(opened: store.Store) -> None:
    one = served(opened)
    asked = [miles(1, 20), ROW | {"miles": 30.0}, miles(40), miles(50, 5, 25)]
    together = ask_together([(one, rows) for rows in asked])
    alone = [ask_together([(one, rows)])[0] for rows in asked]
    assert [said.get("prediction") for said in together] == [said.get("prediction") for said in alone]
    assert [said.get("predictions") for said in together] == [said.get("predictions") for said in alone]
    assert [said["request_id"] for said in together] == ["r0", "r1", "r2", "r3"]
    own = [("r0", 0, 1), ("r0", 1, 20), ("r1", 0, 30), ("r2", 0, 40), ("r3", 0, 50), ("r3", 1, 5), ("r3", 2, 25)]
    again = [("r0", row, mile) for _, row, mile in own]
    assert sorted(logged(opened, "long-trip")) == sorted(own + again)


def test_one_request_that_fails_fails_no_other(opened: store.Store) -> None:
    one = served(opened, "faulty")
    answers = ask_together([(one, miles(1)), (one, miles(66)), (one, miles(2, 66)), (one, miles(3))])
    assert [type(said) for said in answers] == [dict, ZeroDivisionError, ZeroDivisionError, dict]
    assert sorted(logged(opened, "faulty")) == [("r0", 0, 1), ("r3", 0, 3)]


def test_a_prediction_outside_of_its_contract_concerns_only_its_request(opened: store.Store) -> None:
    one = served(opened, "likely")
    answers = ask_together([(one, miles(48)), (one, miles(1)[0]), (one, miles(49))])
    assert [type(said) for said in answers] == [dict, Unanswerable, dict]
    assert sorted(logged(opened, "likely")) == [("r0", 0, 48), ("r2", 0, 49)]


def test_a_prediction_outside_of_its_contract_fails_no_other_row_of_its_request(opened: store.Store) -> None:
    one = served(opened, "likely")
    alone, together = ask_together([(one, miles(48)), (one, miles(1, 48, 2, 49))])
    first, second, third, fourth = together["predictions"]
    assert second == alone["predictions"][0]
    assert set(fourth) == {"probability"}
    assert "is not a number, 0.5 to 1" in first["error"]
    assert "is not a number, 0.5 to 1" in third["error"]
    assert sorted(logged(opened, "likely")) == [("r0", 0, 48), ("r1", 1, 48), ("r1", 3, 49)]
    assert asdict(one.counts) == {"refused": 2, "clipped": 0, "allowed": 0}


def test_a_clipped_prediction_is_answered_logged_and_no_skew(opened: store.Store) -> None:
    one = served(opened, "clipped")
    (said,) = ask_together([(one, miles(1, 48))])
    low, high = (row["probability"] for row in said["predictions"])
    assert low == 0.5 < high
    rows = read_rows(opened.home, "clipped")
    assert rows is not None
    assert rows.sort_by("row").column("prediction_probability").to_pylist() == [low, high]
    assert asdict(one.counts) == {"refused": 0, "clipped": 1, "allowed": 0}
    assert find_skew(opened, "clipped").clean


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("model", ["long-trip", "clipped"])
def test_what_is_no_number_is_refused_row_by_row_and_never_logged(
    opened: store.Store, model: str, wrong: float
) -> None:
    one = served(opened, model)

    position = list(one.bundle.facts.features).index("miles")
    own = one.bundle
    opened_file = Opened(lambda values: np.where(values[:, position] > 40, wrong, 0.75))
    bundle = Bundle(own.digest, own.facts, own.model, opened_file)
    one = replace(one, bundle=bundle)
    answers = ask_together([(one, miles(1, 50, 2)), (one, miles(60)[0]), (one, miles(3)[0])])
    good, bad, good_again = answers[0]["predictions"]
    assert good == good_again == answers[2]["prediction"] == {"probability": 0.75}
    assert f"the prediction {wrong} is not" in bad["error"]
    assert isinstance(answers[1], Unanswerable)
    assert sorted(logged(opened, model)) == [("r0", 0, 1), ("r0", 2, 2), ("r2", 0, 3)]


def test_two_versions_are_not_mixed(opened: store.Store) -> None:
    first, second = served(opened, version=1), served(opened, version=2)
    answers = ask_together([(first, ROW), (second, ROW), (second, ROW), (first, ROW)])
    assert [said["version"] for said in answers] == [1, 2, 2, 1]
    rows = read_rows(opened.home, "long-trip")
    assert rows is not None
    assert {(row["request_id"], row["model_version"]) for row in rows.to_pylist()} == {
        ("r0", 1),
        ("r1", 2),
        ("r2", 2),
        ("r3", 1),
    }


def test_more_than_a_batch_holds_are_all_answered(opened: store.Store) -> None:
    one = served(opened)
    answers = ask_together([(one, miles(number / 10, 5)) for number in range(MAX_ROWS)])
    assert [len(said["predictions"]) for said in answers] == [2] * MAX_ROWS
    assert len(logged(opened, "long-trip")) == 2 * MAX_ROWS
