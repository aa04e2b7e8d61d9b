"""What stands in a skops file for a booster of another library: it predicts by that booster, which is kept beside the file."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from assay.errors import BadInput

#: What a booster says of itself that estimators around it ask for.
_SAID = ("classes_", "n_features_in_", "feature_importances_")
#: The boosters of the file that is being read.
_boosters: ContextVar[Sequence[Any]] = ContextVar("boosters", default=())


@contextmanager
def standing_for(boosters: Sequence[Any]) -> Generator[None]:
    """Meanwhile each `Kept` that is made from a file predicts by the booster of its number."""
    before = _boosters.set(boosters)
    try:
        yield
    finally:
        _boosters.reset(before)


class Kept:
    """A fitted booster, or with the number -1 one that was to be fitted; to scikit-learn it is an estimator."""

    def __init__(self, number: int, estimator: Any) -> None:
        self.number = number
        self.is_classifier = hasattr(estimator, "predict_proba")
        self.gives_margins = hasattr(estimator, "decision_function")
        for name in _SAID if number >= 0 else ():
            if (value := getattr(estimator, name, None)) is not None:
                setattr(self, name, np.asarray(value) if name != "n_features_in_" else int(value))
        self._opened: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_opened"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        number, boosters = state.get("number"), _boosters.get()
        if not isinstance(number, int) or not -1 <= number < len(boosters):
            raise BadInput("the model stands for a booster that its file does not hold", do="Save it again.")
        self.number, self.is_classifier = number, bool(state.get("is_classifier"))
        self.gives_margins = bool(state.get("gives_margins"))
        for name in _SAID:
            if name in state:
                setattr(self, name, state[name])
        self._opened = boosters[number] if number >= 0 else None

    def fit(self, *_: Any) -> Any:
        """Raise `BadInput`: what is opened predicts."""
        raise BadInput("an opened model can't be fitted again", do="Fit the estimator in fit().")

    def predict(self, x: Any) -> Any:
        """As the booster does: numbers, or the class that is most probable."""
        known = getattr(self, "classes_", None)
        if self._opened.probabilities is None or known is None or not np.ndim(known):
            return self._opened.predict(x)
        return known[np.argmax(self._opened.probabilities(x), axis=1)]

    @property
    def predict_proba(self) -> Callable[[Any], Any]:
        """Probabilities, of a classifier only."""
        if not self.is_classifier or self._opened is None or self._opened.probabilities is None:
            raise AttributeError("predict_proba")

        def predict_proba(x: Any) -> Any:  # scikit-learn looks at the name
            return self._opened.probabilities(x)

        return predict_proba

    @property
    def decision_function(self) -> Callable[[Any], Any]:
        """What its trees sum to, where the library had that too: calibration takes it before probabilities."""
        if not self.gives_margins or self._opened is None or self._opened.margins is None:
            raise AttributeError("decision_function")

        def decision_function(x: Any) -> Any:
            return self._opened.margins(x)

        return decision_function

    def __sklearn_is_fitted__(self) -> bool:
        return self.number >= 0

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier" if self.is_classifier else "regressor",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if self.is_classifier else None,
            regressor_tags=None if self.is_classifier else RegressorTags(),
        )
