"""Estimators of any kind, and classes of the project inside those of scikit-learn."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from assay import store
from assay.blessing import Policy, bless, publish
from assay.contract.columns import from_rows
from assay.contract.decode import to_json
from assay.errors import BadInput
from assay.model import open_bundle, train
from assay.serve.answer import answer, open_served
from assay.store import Store
from assay.track import champion

HEAD = """
from typing import Annotated, Literal
import io
import json
import pickle
import numpy as np
import pandas as pd
import assay


class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    a: float
    c: Literal["x", "y"]


class Out(assay.Record):
    amount: float


def features(d):
    return {"a": d.a, "c": d.c}

"""
LINE = """
from shared import solve

def fit(x: assay.Matrix, y):
    assert x.categories == {"c": ["x", "y"]}
    return solve(x.values, y)

def save(weights):
    file = io.BytesIO()
    np.savez(file, weights=weights)
    return file.getvalue()

def load(data):
    return np.load(io.BytesIO(data), allow_pickle=False)["weights"]

def predict(weights, x):
    return x.values @ weights

model = assay.Model(
    "thing", takes=In, gives=Out, label="amount", features=features, fit=fit, metrics=["mae"],
    estimator=assay.Estimator(save=save, load=load, predict=predict),
)
"""
SHARED = "import numpy as np\n\ndef solve(x, y):\n    return np.linalg.lstsq(x, y, rcond=None)[0]\n"
OWN_CLASSES = """
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

class Twice(TransformerMixin, BaseEstimator):
    def __init__(self, factor=2.0):
        self.factor = factor
    def fit(self, x, y=None):
        self.n_features_in_ = x.shape[1]
        return self
    def transform(self, x):
        return x * self.factor

def shifted(x):
    return x + 1

def fit(x, y):
    return make_pipeline(Twice(3.0), FunctionTransformer(shifted), LinearRegression()).fit(x.values, y)

model = assay.Model("thing", takes=In, gives=Out, label="amount", features=features, fit=fit, metrics=["mae"])
"""
Made = Callable[..., ModuleType]


@pytest.fixture
def rows() -> pa.Table:
    """Twenty days whose amount is 3 a + 5 for y."""
    random, count = np.random.default_rng(3), 600
    at = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(48, "m")
    a = random.uniform(0, 1, count)
    return pa.table(
        {
            "key": [f"k{i}" for i in range(count)],
            "at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "a": a,
            "c": ["xy"[i % 2] for i in range(count)],
            "amount": 3 * a + 5.0 * (np.arange(count) % 2),
        }
    )


ROW = {"key": "k", "at": "2013-02-01T00:00:00Z", "a": 0.5, "c": "y"}


@pytest.mark.parametrize("source", [LINE, OWN_CLASSES], ids=["own", "classes"])
def test_it_predicts_from_the_code_of_its_bundle_in_another_process_and_home(
    source: str, project: Made, opened: Store, rows: pa.Table, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    module = project(things=HEAD + source, shared=SHARED)
    candidate = train(module.model, rows.slice(0, 420))
    verdict = bless(candidate, rows.slice(420), Policy("mae", margin=1, within=(0, 1e-6)))
    assert verdict.blessed
    publish(candidate)
    for name in ("things", "shared"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError\n")
    served = open_served(opened, champion(opened, "thing"), rotate_s=600)
    said = json.loads(answer(served, to_json(ROW), "r"))["prediction"]
    served.log.close()
    assert said["amount"] == pytest.approx(6.5)
    shutil.rmtree(opened.home.path / "opened")  # the file is strange to this home, and is tried in a process of its own
    shutil.rmtree(opened.home.code)
    asked = (
        "from assay import store\n"
        "from assay.model import open_bundle\n"
        "from assay.contract import Decoder\n"
        "from assay.contract.columns import from_rows\n"
        "with store.use(store.find_home('.assay')) as opened:\n"
        f"    bundle = open_bundle(opened, {candidate.bundle!r})\n"
        f"    row = Decoder(bundle.model.takes).decode({to_json(ROW)!r}).rows\n"
        "    print(bundle.predict(bundle.features(from_rows(row, bundle.model.takes)))['amount'][0])\n"
    )
    command = [sys.executable, "-c", asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(6.5)


def test_a_function_gives_each_field_by_name(project: Made, opened: Store, rows: pa.Table) -> None:
    source = """
Kind = Literal["low", "high"]
class Out(assay.Record):
    kind: Kind
    probability: assay.Probabilities[Kind]
    amount: Annotated[float, assay.between(0)]
    curve: Annotated[list[float], assay.length(2)]
def fit(x: np.ndarray, y: pd.DataFrame):
    return {"slope": 3.0}
def predict(kept, x):
    assert isinstance(x, np.ndarray)
    amount = kept["slope"] * x[:, 0]
    high = np.clip(amount / 3, 0, 1)
    return {
        "amount": amount, "curve": np.column_stack([amount, -amount]),
        "kind": np.where(high > 0.5, "high", "low"), "probability": {"high": high, "low": 1 - high},
    }
model = assay.Model(
    "thing", takes=In, gives=Out, features=features, fit=fit, metrics=["amount.mae"],
    label={"kind": "kind", "probability": "kind", "amount": "amount", "curve": "curve"},
    estimator=assay.Estimator(save=lambda kept: json.dumps(kept).encode(), load=json.loads, predict=predict),
)
"""
    table = rows.append_column("kind", pa.array(["low", "high"] * 300))
    table = table.append_column("curve", pa.array([[1.0, 2.0]] * 600))
    bundle = open_bundle(opened, train(project(things=HEAD + source).model, table).bundle)
    one = bundle.model.takes(key="k", at=rows.column("at")[0].as_py(), a=0.9, c="x")
    said = bundle.settle(bundle.predict(bundle.features(from_rows([one], bundle.model.takes)))).rows()
    assert said == [
        {
            "kind": "high",
            "probability": {"low": pytest.approx(0.1), "high": pytest.approx(0.9)},
            "amount": pytest.approx(2.7),
            "curve": pytest.approx([2.7, -2.7]),
        }
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"return file.getvalue()": "return 'text'"}, "save() of the estimator gave a str\nReturn bytes."),
        ({"return file.getvalue()": "return pickle.dumps(weights)"}, "save() of the estimator gave a pickle"),
        (
            {
                "return file.getvalue()": "import zipfile; zipfile.ZipFile(file := io.BytesIO(), 'w')"
                ".writestr('archive/data.pkl', pickle.dumps(1)); return file.getvalue()"
            },
            "save() of the estimator gave a pickle",
        ),
        ({"return file.getvalue()": "raise KeyError('gone')"}, "save() of the estimator fails: KeyError: 'gone'"),
        ({"data), allow": "data[:9]), allow"}, "load() of the estimator fails: "),
        (
            {"return x.values @ weights": "return x.values[:1] @ weights"},
            "predicts an array of shape (1,) for 420 rows",
        ),
        ({"return x.values @ weights": "return {'other': 1}"}, "thing predicts other\n  Out has amount"),
        ({"return x.values @ weights": "return [None] * len(x)"}, "predicts what it does not declare for 420 of 420"),
        ({"return x.values @ weights": "return ['a'] * len(x)"}, "predicts something else than numbers"),
        ({"return x.values @ weights": "return 1 / 0"}, "refuses its features\n  ZeroDivisionError: division by zero"),
    ],
)
def test_functions_that_do_not_keep_their_word_are_named(
    changed: dict[str, str], words: str, project: Made, opened: Store, rows: pa.Table
) -> None:
    ((old, new),) = changed.items()
    assert old in LINE
    module = project(things=HEAD + LINE.replace(old, new), shared=SHARED)
    with pytest.raises(BadInput) as refused:
        train(module.model, rows.slice(0, 420))
    assert words in str(refused.value)


def test_a_class_of_the_project_is_none_of_another_home(
    project: Made, opened: Store, rows: pa.Table, tmp_path: Path
) -> None:
    skops = pytest.importorskip("skops.io")
    from assay.model.estimator import Saved, open_file

    module = project(things=HEAD + OWN_CLASSES)
    data = skops.dumps(module.Twice().fit(np.ones((3, 2))))
    with pytest.raises(BadInput, match="not trusted"):
        open_file(Saved("skops", data))
    assert store.current() is opened


def test_a_prediction_that_depends_on_other_rows_is_refused_by_name(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    source = LINE.replace("return x.values @ weights", "return x.values @ weights - np.mean(x.values @ weights)")
    module = project(things=HEAD + source, shared=SHARED)
    candidate = train(module.model, rows.slice(0, 420))
    verdict = bless(candidate, rows.slice(420), Policy("mae", margin=1, within=(0, 100)))
    assert not verdict.blessed
    assert verdict.reasons[0].startswith("prediction amount: 20 rows differ, ")
    assert verdict.parity.mismatches[0].place == "prediction"
