"""What may be the source of a version: answered as MLflow's own server of 3.17.2 was seen to answer."""

from typing import Any

import pytest

from .asking import API, Said, ask, new_run


def create(address: str, name: str, source: str, **more: str) -> Said:
    ask(address, "POST", f"{API}/registered-models/create", {"name": name})
    return ask(address, "POST", f"{API}/model-versions/create", {"name": name, "source": source, **more})


def files(address: str, name: str, version: str) -> Any:
    said = ask(address, "GET", f"{API}/model-versions/get-download-uri?name={name}&version={version}")
    return said.json["artifact_uri"] if said.status == 200 else said.status


def test_a_run_of_another_server_may_be_the_source(address: str) -> None:
    said = create(address, "m", "runs:/elsewhere/model", run_id="elsewhere")
    assert said.status == 200, said
    kept = said.json["model_version"]
    assert (kept["source"], kept["run_id"]) == ("runs:/elsewhere/model", "elsewhere")
    assert files(address, "m", "1") == "runs:/elsewhere/model"
    assert create(address, "m", "runs:/elsewhere", run_id="elsewhere").status == 200
    run = new_run(address)
    assert create(address, "m", f"runs:/{run}/a/b", run_id=run).status == 200
    assert files(address, "m", "3") == f"mlflow-artifacts:/0/{run}/artifacts/a/b"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("runs:/RUN/model", {}),
        ("runs:/RUN/model", {"run_id": "OTHER"}),
        ("runs:/RUN/model", {"run_id": "nowhere"}),
        ("runs:/nowhere/model", {"run_id": "RUN"}),
        ("runs:/RUN/model", {"run_id": "RUN", "model_id": "LOGGED"}),
        ("runs:/RUN/model", {"model_id": "LOGGED"}),
        ("runs:RUN/model", {"run_id": "RUN"}),
        ("runs:/", {"run_id": ""}),
        ("runs://RUN/model", {"run_id": "RUN"}),
        ("runs://profile@databricks/RUN/model", {"run_id": "RUN"}),
        ("runs:/RUN/a/../b", {"run_id": "RUN"}),
        ("runs:/RUN/%2e%2e/b", {"run_id": "RUN"}),
        ("models:/LOGGED", {}),
        ("models:/LOGGED", {"run_id": "RUN"}),
        ("models:/LOGGED", {"model_id": "m-absent"}),
        ("models:/base/1", {"run_id": "OTHER"}),
        ("models:/base/1", {"run_id": ""}),
        ("models:/base/1", {"model_id": "LOGGED"}),
        ("models:/base@absent", {}),
        ("models:/base", {}),
        ("models:/", {}),
        ("models:base/1", {}),
        ("models://host/base/1", {}),
        ("models:/base/1/x", {}),
        ("models:/base/-1", {}),
        ("models:/base/²", {}),
        ("mlflow-artifacts:/0/RUN/artifacts", {}),
        ("mlflow-artifacts:/0/RUN/artifacts", {"run_id": "OTHER"}),
        ("mlflow-artifacts:/0/RUN/artifactsx", {"run_id": "RUN"}),
        ("mlflow-artifacts:/0/RUN/artifacts", {"run_id": "RUN", "model_id": "LOGGED"}),
        ("mlflow-artifacts:/models", {"run_id": "RUN"}),
        ("mlflow-artifacts:", {"run_id": "RUN"}),
        ("path/to/source", {"run_id": "RUN"}),
        ("v1", {}),
        (".", {"run_id": "RUN"}),
        ("~/x", {}),
        (" ", {}),
        ("s3:b", {}),
        ("s3://", {}),
        ("s3://bucket", {}),
        ("http://host/api/2.0/mlflow-artifacts/artifacts/0/RUN/artifacts", {"run_id": "RUN"}),
        ("sftp://host/x", {}),
    ],
    ids=str,
)
def test_a_source_that_is_not_what_it_says_is_refused(address: str, source: str, named: dict[str, str]) -> None:
    run, other = new_run(address), new_run(address)
    made = ask(address, "POST", f"{API}/logged-models", {"experiment_id": "0", "source_run_id": run}).json["model"]
    ids = {"RUN": run, "OTHER": other, "LOGGED": made["info"]["model_id"]}
    assert create(address, "base", f"mlflow-artifacts:/0/{run}/artifacts/m", run_id=run).status == 200
    for short, whole in ids.items():
        source = source.replace(short, whole)
    said = create(address, "m", source, **{key: ids.get(value, value) for key, value in named.items()})
    assert (said.status, said.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), said


@pytest.mark.parametrize(
    "source",
    [
        "s3://b/x",
        "s3:/b/x",
        "gs://b/x",
        "dbfs:/x",
        "oss://b/x",
        "azureml://x/y",
        "uc-volume:/x",
        "s3://b/x y",
        "s3://b//ü",
    ],
)
def test_a_store_that_clients_open_may_be_the_source(address: str, source: str) -> None:
    said = create(address, "m", source, run_id="nowhere")
    assert (said.status, files(address, "m", "1")) == (200, source), said


def test_a_version_of_a_version_is_named_by_its_number(address: str) -> None:
    run = new_run(address)
    root = f"mlflow-artifacts:/0/{run}/artifacts"
    create(address, "base", f"{root}/one", run_id=run)
    create(address, "base", f"{root}/two", run_id=run)
    stage = {"name": "base", "version": "1", "stage": "Production"}
    assert ask(address, "POST", f"{API}/model-versions/transition-stage", stage).status == 200
    alias = {"name": "base", "alias": "a", "version": "1"}
    assert ask(address, "POST", f"{API}/registered-models/alias", alias).status == 200
    for named, version, below in (
        ("base/1", "1", "one"),
        ("base/01", "1", "one"),
        ("base@a", "1", "one"),
        ("base/production", "1", "one"),
        ("base/latest", "2", "two"),
        ("base/None", "2", "two"),
    ):
        said = create(address, "m", f"models:/{named}")
        assert said.status == 200, (named, said)
        kept = said.json["model_version"]
        assert (kept["source"], kept["run_id"]) == (f"models:/base/{version}", run), named
        assert files(address, "m", kept["version"]) == f"{root}/{below}"
    for named in ("none/1", "none@a", "base/9", "base/staging"):
        said = create(address, "m", f"models:/{named}")
        assert (said.status, said.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), (named, said)


def test_a_version_of_a_version_keeps_its_files_whatever_happens_to_that(address: str) -> None:
    run = new_run(address)
    root = f"mlflow-artifacts:/0/{run}/artifacts"
    create(address, "a_b", f"{root}/one", run_id=run)
    create(address, "a_b", "models:/a_b/1")
    create(address, "axb", f"{root}/two", run_id=run)
    assert create(address, "m", "models:/a_b/2").status == 200
    assert create(address, "m", "models:/axb/1").status == 200
    assert create(address, "n", "models:/m/1").status == 200
    renamed = {"name": "a_b", "new_name": "c%d"}
    assert ask(address, "POST", f"{API}/registered-models/rename", renamed).status == 200
    shown = ask(address, "GET", f"{API}/model-versions/get?name=m&version=1").json["model_version"]
    assert shown["source"] == "models:/c%d/2"
    assert [files(address, *one) for one in (("m", "1"), ("m", "2"), ("n", "1"))] == [
        f"{root}/one",
        f"{root}/two",
        f"{root}/one",
    ]
    for body in ({"name": "m", "version": "1"},):
        assert ask(address, "DELETE", f"{API}/model-versions/delete", body).status == 200
    assert files(address, "n", "1") == f"{root}/one"
    assert ask(address, "DELETE", f"{API}/registered-models/delete", {"name": "c%d"}).status == 200
    assert files(address, "n", "1") == f"{root}/one"
    # A new version under an old name is another one: nothing leads to it, nor back to itself.
    create(address, "c%d", "models:/n/1")
    assert (files(address, "n", "1"), files(address, "c%25d", "1")) == (f"{root}/one", f"{root}/one")
