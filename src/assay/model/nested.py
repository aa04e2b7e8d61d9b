"""Boosters of other libraries inside estimators of scikit-learn, and searches around either.

skops would keep a booster as the pickled state of its library. Here each is taken out, to be kept in its own format; a `Kept`
stands in its place. Of a search what it has chosen is kept.
"""

import io
import pickle
import re
import sys
from typing import Any

from assay.errors import BadInput
from assay.model.kept import Kept
from assay.store.artifacts import pack, unpack

BOOSTERS = ("lightgbm", "xgboost", "catboost")
_SHELL = "estimator.skops"
_PART = re.compile(r"(\d{1,4})\.(" + "|".join(BOOSTERS) + ")")


def chosen(estimator: Any) -> Any:
    """The estimator that a search refitted; any other as it is. Raises `BadInput` for a search that keeps none."""
    while any(kind.__name__ == "BaseSearchCV" for kind in type(estimator).__mro__):
        if not estimator.refit:
            raise BadInput(
                f"fit() gave a {type(estimator).__name__} with refit=False, which keeps no estimator",
                do="Leave refit=True, or return an estimator that is fitted with its best_params_.",
            )
        if not hasattr(estimator, "best_estimator_"):
            raise BadInput(f"fit() gave a {type(estimator).__name__} that is not fitted",
                           do="Return the result of its fit().")  # fmt: skip
        estimator = estimator.best_estimator_
    return estimator


def take_out(estimator: Any) -> tuple[Any, list[Any]]:
    """A copy of the estimator in which a `Kept` stands for each booster, and the fitted boosters by its number.

    Where there is none, and where the estimator can't be copied, it is the estimator itself.
    """
    if not any(name in sys.modules for name in BOOSTERS):
        return estimator, []
    stands: dict[int, Kept] = {}
    fitted: list[Any] = []

    class Out(pickle.Pickler):
        def persistent_id(self, obj: Any) -> int | None:
            if id(obj) not in stands:
                if not _is_booster(obj):
                    return None
                is_fitted = _is_fitted(obj)
                stands[id(obj)] = Kept(len(fitted) if is_fitted else -1, obj)
                fitted.extend([obj] if is_fitted else [])
            return id(obj)

    class Back(pickle.Unpickler):
        def persistent_load(self, pid: int) -> Kept:
            return stands[pid]

    copied = io.BytesIO()
    try:
        Out(copied, protocol=5).dump(estimator)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError):  # skops says what can't be kept
        return estimator, []
    return (Back(io.BytesIO(copied.getvalue())).load(), fitted) if fitted else (estimator, [])


def _is_booster(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in BOOSTERS and hasattr(value, "predict")


def _is_fitted(booster: Any) -> bool:
    for name in ("__sklearn_is_fitted__", "is_fitted"):
        if hasattr(booster, name):
            return bool(getattr(booster, name)())
    return True  # a Booster


def packed(shell: bytes, parts: list[tuple[str, bytes]]) -> bytes:
    """One file of the estimator without its boosters, and of each booster with its format."""
    return pack({_SHELL: shell} | {f"{number}.{kind}": data for number, (kind, data) in enumerate(parts)})


def boosters_of(form: str, data: bytes) -> list[str]:
    """The formats of the boosters in a file of a form."""
    return [kind for kind, _ in unpacked(data)[1]] if form == "nested" else []


def unpacked(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """What `packed` put together. Raises `BadInput` for other files in it, `Corrupt` for other bytes."""
    files = unpack(data)
    shell = files.pop(_SHELL, None)
    found = {int(match[1]): (match[2], files[name]) for name in files if (match := _PART.fullmatch(name))}
    if shell is None or len(found) != len(files) or sorted(found) != list(range(len(found))):
        raise BadInput("the file is not an estimator with its boosters", do="Save the model again.")
    return shell, [found[number] for number in range(len(found))]
