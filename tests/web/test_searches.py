"""Searches of experiments, models and versions find and order as MLflow does, in pages that keep their place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import event, insert, select

from assay.store import Store, find_home
from assay.store.schema import logged_model_metrics, logged_model_params, logged_model_tags, logged_models
from assay.times import now
from assay.track import entities
from assay.track import experiments as tracked
from assay.web.mlflow.searched_logged import searched_models

from .asking import API, ask

Search = Callable[..., Any]


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, up: Callable[..., str]) -> str:
    return up() if request.param == "sqlite" else up(ASSAY_DATABASE=request.getfixturevalue("new_postgres"))


def make(server: str, path: str, **fields: Any) -> Any:
    made = ask(server, "POST", f"{API}/{path}", fields)
    assert made.status == 200, made
    return made.json


def found(server: str, kind: str, key: str, **asked: Any) -> list[Any]:
    said = ask(server, "GET", f"{API}/{kind}/search?{urlencode(asked, doseq=True)}")
    assert said.status == 200, said
    return [one[key] for one in said.json.get(kind.replace("-", "_"), [])]


def models_found(server: str, **asked: Any) -> list[str]:
    said = ask(server, "POST", f"{API}/logged-models/search", {"experiment_ids": ["0"]} | asked)
    assert said.status == 200, said
    return [one["info"]["name"] for one in said.json.get("models", [])]


def test_experiments_are_compared_and_ordered_by_all_that_they_have(server: str) -> None:
    for name, tags in (("a", {"team": "air"}), ("B", {"team": "sea", "n": "1"}), ("c%", {})):
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        make(server, "experiments/create", name=name, tags=pairs)

    def search(text: str, *order: str) -> list[str]:
        return found(server, "experiments", "name", max_results=50, filter=text, order_by=list(order or ["name"]))

    assert set(search("")) == {"a", "B", "c%", "Default"}
    assert search("tags.team = 'air' OR name = 'c%'") == ["a", "c%"]
    assert search("NOT tags.team = 'air' AND name != 'B' AND name IN ('a', 'B', 'c%')") == ["c%"]
    assert search("tags.n IS NULL AND tags.team IS NOT NULL") == ["a"]
    assert search("tags.team LIKE 'AIR'") == []
    assert search("tags.team ILIKE 'AIR'") == ["a"]
    assert search("tags.team IS NOT NULL", "tags.n", "tags.team DESC") == ["B", "a"]  # what has no value comes last
    assert search("tags.team IS NOT NULL", "tags.n DESC") == ["B", "a"]
    assert search("creation_time < 1e300 AND creation_time > -1e300 AND tags.n = '1'") == ["B"]
    created = found(server, "experiments", "creation_time", max_results=1, filter="name = 'a'")[0]
    for sign, holds in (("=", True), (">=", True), ("<=", True), ("!=", False), ("<", False), (">", False)):
        assert ("a" in search(f"creation_time {sign} {created} AND name = 'a'")) is holds, sign
    assert search(f"creation_time > {created - 0.5} AND creation_time < {created + 0.5} AND name = 'a'") == ["a"]
    numbers = found(server, "experiments", "experiment_id", max_results=50, order_by=["experiment_id"])
    assert numbers == sorted(numbers, key=int)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("experiments", "metrics.a > 1"),
        ("experiments", "creation_time = 'x'"),
        ("experiments", "name > 'x'"),
        ("registered-models", "creation_timestamp > 1"),
        ("registered-models", "params.a = '1'"),
        ("model-versions", "version_number LIKE '1'"),
        ("model-versions", "params.a = '1'"),
    ],
)
def test_what_can_not_be_compared_is_refused_though_there_is_nothing(address: str, path: str, text: str) -> None:
    said = ask(address, "GET", f"{API}/{path}/search?{urlencode({'filter': text, 'max_results': 10})}")
    assert (said.status, said.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_models_and_versions_are_found_in_pages_while_others_come_and_go(server: str) -> None:
    for name in "bdfh":
        make(server, "registered-models/create", name=name)
        for _ in range(2):
            make(server, "model-versions/create", name=name, source=f"s3://bucket/{name}")
    seen: list[str] = []
    token, more = "", iter("ace")
    while True:
        asked = {"max_results": 1, "page_token": token, "order_by": "name DESC"}
        said = ask(server, "GET", f"{API}/registered-models/search?{urlencode(asked)}").json
        seen += [one["name"] for one in said["registered_models"]]
        token = said.get("next_page_token", "")
        if not token:
            break
        if new := next(more, ""):  # before the page, in the first case; the model of the page before is gone
            make(server, "registered-models/create", name=f"z{new}")
            assert ask(server, "DELETE", f"{API}/registered-models/delete", {"name": seen[-1]}).status == 200
    assert seen == ["h", "f", "d", "b"]
    assert found(server, "model-versions", "version", filter="name = 'b' AND version_number > 1.5") == ["2"]
    assert found(server, "model-versions", "version", order_by=["name", "version_number DESC"]) == ["2", "1"]
    assert found(server, "model-versions", "version", filter="source_path LIKE '%/b' AND run_id = ''") == ["2", "1"]
    assert found(server, "registered-models", "name", filter="tags.`mlflow.prompt.is_prompt` != 'true'", max_results=9) == [
        "b", "za", "zc", "ze"
    ]  # fmt: skip
    latest = found(server, "registered-models", "latest_versions", filter="name = 'b'", max_results=9)[0]
    assert [one["version"] for one in latest] == ["2"]


def test_logged_models_are_ordered_by_their_newest_metric_on_the_dataset(server: str) -> None:
    run = make(server, "runs/create", experiment_id="0")["run"]["info"]["run_id"]
    ids: dict[str, str] = {}
    for name in ("low", "high", "nan", "none"):
        made = make(server, "logged-models", experiment_id="0", name=name, params=[{"key": "c", "value": name[0]}])
        ids[name] = made["model"]["info"]["model_id"]
    for name, value, at, step, data in (
        ("low", 0.9, 5, 9, "d"),  # an older time counts less than a higher step
        ("low", 0.1, 6, 1, "d"),
        ("low", 0.95, 7, 1, "e"),
        ("high", 0.5, 6, 1, "d"),
        ("nan", "NaN", 6, 1, "d"),
    ):
        point = {"run_id": run, "key": "acc", "value": value, "timestamp": at, "step": step, "model_id": ids[name]}
        make(server, "runs/log-metric", **point, dataset_name=data, dataset_digest="1")
    for ascending, order in ((True, ["high", "low"]), (False, ["low", "high"])):
        by = {"field_name": "metrics.acc", "ascending": ascending}
        assert models_found(server, order_by=[by])[:2] == order
        names = models_found(server, order_by=[by | {"dataset_name": "d"}])
        assert (names[:2], set(names[2:])) == (order[::-1], {"nan", "none"})
    assert models_found(server, filter="metrics.acc > 0.4", datasets=[{"dataset_name": "d"}]) == ["high"]
    assert set(models_found(server, filter="NOT metrics.acc > 0.9")) == {"high", "nan", "none"}
    assert models_found(server, filter="params.c = 'h' AND status = 'LOGGED_MODEL_PENDING'") == ["high"]
    pages: list[str] = []
    asked: dict[str, Any] = {"experiment_ids": ["0"], "max_results": 1, "order_by": [{"field_name": "metrics.acc"}]}
    said = ask(server, "POST", f"{API}/logged-models/search", asked).json
    while token := said.get("next_page_token"):
        pages += [one["info"]["name"] for one in said["models"]]
        said = ask(server, "POST", f"{API}/logged-models/search", asked | {"page_token": token}).json
    assert set(pages + [one["info"]["name"] for one in said["models"]]) == set(ids)
    other = ask(server, "POST", f"{API}/logged-models/search", asked | {"filter": "name = 'x'", "page_token": "W10="})
    assert other.status == 400


def test_a_page_of_logged_models_reads_the_rows_of_that_page_only(tmp_path: Path) -> None:
    store = Store(find_home(tmp_path / ".assay"))
    at, ids = now(), [f"m-{number:04}" for number in range(500)]
    with store.database.begin() as connection:
        number = tracked.create(connection, "many")
        row = {"experiment_id": number, "name": "m", "model_type": "", "source_run_id": "", "status": 2}
        connection.execute(
            insert(logged_models), [row | {"id": one, "created_at": at, "updated_at": at} for one in ids]
        )
        for table in (logged_model_params, logged_model_tags):
            connection.execute(insert(table), [{"model_id": one, "name": "a", "value": one} for one in ids])
        point = {"run_id": "r", "step": 0, "at_us": 0, "value": 1.0}
        rows = [point | {"model_id": one, "name": f"x{k}"} for one in ids for k in range(20)]
        connection.execute(insert(logged_model_metrics), rows)
    search = entities.Search("metrics.x7 > 0", ["metrics.x3 DESC"], ["model_id"], 5)
    statements: list[str] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with store.database.read() as connection:
        rows, token = entities.page(
            connection, searched_models((), {"x3": ("x3", ())}), select(logged_models.c.id), search
        )
    assert ([row.id for row in rows], token is not None) == (ids[:5], True)
    asked = [one for one in statements if one.startswith("SELECT")]
    assert len(asked) == 1
    assert asked[0].endswith("LIMIT ? OFFSET ?")
    store.database.dispose()
