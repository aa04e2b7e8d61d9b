"""Every writing route, asked ten times at once through two servers on one database, on SQLite and on PostgreSQL.

What is checked holds in whatever order the requests come: everything is kept, one creation wins, versions have no gaps,
and nobody is answered with a fault of the server. A writing route without a case here fails the first test.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from assay.web.mlflow import routes

TIMES = 10
API, FILES = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/"
Asked = tuple[str, str, Any]
Answered = tuple[int, Any]


class Servers:
    """Two servers on one database."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses

    def ask(self, method: str, path: str, body: Any = None, *, of: int = 0) -> Answered:
        raw = isinstance(body, bytes)
        data = body if raw else None if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if raw else "application/json"
        full = path if path.startswith("/") else API + path
        request = urllib.request.Request(self.addresses[of] + full, data, {"content-type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                said = answer.read()
                return answer.status, json.loads(said) if said[:1] in (b"{", b"[") else said
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def good(self, method: str, path: str, body: Any = None) -> Any:
        status, said = self.ask(method, path, body)
        assert status == 200, said
        return said

    def together(self, asked: list[Asked]) -> list[Answered]:
        barrier = Barrier(len(asked))

        def one(number: int) -> Answered:
            barrier.wait()
            return self.ask(*asked[number], of=number % 2)

        with ThreadPoolExecutor(len(asked)) as pool:
            answers = list(pool.map(one, range(len(asked))))
        faults = [said for status, said in answers if status >= 500]
        assert not faults, faults
        return answers

    def all_good(self, asked: list[Asked]) -> list[Any]:
        answers = self.together(asked)
        assert {status for status, _ in answers} == {200}, answers
        return [said for _, said in answers]

    def one_wins(self, asked: list[Asked], losers: str) -> int:
        """The number of the one that was answered well; the others have this code."""
        answers = self.together(asked)
        won = [number for number, (status, _) in enumerate(answers) if status == 200]
        lost = {said.get("error_code") for status, said in answers if status != 200}
        assert len(won) == 1, answers
        assert lost == {losers}, answers
        return won[0]

    def one_kind(self, asked: list[Asked]) -> None:
        """Of a file and a folder of one name one is there, and who asked for the other was refused."""
        answers = self.together(asked)
        good = {number % 2 for number, (status, _) in enumerate(answers) if status == 200}
        assert len(good) == 1, answers
        assert {status for status, _ in answers} == {200, 400}, answers

    def experiment(self) -> str:
        return self.good("POST", "experiments/create", {"name": uuid4().hex})["experiment_id"]

    def run(self, experiment: str | None = None) -> str:
        said = self.good("POST", "runs/create", {"experiment_id": experiment or self.experiment(), "start_time": 1})
        return said["run"]["info"]["run_id"]

    def run_data(self, run: str) -> dict[str, Any]:
        return self.good("GET", f"runs/get?run_id={run}")["run"]

    def tags_of(self, run: str) -> dict[str, str]:
        return pairs(self.run_data(run)["data"].get("tags", []))

    def model(self, versions: int = 0) -> str:
        name = uuid4().hex
        self.good("POST", "registered-models/create", {"name": name})
        for _ in range(versions):
            self.good("POST", "model-versions/create", {"name": name, "source": "s3://b/m"})
        return name

    def model_data(self, name: str) -> dict[str, Any]:
        return self.good("GET", f"registered-models/get?name={name}")["registered_model"]

    def logged_model(self) -> str:
        body = {"experiment_id": self.experiment(), "name": "m"}
        return self.good("POST", "logged-models", body)["model"]["info"]["model_id"]

    def logged_data(self, model: str) -> dict[str, Any]:
        return self.good("GET", f"logged-models/{model}")["model"]

    def root(self) -> str:
        experiment = self.experiment()
        return f"{experiment}/{self.run(experiment)}/artifacts"


def pairs(given: list[dict[str, str]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in given}


def ten(method: str, path: str, body: Callable[[int], Any] = lambda _: None) -> list[Asked]:
    return [(method, path, body(number)) for number in range(TIMES)]


Case = Callable[[Servers], None]
CASES: dict[tuple[str, str], Case] = {}


def case(method: str, path: str) -> Callable[[Case], Case]:
    def added(function: Case) -> Case:
        CASES[method, path] = function
        return function

    return added


@case("POST", "experiments/create")
def one_experiment_of_a_name(s: Servers) -> None:
    for _ in range(3):
        name = uuid4().hex
        s.one_wins(ten("POST", "experiments/create", lambda _, name=name: {"name": name}), "RESOURCE_ALREADY_EXISTS")


@case("POST", "experiments/delete")
def one_deletion_and_no_run_is_left(s: Servers) -> None:
    e = s.experiment()
    s.one_wins(ten("POST", "experiments/delete", lambda _: {"experiment_id": e}), "RESOURCE_DOES_NOT_EXIST")
    e = s.experiment()
    runs: list[Asked] = ten("POST", "runs/create", lambda _: {"experiment_id": e, "start_time": 1})
    s.together([*runs, ("POST", "experiments/delete", {"experiment_id": e})])
    assert s.good("POST", "runs/search", {"experiment_ids": [e]})["runs"] == []


@case("POST", "experiments/restore")
def one_restoration(s: Servers) -> None:
    e = s.experiment()
    s.good("POST", "experiments/delete", {"experiment_id": e})
    s.one_wins(ten("POST", "experiments/restore", lambda _: {"experiment_id": e}), "RESOURCE_DOES_NOT_EXIST")


@case("POST", "experiments/update")
def one_experiment_gets_the_name(s: Servers) -> None:
    name, many = uuid4().hex, [s.experiment() for _ in range(TIMES)]
    asked = ten("POST", "experiments/update", lambda i: {"experiment_id": many[i], "new_name": name})
    won = s.one_wins(asked, "RESOURCE_ALREADY_EXISTS")
    found = s.good("GET", f"experiments/get-by-name?experiment_name={name}")
    assert found["experiment"]["experiment_id"] == many[won]


@case("POST", "experiments/set-experiment-tag")
def every_tag_of_an_experiment(s: Servers) -> None:
    e = s.experiment()
    s.all_good(
        ten("POST", "experiments/set-experiment-tag", lambda i: {"experiment_id": e, "key": f"k{i}", "value": "v"})
    )
    assert len(s.good("GET", f"experiments/get?experiment_id={e}")["experiment"]["tags"]) == TIMES


@case("POST", "experiments/delete-experiment-tag")
def one_deletion_of_a_tag_of_an_experiment(s: Servers) -> None:
    e = s.experiment()
    s.good("POST", "experiments/set-experiment-tag", {"experiment_id": e, "key": "k", "value": "v"})
    asked = ten("POST", "experiments/delete-experiment-tag", lambda _: {"experiment_id": e, "key": "k"})
    s.one_wins(asked, "RESOURCE_DOES_NOT_EXIST")


@case("POST", "runs/create")
def every_run(s: Servers) -> None:
    e = s.experiment()
    made = s.all_good(ten("POST", "runs/create", lambda _: {"experiment_id": e, "start_time": 1}))
    assert len({one["run"]["info"]["run_id"] for one in made}) == TIMES


@case("POST", "runs/update")
def a_run_is_named_as_its_tag(s: Servers) -> None:
    run = s.run()
    s.all_good(ten("POST", "runs/update", lambda i: {"run_id": run, "run_name": f"n{i}", "status": "FINISHED"}))
    assert s.run_data(run)["info"]["run_name"] == s.tags_of(run)["mlflow.runName"]


@case("POST", "runs/delete")
def a_run_is_deleted(s: Servers) -> None:
    run = s.run()
    s.all_good(ten("POST", "runs/delete", lambda _: {"run_id": run}))
    assert s.run_data(run)["info"]["lifecycle_stage"] == "deleted"


@case("POST", "runs/restore")
def a_run_is_restored(s: Servers) -> None:
    run = s.run()
    s.good("POST", "runs/delete", {"run_id": run})
    s.all_good(ten("POST", "runs/restore", lambda _: {"run_id": run}))
    assert s.run_data(run)["info"]["lifecycle_stage"] == "active"


@case("POST", "runs/set-tag")
def every_tag_of_a_run(s: Servers) -> None:
    run = s.run()
    s.all_good(ten("POST", "runs/set-tag", lambda i: {"run_id": run, "key": f"k{i}", "value": "v"}))
    assert {f"k{i}" for i in range(TIMES)} <= s.tags_of(run).keys()
    s.all_good(ten("POST", "runs/set-tag", lambda i: {"run_id": run, "key": "mlflow.runName", "value": f"n{i}"}))
    assert s.run_data(run)["info"]["run_name"] == s.tags_of(run)["mlflow.runName"]


@case("POST", "runs/delete-tag")
def one_deletion_of_a_tag_of_a_run(s: Servers) -> None:
    run = s.run()
    s.good("POST", "runs/set-tag", {"run_id": run, "key": "k", "value": "v"})
    s.one_wins(ten("POST", "runs/delete-tag", lambda _: {"run_id": run, "key": "k"}), "RESOURCE_DOES_NOT_EXIST")


@case("POST", "runs/log-metric")
def every_point(s: Servers) -> None:
    run = s.run()
    s.all_good(
        ten("POST", "runs/log-metric", lambda i: {"run_id": run, "key": "m", "value": i, "timestamp": 1, "step": i})
    )
    history = s.good("GET", f"metrics/get-history?run_id={run}&metric_key=m")["metrics"]
    assert [point["step"] for point in history] == list(range(TIMES))
    assert [point["value"] for point in s.run_data(run)["data"]["metrics"]] == [TIMES - 1]


@case("POST", "runs/log-parameter")
def one_value_of_a_parameter(s: Servers) -> None:
    run = s.run()
    asked = ten("POST", "runs/log-parameter", lambda i: {"run_id": run, "key": "p", "value": str(i)})
    won = s.one_wins(asked, "INVALID_PARAMETER_VALUE")
    assert pairs(s.run_data(run)["data"]["params"]) == {"p": str(won)}


@case("POST", "runs/log-batch")
def whole_batches_in_any_order(s: Servers) -> None:
    run = s.run()

    def batch(i: int) -> dict[str, Any]:
        names = [f"m{n}" for n in range(20)][:: 1 if i % 2 else -1]
        metrics = [{"key": name, "value": i, "timestamp": i, "step": i} for name in names]
        return {"run_id": run, "metrics": metrics, "params": [{"key": "p", "value": str(i)}]}

    won = s.one_wins(ten("POST", "runs/log-batch", batch), "INVALID_PARAMETER_VALUE")
    data = s.run_data(run)["data"]
    assert pairs(data["params"]) == {"p": str(won)}
    assert {point["value"] for point in data["metrics"]} == {won}
    assert len(data["metrics"]) == 20


@case("POST", "runs/log-inputs")
def every_data_set_once(s: Servers) -> None:
    e = s.experiment()
    runs = [s.run(e) for _ in range(TIMES)]
    sets = [{"dataset": {"name": f"d{n}", "digest": "1", "source_type": "s", "source": "s"}} for n in range(8)]
    s.all_good(ten("POST", "runs/log-inputs", lambda i: {"run_id": runs[i], "datasets": sets[:: 1 if i % 2 else -1]}))
    for run in runs:
        inputs = s.run_data(run)["inputs"]["dataset_inputs"]
        assert sorted(one["dataset"]["name"] for one in inputs) == [f"d{n}" for n in range(8)]


@case("POST", "runs/outputs")
def every_output(s: Servers) -> None:
    run = s.run()
    s.all_good(ten("POST", "runs/outputs", lambda i: {"run_id": run, "models": [{"model_id": f"m-{i}", "step": i}]}))
    assert len(s.run_data(run)["outputs"]["model_outputs"]) == TIMES


@case("POST", "runs/log-model")
def every_model_of_a_run(s: Servers) -> None:
    run = s.run()
    model = {"flavors": {}, "utc_time_created": "x", "run_id": run}
    s.all_good(
        ten(
            "POST",
            "runs/log-model",
            lambda i: {"run_id": run, "model_json": json.dumps(model | {"artifact_path": f"m{i}"})},
        )
    )
    kept = json.loads(s.tags_of(run)["mlflow.log-model.history"])
    assert sorted(one["artifact_path"] for one in kept) == sorted(f"m{i}" for i in range(TIMES))


@case("POST", "registered-models/create")
def one_model_of_a_name(s: Servers) -> None:
    for _ in range(3):
        name = uuid4().hex
        asked = ten(
            "POST", "registered-models/create", lambda i, n=name: {"name": n, "tags": [{"key": "k", "value": str(i)}]}
        )
        won = s.one_wins(asked, "RESOURCE_ALREADY_EXISTS")
        assert pairs(s.model_data(name)["tags"]) == {"k": str(won)}


@case("PATCH", "registered-models/update")
def a_model_is_described(s: Servers) -> None:
    name = s.model()
    said = s.all_good(ten("PATCH", "registered-models/update", lambda i: {"name": name, "description": f"d{i}"}))
    assert [one["registered_model"]["description"] for one in said] == [f"d{i}" for i in range(TIMES)]


@case("POST", "registered-models/rename")
def one_new_name_with_all_versions(s: Servers) -> None:
    name, new = s.model(2), uuid4().hex
    asked = ten("POST", "registered-models/rename", lambda i: {"name": name, "new_name": f"{new}-{i}"})
    asked += ten("POST", "model-versions/create", lambda _: {"name": name, "source": "s3://b/m"})
    answers = s.together(asked)
    won = [i for i, (status, _) in enumerate(answers[:TIMES]) if status == 200]
    added = [said["model_version"]["version"] for status, said in answers[TIMES:] if status == 200]
    assert len(won) == 1, answers
    found = s.good("GET", f"model-versions/search?filter=name%3D'{new}-{won[0]}'")["model_versions"]
    assert sorted(int(one["version"]) for one in found) == list(range(1, 3 + len(added)))
    many = [s.model(1) for _ in range(TIMES)]
    asked = ten("POST", "registered-models/rename", lambda i: {"name": many[i], "new_name": new})
    s.one_wins(asked, "RESOURCE_ALREADY_EXISTS")


@case("DELETE", "registered-models/delete")
def one_deletion_of_a_model(s: Servers) -> None:
    name = s.model(1)
    s.one_wins(ten("DELETE", "registered-models/delete", lambda _: {"name": name}), "RESOURCE_DOES_NOT_EXIST")


@case("POST", "registered-models/set-tag")
def every_tag_of_a_model(s: Servers) -> None:
    name = s.model()
    s.all_good(ten("POST", "registered-models/set-tag", lambda i: {"name": name, "key": f"k{i}", "value": "v"}))
    assert len(s.model_data(name)["tags"]) == TIMES


@case("DELETE", "registered-models/delete-tag")
def a_tag_of_a_model_is_gone(s: Servers) -> None:
    name = s.model()
    s.good("POST", "registered-models/set-tag", {"name": name, "key": "k", "value": "v"})
    s.all_good(ten("DELETE", "registered-models/delete-tag", lambda _: {"name": name, "key": "k"}))
    assert "tags" not in s.model_data(name)


@case("POST", "registered-models/alias")
def every_alias_points_to_a_version_that_is_there(s: Servers) -> None:
    name = s.model(2)
    s.all_good(ten("POST", "registered-models/alias", lambda i: {"name": name, "alias": f"a{i}", "version": "1"}))
    assert len(s.model_data(name)["aliases"]) == TIMES
    asked = ten("POST", "registered-models/alias", lambda i: {"name": name, "alias": f"b{i}", "version": "2"})
    s.together([*asked, ("DELETE", "model-versions/delete", {"name": name, "version": "2"})])
    assert {one["version"] for one in s.model_data(name)["aliases"]} == {"1"}


@case("DELETE", "registered-models/alias")
def an_alias_is_gone(s: Servers) -> None:
    name = s.model(1)
    s.good("POST", "registered-models/alias", {"name": name, "alias": "a", "version": "1"})
    s.all_good([("DELETE", f"registered-models/alias?name={name}&alias=a", {"name": name, "alias": "a"})] * TIMES)
    assert "aliases" not in s.model_data(name)


@case("POST", "model-versions/create")
def versions_without_gaps(s: Servers) -> None:
    name = s.model()
    made = s.all_good(ten("POST", "model-versions/create", lambda _: {"name": name, "source": "s3://b/m"}))
    assert sorted(int(one["model_version"]["version"]) for one in made) == list(range(1, TIMES + 1))


@case("PATCH", "model-versions/update")
def a_version_is_described(s: Servers) -> None:
    name = s.model(1)
    said = s.all_good(
        ten("PATCH", "model-versions/update", lambda i: {"name": name, "version": "1", "description": f"d{i}"})
    )
    assert [one["model_version"]["description"] for one in said] == [f"d{i}" for i in range(TIMES)]


@case("POST", "model-versions/transition-stage")
def one_version_in_production(s: Servers) -> None:
    name = s.model(TIMES)
    body = {"name": name, "stage": "Production", "archive_existing_versions": True}
    s.all_good(ten("POST", "model-versions/transition-stage", lambda i: body | {"version": str(i + 1)}))
    found = s.good("GET", f"model-versions/search?filter=name%3D'{name}'")["model_versions"]
    stages = sorted(one["current_stage"] for one in found)
    assert stages == ["Archived"] * (TIMES - 1) + ["Production"]


@case("DELETE", "model-versions/delete")
def one_deletion_of_a_version(s: Servers) -> None:
    name = s.model(2)
    asked = ten("DELETE", "model-versions/delete", lambda _: {"name": name, "version": "1"})
    s.one_wins(asked, "RESOURCE_DOES_NOT_EXIST")


@case("POST", "model-versions/set-tag")
def every_tag_of_a_version(s: Servers) -> None:
    name = s.model(1)
    s.all_good(
        ten("POST", "model-versions/set-tag", lambda i: {"name": name, "version": "1", "key": f"k{i}", "value": "v"})
    )
    assert len(s.good("GET", f"model-versions/get?name={name}&version=1")["model_version"]["tags"]) == TIMES


@case("DELETE", "model-versions/delete-tag")
def a_tag_of_a_version_is_gone(s: Servers) -> None:
    name = s.model(1)
    s.good("POST", "model-versions/set-tag", {"name": name, "version": "1", "key": "k", "value": "v"})
    s.all_good(ten("DELETE", "model-versions/delete-tag", lambda _: {"name": name, "version": "1", "key": "k"}))
    assert "tags" not in s.good("GET", f"model-versions/get?name={name}&version=1")["model_version"]


@case("POST", "logged-models")
def every_logged_model(s: Servers) -> None:
    e = s.experiment()
    made = s.all_good(ten("POST", "logged-models", lambda _: {"experiment_id": e, "name": "m"}))
    assert len({one["model"]["info"]["model_id"] for one in made}) == TIMES


@case("PATCH", "logged-models/([^/]+)")
def a_logged_model_is_ready(s: Servers) -> None:
    model = s.logged_model()
    s.all_good(ten("PATCH", f"logged-models/{model}", lambda _: {"status": "LOGGED_MODEL_READY"}))
    assert s.logged_data(model)["info"]["status"] == "LOGGED_MODEL_READY"


@case("DELETE", "logged-models/([^/]+)")
def one_deletion_of_a_logged_model(s: Servers) -> None:
    model = s.logged_model()
    s.one_wins(ten("DELETE", f"logged-models/{model}"), "RESOURCE_DOES_NOT_EXIST")


@case("PATCH", "logged-models/([^/]+)/tags")
def every_tag_of_a_logged_model(s: Servers) -> None:
    model = s.logged_model()
    s.all_good(ten("PATCH", f"logged-models/{model}/tags", lambda i: {"tags": [{"key": f"k{i}", "value": "v"}]}))
    assert len(s.logged_data(model)["info"]["tags"]) == TIMES


@case("DELETE", "logged-models/([^/]+)/tags/(.+)")
def one_deletion_of_a_tag_of_a_logged_model(s: Servers) -> None:
    model = s.logged_model()
    s.good("PATCH", f"logged-models/{model}/tags", {"tags": [{"key": "k", "value": "v"}]})
    s.one_wins(ten("DELETE", f"logged-models/{model}/tags/k"), "RESOURCE_DOES_NOT_EXIST")


@case("POST", "logged-models/([^/]+)/params")
def every_parameter_of_a_logged_model(s: Servers) -> None:
    model = s.logged_model()
    s.all_good(ten("POST", f"logged-models/{model}/params", lambda i: {"params": [{"key": f"k{i}", "value": "v"}]}))
    assert len(s.logged_data(model)["data"]["params"]) == TIMES


@case("PUT", "artifacts/(.+)")
def one_of_the_files(s: Servers) -> None:
    path = f"{FILES}artifacts/{s.root()}/a.bin"
    s.all_good(ten("PUT", path, lambda i: f"file {i}".encode()))
    assert s.good("GET", path) in [f"file {i}".encode() for i in range(TIMES)]
    for _ in range(3):
        root = f"{FILES}artifacts/{s.root()}"
        s.one_kind([("PUT", f"{root}/{'a/b' if i % 2 else 'a'}", b"x") for i in range(TIMES)])


@case("DELETE", "artifacts/(.+)")
def a_file_is_gone(s: Servers) -> None:
    path = f"{FILES}artifacts/{s.root()}/a.bin"
    s.good("PUT", path, b"file")
    s.all_good(ten("DELETE", path))
    assert s.ask("GET", path)[0] == 404


def upload(s: Servers, root: str) -> str:
    return s.good("POST", f"{FILES}mpu/create/{root}", {"path": "a.bin", "num_parts": 1})["upload_id"]


@case("POST", "mpu/create/(.+)")
def every_upload(s: Servers) -> None:
    path = f"{s.root()}/a.bin"
    made = s.all_good(ten("POST", f"{FILES}mpu/create/{path}", lambda _: {"path": path, "num_parts": 1}))
    assert len({one["upload_id"] for one in made}) == TIMES


@case("PUT", "mpu/part/([^/]+)/([^/]+)")
def every_part(s: Servers) -> None:
    root = s.root()
    path, made = f"{root}/a.bin", upload(s, root)
    s.all_good([("PUT", f"{FILES}mpu/part/{made}/{i + 1}", f"part {i}".encode()) for i in range(TIMES)])
    parts = [{"part_number": i + 1, "etag": None} for i in range(TIMES)]
    s.good("POST", f"{FILES}mpu/complete/{root}", {"path": path, "upload_id": made, "parts": parts})
    assert s.good("GET", f"{FILES}artifacts/{path}") == b"".join(f"part {i}".encode() for i in range(TIMES))


@case("POST", "mpu/complete/(.+)")
def an_upload_is_completed(s: Servers) -> None:
    root = s.root()
    path, made = f"{root}/a.bin", upload(s, root)
    s.good("PUT", f"{FILES}mpu/part/{made}/1", b"part")
    body = {"path": path, "upload_id": made, "parts": [{"part_number": 1, "etag": None}]}
    answers = s.together(ten("POST", f"{FILES}mpu/complete/{root}", lambda _: body))
    assert 200 in {status for status, _ in answers}, answers
    assert s.good("GET", f"{FILES}artifacts/{path}") == b"part"


@case("POST", "mpu/abort/(.+)")
def an_upload_is_forgotten(s: Servers) -> None:
    root = s.root()
    path, made = f"{root}/a.bin", upload(s, root)
    answers = s.together(ten("POST", f"{FILES}mpu/abort/{root}", lambda _: {"path": path, "upload_id": made}))
    assert 200 in {status for status, _ in answers}, answers
    assert s.ask("PUT", f"{FILES}mpu/part/{made}/1", b"part")[0] == 404


def writing() -> set[tuple[str, str]]:
    """Every route that needs more than the right to read."""
    plain = {key: rule.right for key, rule in routes._ROUTES.items()}
    placed = {
        (method, pattern.pattern): rule.right for method, pattern, rule in [*routes._PLACED, *routes._PLACED_FILES]
    }
    return {key for key, right in (plain | placed).items() if right != "read"}


def test_every_writing_route_has_a_case() -> None:
    assert set(CASES) == writing()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, running: Callable[..., Any]
) -> Iterator[Servers]:
    folder: Path = tmp_path_factory.mktemp("racing")
    environment: dict[str, str] = {}
    if request.param == "postgresql":
        environment["ASSAY_DATABASE"] = new_database(request.getfixturevalue("postgres"))
    with ExitStack() as stack:
        yield Servers([stack.enter_context(running(folder / ".assay", **environment)) for _ in range(2)])


def new_database(server: str) -> str:
    name = f"t{uuid4().hex}"
    admin = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize("route", CASES, ids=" ".join)
def test_ten_at_once_on_two_servers(servers: Servers, route: tuple[str, str]) -> None:
    CASES[route](servers)
