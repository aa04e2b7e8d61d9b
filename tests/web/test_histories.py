"""Points of many runs at once, and the data sets of experiments."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from .asking import API, ask, new_run


def logged(address: str, points: list[tuple[float, int]]) -> str:
    run = new_run(address)
    metrics = [{"key": "m", "value": value, "timestamp": 1_000 + step, "step": step} for value, step in points]
    assert ask(address, "POST", f"{API}/runs/log-batch", {"run_id": run, "metrics": metrics}).status == 200
    return run


def test_points_of_many_runs_come_run_by_run(address: str) -> None:
    runs = sorted(logged(address, [(1.0 * n, 0), (2.0 * n, 1)]) for n in (1, 2, 3))
    asked = urlencode({"run_id": runs, "metric_key": "m"}, doseq=True)
    said = ask(address, "GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?{asked}").json["metrics"]
    assert [(one["run_id"], one["step"]) for one in said] == [(run, step) for run in runs for step in (0, 1)]
    some = ask(address, "GET", f"{API}/metrics/get-history-bulk?{asked}&max_results=3").json["metrics"]
    assert some == said[:3]
    for wrong in ("metric_key=m", f"run_id={runs[0]}", f"{asked}&max_results=0", "metric_key=m" + "&run_id=a" * 101):
        assert ask(address, "GET", f"{API}/metrics/get-history-bulk?{wrong}").status == 400, wrong


def test_steps_between_two_are_spread_evenly_with_the_ends_of_each_run(address: str) -> None:
    long, short = logged(address, [(1.0, step) for step in range(100)]), logged(address, [(2.0, 33), (3.0, 77)])

    def steps(run: str, **more: object) -> list[int]:
        asked = urlencode({"run_ids": [long, short], "metric_key": "m", **more}, doseq=True)
        found = ask(address, "GET", f"{API}/metrics/get-history-bulk-interval?{asked}").json["metrics"]
        return [one["step"] for one in found if one["run_id"] == run]

    assert steps(long, max_results=10) == sorted({*range(0, 100, 10), 33, 77, 99})
    assert steps(short, max_results=10) == [33, 77]
    assert steps(long) == list(range(100))
    assert steps(long, start_step=5, end_step=8) == [5, 6, 7, 8]
    for wrong in (
        "start_step=1",
        "start_step=2&end_step=1",
        "max_results=0",
        "max_results=2501",
        "start_step=x&end_step=2",
    ):
        said = ask(address, "GET", f"{API}/metrics/get-history-bulk-interval?run_ids={long}&metric_key=m&{wrong}")
        assert said.status == 400, wrong


def test_data_sets_of_experiments_are_found(address: str) -> None:
    for context in ("training", "training", ""):
        data = {"name": "d", "digest": "1", "source_type": "local", "source": "x"}
        tags = [{"key": "mlflow.data.context", "value": context}] if context else []
        body = {"run_id": new_run(address), "datasets": [{"dataset": data, "tags": tags}]}
        assert ask(address, "POST", f"{API}/runs/log-inputs", body).status == 200
    said = ask(address, "POST", f"{API}/experiments/search-datasets", {"experiment_ids": ["0"]}).json
    summary = {"experiment_id": "0", "name": "d", "digest": "1"}
    assert said == {"dataset_summaries": [summary, summary | {"context": "training"}]}
    for wrong in ([], [str(n) for n in range(21)], ["x"]):
        assert ask(address, "POST", f"{API}/experiments/search-datasets", {"experiment_ids": wrong}).status == 400


def paged(address: str, run: str, limit: int, between: Callable[[], None]) -> list[dict[str, Any]]:
    found, token = list[dict[str, Any]](), ""
    while True:
        path = f"{API}/metrics/get-history?run_id={run}&metric_key=m&max_results={limit}&page_token={quote(token)}"
        said = ask(address, "GET", path)
        assert said.status == 200, said
        found += said.json["metrics"]
        token = said.json.get("next_page_token", "")
        if not token:
            return found
        between()


def test_a_history_that_grows_between_its_pages_skips_and_repeats_nothing(address: str) -> None:
    run = new_run(address)
    odd = ("NaN", "Infinity", "-Infinity", 0, -1.5, 0.1)
    at_once = [{"key": "m", "value": v, "timestamp": 1_000, "step": s} for v in odd for s in (0, -(2**63), 2**63 - 1)]
    later = [{"key": "m", "value": s / 3, "timestamp": 2_000 + s, "step": s} for s in range(20)]
    body = {"run_id": run, "metrics": at_once + later}
    assert ask(address, "POST", f"{API}/runs/log-batch", body).status == 200
    whole = ask(address, "GET", f"{API}/metrics/get-history?run_id={run}&metric_key=m").json["metrics"]
    assert len(whole) == len(at_once) + len(later)
    early = iter(range(999))

    def grow() -> None:  # before the place of the next page
        point = {"run_id": run, "key": "m", "value": 7, "timestamp": next(early), "step": 1}
        assert ask(address, "POST", f"{API}/runs/log-metric", point).status == 200

    for limit in (1, 3, 7, 38, 39):
        found = paged(address, run, limit, grow)
        assert [one for one in found if one["value"] != 7] == whole, limit
        assert len({(str(one["value"]), one["step"], one["timestamp"]) for one in found}) == len(found)


def test_the_token_of_another_history_is_refused(address: str) -> None:
    run, other = new_run(address), new_run(address)
    for one in (run, other):
        points = [{"key": key, "value": 1, "timestamp": at, "step": at} for key in "mn" for at in range(3)]
        ask(address, "POST", f"{API}/runs/log-batch", {"run_id": one, "metrics": points})
    path = f"{API}/metrics/get-history?max_results=1&run_id="
    token = quote(ask(address, "GET", f"{path}{run}&metric_key=m").json["next_page_token"])
    assert ask(address, "GET", f"{path}{run}&metric_key=m&page_token={token}").json["metrics"][0]["step"] == 1
    offset = quote(base64.b64encode(b'{"offset": 1}').decode())
    for wrong in (
        f"{other}&metric_key=m&page_token={token}",
        f"{run}&metric_key=n&page_token={token}",
        f"{run}&metric_key=m&page_token={token[:-8]}",
        f"{run}&metric_key=m&page_token={offset}",
        f"{run}&metric_key=m&page_token=x",
    ):
        said = ask(address, "GET", path + wrong)
        assert (said.status, said.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), wrong
