"""Every estimator of scikit-learn that can be fitted and saved is opened again; LightGBM, XGBoost and CatBoost with every kind of tree."""

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from assay.errors import BadInput
from assay.model.estimator import Saved, open_file, save
from assay.model.lightgbm_text import check_lightgbm
from assay.model.skops_file import check_skops
from assay.model.structure import check_structure
from assay.model.xgboost_file import check_xgboost

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int)
#: What some of them want to be fitted with; the first that works is taken.
INPUTS = [
    (X, Y),
    (abs(X), Y),
    (abs(X), Y + 1.0),
    (X, np.c_[Y, Y]),
    (X[:, :1], Y),
    (X @ X.T,),
    (Y,),
    ([{"a": 1}],),
    (["a b c", "b c"],),
    ([(1, 2), (3,)],),
]
#: skops does not save it, and what has no fixed way to be made.
NOT_SAVED = {"Birch", "FrozenEstimator"}

#: What draws its answers, knows only rows near those that it was fitted with, or gives several numbers a row.
NOT_COMPARED = {"CategoricalNB", "DummyClassifier", "MultiOutputClassifier", "RadiusNeighborsClassifier"}


def estimators() -> list[Any]:
    if not find_spec("sklearn") or not find_spec("skops"):
        return []
    from sklearn.utils.discovery import all_estimators

    return [pytest.param(kind, id=name) for name, kind in all_estimators() if name not in NOT_SAVED]


def fitted(kind: Any) -> Any:
    from sklearn.utils._test_common.instance_generator import _construct_instances

    for given in INPUTS:
        try:
            return next(iter(_construct_instances(kind))).fit(*given)
        except Exception as error:  # noqa: BLE001 - another input
            last = error
    pytest.skip(f"not fitted: {last}"[:100])


@pytest.mark.parametrize("kind", estimators())
def test_it_is_opened_again_and_says_the_same(kind: Any) -> None:
    import skops.io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = fitted(kind)
        data = skops.io.dumps(before)
        again = skops.io.loads(data, trusted=check_skops(data))
        check_structure(again)
        assert type(again) is kind
        opened = open_file(Saved("skops", data)) if hasattr(before, "predict") else None
        if opened and opened.features == X.shape[1] and kind.__name__ not in NOT_COMPARED:
            np.testing.assert_allclose(again.predict(abs(X)), before.predict(abs(X)))
            assert len(opened.predict(abs(X))) == len(X)


def test_pipelines_are_opened_again() -> None:
    skops = pytest.importorskip("skops.io")
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_selection import SelectKBest
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

    columns = ColumnTransformer([("codes", OneHotEncoder(handle_unknown="ignore"), [3])], remainder="passthrough")
    values = np.c_[X[:, :3], np.arange(60) % 3]
    pipe = make_pipeline(FunctionTransformer(np.abs), columns, SelectKBest(k=3), RandomForestClassifier(5)).fit(
        values, Y
    )
    np.testing.assert_array_equal(
        open_file(Saved("skops", skops.dumps(pipe))).probabilities(values), pipe.predict_proba(values)
    )


@pytest.mark.parametrize("categorical", [[], [2]])
@pytest.mark.parametrize(
    "options",
    [
        {"objective": "regression"},
        {"objective": "regression", "linear_tree": True},
        {"objective": "binary"},
        {"objective": "multiclass", "num_class": 3},
        {"objective": "multiclassova", "num_class": 3},
        {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "regression", "boosting": "dart"},
        {"objective": "quantile"},
        {"objective": "regression", "min_data_in_leaf": 5000},
    ],
    ids=str,
)
def test_lightgbm(options: dict[str, Any], categorical: list[int]) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    values = np.abs(RNG.normal(size=(500, 4)))
    values[:, 2] = RNG.integers(0, 40, 500)
    values[:5, 1] = np.nan
    label = RNG.integers(0, options.get("num_class", 2), 500)
    common = {"verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(values, label, categorical_feature=categorical, params=common | options)
    booster = lightgbm.train(common | options, data, num_boost_round=5)
    for part in (booster.model_to_string(), booster.model_to_string(start_iteration=2, num_iteration=2)):
        check_lightgbm(part.encode())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"booster": "gblinear"},
        {"booster": "dart"},
        {"enable_categorical": True, "max_cat_to_onehot": 2, "feature_types": ["q", "q", "c", "q"]},
        {"tree_method": "exact", "gamma": 1},
        {"tree_method": "approx"},
        {"multi_strategy": "multi_output_tree"},
        {"num_parallel_tree": 4},
        {"objective": "multi:softprob", "num_class": 3},
    ],
    ids=str,
)
def test_xgboost(options: dict[str, Any]) -> None:
    xgboost = pytest.importorskip("xgboost")
    values = RNG.normal(size=(500, 4))
    values[:, 2] = RNG.integers(0, 10, 500)
    label = RNG.integers(0, 3, 500)
    given = np.c_[label, label] if "multi_strategy" in options else label
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = xgboost.XGBRegressor(n_estimators=4, **options).fit(values, given)
    check_xgboost(bytes(model.get_booster().save_raw("ubj")))


CATBOOST: list[tuple[str, dict[str, Any]]] = [
    ("Classifier", {}),
    ("Classifier", {"loss_function": "MultiClass"}),
    ("Classifier", {"loss_function": "MultiClassOneVsAll"}),
    ("Classifier", {"loss_function": "CrossEntropy"}),
    ("Classifier", {"loss_function": "MultiLogloss"}),
    ("Classifier", {"simple_ctr": "Buckets", "max_ctr_complexity": 1}),
    ("Regressor", {}),
    ("Regressor", {"grow_policy": "Lossguide"}),
    ("Regressor", {"grow_policy": "Depthwise", "max_depth": 3}),
    ("Regressor", {"loss_function": "Poisson"}),
    ("Regressor", {"loss_function": "MultiRMSE"}),
    ("Regressor", {"loss_function": "MultiQuantile:alpha=0.1,0.9"}),
    ("Regressor", {"loss_function": "RMSEWithUncertainty"}),
    ("Regressor", {"simple_ctr": ["BinarizedTargetMeanValue", "Counter"], "max_ctr_complexity": 1}),
    ("Regressor", {"one_hot_max_size": 100}),
    ("Regressor", {"use_best_model": True, "early_stopping_rounds": 2, "learning_rate": 1.0}),
]


@pytest.mark.parametrize("categorical", [[], ["c", "d"]])
@pytest.mark.parametrize(("kind", "options"), CATBOOST, ids=str)
def test_catboost(kind: str, options: dict[str, Any], categorical: list[str]) -> None:
    catboost = pytest.importorskip("catboost")
    frames = pytest.importorskip("pandas")
    values = frames.DataFrame(RNG.normal(size=(500, 2)), columns=["a", "b"])
    drawn = {name: RNG.integers(0, count, 500) for name, count in (("c", 9), ("d", 2))}
    values = values.assign(**{name: [f"v{one}" for one in column] if categorical else column for name, column in drawn.items()})  # fmt: skip
    label = RNG.integers(0, 3 if "MultiClass" in str(options) else 2, 500)
    given = np.c_[label, 1 - label] if str(options.get("loss_function")) in ("MultiRMSE", "MultiLogloss") else label
    common = {
        "iterations": 20,
        "verbose": 0,
        "allow_writing_files": False,
        "thread_count": 1,
        "cat_features": categorical,
    }
    model = getattr(catboost, f"CatBoost{kind}")(**common, **options)
    model.fit(values, given, **({"eval_set": (values[:99], 1 - given[:99])} if "use_best_model" in options else {}))
    opened = open_file(save(model))
    np.testing.assert_array_equal(opened.predict(values), model.predict(values))
    if kind == "Classifier":
        np.testing.assert_array_equal(opened.probabilities(values), model.predict_proba(values))
        assert opened.classes == model.classes_.tolist()


def test_catboost_that_is_not_fitted() -> None:
    catboost = pytest.importorskip("catboost")
    with pytest.raises(BadInput, match="a CatBoostRegressor that is not fitted"):
        save(catboost.CatBoostRegressor())
