"""What MLflow wrote of a model: its file in a format that runs no code, and the columns that it wants.

Read are `MLmodel`, and the one file that its flavour names. A pickle is refused, whatever it is called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import msgspec

from assay.errors import BadInput
from assay.model.estimator import Format, Saved

MAX_BYTES = 1 << 20
#: The flavours whose files run no code, and where each names its file.
_FILES: dict[str, tuple[Format, str]] = {
    "sklearn": ("skops", "pickled_model"),
    "lightgbm": ("lightgbm", "data"),
    "xgboost": ("xgboost", "data"),
    "catboost": ("catboost", "data"),
    "onnx": ("onnx", "data"),
}
_KNOWN = "scikit-learn with serialization_format='skops', boosters of LightGBM, XGBoost and CatBoost, ONNX"
_NUMBERS = {"double", "float", "integer", "long", "boolean"}
#: How the wrappers of scikit-learn's interface are kept without one.
_BARE = {"lightgbm": "mlflow.lightgbm.log_model(model.booster_, ...)", "sklearn": "serialization_format='skops'"}


@dataclass(frozen=True)
class Logged:
    """A model as MLflow's client logged it."""

    saved: Saved
    #: The type of each column by its name, `number` or `text`; None where the signature names none.
    columns: Mapping[str, str] | None


def read_mlmodel(called: str, read: Callable[[str], bytes]) -> Logged:
    """The model in a folder of MLflow; `read` gives its files. Raises `BadInput` for one that can't be kept without a pickle."""
    facts = _facts(called, read("MLmodel"))
    flavors = facts.get("flavors")
    flavor = next((name for name in _FILES if isinstance(flavors, dict) and isinstance(flavors.get(name), dict)), None)
    if flavor is None:
        named = ", ".join(flavors) if isinstance(flavors, dict) else "none"
        raise BadInput(f"{called} has no flavour that can be adopted: {named}"[:300], do=f"These can: {_KNOWN}.")
    form, field = _FILES[flavor]
    said: dict[str, Any] = flavors[flavor]  # pyright: ignore[reportOptionalSubscript]
    file = said.get(field)
    if not isinstance(file, str):
        raise BadInput(f"{called}: its MLmodel names no file of the flavour {flavor}", do="Log the model again.")
    data = read(file)
    wrapped = flavor == "lightgbm" and str(said.get("model_class", "")).startswith("lightgbm.sklearn")
    if wrapped or data[:1] == b"\x80" or (flavor == "sklearn" and said.get("serialization_format") != "skops"):
        what = "in the pickled state of its library" if wrapped and file.endswith(".skops") else "a pickle"
        raise BadInput(
            f"{called} is kept as {file}, {what}, which can run any code when it is loaded",
            do=f"Log it again: {_BARE.get(flavor, 'in the format of its library')}.",
        )
    return Logged(Saved(form, data), _columns(facts.get("signature")))


def _facts(called: str, data: bytes) -> dict[str, Any]:
    try:
        yaml = import_module("yaml")
    except ModuleNotFoundError:
        raise BadInput("PyYAML is not installed", do='Run: pip install "assay[exchange]"') from None
    if len(data) > MAX_BYTES:
        raise BadInput(f"the MLmodel of {called} has more than {MAX_BYTES:,} bytes", do="Log the model again.")
    try:
        found: Any = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the MLmodel of {called} can't be read: {error}"[:300], do="Log the model again.") from None
    if not isinstance(found, dict):
        raise BadInput(f"the MLmodel of {called} is no mapping", do="Log the model again.")
    return found


def _columns(signature: Any) -> dict[str, str] | None:
    """The columns of a signature; None for one of arrays without names, and where there is none."""
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    try:
        declared = msgspec.json.decode(inputs, type=list[dict[str, Any]]) if isinstance(inputs, str) else []
    except msgspec.MsgspecError:
        raise BadInput(
            "the signature of the model can't be read", do="Log the model again with infer_signature()."
        ) from None
    if not declared or not all(isinstance(one.get("name"), str) for one in declared):
        return None
    if odd := [one["name"] for one in declared if one.get("type") not in {*_NUMBERS, "string"}]:
        raise BadInput(
            f"the column {odd[0]!r} of the model is neither a number nor a text", do="Train it by assay.train."
        )
    return {one["name"]: "text" if one["type"] == "string" else "number" for one in declared}
