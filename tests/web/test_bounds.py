"""No request holds or ends the server: what is too much is refused at once."""

import base64
import json
from typing import Any

import pytest

from .asking import API, ask, new_run


def search(address: str, **asked: Any) -> tuple[int, Any]:
    said = ask(address, "POST", f"{API}/runs/search", {"experiment_ids": ["0"], **asked})
    return said.status, said.json


def test_many_order_keys_are_refused_and_the_server_goes_on(address: str) -> None:
    new_run(address)
    for count in (11, 31, 64, 1_000):
        status, said = search(address, order_by=[f"metrics.m{n}" for n in range(count)])
        assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), said
    status, said = search(address, order_by=[f"metrics.m{n}" for n in range(10)])
    assert (status, len(said["runs"])) == (200, 1)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a > " + "1" * 20_000 + "x",
        " AND ".join(["metrics.a > 1"] * 1_100),
        " OR ".join(["metrics.a > 1"] * 5_000),
        "run_id IN (" + ",".join(["'a'"] * 40_000) + ")",
        "( " * 100_000,
        "run_id LIKE '" + "%a" * 30_000 + "'",
    ],
    ids=["number", "and", "or", "in", "depth", "like"],
)
def test_a_filter_beyond_the_bounds_is_refused(address: str, text: str) -> None:
    for path in ("runs", "experiments", "logged-models"):
        said = ask(address, "POST", f"{API}/{path}/search", {"experiment_ids": ["0"], "max_results": 1, "filter": text})
        assert said.status == 400, (path, said.status, said.body[:300])


def test_a_pattern_is_matched_in_linear_time(address: str) -> None:
    tags = [{"key": "t", "value": "a" * 4_000}]
    assert ask(address, "POST", f"{API}/experiments/create", {"name": "e", "tags": tags}).status == 200
    for pattern, found in (("%a%a%b", 0), ("%a" * 1_000 + "b", 0), ("%a" * 1_000, 1), ("a%a", 1), ("%a_%a", 1)):
        asked = {"max_results": 10, "filter": f"tags.t LIKE '{pattern}'"}
        said = ask(address, "POST", f"{API}/experiments/search", asked)
        assert (said.status, len(said.json.get("experiments", []))) == (200, found), pattern[:20]


@pytest.mark.parametrize("number", ["%C2%B2", "%D9%A3", "9" * 30, "-1", "1e3", "0x1", "%00", "1_0"])
def test_what_is_no_number_is_refused(address: str, number: str) -> None:
    ask(address, "POST", f"{API}/registered-models/create", {"name": "p"})
    for path in (f"experiments/get?experiment_id={number}", f"model-versions/get?name=p&version={number}"):
        said = ask(address, "GET", f"{API}/{path}")
        assert said.status in (400, 404), (path, said)
    for text in ("experiment_id = '²'", "experiment_id = '" + "9" * 30 + "'", "experiment_id IN ('٣', '²')"):
        assert search(address, filter=text)[1].get("runs", []) == []


def token(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "forged",
    [
        *map(
            token, [{"offset": 10**30}, {"offset": 2**63}, {"offset": -1}, {"offset": True}, {"offset": "1"}, {}, [], 1]
        ),
        token({"offset": 1.5}),
        "%%%",
        "\ud83d\ude00",
        "A" * 100_000,
        base64.b64encode(b"[" * 100_000).decode(),
    ],
    ids=range(13),
)
def test_a_forged_page_token_is_refused(address: str, forged: str) -> None:
    for path in ("runs", "experiments", "logged-models"):
        asked = {"experiment_ids": ["0"], "max_results": 1, "page_token": forged}
        said = ask(address, "POST", f"{API}/{path}/search", asked)
        assert (said.status, said.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), (path, said)


def test_malformed_models_are_refused(address: str) -> None:
    run = new_run(address)
    for flavors in ([], {"a": 1}, 1, None, {"a": []}):
        model = json.dumps({"artifact_path": 1, "flavors": flavors, "utc_time_created": 1, "run_id": 1})
        said = ask(address, "POST", f"{API}/runs/log-model", {"run_id": run, "model_json": model})
        assert said.status == 400, said
    assert ask(address, "POST", f"{API}/runs/log-model", {"run_id": run, "model_json": "[" * 100_000}).status == 400
