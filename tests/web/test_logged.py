"""Logged models: what was measured of them, on what, and what was registered of them."""

from typing import Any

from .asking import API, FILES, ask, new_run


def logged_model(address: str, run: str = "") -> str:
    made = ask(address, "POST", f"{API}/logged-models", {"experiment_id": "0", "source_run_id": run})
    return made.json["model"]["info"]["model_id"]


def measure(address: str, run: str, model: str, value: Any, **more: Any) -> None:
    point = {"run_id": run, "key": "acc", "value": value, "timestamp": 5, "step": 1, "model_id": model}
    assert ask(address, "POST", f"{API}/runs/log-metric", point | more).status == 200


def test_a_point_that_is_sent_again_is_kept_once(address: str) -> None:
    run, model = new_run(address), None
    model = logged_model(address, run)
    for _ in range(3):
        measure(address, run, model, 0.5)
        measure(address, run, model, "NaN")
        measure(address, run, model, 0.5, dataset_name="d", dataset_digest="1")
    point = {"key": "b", "value": 1.5, "timestamp": 7, "modelId": model}
    assert ask(address, "POST", f"{API}/runs/log-batch", {"run_id": run, "metrics": [point] * 3}).status == 200
    metrics = ask(address, "GET", f"{API}/logged-models/{model}").json["model"]["data"]["metrics"]
    assert len([one for one in metrics if one["key"] == "acc"]) == 3
    assert len([one for one in metrics if one["key"] == "b"]) == 1
    measure(address, run, model, 0.5, timestamp=6)
    assert len(ask(address, "GET", f"{API}/logged-models/{model}").json["model"]["data"]["metrics"]) == 5


def test_a_search_by_dataset_finds_what_was_measured_on_it(address: str) -> None:
    run = new_run(address)
    measured, other, never = (logged_model(address, run) for _ in range(3))
    measure(address, run, measured, 0.5, dataset_name="d", dataset_digest="1")
    measure(address, run, other, 0.5, dataset_name="d", dataset_digest="2")
    for datasets, found in (
        ([{"dataset_name": "d", "dataset_digest": "1"}], {measured}),
        ([{"datasetName": "d"}], {measured, other}),
        ([{"dataset_name": "e"}], set[str]()),
        ([{"dataset_name": "e"}, {"dataset_name": "d", "dataset_digest": "2"}], {other}),
        ([], {measured, other, never}),
    ):
        asked = {"experiment_ids": ["0"], "datasets": datasets}
        said = ask(address, "POST", f"{API}/logged-models/search", asked).json
        assert {one["info"]["model_id"] for one in said.get("models", [])} == found, datasets


def test_registered_versions_are_noted_on_their_logged_model(address: str) -> None:
    run = new_run(address)
    model = logged_model(address, run)
    ask(address, "POST", f"{API}/registered-models/create", {"name": "m"})
    for _ in range(2):
        made = ask(
            address,
            "POST",
            f"{API}/model-versions/create",
            {"name": "m", "source": f"models:/{model}", "model_id": model},
        )
        assert made.status == 200, made
    tags = ask(address, "GET", f"{API}/logged-models/{model}").json["model"]["info"]["tags"]
    assert tags == [
        {"key": "mlflow.modelVersions", "value": '[{"name": "m", "version": 1}, {"name": "m", "version": 2}]'}
    ]


def test_a_prompt_is_refused_before_anything_is_made(address: str) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    said = ask(address, "POST", f"{API}/registered-models/create", {"name": "p", "tags": tags})
    assert (said.status, said.json["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert ask(address, "GET", f"{API}/registered-models/get?name=p").status == 404


def test_a_name_is_that_of_a_file_or_of_a_folder(address: str) -> None:
    run = new_run(address)
    at = f"{FILES}/artifacts/0/{run}/artifacts"
    assert ask(address, "PUT", f"{at}/clash", b"a").status == 200
    assert ask(address, "PUT", f"{at}/clash", b"b").status == 200
    assert ask(address, "PUT", f"{at}/clash/inner", b"b").status == 400
    assert ask(address, "PUT", f"{at}/a/b/c", b"b").status == 200
    for name in ("a", "a/b"):
        said = ask(address, "PUT", f"{at}/{name}", b"b")
        assert (said.status, "folder" in said.json["message"]) == (400, True)
    assert ask(address, "PUT", f"{at}/a_b", b"b").status == 200
    files = ask(address, "GET", f"{API}/artifacts/list?run_id={run}").json["files"]
    assert [(one["path"], one["is_dir"]) for one in files] == [("a", True), ("a_b", False), ("clash", False)]


def test_the_name_of_a_deleted_experiment_says_how_to_get_it_back(address: str) -> None:
    made = ask(address, "POST", f"{API}/experiments/create", {"name": "dn"}).json["experiment_id"]
    ask(address, "POST", f"{API}/experiments/delete", {"experiment_id": made})
    said = ask(address, "POST", f"{API}/experiments/create", {"name": "dn"}).json
    assert said["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert "deleted" in said["message"]
    assert "assay experiments restore" in said["message"]


def test_each_key_of_an_order_has_its_own_dataset(address: str) -> None:
    run = new_run(address)
    models = [logged_model(address, run) for _ in range(3)]
    for model, on_d, on_e in zip(models, (1.0, 1.0, 0.0), (0.2, 0.1, 0.3), strict=True):
        measure(address, run, model, on_d, timestamp=1, dataset_name="d", dataset_digest="1")
        measure(address, run, model, on_e, timestamp=2, dataset_name="e", dataset_digest="1")
    a, b, c = models
    d = {"field_name": "metrics.acc", "dataset_name": "d", "dataset_digest": "1"}
    e = {"field_name": "metrics.acc", "dataset_name": "e"}
    newest = {"field_name": "metrics.acc"}
    of = [{"dataset_name": "d"}]
    for order, datasets, found in (
        ([d, e], [], [c, b, a]),
        ([d | {"ascending": False}, e], [], [b, a, c]),
        ([e | {"ascending": False}, d], [], [c, a, b]),
        ([newest], [], [b, a, c]),
        ([newest], of, [b, a, c]),  # as MLflow: what filters does not order
        ([{"field_name": "metrics.absent"}, e], [], [b, a, c]),
    ):
        asked = {"experiment_ids": ["0"], "order_by": order, "datasets": datasets, "max_results": 1}
        shown, token = list[str](), ""
        while True:
            said = ask(address, "POST", f"{API}/logged-models/search", asked | {"page_token": token})
            assert said.status == 200, said
            shown += [one["info"]["model_id"] for one in said.json["models"]]
            token = said.json.get("next_page_token", "")
            if not token:
                break
        assert shown == found, order
