"""fit() gets features and labels in the form that its annotations ask, and predictions use the same form."""

import json
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from assay.blessing import Policy, bless, publish
from assay.contract.columns import from_rows
from assay.contract.decode import to_json
from assay.errors import BadInput
from assay.model import open_bundle, train
from assay.serve.answer import answer, open_served
from assay.store import Store
from assay.track import champion

HEAD = """
from __future__ import annotations
from typing import Annotated, Literal
import numpy as np
import pandas as pd
import assay


class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    a: float | None
    c: str | None


class Out(assay.Record):
    amount: float


def features(d):
    return {"c": d.c, "a": d.a, "twice": 2 * d.a}


def declare(label="amount", **more):
    return assay.Model("thing", takes=In, gives=Out, label=label, features=features, fit=fit, metrics=["mae"], **more)

"""
Made = Callable[..., ModuleType]
#: What each text is worth.
WORTH = {"red": 0.0, "green": 10.0, "blue": 100.0, None: 30.0}


@pytest.fixture
def rows() -> pa.Table:
    """Twenty days whose amount follows from the text and a."""
    random, count = np.random.default_rng(3), 600
    at = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(48, "m")
    c = [["red", "green", "blue", None][i % 4] for i in range(count)]
    a = random.uniform(0, 1, count)
    return pa.table(
        {
            "key": [f"k{i}" for i in range(count)],
            "at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "a": a,
            "c": c,
            "amount": np.array([WORTH[one] for one in c]) + a,
            "kind": ["high" if one == "blue" else "low" for one in c],
        }
    )


#: The fit function as the library's own docs would write it, and how far its predictions may be off.
FITS = {
    "ColumnTransformer": """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

def fit(x: pd.DataFrame, y: pd.Series):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["c"]), ("n", numbers, ["a", "twice"])])
    return make_pipeline(columns, LinearRegression()).fit(x, y)
""",
    "by type": """
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def fit(x: pd.DataFrame, y):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")), remainder="passthrough"
    )
    return make_pipeline(columns, LinearRegression()).fit(x, y)
""",
    "histogram": """
from sklearn.ensemble import HistGradientBoostingRegressor

def fit(x: pd.DataFrame, y):
    return HistGradientBoostingRegressor(categorical_features="from_dtype", min_samples_leaf=5).fit(x, y)
""",
    "search": """
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

def fit(x: pd.DataFrame, y):
    search = GridSearchCV(
        HistGradientBoostingRegressor(categorical_features="from_dtype"),
        {"min_samples_leaf": [5, 20]}, cv=TimeSeriesSplit(3),
    )
    return search.fit(x, y)
""",
    "lightgbm": """
import lightgbm as lgb

def fit(x: pd.DataFrame, y: pd.Series):
    return lgb.LGBMRegressor(n_estimators=60, verbose=-1, num_threads=1, min_child_samples=5).fit(x, y)
""",
    "early stopping": """
import lightgbm as lgb

def fit(x: pd.DataFrame, y: np.ndarray):
    last = len(x) * 4 // 5
    model = lgb.LGBMRegressor(n_estimators=500, verbose=-1, num_threads=1, min_child_samples=5)
    return model.fit(x[:last], y[:last], eval_X=x[last:], eval_y=y[last:], callbacks=[lgb.early_stopping(5, verbose=False)])
""",
    "xgboost": """
import xgboost as xgb

def fit(x: pd.DataFrame, y):
    return xgb.XGBRegressor(n_estimators=60, enable_categorical=True, n_jobs=1).fit(x, y)
""",
    "xgboost on polars": """
import polars as pl
import xgboost as xgb

def fit(x: pl.DataFrame, y: pl.Series):
    assert x.schema["c"] == pl.Enum(["blue", "green", "red"])
    return xgb.XGBRegressor(n_estimators=60, enable_categorical=True, n_jobs=1).fit(x, y)
""",
    "catboost": """
import catboost as cb

def fit(x: pd.DataFrame, y):
    x = x.assign(c=x["c"].cat.add_categories("nan").fillna("nan"))
    model = cb.CatBoostRegressor(allow_writing_files=False, iterations=60, one_hot_max_size=9, cat_features=["c"], verbose=0, learning_rate=0.5)
    return model.fit(x, y)
""",
    "catboost on polars": """
import catboost as cb
import polars as pl

def fit(x: pl.DataFrame, y: pl.Series):
    x = x.with_columns(pl.col("c").cast(pl.String).fill_null("nan"))
    options = {"iterations": 60, "one_hot_max_size": 9, "verbose": 0, "learning_rate": 0.5, "allow_writing_files": False}
    return cb.CatBoost(options).fit(cb.Pool(x, y, cat_features=["c"]))
""",
    "frame of codes": """
from sklearn.ensemble import RandomForestRegressor

def fit(x, y):
    return RandomForestRegressor(20, random_state=1).fit(pd.DataFrame(x.values, columns=x.names), y)
""",
    "numpy": """
from sklearn.ensemble import RandomForestRegressor

def fit(x: np.ndarray, y: np.ndarray):
    return RandomForestRegressor(20, random_state=1).fit(x, y)
""",
    "matrix": """
import lightgbm as lgb

def fit(x: assay.Matrix, y):
    data = lgb.Dataset(x.values, y, feature_name=x.names, categorical_feature=x.categorical)
    return lgb.train({"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, "min_data_per_group": 5}, data, 60)
""",
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_a_fit_as_the_docs_of_its_library_show_it(name: str, project: Made, opened: Store, rows: pa.Table) -> None:
    for library in ("sklearn", "lightgbm", "xgboost", "catboost", "polars"):
        if f"import {library}" in FITS[name] or f"from {library}" in FITS[name]:
            pytest.importorskip(library)
    module = project(things=HEAD + FITS[name] + "\nmodel = declare()\n")
    candidate = train(module.model, rows.slice(0, 420))
    verdict = bless(candidate, rows.slice(420), Policy("mae", margin=1, within=(0, 8)))
    assert verdict.blessed
    publish(candidate)
    served = open_served(opened, champion(opened, "thing"), rotate_s=600)
    some = [{"key": "k", "at": "2013-02-01T00:00:00Z", "a": 0.5, "c": c} for c in ("red", "blue", None, "never seen")]
    said = [one["amount"] for one in json.loads(answer(served, json.dumps(some).encode(), "r"))["predictions"]]
    assert said[0] == pytest.approx(WORTH["red"], abs=9)
    assert said[1] == pytest.approx(WORTH["blue"], abs=9)
    alone = json.loads(answer(served, to_json(some[1]), "r"))["prediction"]["amount"]
    assert alone == pytest.approx(said[1])
    if "OneHotEncoder" not in FITS[name] and "catboost" not in name:  # an unseen text is missing to it, in every form
        assert said[3] == pytest.approx(said[2])
    served.log.close()


def test_categories_without_a_frame_are_refused_for_catboost(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("catboost")
    source = """
import catboost as cb
def fit(x: np.ndarray, y):
    whole = pd.DataFrame(x).fillna(-1).astype({0: int})
    return cb.CatBoostRegressor(iterations=3, cat_features=[0], verbose=0, allow_writing_files=False).fit(whole, y)
model = declare()
"""
    with pytest.raises(BadInput, match=r"CatBoost reads categories from a frame\nAnnotate x as pd.DataFrame"):
        train(project(things=HEAD + source).model, rows)


@pytest.mark.parametrize("form", ["pa.Table", "pd.DataFrame", "pl.DataFrame"])
def test_names_and_categories_are_kept_in_every_form(form: str, project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("polars")
    pytest.importorskip("lightgbm")
    source = f"""
import lightgbm as lgb
import polars as pl
import pyarrow as pa
seen = []
def fit(x: {form}, y: {form.replace("Table", "ChunkedArray").replace("DataFrame", "Series")}):
    seen.append((x, y))
    return lgb.train({{"verbose": -1, "num_threads": 1}}, lgb.Dataset(np.zeros((len(x), 3)), np.asarray(y)), 2)
model = declare()
"""
    module = project(things=HEAD + source)
    if form == "pl.DataFrame" or form == "pa.Table":  # LightGBM does not predict from polars
        with pytest.raises(BadInput, match="the estimator of thing refuses its features"):
            train(module.model, rows)
    else:
        train(module.model, rows)
    x, y = module.seen[0]
    assert (x.column_names if form == "pa.Table" else list(x.columns)) == ["c", "a", "twice"]
    assert np.asarray(y).tolist() == rows.column("amount").to_pylist()
    texts = x.column("c").to_pylist() if form == "pa.Table" else list(x["c"])
    assert [None if one != one else one for one in texts[:4]] == ["red", "green", "blue", None]


def test_labels_of_several_columns_and_types_as_a_frame(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    source = """
from sklearn.linear_model import LinearRegression, LogisticRegression
Kind = Literal["low", "high"]
class Out(assay.Record):
    kind: Kind
    amount: float
seen = []
def features(d):
    return {"a": d.a, "blue": (d.c == "blue").astype(float)}
def fit(x: np.ndarray, y: pd.DataFrame):
    seen.append(y)
    return {"kind": LogisticRegression().fit(x, y["kind"]), "amount": LinearRegression().fit(x, y["amount"])}
model = declare(label=["kind", "amount"])
"""
    module = project(things=HEAD + source)
    candidate = train(module.model, rows)
    assert list(module.seen[0].columns) == ["kind", "amount"]
    bundle = open_bundle(opened, candidate.bundle)
    one = bundle.model.takes(key="k", at=rows.column("at")[0].as_py(), a=0.5, c="blue")
    said = bundle.predict(bundle.features(from_rows([one], bundle.model.takes)))
    assert said["kind"].tolist() == ["high"]
    assert said["amount"][0] == pytest.approx(100, abs=5)


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("x: dict, y", "asks for features as dict\nAnnotate x as assay.Matrix, np.ndarray, pd.DataFrame"),
        ("x, y: list", "asks for labels as list\nAnnotate y as np.ndarray, assay.Codes"),
        ("x: pandas.DataFrame, y", "the annotation 'pandas.DataFrame' of fit() can't be read: name 'pandas'"),
        ("x", "fit() takes 1 parameters\nWrite fit(x, y, ...)."),
        ("x, y: assay.Codes", "asks for codes, and the classes of 'amount' are not declared"),
    ],
)
def test_a_form_that_there_is_not_is_refused_before_fitting(
    signature: str, words: str, project: Made, opened: Store, rows: pa.Table
) -> None:
    module = project(things=HEAD + f"def fit({signature}):\n    raise RuntimeError\nmodel = declare()\n")
    with pytest.raises(BadInput) as refused:
        train(module.model, rows)
    assert words in str(refused.value)


def test_a_frame_of_other_columns_is_refused(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    source = """
from sklearn.ensemble import RandomForestRegressor
def fit(x, y):
    return RandomForestRegressor(5).fit(pd.DataFrame(x.values[:, :2], columns=["a", "c"]), y)
model = declare()
"""
    with pytest.raises(BadInput, match=r"fitted a frame of the columns a, c\n.*its features are c, a, twice"):
        train(project(things=HEAD + source).model, rows)


def test_an_unknown_value_that_an_estimator_refuses_is_named(project: Made, opened: Store, rows: pa.Table) -> None:
    pytest.importorskip("sklearn")
    source = FITS["ColumnTransformer"].replace('handle_unknown="ignore"', "")
    module = project(things=HEAD + source + "\nmodel = declare()\n")
    known = rows.filter(pa.array([one is not None for one in rows.column("c").to_pylist()]))
    bundle = open_bundle(opened, train(module.model, known).bundle)
    one = bundle.model.takes(key="k", at=rows.column("at")[0].as_py(), a=0.5, c="never seen")
    with pytest.raises(BadInput, match=r"refuses its features(.|\n)*handle_unknown='ignore'"):
        bundle.predict(bundle.features(from_rows([one], bundle.model.takes)))
