"""Models of the user's own training loops: kept in native formats, and never a pickle by surprise."""

from typing import Any

import numpy as np
import pytest

import assay
from assay import store
from assay.errors import BadInput, NotFound
from assay.model.estimator import Saved, load, save
from assay.store import Store

RNG = np.random.default_rng(7)
X = RNG.normal(size=(200, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


@pytest.fixture(autouse=True)
def opened(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    with store.use(store.find_home(tmp_path / ".assay")) as found:
        yield found
    found.database.dispose()


def there_and_back(estimator: Any) -> tuple[str, Any]:
    """The artifact's name, and what the model says once it is loaded again."""
    with assay.start_run(system_metrics=False) as run:
        called = assay.log_model("model", estimator)
    return called, assay.load_model(run.id, "model")(X)


def test_lightgbm() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    fitted = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, Y)
    called, said = there_and_back(fitted)
    assert called == "model.lgb.txt"
    np.testing.assert_allclose(said, fitted.booster_.predict(X))


def test_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    fitted = linear.LogisticRegression().fit(X, Y)
    called, said = there_and_back(fitted)
    assert called == "model.skops"
    np.testing.assert_array_equal(said, fitted.predict_proba(X)[:, 1])


@pytest.mark.parametrize("early", [False, True])
def test_xgboost(early: bool) -> None:
    xgboost = pytest.importorskip("xgboost")
    stops = {"early_stopping_rounds": 2, "learning_rate": 1.0} if early else {}
    model = xgboost.XGBClassifier(n_estimators=60, **stops)
    fitted = model.fit(X, Y, eval_set=[(X[:50], 1 - Y[:50])], verbose=False) if early else model.fit(X, Y)
    called, said = there_and_back(fitted)
    assert called == "model.ubj"
    np.testing.assert_array_equal(said, fitted.predict_proba(X)[:, 1])  # as its best iteration says, not its last
    np.testing.assert_array_equal(load(save(fitted.get_booster()))(X), said)
    with pytest.raises(BadInput, match="that is not fitted"):
        save(xgboost.XGBClassifier())


def test_xgboost_of_three_classes_and_of_numbers() -> None:
    xgboost = pytest.importorskip("xgboost")
    three = xgboost.XGBClassifier(n_estimators=3).fit(X, Y + (X[:, 2] > 1))
    np.testing.assert_array_equal(load(save(three))(X), three.predict_proba(X))
    number = xgboost.XGBRegressor(n_estimators=3).fit(X, X[:, 0])
    np.testing.assert_array_equal(load(save(number))(X), number.predict(X))


def test_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    double = onnx.TensorProto.DOUBLE
    weights = onnx.numpy_helper.from_array(np.array([[1.0], [2.0], [0.0], [0.0]]), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [onnx.helper.make_tensor_value_info("x", double, [None, 4])],
        [onnx.helper.make_tensor_value_info("y", double, [None, 1])],
        [weights],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    called, said = there_and_back(made)
    assert called == "model.onnx"
    np.testing.assert_allclose(said, X[:, 0] + 2 * X[:, 1])


class Ratio:
    """What only a pickle holds."""

    def predict(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0] / values[:, 1]


def test_a_pickle_needs_a_word_from_who_keeps_it_and_again_from_who_loads_it() -> None:
    with assay.start_run(system_metrics=False) as run:
        with pytest.raises(
            BadInput, match=r"the model 'm' is a .*Ratio, which can't be stored\n.*pass allow_pickle=True"
        ):
            assay.log_model("m", Ratio())
        assert assay.log_model("m", Ratio(), allow_pickle=True) == "m.pkl"
        with pytest.raises(BadInput, match="can't be pickled"):
            assay.log_model("other", lambda values: values, allow_pickle=True)
    with pytest.raises(BadInput, match=r"the model is a pickle.*\nPass allow_pickle=True if you trust its author"):
        assay.load_model(run.id, "m")
    np.testing.assert_array_equal(assay.load_model(run.id, "m", allow_pickle=True)(X), X[:, 0] / X[:, 1])


def test_the_code_in_a_pickle_is_not_run_without_the_word(tmp_path: Any) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (open, (str(tmp_path / "was-here"), "w"))

    import pickle

    with pytest.raises(BadInput, match="is a pickle"):
        load(Saved("pickle", pickle.dumps(Evil())))
    assert not (tmp_path / "was-here").exists()


def test_a_model_that_was_not_kept_is_not_found(opened: Store) -> None:
    with assay.start_run(system_metrics=False) as run:
        assay.log_model("ratio", Ratio(), allow_pickle=True)
    with pytest.raises(NotFound, match=r"has no model 'ration'\n  did you mean ratio\?"):
        assay.load_model(run.id, "ration")
    with pytest.raises(NotFound, match="no run"):
        assay.load_model("nobody", "ratio")


def test_it_is_kept_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    home = store.find_home(tmp_path / "away" / ".assay")
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ASSAY_DATABASE", f"sqlite:///{blocked}/assay.db")
    with store.use(home) as there:
        with assay.start_run(system_metrics=False) as run:
            assay.log_model("m", lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(X, X[:, 0]))
        blocked.unlink()
        assert assay.load_model(run.id, "m")(X).shape == (200,)
        there.database.dispose()
