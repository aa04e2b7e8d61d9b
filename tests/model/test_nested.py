"""Early stopping, calibration and searches as their docs show them; boosters inside scikit-learn's estimators."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from assay.blessing import Policy, bless
from assay.errors import AssayError, BadInput
from assay.model import open_bundle, train
from assay.model.estimator import Saved, open_file, save
from assay.model.libraries import libraries_of
from assay.model.nested import unpacked
from assay.model.skops_file import check_skops
from assay.store import Store
from assay.store.artifacts import pack, unpack

sklearn = pytest.importorskip("sklearn")
pd, skops = pytest.importorskip("pandas"), pytest.importorskip("skops.io")
lgb, xgb, cb = (pytest.importorskip(name) for name in ("lightgbm", "xgboost", "catboost"))

from scipy.stats import randint  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator  # noqa: E402
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    RandomizedSearchCV,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.multioutput import MultiOutputRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402
from sklearn.svm import SVC, LinearSVC  # noqa: E402

RNG = np.random.default_rng(0)
ROWS, EARLIER = 400, 300
X = pd.DataFrame(
    {
        "c": pd.Categorical.from_codes(RNG.integers(0, 4, ROWS), list("abcd")),
        "a": RNG.normal(size=ROWS),
        "b": RNG.normal(size=ROWS),
    }
)
A = X[["a", "b"]]
Y = (X.a + RNG.normal(size=ROWS) > 0).astype(int).to_numpy()
K = np.array(["p", "q", "r"])[RNG.integers(0, 3, ROWS)]


def lightgbm(kind: str = "Classifier", **more: Any) -> Any:
    return getattr(lgb, f"LGBM{kind}")(**{"n_estimators": 10, "verbose": -1, "num_threads": 1} | more)


def xgboost(kind: str = "Classifier", **more: Any) -> Any:
    return getattr(xgb, f"XGB{kind}")(**{"n_estimators": 10, "n_jobs": 1} | more)


def catboost(kind: str = "Classifier", **more: Any) -> Any:
    return getattr(cb, f"CatBoost{kind}")(**{"iterations": 5, "verbose": 0, "allow_writing_files": False} | more)


def encoded() -> Any:
    return ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["c"])], remainder="passthrough")


def early(model: Any, **given: Any) -> Any:
    return model.fit(A[:EARLIER], Y[:EARLIER], **given)


LATER = (A[EARLIER:], Y[EARLIER:])
STOP = {"callbacks": [lgb.early_stopping(3, verbose=False)]}
#: How it is made, the rows that it takes, and the format in which it is kept.
MADE: dict[str, tuple[Callable[[], Any], Any, str]] = {
    # early stopping
    "histogram": (lambda: HistGradientBoostingClassifier(early_stopping=True, n_iter_no_change=3).fit(A, Y), A, "skops"),
    "gradient": (lambda: GradientBoostingClassifier(n_iter_no_change=3, validation_fraction=0.2).fit(A, Y), A, "skops"),
    "sgd": (lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", early_stopping=True)).fit(A, Y), A, "skops"),
    "lightgbm stopped": (lambda: early(lightgbm(n_estimators=200), eval_X=LATER[0], eval_y=LATER[1], **STOP), A, "lightgbm"),
    "xgboost stopped": (lambda: early(xgboost(n_estimators=200, early_stopping_rounds=3), eval_set=[LATER], verbose=False), A, "xgboost"),
    "catboost stopped": (lambda: early(catboost(iterations=200), eval_set=LATER, early_stopping_rounds=3), A, "catboost"),
    # calibration
    "sigmoid": (lambda: CalibratedClassifierCV(LinearSVC()).fit(A, Y), A, "skops"),
    "temperature": (lambda: CalibratedClassifierCV(LogisticRegression(), method="temperature", ensemble=False).fit(A, K), A, "skops"),
    "frozen": (lambda: CalibratedClassifierCV(FrozenEstimator(early(RandomForestClassifier(5))), method="isotonic").fit(*LATER), A, "skops"),
    "threshold": (lambda: TunedThresholdClassifierCV(LogisticRegression(), cv=3, scoring="f1").fit(A, Y), A, "skops"),
    "lightgbm calibrated": (lambda: CalibratedClassifierCV(lightgbm(), cv=3, method="isotonic").fit(X, Y), X, "nested"),
    "lightgbm of three": (lambda: CalibratedClassifierCV(lightgbm(), cv=3).fit(X, K), X, "nested"),
    "lightgbm frozen": (lambda: CalibratedClassifierCV(FrozenEstimator(early(lightgbm()))).fit(*LATER), A, "nested"),
    "xgboost calibrated": (lambda: CalibratedClassifierCV(xgboost(), cv=3).fit(A, Y), A, "nested"),
    "catboost calibrated": (lambda: CalibratedClassifierCV(catboost(), cv=3, method="isotonic").fit(A, Y), A, "nested"),
    # searches
    "grid": (lambda: GridSearchCV(SVC(), [{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [0.1]}], cv=3).fit(A, Y), A, "skops"),
    "random": (lambda: RandomizedSearchCV(RandomForestClassifier(5), {"max_depth": randint(2, 5)}, n_iter=2, cv=3).fit(A, Y), A, "skops"),
    "scorers": (lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring=["roc_auc", "neg_log_loss"], refit="roc_auc").fit(A, Y), A, "skops"),
    "steps": (lambda: GridSearchCV(make_pipeline(encoded(), Ridge()), {"ridge": [Ridge(), "passthrough"]}, cv=TimeSeriesSplit(2)).fit(X, Y), X, "skops"),
    "lightgbm searched": (lambda: GridSearchCV(lightgbm(), {"num_leaves": [5, 9]}, cv=3).fit(X, Y), X, "lightgbm"),
    "xgboost searched": (lambda: RandomizedSearchCV(xgboost(enable_categorical=True), {"max_depth": [2, 3]}, n_iter=2, cv=3).fit(X, Y), X, "xgboost"),
    "catboost searched": (lambda: GridSearchCV(catboost("Regressor"), {"depth": [2, 3]}, cv=3).fit(A, Y), A, "catboost"),
    "pipeline searched": (lambda: GridSearchCV(make_pipeline(encoded(), lightgbm()), {"lgbmclassifier__num_leaves": [5, 9]}, cv=3).fit(X, K), X, "nested"),
    # inside others
    "pipeline": (lambda: make_pipeline(encoded(), xgboost("Regressor")).fit(X, Y), X, "nested"),
    "several outputs": (lambda: MultiOutputRegressor(lightgbm("Regressor")).fit(A, np.c_[Y, 1 - Y]), A, "nested"),
    "one against the rest": (lambda: OneVsRestClassifier(lightgbm()).fit(A, K), A, "nested"),
    "target": (lambda: TransformedTargetRegressor(catboost("Regressor"), func=np.log1p, inverse_func=np.expm1).fit(A, Y + 1.0), A, "nested"),
    "stacked": (lambda: StackingRegressor([("a", lightgbm("Regressor")), ("b", Ridge())]).fit(A, Y), A, "nested"),
    "voting": (lambda: VotingClassifier([("a", lightgbm()), ("b", xgboost())], voting="soft").fit(A, Y), A, "nested"),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_is_opened_says_the_same(name: str) -> None:
    make, rows, form = MADE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
        saved = save(model)
        opened = open_file(saved)
        assert saved.format == form
        if hasattr(model, "predict_proba"):
            said, wanted = opened.probabilities(rows), model.predict_proba(rows)
        else:
            said, wanted = opened.predict(rows), model.predict(rows)
        if opened.predict and opened.classes:
            np.testing.assert_array_equal(np.ravel(opened.predict(rows)), np.ravel(model.predict(rows)))
    np.testing.assert_allclose(said, wanted, atol=1e-6)  # XGBoost's own interface goes by way of float32


def test_a_search_that_keeps_no_estimator_is_refused() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, refit=False)
    with pytest.raises(BadInput, match="a GridSearchCV with refit=False, which keeps no estimator\nLeave refit=True"):
        save(search.fit(A, Y))
    with pytest.raises(BadInput, match="a GridSearchCV that is not fitted"):
        save(GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}))


def test_what_skops_can_not_keep_is_named() -> None:
    odd = make_pipeline(StandardScaler(), LogisticRegression()).fit(A, Y)
    odd.steps[0][1].note_ = (one for one in "ab")
    with pytest.raises(BadInput, match="fit\\(\\) gave a Pipeline that skops can't keep"):
        save(odd)


def test_the_versions_of_all_libraries_inside_are_kept() -> None:
    assert {"scikit-learn", "lightgbm"} <= set(
        libraries_of([save(make_pipeline(StandardScaler(), lightgbm()).fit(A, Y))])
    )


SOURCE = """
from typing import Annotated
import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
import assay

class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    a: float
    c: str

class Out(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]

def fit(x: pd.DataFrame, y):
    columns = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["c"])], remainder="passthrough")
    return make_pipeline(columns, lgb.LGBMClassifier(n_estimators=9, verbose=-1, num_threads=1)).fit(x, y)

model = assay.Model(
    "thing", takes=In, gives=Out, label="label", fit=fit, metrics=["auc"], features=lambda d: {"a": d.a, "c": d.c}
)
"""


def test_a_pipeline_with_a_booster_is_trained_blessed_and_opened_elsewhere(
    project: Callable[..., ModuleType], opened: Store
) -> None:
    at = np.datetime64("2013-01-01", "us") + np.arange(ROWS) * np.timedelta64(48, "m")
    rows = pa.table(
        {
            "key": [f"k{i}" for i in range(ROWS)],
            "at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "a": X.a.to_numpy(),
            "c": list(X.c),
            "label": Y,
        }
    )
    candidate = train(project(things=SOURCE).model, rows.slice(0, EARLIER))
    verdict = bless(candidate, rows.slice(EARLIER), Policy("auc", margin=1, within=(0.6, 1)))
    assert verdict.blessed, verdict.reasons
    asked = (
        "from assay import store\nfrom assay.model import open_bundle\n"
        "with store.use(store.find_home('.assay')) as opened:\n"
        f"    print(open_bundle(opened, {candidate.bundle!r}).facts.format)\n"
    )
    for mark in (opened.home.path / "opened").iterdir():  # strange to this home: it is tried in a process of its own
        mark.unlink()
    done = subprocess.run([sys.executable, "-c", asked], cwd=opened.home.path.parent, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout == "nested\n", done.stderr
    assert open_bundle(opened, candidate.bundle).facts.libraries.keys() == {"scikit-learn", "lightgbm"}


@pytest.fixture(scope="module")
def nested() -> bytes:
    return save(make_pipeline(StandardScaler(), lightgbm()).fit(A, Y)).data


#: Changes of the files in the pack, and what is said of them.
CRAFTED: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "no booster": (lambda files: {"estimator.skops": files["estimator.skops"]}, "a booster that its file does not hold"),
    "no estimator": (lambda files: {"0.lightgbm": files["0.lightgbm"]}, "not an estimator with its boosters"),
    "another file": (lambda files: files | {"evil.py": b""}, "not an estimator with its boosters"),
    "a pickle": (lambda files: files | {"1.pickle": b""}, "not an estimator with its boosters"),
    "a gap": (lambda files: files | {"2.lightgbm": files["0.lightgbm"]}, "not an estimator with its boosters"),
    "a damaged booster": (lambda files: files | {"0.lightgbm": files["0.lightgbm"][:900]}, "not a LightGBM model"),
    "another library": (lambda files: {"estimator.skops": files["estimator.skops"], "0.xgboost": files["0.lightgbm"]}, "not an XGBoost model"),
}  # fmt: skip


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_pack_is_refused(name: str, nested: bytes) -> None:
    change, why = CRAFTED[name]
    open_file(Saved("nested", nested))
    with pytest.raises(AssayError, match=why):
        open_file(Saved("nested", pack(change(unpack(nested)))))


def test_what_stands_for_a_booster_is_trusted_in_a_pack_only(nested: bytes) -> None:
    shell, _ = unpacked(nested)
    with pytest.raises(BadInput, match=r"assay\.model\.kept\.Kept as ObjectNode"):
        open_file(Saved("skops", shell))
    other = skops.dumps(unpacked)  # a function of ours, of the module beside it
    with pytest.raises(BadInput, match="not trusted"):
        check_skops(other, with_boosters=True)
