"""Fitted estimators to bytes and back, in formats that run no code when they are read.

Pickle is none of them: it is written and read only by who says `allow_pickle=True`.
"""

import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

import msgspec
import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput, first_few

Format = Literal["lightgbm", "skops", "xgboost", "onnx", "pickle"]
Predictor = Callable[[Array], Array]
#: Parts of fitted estimators that skops does not trust of itself: trees, pipelines, calibration.
_TRUSTED_PREFIX, _TRUSTED = "sklearn.", {"numpy.dtype"}


class Saved(msgspec.Struct, frozen=True):
    """A fitted estimator as it is kept."""

    format: Format
    data: bytes


def save(estimator: Any, *, allow_pickle: bool = False) -> Saved:
    """An estimator in its native format. Raises `BadInput` for one that none of the formats holds.

    With `allow_pickle`, what has no native format is pickled.
    """
    library = type(estimator).__module__.split(".")[0]
    if library == "lightgbm":
        booster = estimator if hasattr(estimator, "model_to_string") else getattr(estimator, "booster_", None)
        if booster is None:
            raise _unfitted(estimator)
        return Saved("lightgbm", booster.model_to_string().encode())
    if library == "sklearn":
        return Saved("skops", _fitted_skops(estimator))
    if library == "xgboost":
        return Saved("xgboost", _fitted_xgboost(estimator))
    if library == "onnx":
        return Saved("onnx", estimator.SerializeToString())
    if allow_pickle:
        return Saved("pickle", _pickled(estimator))
    raise BadInput(
        f"fit() gave a {type(estimator).__module__}.{type(estimator).__name__}, which can't be kept",
        do="Return a LightGBM, XGBoost, scikit-learn or ONNX model.",
    )


def _fitted_xgboost(estimator: Any) -> bytes:
    from sklearn.exceptions import NotFittedError

    try:
        booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    except NotFittedError:
        raise _unfitted(estimator) from None
    return bytes(booster.save_raw("ubj"))


def _pickled(estimator: Any) -> bytes:
    try:
        return pickle.dumps(estimator)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise BadInput(f"a {type(estimator).__name__} can't be pickled: {error}") from None


def _fitted_skops(estimator: Any) -> bytes:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise _unfitted(estimator) from None
    return _skops().dumps(estimator)


def _unfitted(estimator: object) -> BadInput:
    return BadInput(f"fit() gave a {type(estimator).__name__} that is not fitted", do="Return what its fit() returns.")


def load(saved: Saved, *, allow_pickle: bool = False) -> Predictor:
    """The function from a matrix of shape (n, k) to predictions of shape (n,).

    Classifiers give the probability of the class that sorts last. Nothing is unpickled without `allow_pickle`.
    Raises `BadInput` for a pickle then, when the library is missing, or when a type is not scikit-learn's own.
    """
    if saved.format != "pickle":
        return _LOADERS[saved.format](saved.data)
    if not allow_pickle:
        raise BadInput(
            "the model is a pickle, which can run any code when it is loaded",
            do="Say allow_pickle=True if you know who made it.",
        )
    return _predictor(pickle.loads(saved.data))  # noqa: S301 the caller asked for it


def _predictor(estimator: Any) -> Predictor:
    if hasattr(estimator, "predict_proba"):
        return lambda values: estimator.predict_proba(values)[:, -1]
    return estimator.predict


def _load_lightgbm(data: bytes) -> Predictor:
    lightgbm = _library("lightgbm", "LightGBM", "lightgbm")
    booster = lightgbm.Booster(model_str=data.decode())

    def predict(values: Array) -> Array:
        # One thread: several would wait for each other wherever another process also wants the cores.
        return booster.predict(values, num_threads=1)  # pyright: ignore[reportReturnType]

    return predict


def _load_skops(data: bytes) -> Predictor:
    skops = _skops()
    named: list[str] = skops.get_untrusted_types(data=data)
    unknown = [name for name in named if not name.startswith(_TRUSTED_PREFIX) and name not in _TRUSTED]
    if unknown:
        raise BadInput(
            "the model holds types that are not trusted",
            *first_few(unknown, len(unknown)),
            do="Use estimators of scikit-learn itself.",
        )
    estimator: Any = skops.loads(data, trusted=named)
    return _predictor(estimator)


def _load_xgboost(data: bytes) -> Predictor:
    xgboost = _library("xgboost", "XGBoost", "xgboost")
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    best: str | None = booster.attr("best_iteration")  # of early stopping, where scikit-learn's interface stops too
    trees = (0, int(best) + 1 if best else 0)
    return lambda values: _last_class(booster.inplace_predict(values, iteration_range=trees))


def _load_onnx(data: bytes) -> Predictor:
    onnxruntime = _library("onnxruntime", "ONNX Runtime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (takes,), gives = session.get_inputs(), session.get_outputs()[-1]  # classifiers give labels, then probabilities
    if not gives.type.startswith("tensor("):
        raise BadInput(
            f"the ONNX model gives {gives.name} as a {gives.type}", do="Convert it with zipmap=False, to a tensor."
        )
    kind = np.float64 if takes.type == "tensor(double)" else np.float32
    return lambda values: _last_class(session.run([gives.name], {takes.name: values.astype(kind)})[0])


def _last_class(predicted: Any) -> Array:
    return predicted[:, -1] if predicted.ndim > 1 else predicted


def _skops() -> Any:
    return _library("skops.io", "skops", "sklearn")


def _library(module: str, title: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise BadInput(f"{title} is not installed", do=f'Run: pip install "assay[{extra}]"') from None


_LOADERS: dict[str, Callable[[bytes], Predictor]] = {
    "lightgbm": _load_lightgbm,
    "skops": _load_skops,
    "xgboost": _load_xgboost,
    "onnx": _load_onnx,
}
