"""The versions of the libraries behind an estimator and its features: what made it, and what is installed here."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile

from assay.errors import BadInput
from assay.model.estimator import Saved
from assay.model.nested import boosters_of

#: The distributions whose version matters, by format.
_OF = {
    "lightgbm": ("lightgbm",),
    "skops": ("scikit-learn",),
    "nested": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "catboost": ("catboost",),
    "onnx": (),  # its file says which version of the standard it needs
}


def libraries_of(saved: Iterable[Saved], engines: Iterable[str] = ()) -> dict[str, str]:
    """The installed versions of what a bundle needs, by distribution; `engines` are those that compute its features."""
    formats = [kind for one in saved for kind in (one.format, *boosters_of(one.format, one.data))]
    names = [*(name for kind in formats for name in _OF.get(kind, ())), *engines]
    return {name: found for name in dict.fromkeys(names) if (found := installed(name))}


def installed(name: str) -> str | None:
    """The version of a distribution; None when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def refuse_older(model: str, libraries: Mapping[str, str]) -> None:
    """Raise `BadInput` when a library is older here than the one that saved the estimator of a model.

    A missing one is left to who needs it; another distribution of the same library may stand in its place.
    """
    for name, needed in libraries.items():
        found = installed(name)
        if found is not None and _numbers(found) < _numbers(needed):
            raise BadInput(
                f"{model} was saved with {name} {needed}, and {found} is installed here, which is older",
                do=f'Run: pip install "{name}>={needed}"',
            )


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison.

    >>> _numbers("1.10.0rc1") > _numbers("1.9.3")
    True
    """
    each = ("".join(takewhile(str.isdigit, part)) for part in text.split("."))
    return tuple(int(part) for part in takewhile(bool, each))[:3]
