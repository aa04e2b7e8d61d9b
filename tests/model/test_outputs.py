"""Each kind of output with the estimators of real libraries: trained, judged, served, logged and compared."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from assay.blessing import Policy, Verdict, bless, publish
from assay.contract.columns import from_rows
from assay.contract.decode import to_json
from assay.errors import BadInput
from assay.model import Candidate, open_bundle, train
from assay.model.loaded import load_version
from assay.predictions import drain_predictions, open_sql, read_rows
from assay.serve.answer import answer, open_served
from assay.skew import find_skew
from assay.store import Store
from assay.times import now
from assay.track import By, aliases, champion, register

HEAD = """
from typing import Annotated, Literal
import numpy as np
import assay

Species = Literal["gentoo", "adelie", "chinstrap"]


class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    a: float
    b: float
    c: Literal["x", "y", "z"] | None


def features(d):
    return {"a": d.a, "b": d.b, "c": d.c}


def numbers(d):
    return {"a": d.a, "b": d.b}


def declare(features=features, **more):
    return assay.Model("thing", takes=In, gives=Out, features=features, fit=fit, **more)

"""
Made = Callable[..., ModuleType]


def make_rows(days: int = 20, *, by_day: int = 30, seed: int = 3) -> pa.Table:
    """Rows whose labels follow from a and b, but for some noise."""
    random, count = np.random.default_rng(seed), days * by_day
    a, b = random.uniform(0, 3, count), random.normal(0, 1, count)
    at = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(86_400_000_000 // by_day, "us")
    kind = np.clip(np.floor(a + random.normal(0, 0.05, count)), 0, 2).astype(int)
    return pa.table(
        {
            "key": [f"k{i}" for i in range(count)],
            "at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "a": a,
            "b": b,
            "c": [None if i % 40 == 0 else "xyz"[i % 3] for i in range(count)],
            "species": np.array(["adelie", "chinstrap", "gentoo"])[kind],
            "grade": kind + 1,
            "late": a > 1.5,
            "churned": np.where(a > 1.5, "yes", "no"),
            "rained": a + random.normal(0, 0.2, count) > 1,
            "windy": b > 0,
            "amount": 10 * a + random.normal(0, 1, count),
            "other": 5 * b + random.normal(0, 0.1, count),
            "visits": random.poisson(np.exp(a)),
            "curve": [[x, 2 * x, 3 * x] for x in a],
            "w": np.where(b > 0, 2.0, 1.0),
            "query": [f"q{i // 10}" for i in range(count)],
            "relevance": np.clip(np.floor(a + random.normal(0, 0.3, count)), 0, 3).astype(int),
        }
    )


@pytest.fixture
def rows() -> pa.Table:
    """Twenty days."""
    return make_rows()


def judged(module: ModuleType, rows: pa.Table, metric: str, **params: Any) -> tuple[Candidate, Verdict]:
    """A candidate of the first fourteen days, judged on the others."""
    past, holdout = rows.slice(0, 14 * 30), rows.slice(14 * 30)
    candidate = train(module.model, past, **params)
    return candidate, bless(candidate, holdout, Policy(metric, margin=0.1, within=(-1e9, 1e9)))


def served(opened: Store, candidate: Candidate, rows: pa.Table, count: int = 25) -> list[dict[str, Any]]:
    """What a server of the published candidate answers; the log holds it, and nothing of it is skewed."""
    publish(candidate)
    served = open_served(opened, champion(opened, "thing"), rotate_s=600)
    some = rows.select(["key", "at", "a", "b", "c"]).slice(0, count).to_pylist()
    body = b"[%s]" % b",".join(map(to_json, some))
    said = json.loads(answer(served, body, "r1"))["predictions"]
    one = json.loads(answer(served, to_json(some[0]), "r2"))["prediction"]
    assert flat(one) == pytest.approx(flat(said[0]))
    loaded = load_version(opened, "thing")
    for alone, together in zip(loaded.predict(some), said, strict=True):
        assert flat(alone) == pytest.approx(flat(together))
    frame = loaded.predict(rows.select(["key", "at", "a", "b", "c"]).slice(0, count))
    assert frame.column_names == [
        name.removeprefix("prediction_") for name in served.bundle.layout.values if name.startswith("prediction_")
    ]
    first = [float(one) for one in frame.to_pylist()[0].values() if not isinstance(one, str)]
    assert first == pytest.approx(flat(said[0]))
    served.log.close()
    drain_predictions(opened.home)
    report = find_skew(opened, "thing")
    assert (report.clean, report.rows) == (True, count + 1)
    return said


def flat(said: dict[str, Any]) -> list[float]:
    """The numbers of an answer."""
    values = [list(one.values()) if isinstance(one, dict) else one for one in said.values() if not isinstance(one, str)]
    return list(np.hstack(values).astype(float))


SKLEARN = """
from sklearn.ensemble import HistGradientBoostingClassifier
def fit(x, y, *, rounds=20):
    return HistGradientBoostingClassifier(max_iter=rounds, random_state=1).fit(x.values, y)
"""
LIGHTGBM = """
import lightgbm as lgb
def fit(x, y, *, rounds=20):
    return lgb.LGBMClassifier(n_estimators=rounds, verbose=-1, num_threads=1).fit(x.values, y)
"""
BOOSTER = """
import lightgbm as lgb
def fit(x, y: assay.Codes, *, rounds=20):
    options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    return lgb.train(options, lgb.Dataset(x.values, y), num_boost_round=rounds)
"""
XGBOOST = """
import xgboost as xgb
def fit(x, y: assay.Codes, *, rounds=20):
    return xgb.XGBClassifier(n_estimators=rounds, n_jobs=1).fit(x.values, y)
"""
CATBOOST = """
import catboost as cb
import pandas as pd
def fit(x: pd.DataFrame, y, *, rounds=20):
    x = x.assign(c=x["c"].astype(object).fillna("nan"))
    options = {"iterations": rounds, "learning_rate": 0.5, "verbose": 0, "allow_writing_files": False}
    return cb.CatBoostClassifier(cat_features=["c"], **options).fit(x, y)
"""
SOFTMAX = """
import xgboost as xgb
def fit(x, y: assay.Codes, *, rounds=20):
    data = xgb.DMatrix(x.values, y)
    return xgb.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, data, rounds)
"""
CALIBRATED = """
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
def fit(x, y, *, rounds=20):
    boosted = HistGradientBoostingClassifier(max_iter=rounds, random_state=1)
    return CalibratedClassifierCV(boosted, cv=3, ensemble=False).fit(x.values, y)
"""
ONNX = """
def fit(x, y):
    from onnx import TensorProto, helper
    from sklearn.linear_model import LogisticRegression
    line = LogisticRegression(C=100, max_iter=1000).fit(x.values, y)
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "probabilities"], domain="ai.onnx.ml", post_transform="SOFTMAX",
        classlabels_strings=line.classes_.tolist(), coefficients=line.coef_.ravel().tolist(),
        intercepts=line.intercept_.tolist(),
    )
    outs = [("label", TensorProto.STRING, [None]), ("probabilities", TensorProto.FLOAT, [None, 3])]
    takes = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])]
    graph = helper.make_graph([node], "line", takes, [helper.make_tensor_value_info(*one) for one in outs])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8)
"""
MULTICLASS = """
class Out(assay.Record):
    species: Species
    probability: assay.Probabilities[Species]
model = declare(label="species", metrics=["log_loss", "accuracy", "auc"])
"""


@pytest.mark.parametrize("fit", [SKLEARN, LIGHTGBM, BOOSTER, XGBOOST, CATBOOST, SOFTMAX, CALIBRATED, ONNX], ids=["sklearn", "lightgbm", "booster", "xgboost", "catboost", "softmax", "calibrated", "onnx"])  # fmt: skip
def test_a_class_and_the_probability_of_each(fit: str, project: Made, opened: Store, rows: pa.Table) -> None:
    boosts = "xgboost" if "xgb" in fit else "catboost" if "cb." in fit else "lightgbm"
    for library in ("sklearn", boosts, "onnxruntime" if "onnx" in fit else "skops"):
        pytest.importorskip(library)
    source = HEAD + fit + MULTICLASS
    if "onnx" in fit:
        source = source.replace("def declare(features=features, **more):", "def declare(features=numbers, **more):")
    module = project(kinds=source)
    candidate, verdict = judged(module, rows, "log_loss")
    assert verdict.blessed
    assert verdict.scores["accuracy"] > 0.9  # the order of the Literal is not that of the estimator
    said = served(opened, candidate, rows)
    for one, species in zip(said, rows.column("species").to_pylist(), strict=False):
        assert sum(one["probability"].values()) == pytest.approx(1, abs=1e-5)
        assert list(one["probability"]) == ["gentoo", "adelie", "chinstrap"]
        assert max(one["probability"], key=one["probability"].get) == one["species"]
        assert one["probability"][species] > 0.2
    table = read_rows(opened.home, "thing")
    assert table is not None
    by_row = {(row["request_id"], row["row"]): row for row in table.to_pylist()}
    for i, one in enumerate(said):
        row = by_row["r1", i]
        assert row["prediction_species"] == one["species"]
        assert row["prediction_probability_adelie"] == one["probability"]["adelie"]
    trained = open_sql(opened, "SELECT label, prediction_species FROM trained.thing WHERE part = 'holdout'")
    right = sum(row["label"] == row["prediction_species"] for row in trained.to_pylist())
    assert right / len(trained) == pytest.approx(verdict.scores["accuracy"])


ONE_NUMBER = """
class Out(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]
model = declare(label={label!r}, metrics=[])
"""


@pytest.mark.parametrize("fit", [SKLEARN, LIGHTGBM], ids=["sklearn", "lightgbm"])
def test_many_classes_do_not_fit_into_one_number(fit: str, project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    module = project(kinds=HEAD + fit + ONE_NUMBER.format(label="grade"))
    with pytest.raises(BadInput, match=r"knows the classes 1, 2, 3, and Out.probability is one number\n"):
        train(module.model, rows)


def test_two_classes_that_are_no_truth_values_do_not_fit_into_one_number(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    pytest.importorskip("sklearn")
    grades = rows.filter(pa.array(rows.column("grade").to_numpy() < 3))
    with pytest.raises(BadInput, match=r"knows the classes 1, 2, and (.|\n)*assay.probability\(of=2\)"):
        train(project(kinds=HEAD + SKLEARN + ONE_NUMBER.format(label="grade")).model, grades)


def test_a_text_as_label_of_a_number_is_refused_with_what_to_declare(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    with pytest.raises(BadInput, match=r"the label 'species' is string(.|\n)*Declare texts as Literal"):
        train(project(kinds=HEAD + SKLEARN + ONE_NUMBER.format(label="species")).model, rows)


def test_the_probability_of_one_class_and_the_class(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
class Out(assay.Record):
    churn: Literal["yes", "no"]
    risk: Annotated[float, assay.probability(of="yes")]
    calm: Annotated[float, assay.probability(of="no")]
model = declare(label="churned", metrics=["risk.auc", "calm.auc", "accuracy", "risk.precision"])
"""
    candidate, verdict = judged(project(kinds=HEAD + SKLEARN + out), rows, "risk.auc")
    assert verdict.scores["risk.auc"] > 0.95
    assert verdict.scores["calm.auc"] > 0.95
    for one in served(opened, candidate, rows):
        assert one["risk"] + one["calm"] == pytest.approx(1)
        assert one["churn"] == ("yes" if one["risk"] > 0.5 else "no")


def test_true_or_false_and_its_probability(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
class Out(assay.Record):
    late: bool
    probability: float
model = declare(label="late", metrics=["auc", "f1", "late.accuracy"])
"""
    candidate, verdict = judged(project(kinds=HEAD + LIGHTGBM + out), rows, "auc")
    assert verdict.scores["f1"] > 0.9
    for one in served(opened, candidate, rows):
        assert one["late"] is (one["probability"] > 0.5)


def test_a_class_of_whole_numbers(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
class Out(assay.Record):
    grade: Literal[3, 1, 2]
    probability: assay.Probabilities[Literal[1, 2, 3]]
model = declare(label="grade", metrics=["accuracy", "log_loss"])
"""
    candidate, verdict = judged(project(kinds=HEAD + SKLEARN + out), rows, "accuracy")
    assert verdict.scores["accuracy"] > 0.9
    for one in served(opened, candidate, rows):
        assert type(one["grade"]) is int
        assert max(one["probability"], key=one["probability"].get) == str(one["grade"])


def test_several_numbers_of_several_labels(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
from sklearn.linear_model import LinearRegression
class Out(assay.Record):
    first: float
    second: float
def fit(x, y):
    assert y.shape == (len(x), 2)
    return LinearRegression().fit(x.values, y)
model = declare(numbers, label=["amount", "other"], metrics=["mae", "first.mae", "second.mae"])
"""
    module = project(kinds=HEAD + out)
    candidate, verdict = judged(module, rows, "mae")
    scores = verdict.scores
    assert scores["mae"] == pytest.approx((scores["first.mae"] + scores["second.mae"]) / 2)
    assert scores["first.mae"] < 1.5
    assert scores["second.mae"] < 0.5
    said = served(opened, candidate, rows)
    assert np.corrcoef([one["second"] for one in said], rows.column("other").to_numpy()[: len(said)])[0, 1] > 0.99
    trained = open_sql(opened, "SELECT label, label_amount, label_other, prediction_first FROM trained.thing LIMIT 3")
    assert trained.column("label").null_count == 3
    assert trained.column("label_amount").null_count == 0


@pytest.mark.parametrize(
    "made", ["MultiOutputClassifier(HistGradientBoostingClassifier())", "RandomForestClassifier(20)", "xgb"]
)
def test_several_labels_that_are_true_or_false(made: str, project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("xgboost" if made == "xgb" else "sklearn")
    made = "xgb.XGBClassifier(n_estimators=20)" if made == "xgb" else made
    out = f"""
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.multioutput import MultiOutputClassifier
{"import xgboost as xgb" if "xgb" in made else ""}
class Out(assay.Record):
    rain: float
    wind: float
def fit(x, y):
    return {made}.fit(x.values, y)
model = declare(numbers, label=["rained", "windy"], metrics=["auc", "rain.auc", "wind.auc"])
"""
    candidate, verdict = judged(project(kinds=HEAD + out), rows, "auc")
    assert verdict.scores["rain.auc"] > 0.9
    assert verdict.scores["wind.auc"] > 0.99
    windy = rows.column("windy").to_pylist()
    assert [one["wind"] > 0.5 for one in served(opened, candidate, rows)] == windy[:25]


def test_an_estimator_for_each_field(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
import lightgbm as lgb
class Out(assay.Record):
    low: Annotated[float, assay.quantile(0.1)]
    middle: Annotated[float, assay.quantile(0.5)]
    high: Annotated[float, assay.quantile(0.9)]
def fit(x, y, *, rounds=40):
    def at(level):
        options = {"objective": "quantile", "alpha": level, "verbose": -1, "num_threads": 1}
        return lgb.train(options, lgb.Dataset(x.values, y), num_boost_round=rounds)
    return {"high": at(0.9), "low": at(0.1), "middle": at(0.5)}
model = declare(label="amount", metrics=["mae", "pinball@0.1", "pinball@0.9", "low.pinball@0.9"])
"""
    candidate, verdict = judged(project(kinds=HEAD + out), rows, "mae")
    assert verdict.scores["low.pinball@0.9"] > verdict.scores["pinball@0.9"]
    said = served(opened, candidate, rows)
    assert np.mean([one["low"] <= one["middle"] <= one["high"] for one in said]) > 0.9
    assert sorted(open_bundle(opened, candidate.bundle).facts.parts) == ["high", "low", "middle"]


def test_several_quantiles_of_one_estimator(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("xgboost")
    out = """
import xgboost as xgb
class Out(assay.Record):
    low: Annotated[float, assay.quantile(0.1)]
    high: Annotated[float, assay.quantile(0.9)]
def fit(x, y):
    return xgb.XGBRegressor(objective="reg:quantileerror", quantile_alpha=[0.1, 0.9], n_estimators=40).fit(x.values, y)
model = declare(label="amount", metrics=["pinball@0.1", "pinball@0.9"])
"""
    candidate, verdict = judged(project(kinds=HEAD + out), rows, "pinball@0.1")
    amounts = rows.column("amount").to_numpy()
    said = served(opened, candidate, rows, 400)
    assert 0.7 < np.mean([one["low"] <= amount <= one["high"] for one, amount in zip(said, amounts, strict=False)]) <= 1
    assert verdict.scores["pinball@0.1"] < 1


def test_a_count(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
from sklearn.linear_model import PoissonRegressor
class Out(assay.Record):
    visits: Annotated[float, assay.between(0)]
def fit(x, y):
    return PoissonRegressor().fit(x.values, y)
model = declare(numbers, label="visits", metrics=["poisson_deviance", "mae"])
"""
    candidate, verdict = judged(project(kinds=HEAD + out), rows, "poisson_deviance")
    assert verdict.scores["poisson_deviance"] < 2
    assert all(one["visits"] >= 0 for one in served(opened, candidate, rows))


def test_a_number_that_is_not_whole_is_none_for_a_whole_field(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
from sklearn.linear_model import LinearRegression
class Out(assay.Record):
    visits: int
def fit(x, y):
    return LinearRegression().fit(x.values, y)
model = declare(numbers, label="visits", metrics=["mae"])
"""
    with pytest.raises(
        BadInput, match=r"predicts what it does not declare for 600 of 600 rows\n.*is not a whole number"
    ):
        train(project(kinds=HEAD + out).model, rows)


def test_a_list_of_numbers(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
from sklearn.linear_model import LinearRegression
class Out(assay.Record):
    curve: Annotated[list[float], assay.length(3), assay.between(-10, 100)]
def fit(x, y):
    return LinearRegression().fit(x.values, y)
model = declare(numbers, label="curve", metrics=["mae"])
"""
    candidate, verdict = judged(project(kinds=HEAD + out), rows, "mae")
    assert verdict.scores["mae"] < 1e-6
    said = served(opened, candidate, rows)
    for one, a in zip(said, rows.column("a").to_pylist(), strict=False):
        assert one["curve"] == pytest.approx([a, 2 * a, 3 * a])
    logged = open_sql(opened, "SELECT prediction_curve_2 FROM served.thing")
    assert len(logged) == 26


RANKERS = {
    "lightgbm": "lgb.LGBMRanker(n_estimators=10, verbose=-1, num_threads=1).fit(x.values, y, group=np.bincount(group))",
    "xgboost": "xgb.XGBRanker(n_estimators=10, n_jobs=1).fit(x.values, y, qid=group)",
    "catboost": "cb.CatBoostRanker(iterations=40, verbose=0, allow_writing_files=False).fit(x.values, y, group_id=group)",
}


@pytest.mark.parametrize("library", RANKERS)
def test_an_order_within_groups(library: str, project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip(library)
    out = f"""
import {library} as {RANKERS[library].partition(".")[0]}
class Out(assay.Record):
    score: float
def fit(x, y, *, group):
    assert (np.diff(group) >= 0).all() and len(group) == len(y)
    return {RANKERS[library]}
model = declare(label="relevance", group="query", metrics=["ndcg", "ndcg@3"])
"""
    mixed = rows.set_column(
        rows.column_names.index("query"), "query", pa.array([f"q{i % 60}" for i in range(len(rows))])
    )
    candidate, verdict = judged(project(kinds=HEAD + out), mixed, "ndcg")
    assert verdict.scores["ndcg@3"] > 0.85
    served(opened, candidate, rows)


def test_weights_reach_fit_and_metrics(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    out = """
from sklearn.linear_model import LinearRegression
seen = []
class Out(assay.Record):
    amount: float
def fit(x, y, weight):
    seen.append(weight)
    return LinearRegression().fit(x.values, y, sample_weight=weight)
model = declare(numbers, label="amount", weight="w", metrics=["mae"])
"""
    module = project(kinds=HEAD + out)
    _, verdict = judged(module, rows, "mae")
    assert module.seen[0].tolist() == rows.column("w").to_pylist()[: 14 * 30]
    holdout = open_sql(
        opened, "SELECT row, label, prediction_amount FROM trained.thing WHERE part = 'holdout' ORDER BY row"
    )
    apart = np.abs(holdout.column("label").to_numpy() - holdout.column("prediction_amount").to_numpy())
    assert verdict.scores["mae"] == pytest.approx(np.average(apart, weights=rows.column("w").to_numpy()[14 * 30 :]))


def test_versions_that_give_other_records_are_read_and_compared_together(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    pytest.importorskip("sklearn")
    outs = [
        ("late", "late: float", "auc"),
        ("late", "late: bool", "accuracy"),
        ("churned", 'late: Literal["yes", "no"]', "accuracy"),
    ]
    for number, (label, out, metric) in enumerate(outs):
        source = f"class Out(assay.Record):\n    {out}\nmodel = declare(label={label!r}, metrics=[{metric!r}])\n"
        module = project(**{f"kinds{number}": HEAD + SKLEARN + source})
        candidate = train(module.model, rows.slice(0, 14 * 30))
        with opened.database.begin() as connection:
            made = register(connection, "thing", candidate.bundle, run_id=candidate.run_id, trained_until=now())
            aliases.move(connection, "thing", made.version, By("test", ""))
        one = open_served(opened, champion(opened, "thing"), rotate_s=600)
        answer(one, to_json(rows.select(["key", "at", "a", "b", "c"]).slice(0, 1).to_pylist()[0]), f"r{number}")
        one.log.close()
    drain_predictions(opened.home)
    report = find_skew(opened, "thing")
    assert (report.clean, report.versions) == (True, [1, 2, 3])
    logged = open_sql(opened, "SELECT prediction_late FROM served.thing ORDER BY model_version").to_pylist()
    assert logged[2]["prediction_late"] in ("yes", "no")


def test_a_prediction_that_is_not_the_models_is_found_by_its_column(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    pytest.importorskip("sklearn")
    candidate, _ = judged(project(kinds=HEAD + SKLEARN + MULTICLASS), rows, "log_loss")
    publish(candidate)
    one = open_served(opened, champion(opened, "thing"), rotate_s=600)
    bundle, some = one.bundle, rows.select(["key", "at", "a", "b", "c"]).slice(0, 20).to_pylist()
    decoded = [one.decoder.decode(to_json(row)).rows[0] for row in some]
    features = bundle.features(from_rows(decoded, bundle.model.takes))
    said = bundle.settle(bundle.predict(features)).records()
    wrong = [("gentoo", *numbers[::-1]) for _, *numbers in said]
    one.log.append("r1", now(), now(), decoded, features, wrong)
    one.log.close()
    report = find_skew(opened, "thing")
    assert {(found.place, found.column) for found in report.findings} == {
        ("prediction", "species"),
        ("prediction", "probability_gentoo"),
        ("prediction", "probability_chinstrap"),
    }


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("w", [-1.0] + [1.0] * 599, "the weight 'w' must be a number of 0 or more\n  in 1 rows it is not, like -1.0"),
        ("w", [0.0] * 600, "in 0 rows it is not, all are 0"),
        ("w", ["a"] * 600, "the weight 'w' is string\nMake it a number."),
        ("query", [None] + ["q"] * 599, "the group is missing in 1 rows"),
        ("missing", None, "the weight 'missing' is not a column of the table"),
    ],
)
def test_weights_and_groups_that_can_not_be_used(
    column: str, values: Any, words: str, project: Made, opened: Store, rows: pa.Table
) -> None:
    out = f"class Out(assay.Record):\n    relevance: float\nmodel = declare(label='relevance', {{}}={column!r}, metrics=[])"
    source = HEAD + SKLEARN + out.format("group" if column == "query" else "weight")
    table = rows if values is None else rows.set_column(rows.column_names.index(column), column, pa.array(values))
    with pytest.raises(BadInput) as refused:
        train(project(kinds=source).model, table)
    assert words in str(refused.value)
