"""Fitted estimators to bytes and back, in formats that run no code when they are read.

Pickle is none of them: it is written and read only by who says `allow_pickle=True`. Each format has a module that looks
at a file before its library does: `skops_file` with `structure` and `nested`, `lightgbm_text`, `xgboost_file`, `catboost_file`, `onnx_file`.
Who opens files of others goes through `assay.model.probe` first.
"""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
import numpy as np

from assay.contract.columns import Array
from assay.errors import AssayError, BadInput
from assay.model.catboost_file import categories_of, check_catboost, width_of
from assay.model.kept import standing_for
from assay.model.lightgbm_text import check_lightgbm, objective_of
from assay.model.nested import chosen, packed, take_out, unpacked
from assay.model.onnx_file import check_onnx, classes_in
from assay.model.skops_file import check_skops
from assay.model.structure import check_structure
from assay.model.xgboost_file import check_xgboost

Format = Literal["lightgbm", "skops", "xgboost", "catboost", "onnx", "nested", "own", "pickle"]
#: From features, in the form that the estimator was fitted on, to what it says.
Predictor = Callable[[Any], Any]
#: What CatBoost is given for a missing text: it takes none. Its docs convert NaN to this text.
MISSING_TEXT = "nan"
#: What CatBoostRegressor answers with for losses on another scale than that of its trees.
_SCALES_OF_CATBOOST = {"Poisson": "Exponent", "Tweedie": "Exponent", "RMSEWithUncertainty": "RMSEWithUncertainty"}


class Saved(msgspec.Struct, frozen=True):
    """A fitted estimator as it is kept."""

    format: Format
    data: bytes
    #: The classes that it said it knows when it was saved, as `Opened.classes`: some formats do not keep them.
    classes: list[Any] | None = None


def save(estimator: Any, *, allow_pickle: bool = False) -> Saved:
    """An estimator in its native format. Raises `BadInput` for one that none of the formats holds.

    Of a search the estimator that it chose is kept. With `allow_pickle`, what has no native format is pickled.
    """
    estimator = chosen(estimator)
    library = _library_of(estimator)
    if library == "sklearn":
        return _saved_sklearn(estimator)
    if library in _SAVERS:
        data = _SAVERS[library](estimator)
        return Saved(_FORMATS[library], data, plain_classes(getattr(estimator, "classes_", None)))
    if allow_pickle:
        return Saved("pickle", _pickled(estimator))
    raise BadInput(
        f"fit() gave a {type(estimator).__module__}.{type(estimator).__name__}, which can't be stored",
        do="Return a LightGBM, XGBoost, CatBoost, scikit-learn or ONNX model, or say how it is kept: Model(estimator=assay.Estimator(...)).",
    )


def _library_of(estimator: Any) -> str:
    """The package of an estimator; scikit-learn for classes of the user's own that are made from its classes."""
    packages = [kind.__module__.partition(".")[0] for kind in type(estimator).__mro__]
    return packages[0] if packages[0] in _SAVERS or "sklearn" not in packages else "sklearn"


def plain_classes(classes: Any) -> list[Any] | None:
    """The classes of an estimator as Python values, of one with several labels a list of lists; whole numbers as int."""
    if classes is None or callable(classes):
        return None
    each = [plain_classes(one) if isinstance(one, np.ndarray | list) else _plain(one) for one in classes]
    return each or None


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()) else value


def _fitted_lightgbm(estimator: Any) -> bytes:
    booster = estimator if hasattr(estimator, "model_to_string") else getattr(estimator, "booster_", None)
    if booster is None:
        raise _unfitted(estimator)
    return booster.model_to_string().encode()


def _fitted_xgboost(estimator: Any) -> bytes:
    from sklearn.exceptions import NotFittedError

    try:
        booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    except NotFittedError:
        raise _unfitted(estimator) from None
    return bytes(booster.save_raw("ubj"))


def _fitted_catboost(estimator: Any) -> bytes:
    if not estimator.is_fitted():
        raise _unfitted(estimator)
    with TemporaryDirectory(prefix="assay-catboost-") as folder:
        file = Path(folder) / "model.cbm"
        estimator.save_model(str(file))
        return file.read_bytes()


def _pickled(estimator: Any) -> bytes:
    try:
        return pickle.dumps(estimator)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise BadInput(f"a {type(estimator).__name__} can't be pickled: {error}") from None


def _saved_sklearn(estimator: Any) -> Saved:
    """By skops; boosters of other libraries inside of it each in their format."""
    _need_fitted(estimator)
    shell, boosters = take_out(estimator)
    try:
        data = _skops().dumps(shell)
    except Exception as error:  # noqa: BLE001 - whatever skops raises for an object that it does not know
        raise BadInput(
            f"fit() gave a {type(estimator).__name__} that skops can't keep", f"{type(error).__name__}: {error}"[:300],
            do="Leave out the part that it names, or say how it is kept: Model(estimator=assay.Estimator(...)).",
        ) from None  # fmt: skip
    classes = plain_classes(getattr(estimator, "classes_", None))
    if not boosters:
        return Saved("skops", data, classes)
    parts = [(_FORMATS[_library_of(one)], _SAVERS[_library_of(one)](one)) for one in boosters]
    return Saved("nested", packed(data, parts), classes)


def _need_fitted(estimator: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise _unfitted(estimator) from None


def _unfitted(estimator: object) -> BadInput:
    return BadInput(f"fit() gave a {type(estimator).__name__} that is not fitted", do="Return the result of its fit().")


@dataclass(frozen=True)
class Opened:
    """A model that can predict."""

    #: From features of n rows to numbers or chosen classes, of shape (n,) or (n, m); None where only probabilities are known.
    predict: Predictor | None
    #: From features of n rows to probabilities: of shape (n, k) for k classes, a list of these for several labels, of shape
    #: (n, m) for m labels of two classes; None where there are none.
    probabilities: Predictor | None = None
    #: The class of each column of the probabilities; a list of these for several labels; None where the format keeps none.
    classes: list[Any] | None = None
    #: How many columns it wants, where it says so.
    features: int | None = None
    #: From features of n rows to the probability of the second of two classes, shape (n,), where the library gives just that.
    positive: Predictor | None = None
    #: From features of n rows to what the trees of a classifier sum to, before it becomes probabilities.
    margins: Predictor | None = None


def load(saved: Saved, *, allow_pickle: bool = False) -> Predictor:
    """The function from a matrix of shape (n, k) to predictions of shape (n,).

    Of two classes it gives the probability of the one that sorts last, of more the probabilities of all, shape (n, c), in
    the order of the estimator. Nothing is unpickled without `allow_pickle`.
    Raises `BadInput` for a pickle then, when the library is missing, when a type is not scikit-learn's own, and for a
    file whose parts do not fit together.
    """
    if saved.format == "pickle" and not allow_pickle:
        raise BadInput(
            "the model is a pickle, which can run any code when it is loaded",
            do="Pass allow_pickle=True if you trust its author.",
        )
    opened = _of_estimator(pickle.loads(saved.data)) if saved.format == "pickle" else open_file(saved)  # noqa: S301
    return _without_classes(opened)


def _without_classes(opened: Opened) -> Predictor:
    probabilities = opened.probabilities
    if probabilities is None:
        return opened.predict or _nothing
    return lambda values: _last_of_two(probabilities(values))


def _nothing(_: Any) -> Any:
    raise BadInput("the model does not predict", do="Save a model with a predict method.")


def _last_of_two(said: Any) -> Any:
    return said[:, 1] if getattr(said, "ndim", 0) == 2 and said.shape[1] == 2 else said


def open_file(saved: Saved, modules: frozenset[str] = frozenset()) -> Opened:
    """A model of a format that runs no code, looked at before its library gets it. Raises `BadInput` as `load` does.

    `modules` are those of the project whose classes it may hold: they come with the bundle, and can be imported meanwhile.
    """
    try:
        if saved.format in ("skops", "nested"):
            opened = _load_skops(saved.data, modules) if saved.format == "skops" else _load_nested(saved.data, modules)
        else:
            opened = _LOADERS[saved.format](saved.data)
    except AssayError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises for a strange file
        raise BadInput(
            f"the {saved.format} model can't be opened", f"{type(error).__name__}: {error}"[:300], do="Save it again."
        ) from None
    return opened if saved.classes is None else replace(opened, classes=saved.classes)


def _of_estimator(estimator: Any) -> Opened:
    if not hasattr(estimator, "predict"):
        raise BadInput(f"a {type(estimator).__name__} does not predict", do="Log a model with a predict method.")
    return Opened(
        estimator.predict,
        getattr(estimator, "predict_proba", None),
        plain_classes(getattr(estimator, "classes_", None)),
        getattr(estimator, "n_features_in_", None),
    )


def _load_lightgbm(data: bytes) -> Opened:
    lightgbm = _library("lightgbm", "LightGBM", "lightgbm")
    check_lightgbm(data)
    booster = lightgbm.Booster(model_str=data.decode())

    def predict(values: Any, **how: Any) -> Array:
        # One thread: several would wait for each other wherever another process also wants the cores.
        return booster.predict(values, num_threads=1, **how)  # pyright: ignore[reportReturnType]

    def margins(values: Any) -> Array:
        return predict(values, raw_score=True)

    objective = objective_of(data)
    if objective in ("multiclass", "multiclassova"):
        return Opened(None, predict, None, booster.num_feature(), None, margins)
    if objective == "binary":
        return Opened(None, lambda values: of_two(predict(values)), None, booster.num_feature(), predict, margins)
    return Opened(predict, None, None, booster.num_feature())


def of_two(positive: Array) -> Array:
    """The probabilities of both classes, shape (n, 2), from those of the second."""
    return np.column_stack([1 - positive, positive])


def _load_skops(data: bytes, modules: frozenset[str]) -> Opened:
    skops = _skops()
    estimator: Any = skops.loads(data, trusted=check_skops(data, modules))
    check_structure(estimator)
    return _of_estimator(estimator)


def _load_nested(data: bytes, modules: frozenset[str]) -> Opened:
    shell, parts = unpacked(data)
    boosters = [_LOADERS[kind](content) for kind, content in parts]
    with standing_for(boosters):
        estimator: Any = _skops().loads(shell, trusted=check_skops(shell, modules, with_boosters=True))
    check_structure(estimator)
    return _of_estimator(estimator)


def _load_xgboost(data: bytes) -> Opened:
    xgboost = _library("xgboost", "XGBoost", "xgboost")
    check_xgboost(data)
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    best: str | None = booster.attr("best_iteration")  # of early stopping, where scikit-learn's interface stops too
    trees = (0, int(best) + 1 if best else 0)

    def predict(values: Any, kind: str = "value") -> Array:
        return booster.inplace_predict(values, iteration_range=trees, predict_type=kind)

    def margins(values: Any) -> Array:
        return predict(values, "margin")

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective == "multi:softprob":
        return Opened(None, predict, None, booster.num_features(), None, margins)
    if objective == "binary:logistic":
        return Opened(None, lambda values: _of_labels(predict(values)), None, booster.num_features(), None, margins)
    return Opened(predict, None, None, booster.num_features())


def _of_labels(positive: Array) -> Array:
    """Probabilities of one label as those of both classes; of several labels as they are."""
    return positive if positive.ndim > 1 else of_two(positive)


def _load_catboost(data: bytes) -> Opened:
    catboost = _library("catboost", "CatBoost", "catboost")
    check_catboost(data)
    categories = categories_of(data)
    model = catboost.CatBoost().load_model(blob=data)
    width = None if categories else width_of(data)

    def asked(given: Any, what: str) -> Array:
        return model.predict(_with_texts(given, categories), prediction_type=what, thread_count=1)

    if not len(model.classes_):
        loss = str(model.get_all_params().get("loss_function")).partition(":")[0]
        scale = _SCALES_OF_CATBOOST.get(loss, "RawFormulaVal")
        return Opened(lambda given: asked(given, scale), None, None, width)

    def probabilities(given: Any) -> Array:
        return asked(given, "Probability")

    classes = plain_classes(model.classes_)
    positive = (lambda given: probabilities(given)[:, 1]) if classes and len(classes) == 2 else None
    margins = partial(asked, what="RawFormulaVal")
    return Opened(lambda given: asked(given, "Class"), probabilities, classes, width, positive, margins)


def _with_texts(given: Any, categories: list[int]) -> Any:
    """A frame without missing texts, which CatBoost refuses."""
    if not categories:
        return given
    if hasattr(given, "iloc"):  # pandas
        texts = {name: given[name].astype(object) for name in given.columns[categories]}
        return given.assign(**{name: column.where(column.notna(), MISSING_TEXT) for name, column in texts.items()})
    if hasattr(given, "with_columns"):  # polars
        names = [given.columns[position] for position in categories]
        return given.with_columns([given[name].cast(str).fill_null(MISSING_TEXT) for name in names])
    raise BadInput("CatBoost reads categories from a frame", do="Annotate x as pd.DataFrame or pl.DataFrame.")


def _load_onnx(data: bytes) -> Opened:
    onnxruntime = _library("onnxruntime", "ONNX Runtime", "onnx")
    onnx = _library("onnx", "ONNX", "onnx")
    model = onnx.load_model_from_string(data)
    check_onnx(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.load_model_format", "ONNX")
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (takes,), gives = session.get_inputs(), session.get_outputs()
    for one in gives:
        if not one.type.startswith("tensor("):
            raise BadInput(
                f"the ONNX model gives {one.name} as a {one.type}", do="Convert it with zipmap=False, to a tensor."
            )
    kind = np.float64 if takes.type == "tensor(double)" else np.float32
    width = takes.shape[1] if len(takes.shape) == 2 and isinstance(takes.shape[1], int) else None

    def named(name: str) -> Predictor:
        return lambda values: session.run([name], {takes.name: np.asarray(values).astype(kind)})[0]

    classes = classes_in(model)
    if len(gives) > 1:  # classifiers give labels, then probabilities
        return Opened(named(gives[0].name), named(gives[-1].name), classes, width)
    return Opened(lambda values: _column(named(gives[0].name)(values)), None, None, width)


def _column(said: Array) -> Array:
    return said[:, 0] if said.ndim == 2 and said.shape[1] == 1 else said


def _skops() -> Any:
    return _library("skops.io", "skops", "sklearn")


def _library(module: str, title: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise BadInput(f"{title} is not installed", do=f'Run: pip install "assay[{extra}]"') from None


#: By the package of an estimator.
_SAVERS: dict[str, Callable[[Any], bytes]] = {
    "lightgbm": _fitted_lightgbm,
    "xgboost": _fitted_xgboost,
    "catboost": _fitted_catboost,
    "onnx": lambda estimator: estimator.SerializeToString(),
}
_FORMATS: dict[str, Format] = {
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "onnx": "onnx",
}
_LOADERS: dict[str, Callable[[bytes], Opened]] = {
    "lightgbm": _load_lightgbm,
    "xgboost": _load_xgboost,
    "catboost": _load_catboost,
    "onnx": _load_onnx,
}
