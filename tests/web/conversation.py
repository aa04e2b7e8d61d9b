"""A conversation of MLflow's own client with a server: every answer, and every refusal, as JSON.

Run by the interpreter of an environment that has MLflow, against MLflow's server and against ours; what is the same in
both is what conforms. Ids, times and addresses differ by nature and are replaced.
"""

import json
import math
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

NEW = int(mlflow.__version__.split(".")[0]) >= 3
client = MlflowClient()
said: dict[str, object] = {}
ids: dict[str, str] = {}


def plain(value, seen=()):
    """What an answer says, without what differs by nature."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return (
            text(value)
            if isinstance(value, str)
            else "NaN"
            if isinstance(value, float) and math.isnan(value)
            else value
        )
    if isinstance(value, dict):
        return {text(str(key)): plain(one) for key, one in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, (list, tuple, set)):
        return [plain(one) for one in value]
    if hasattr(value, "to_dictionary"):
        return plain(value.to_dictionary())
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if hasattr(value, "__dict__"):
        return plain({key.lstrip("_"): one for key, one in vars(value).items()})
    return str(value)


def text(value: str) -> str:
    for known, name in ids.items():
        value = value.replace(known, name)
    value = re.sub(r"m-[0-9a-f]{32}", "MODEL", value)
    value = re.sub(r"\b[0-9a-f]{32}\b", "ID", value)
    return re.sub(r"http://[\w.:]+", "SERVER", value)


def no_times(value):
    """The same without times and what is drawn at random."""
    if isinstance(value, dict):
        return {
            key: no_times(one)
            for key, one in value.items()
            if not re.search(
                r"time(stamp)?(_ms)?$|creation|last_updated|utc_time|model_uuid|model_size|workspace|trace_location|trace_archival",
                key,
            )
        }
    return [no_times(one) for one in value] if isinstance(value, list) else value


def say(name, work):
    """Note what came of a call."""
    try:
        name = text(name)
        said[name] = no_times(plain(work()))
    except MlflowException as error:
        said[name] = {"refused": error.error_code}
    except Exception as error:  # of the client itself
        said[name] = {"refused by the client": type(error).__name__}
    return said[name]


def keep(name, value):
    if len(value) == 32:
        ids[value] = name
    return value


def experiments():
    number = keep("EXP", client.create_experiment("first", tags={"team": "air"}))
    say("experiment", lambda: client.get_experiment(number))
    say("experiment by name", lambda: client.get_experiment_by_name("first"))
    say("experiment by no name", lambda: client.get_experiment_by_name("none"))
    say("experiment unknown", lambda: client.get_experiment("999999"))
    say("experiment of a bad id", lambda: client.get_experiment("abc"))
    say("experiment twice", lambda: client.create_experiment("first"))
    say("experiment without a name", lambda: client.create_experiment(""))
    say("experiment overlong", lambda: client.create_experiment("x" * 501))
    say("experiment in a file", lambda: client.create_experiment("f", artifact_location="runs:/x"))
    client.set_experiment_tag(number, "mlflow.note.content", "a note")
    say("experiment tagged", lambda: client.get_experiment(number).tags)
    second = keep("SECOND", client.create_experiment("second"))
    client.rename_experiment(second, "zweite")
    say("experiment renamed", lambda: client.get_experiment(second).name)
    say("experiment renamed to a taken name", lambda: client.rename_experiment(second, "first"))
    say("experiment empty name", lambda: client.rename_experiment(second, ""))
    client.delete_experiment(second)
    say("experiment deleted", lambda: client.get_experiment(second))
    say("experiment deleted twice", lambda: client.delete_experiment(second))
    say("experiment deleted, renamed", lambda: client.rename_experiment(second, "again"))
    say("run in a deleted experiment", lambda: client.create_run(second))
    client.restore_experiment(second)
    say("experiment restored", lambda: client.get_experiment(second).lifecycle_stage)
    say("experiment restored twice", lambda: client.restore_experiment(second))
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        say(f"experiments {view}", lambda: sorted(e.name for e in client.search_experiments(view_type=view)))
    for query in (
        "name = 'first'",
        "name LIKE 'f%'",
        "name ILIKE 'F%'",
        "name != 'first'",
        "tags.team = 'air'",
        "tag.team LIKE '%i%'",
        "foo = 'x'",
        "name > 'x'",
        "creation_time > 0",
        "metrics.a > 1",
        "name = 'first' AND tags.team = 'sea'",
    ):
        say(
            f"experiments where {query}", lambda: sorted(e.name for e in client.search_experiments(filter_string=query))
        )
    for order in (["name"], ["name DESC"], ["foo"], ["last_update_time DESC"]):
        say(f"experiments by {order}", lambda: sorted(e.name for e in client.search_experiments(order_by=order)))
    page = client.search_experiments(max_results=1, order_by=["name"])
    say(
        "experiments page",
        lambda: [e.name for e in client.search_experiments(max_results=1, order_by=["name"], page_token=page.token)],
    )
    say("experiments bad token", lambda: client.search_experiments(page_token="???"))
    say("experiments too many", lambda: client.search_experiments(max_results=0))
    return number


def runs(number):
    run = client.create_run(number, start_time=1_600_000_000_000, tags={"mlflow.user": "me", "k": "v"}, run_name="one")
    run_id = keep("RUN", run.info.run_id)
    say("run", lambda: run)
    say("run got", lambda: client.get_run(run_id))
    say("run unknown", lambda: client.get_run("0" * 32))
    say("run in no experiment", lambda: client.create_run("999999"))
    say("run of two names", lambda: client.create_run(number, run_name="a", tags={"mlflow.runName": "b"}))
    client.log_metric(run_id, "auc", 0.5, timestamp=1_600_000_000_001, step=1)
    client.log_metric(run_id, "auc", 0.7, timestamp=1_600_000_000_003, step=3)
    client.log_metric(run_id, "auc", 0.6, timestamp=1_600_000_000_009, step=2)
    client.log_metric(run_id, "auc", 0.6, timestamp=1_600_000_000_009, step=2)
    client.log_metric(run_id, "nan", float("nan"), timestamp=1_600_000_000_000, step=-5)
    client.log_metric(run_id, "a/b c.d-e:f_g", 1e300, timestamp=1_600_000_000_000)
    say("metrics", lambda: {m.key: [m.value, m.step, m.timestamp] for m in client.get_run(run_id)._data._metric_objs})
    say("history", lambda: [[m.value, m.step, m.timestamp] for m in client.get_metric_history(run_id, "auc")])
    say("history of nothing", lambda: [m.value for m in client.get_metric_history(run_id, "none")])
    for key in ("", "a\nb", "../up", "/root", "a//b", ".", "x" * 251, "ü", "a%b"):
        say(f"metric {key[:9]!r}", lambda: client.log_metric(run_id, key, 1.0))
        say(f"param {key[:9]!r}", lambda: client.log_param(run_id, key, 1.0))
        say(f"tag {key[:9]!r}", lambda: client.set_tag(run_id, key, 1.0))
    say("metric of a text", lambda: client.log_metric(run_id, "text", "high"))
    say("metric of no run", lambda: client.log_metric("0" * 32, "a", 1))
    say("metric before 1970", lambda: client.log_metric(run_id, "old", 1.0, timestamp=-1))
    client.log_param(run_id, "lr", 0.1)
    say("param the same", lambda: client.log_param(run_id, "lr", 0.1))
    say("param changed", lambda: client.log_param(run_id, "lr", 0.2))
    client.log_param(run_id, "long", "x" * 7000)
    client.log_param(run_id, "unicode", "ünïcödé ✓ 😀")
    client.log_param(run_id, "empty", "")
    client.set_tag(run_id, "team", "air")
    client.set_tag(run_id, "team", "sea")
    client.set_tag(run_id, "long", "y" * 9000)
    client.set_tag(run_id, "gone", "1")
    client.delete_tag(run_id, "gone")
    say("tag deleted twice", lambda: client.delete_tag(run_id, "gone"))
    say(
        "tag of the name",
        lambda: (client.set_tag(run_id, "mlflow.runName", "uno"), client.get_run(run_id).info.run_name)[1],
    )
    client.log_batch(
        run_id,
        [Metric(f"m{i}", i / 7, 1_600_000_000_000 + i, i) for i in range(900)],
        [Param(f"p{i}", str(i)) for i in range(50)],
        [RunTag(f"t{i}", str(i)) for i in range(50)],
    )
    say(
        "batch",
        lambda: [
            len(client.get_run(run_id).data.metrics),
            len(client.get_run(run_id).data.params),
            len(client.get_run(run_id).data.tags),
        ],
    )
    say("batch of too many params", lambda: client.log_batch(run_id, [], [Param(f"q{i}", "1") for i in range(101)], []))
    say("batch of a param twice", lambda: client.log_batch(run_id, [], [Param("twice", "1"), Param("twice", "1")], []))
    say(
        "batch of a changed param",
        lambda: client.log_batch(run_id, [Metric("unseen", 1.0, 1, 1)], [Param("lr", "9")], []),
    )
    say("batch that was refused left nothing", lambda: "unseen" in client.get_run(run_id).data.metrics)
    say("batch of no run", lambda: client.log_batch("0" * 32, [Metric("m", 1.0, 1, 1)]))
    say("run at the end", lambda: client.get_run(run_id))
    client.update_run(run_id, name="dos")
    client.set_terminated(run_id, "FAILED", end_time=1_600_000_009_000)
    say("run ended", lambda: client.get_run(run_id).info)
    say("run with a bad status", lambda: client.set_terminated(run_id, "WRONG"))
    client.delete_run(run_id)
    say("run deleted", lambda: client.get_run(run_id).info)
    say("run deleted twice", lambda: client.delete_run(run_id))
    say("metric of a deleted run", lambda: client.log_metric(run_id, "a", 1))
    say("param of a deleted run", lambda: client.log_param(run_id, "aa", 1))
    say("tag of a deleted run", lambda: client.set_tag(run_id, "aa", 1))
    say(
        "runs deleted",
        lambda: [r.info.run_id for r in client.search_runs([number], run_view_type=ViewType.DELETED_ONLY)],
    )
    client.restore_run(run_id)
    say("run restored twice", lambda: client.restore_run(run_id))
    say("runs active", lambda: [r.info.run_id for r in client.search_runs([number])])
    return run_id


FILTERS = [
    "", "metrics.auc > 0.55", "metrics.auc >= 0.9", "metrics.auc != 0.5", "metrics.auc = 0.5", "metric.auc < 0.55", "metrics.`val loss` < 2",
    'metrics."val loss" < 2', "metrics.odd = 0", "metrics.odd != 3", "metrics.odd > 0", "params.leaves = '31'", "params.leaves != '31'",
    "param.kind LIKE 'g%'", "params.kind LIKE 'G%'", "params.kind ILIKE 'G%'", "parameters.leaves = '15'", "params.leaves IS NULL", "params.only IS NOT NULL",
    "tags.team = 'air'", "tags.team != 'air'", "tags.team LIKE '%r'", "tags.team IS NULL", "attributes.status = 'FINISHED'", "status = 'RUNNING'",
    "attributes.run_name = 'r3'", "run_name LIKE 'r%'", "attributes.start_time > 1600000000003", "attributes.start_time <= 1600000000003", "created > 1600000000003",
    "metrics.auc > 0.55 and params.leaves = '31'", "metrics.auc > 0.55 AND params.leaves = '31' AND tags.team = 'air'", "run_id IN ('x')", "attributes.user_id = 'me'",
    "datasets.name = 'flights'", "dataset.digest = 'abc'", "datasets.context = 'training'", "datasets.name LIKE 'fl%'", "datasets.name IN ('flights', 'x')",
    "attributes.end_time > 0",
]  # fmt: skip
WRONG = [
    "metrics.auc > 'x'", "metrics.auc >", "params.leaves = 31", "params.leaves > '31'", "foo.bar = 1", "attributes.nothing = 'x'", "metrics.auc LIKE 'x'",
    "metrics.auc > 0.5 metrics.b > 1", "tags.team IN ('a')  AND", "start_time > '7'  'x'", "metrics.auc = = 1", "status > 'FINISHED'", "run_id IN ()",
]  # fmt: skip
ORDERS = [
    ["metrics.auc"], ["metrics.auc DESC"], ["params.leaves", "metrics.auc DESC"], ["tags.team DESC"], ["attributes.start_time"], ["start_time DESC"], ["run_name"],
    ["metrics.odd DESC"], ["metrics.none"], ["metrics.`val loss` ASC"], ["metrics.auc", "metrics.auc DESC"], ["foo.bar"], ["metrics.auc SIDEWAYS"], ["status", "end_time"],
]  # fmt: skip


def searching():
    from mlflow.entities import Dataset, DatasetInput, InputTag

    number = keep("SEARCH", client.create_experiment("search"))
    for i in range(8):
        run = client.create_run(
            number, start_time=1_600_000_000_000 + i, tags={"mlflow.user": "me", "mlflow.runName": f"r{i}"}
        )
        run_id = keep(f"RUN{i}", run.info.run_id)
        params = [Param("leaves", str((15, 31, 63)[i % 3])), Param("kind", ("gbdt", "Goss")[i % 2])] + (
            [Param("only", "x")] if i == 4 else []
        )
        metrics = [Metric("auc", 0.5 + (i * 3 % 8) / 20, 1, 0), Metric("val loss", i % 4, 1, 0)] if i != 5 else []
        metrics += [Metric("odd", float("nan") if i % 2 else float(i), 1, 0)] if i < 6 else []
        client.log_batch(run_id, metrics, params, [RunTag("team", "air")] if i % 2 else [])
        if i < 2:
            data = Dataset(name="flights", digest="abc", source_type="local", source="{}", schema="{}", profile="{}")
            client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        if i % 3:
            client.set_terminated(run_id, ("FINISHED", "FAILED")[i % 2], end_time=1_600_000_100_000 - i)
    for query in FILTERS + WRONG:
        say(f"runs where {query}", lambda: [r.info.run_id for r in client.search_runs([number], query)])
    for order in ORDERS:
        say(f"runs by {order}", lambda: [r.info.run_id for r in client.search_runs([number], order_by=order)])
    found, token = [], None
    for _ in range(5):
        page = client.search_runs([number], order_by=["metrics.auc DESC"], max_results=3, page_token=token)
        found.append([r.info.run_id for r in page])
        token = page.token
        if not token:
            break
    said["runs in pages"] = [[ids[one] for one in page] for page in found]
    say("runs too many", lambda: client.search_runs([number], max_results=50_001))
    say("runs of no experiment", lambda: [r.info.run_id for r in client.search_runs([])])
    say("runs bad token", lambda: client.search_runs([number], page_token="x"))
    say("run with inputs", lambda: client.search_runs([number], "run_name = 'r1'")[0])
    say("frame", lambda: sorted(mlflow.search_runs([number]).columns))


def artifacts(run_id):
    folder = Path(tempfile.mkdtemp())
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("hello")
    (folder / "sub" / "ü ö.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "sub" / "deep" / "empty").write_text("")
    client.log_artifacts(run_id, str(folder), "all")
    client.log_artifact(run_id, str(folder / "a.txt"))
    client.log_artifact(run_id, str(folder / "a.txt"), "x/y")
    client.log_text(run_id, "some text", "texts/one.md")
    client.log_dict(run_id, {"a": [1, 2]}, "dict.json")
    for path in (None, "all", "all/sub", "all/sub/deep", "x", "none", "a.txt", "all/a.txt"):
        say(
            f"artifacts of {path}",
            lambda: [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(run_id, path)],
        )
    for path in ("../x", "a/../../b", "/etc/passwd", "%2e%2e/x", "a%2f..%2f..%2fb", "..%2f", "c:\\x"):
        say(f"artifacts of {path}", lambda: client.list_artifacts(run_id, path))
    got = Path(client.download_artifacts(run_id, "all"))
    said["downloaded"] = sorted([str(p.relative_to(got)), p.stat().st_size] for p in got.rglob("*") if p.is_file())
    same = (got / "sub" / "ü ö.bin").read_bytes() == (folder / "sub" / "ü ö.bin").read_bytes()
    said["downloaded the same"] = same
    say("load text", lambda: mlflow.artifacts.load_text(f"runs:/{run_id}/texts/one.md"))
    say("load dict", lambda: mlflow.artifacts.load_dict(f"runs:/{run_id}/dict.json"))
    say("download nothing", lambda: client.download_artifacts(run_id, "none.txt"))
    from mlflow.artifacts import list_artifacts as every

    say("artifacts of a run by uri", lambda: [f.path for f in every(f"runs:/{run_id}")])


def registry(run_id):
    say("model", lambda: client.create_registered_model("m", {"a": "b"}, "about"))
    say("model twice", lambda: client.create_registered_model("m"))
    for name in ("", "a/b", "a:b", "..", " "):
        say(f"model {name!r}", lambda: client.create_registered_model(name))
    say("model unknown", lambda: client.get_registered_model("none"))
    source = client.get_run(run_id).info.artifact_uri + "/all"
    say("version", lambda: client.create_model_version("m", source, run_id, tags={"t": "1"}, description="first"))
    say("version again", lambda: client.create_model_version("m", source, run_id).version)
    say("version of no model", lambda: client.create_model_version("none", source, run_id))
    for odd in (
        "file:///etc/passwd",
        "/etc/passwd",
        "../../x",
        "mlflow-artifacts:/../../x",
        "mlflow-artifacts:/0/other/artifacts/x",
        "mlflow-artifacts:/a/%2e%2e/b",
    ):
        say(f"version of {odd}", lambda: client.create_model_version("m", odd, run_id))
    say("model got", lambda: client.get_registered_model("m"))
    say("version got", lambda: client.get_model_version("m", "1"))
    say("version unknown", lambda: client.get_model_version("m", "77"))
    say("version no number", lambda: client.get_model_version("m", "x"))
    say("version updated", lambda: client.update_model_version("m", "1", "described"))
    say("model updated", lambda: client.update_registered_model("m", "described"))
    say("download uri", lambda: client.get_model_version_download_uri("m", "1"))
    client.set_registered_model_alias("m", "champion", "1")
    client.set_registered_model_alias("m", "champion", "2")
    client.set_registered_model_alias("m", "other", "2")
    for alias in ("latest", "v1", "a b", ""):
        say(f"alias {alias!r}", lambda: client.set_registered_model_alias("m", alias, "1"))
    say("alias to nothing", lambda: client.set_registered_model_alias("m", "x", "99"))
    say("by alias", lambda: client.get_model_version_by_alias("m", "champion"))
    say("by no alias", lambda: client.get_model_version_by_alias("m", "nobody"))
    say("by alias of no model", lambda: client.get_model_version_by_alias("none", "champion"))
    client.delete_registered_model_alias("m", "other")
    say("alias deleted twice", lambda: client.delete_registered_model_alias("m", "other"))
    client.set_registered_model_tag("m", "k", "v")
    client.delete_registered_model_tag("m", "k")
    client.set_model_version_tag("m", "1", "k", "v")
    client.set_model_version_tag("m", "1", "k2", "v")
    client.delete_model_version_tag("m", "1", "k2")
    say("staged", lambda: client.transition_model_version_stage("m", "1", "production"))
    say(
        "staged, the others archived",
        lambda: (
            client.transition_model_version_stage("m", "2", "Production", archive_existing_versions=True).current_stage
        ),
    )
    say("staged wrongly", lambda: client.transition_model_version_stage("m", "2", "Nowhere"))
    say("latest", lambda: [[v.version, v.current_stage] for v in client.get_latest_versions("m")])
    say("latest of a stage", lambda: [v.version for v in client.get_latest_versions("m", ["Production"])])
    client.create_registered_model("other")
    client.create_model_version("other", source, run_id)
    for query in ("", "name = 'm'", "name LIKE 'o%'", "name ILIKE 'O%'", "tags.a = 'b'", "foo = 'x'"):
        say(f"models where {query}", lambda: [m.name for m in client.search_registered_models(query)])
    for order in (["name DESC"], ["name ASC"], ["foo"]):
        say(f"models by {order}", lambda: [m.name for m in client.search_registered_models(order_by=order)])
    for query in (
        "",
        "name = 'm'",
        "version_number > 1",
        f"run_id = '{run_id}'",
        "tags.t = '1'",
        "name IN ('m', 'x')",
        f"run_id IN ('{run_id}')",
        "foo = 1",
    ):
        say(f"versions where {query}", lambda: sorted([v.name, v.version] for v in client.search_model_versions(query)))
    for order in (["version_number ASC"], ["name DESC", "version_number"], ["foo"]):
        say(f"versions by {order}", lambda: [[v.name, v.version] for v in client.search_model_versions(order_by=order)])
    client.delete_model_version("m", "2")
    say("version deleted", lambda: client.get_model_version("m", "2"))
    say("version deleted twice", lambda: client.delete_model_version("m", "2"))
    say("alias of a deleted version", lambda: client.get_model_version_by_alias("m", "champion"))
    say("model renamed", lambda: client.rename_registered_model("m", "n"))
    say("model renamed to a taken name", lambda: client.rename_registered_model("n", "other"))
    say("version of the renamed", lambda: client.get_model_version("n", "1").name)
    client.delete_registered_model("n")
    say("model deleted twice", lambda: client.delete_registered_model("n"))
    say("version of a deleted model", lambda: client.get_model_version("n", "1"))


def autologging():
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    x, y = np.random.default_rng(0).normal(size=(200, 4)), np.arange(200) % 2
    mlflow.set_experiment("auto")
    mlflow.sklearn.autolog(log_datasets=True, silent=True)
    with mlflow.start_run(run_name="sk") as run:
        LogisticRegression(max_iter=50).fit(x, y)
    shown("sklearn", run)
    with mlflow.start_run(run_name="grid") as run:
        GridSearchCV(LogisticRegression(max_iter=50), {"C": [0.1, 1.0]}, cv=2).fit(x, y)
    shown("grid", run)
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    said["grid children"] = len(children)
    mlflow.sklearn.autolog(disable=True)
    import lightgbm as lgb

    mlflow.lightgbm.autolog(silent=True)
    with mlflow.start_run(run_name="lgb") as run:
        lgb.train(
            {"objective": "binary", "verbose": -1, "num_threads": 1},
            lgb.Dataset(x, y),
            5,
            valid_sets=[lgb.Dataset(x, y)],
        )
    shown("lightgbm", run)
    import xgboost as xgb

    mlflow.xgboost.autolog(silent=True)
    with mlflow.start_run(run_name="xgb") as run:
        xgb.train(
            {"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(x, y), 5, evals=[(xgb.DMatrix(x, y), "train")]
        )
    shown("xgboost", run)
    return x, y


def shown(name, run):
    data = client.get_run(run.info.run_id).data
    said[f"{name} metrics"] = {key: round(value, 6) for key, value in sorted(data.metrics.items())}
    said[f"{name} params"] = dict(sorted(data.params.items()))
    said[f"{name} tags"] = sorted(data.tags)
    said[f"{name} status"] = client.get_run(run.info.run_id).info.status
    said[f"{name} artifacts"] = sorted(walk(run.info.run_id))


def walk(run_id, path=None):
    for file in client.list_artifacts(run_id, path):
        yield from walk(run_id, file.path) if file.is_dir else [file.path]


def models(x, y):
    from sklearn.linear_model import LogisticRegression

    mlflow.set_experiment("models")
    fitted = LogisticRegression().fit(x, y)
    with mlflow.start_run() as run:
        kind = {"name": "clf"} if NEW else {"artifact_path": "clf"}
        extra = {"params": {"C": "1"}, "step": 3} if NEW else {}
        logged = mlflow.sklearn.log_model(fitted, **kind, input_example=x[:2], registered_model_name="clf", **extra)
        if NEW:
            mlflow.log_metric("acc", 0.9, model_id=logged.model_id)
    client.set_registered_model_alias("clf", "champion", "1")
    for uri in (
        "models:/clf@champion",
        "models:/clf/1",
        f"runs:/{run.info.run_id}/clf",
        *((f"models:/{logged.model_id}", "models:/clf/latest") if NEW else ()),
    ):
        name = re.sub(r"runs:/\w+", "runs:/ID", re.sub(r"m-\w+", "MODEL", uri))
        say(f"predicted by {name}", lambda: [int(v) for v in mlflow.pyfunc.load_model(uri).predict(x[:9])])
        say(f"sklearn of {name}", lambda: type(mlflow.sklearn.load_model(uri)).__name__)
    version = client.get_model_version("clf", "1")
    said["version of a logged model"] = [
        version.name,
        version.version,
        bool(version.run_id),
        version.source.split(":")[0],
    ]
    again = mlflow.register_model(f"runs:/{run.info.run_id}/clf", "clf")
    said["registered again"] = [again.name, str(again.version)]
    copied = client.copy_model_version("models:/clf/1", "copy")
    said["copied"] = [copied.name, str(copied.version)]
    say("predicted by a copy", lambda: [int(v) for v in mlflow.pyfunc.load_model("models:/copy/1").predict(x[:9])])
    if not NEW:
        return
    say(
        "logged model",
        lambda: {k: v for k, v in plain(client.get_logged_model(logged.model_id)).items() if k not in ("tags", "name")},
    )
    client.set_logged_model_tags(logged.model_id, {"stage": "good", "x": "y"})
    client.delete_logged_model_tag(logged.model_id, "x")
    say("logged model tag deleted twice", lambda: client.delete_logged_model_tag(logged.model_id, "x"))
    say(
        "logged model tags",
        lambda: {k: v for k, v in client.get_logged_model(logged.model_id).tags.items() if not k.startswith("mlflow.")},
    )
    number = run.info.experiment_id
    for query in (
        "",
        "name = 'clf'",
        "tags.stage = 'good'",
        "params.C = '1'",
        "metrics.acc > 0.5",
        "metrics.acc > 0.95",
        "status = 'READY'",
        "foo = 'x'",
    ):
        say(f"logged models where {query}", lambda: [m.name for m in client.search_logged_models([number], query)])
    for order in (
        [{"field_name": "metrics.acc", "ascending": False}],
        [{"field_name": "creation_timestamp"}],
        [{"field_name": "params.C"}],
    ):
        say(
            f"logged models by {order}", lambda: [m.name for m in client.search_logged_models([number], order_by=order)]
        )
    say("outputs of the run", lambda: len(client.get_run(run.info.run_id).outputs.model_outputs))
    say("logged model unknown", lambda: client.get_logged_model("m-" + "0" * 32))
    made = client.create_logged_model(
        number, name="by hand", source_run_id=run.info.run_id, params={"a": "1"}, tags={"b": "2"}, model_type="x"
    )
    say("logged model by hand", lambda: made)
    say("logged model finalized", lambda: client.finalize_logged_model(made.model_id, "READY").status)
    say("logged model failed", lambda: client.finalize_logged_model(made.model_id, "FAILED").status)
    client.delete_logged_model(made.model_id)
    say("logged model deleted", lambda: client.get_logged_model(made.model_id))


def fluent():
    mlflow.set_experiment("fluent")
    with mlflow.start_run(run_name="parent", description="about") as parent:
        mlflow.log_params({"a": 1, "b": None, "c": [1, 2]})
        mlflow.log_metrics({"x": 1.5, "y": 2}, step=4)
        mlflow.set_tags({"t": 1})
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("z", 3)
        mlflow.log_table({"col": [1, 2], "other": ["a", "b"]}, "table.json")
        import matplotlib

        matplotlib.use("agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "plots/line.png")
        import pandas as pd

        mlflow.log_input(mlflow.data.from_pandas(pd.DataFrame({"a": [1, 2]}), name="frame"), context="eval")
    one = client.get_run(parent.info.run_id)
    said["fluent params"], said["fluent metrics"], said["fluent tags"] = (
        one.data.params,
        one.data.metrics,
        sorted(one.data.tags),
    )
    said["fluent inputs"] = [
        [i.dataset.name, i.dataset.source_type, [t.value for t in i.tags]] for i in one.inputs.dataset_inputs
    ]
    said["fluent artifacts"] = sorted(walk(parent.info.run_id))
    said["fluent child"] = client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    try:
        with mlflow.start_run() as failing:
            raise RuntimeError
    except RuntimeError:
        said["fluent failed"] = client.get_run(failing.info.run_id).info.status
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.log_metric("later", 1)
    said["fluent gone on"] = client.get_run(parent.info.run_id).data.metrics.get("later")
    mlflow.delete_run(child.info.run_id)
    said["fluent last"] = mlflow.last_active_run() is not None


def main():
    number = experiments()
    run_id = runs(number)
    searching()
    artifacts(run_id)
    registry(run_id)
    fluent()
    models(*autologging())
    json.dump(said, sys.stdout, indent=1, sort_keys=True, default=str)


main()
