"""Fitted estimators to bytes and back, in formats that run no code when they are read."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from assay.contract.columns import Array
from assay.errors import BadInput, first_few

Format = Literal["lightgbm", "skops"]
Predictor = Callable[[Array], Array]
#: Parts of fitted estimators that skops does not trust of itself: trees, pipelines, calibration.
_TRUSTED_PREFIX, _TRUSTED = "sklearn.", {"numpy.dtype"}


class Saved(msgspec.Struct, frozen=True):
    """A fitted estimator as it is kept."""

    format: Format
    data: bytes


def save(estimator: Any) -> Saved:
    """An estimator in its native format. Raises `BadInput` for one that none of the formats holds."""
    library = type(estimator).__module__.split(".")[0]
    if library == "lightgbm":
        booster = estimator if hasattr(estimator, "model_to_string") else getattr(estimator, "booster_", None)
        if booster is None:
            raise _unfitted(estimator)
        return Saved("lightgbm", booster.model_to_string().encode())
    if library == "sklearn":
        return Saved("skops", _fitted_skops(estimator))
    raise BadInput(
        f"fit() gave a {type(estimator).__module__}.{type(estimator).__name__}, which can't be kept",
        do="Return a LightGBM or a scikit-learn estimator.",
    )


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


def load(saved: Saved) -> Predictor:
    """The function from a matrix of shape (n, k) to predictions of shape (n,).

    Classifiers give the probability of the class that sorts last. Nothing is unpickled.
    Raises `BadInput` when the library is missing or a type is not scikit-learn's own.
    """
    return _load_lightgbm(saved.data) if saved.format == "lightgbm" else _load_skops(saved.data)


def _load_lightgbm(data: bytes) -> Predictor:
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise BadInput("LightGBM is not installed", do='Run: pip install "assay[lightgbm]"') from None
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
    if hasattr(estimator, "predict_proba"):
        return lambda values: estimator.predict_proba(values)[:, -1]
    return estimator.predict


def _skops() -> Any:
    try:
        import skops.io
    except ModuleNotFoundError:
        raise BadInput("skops is not installed", do='Run: pip install "assay[sklearn]"') from None
    return skops.io
