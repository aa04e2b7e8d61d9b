"""A model file without a bundle: what LightGBM, XGBoost or a converter to ONNX wrote, with a contract of yours or an inferred one.

The features of the file are the fields of the contract: by name where the file knows names, else in declared order. No code
travels with such a file, so nothing is computed on the way.
"""

import hashlib
import json
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import numpy as np

from assay.contract import Columns, Field, Probabilities, Record, between, fields, length
from assay.contract.columns import Array
from assay.contract.record import RecordType
from assay.errors import AssayError, BadInput, NotFound, first_few
from assay.model.bundle import Bundle, Manifest
from assay.model.estimator import Format, Opened, Saved, open_file
from assay.model.model import Model
from assay.model.probe import vouch

#: What a name of a file tells of its format.
FORMATS: dict[str, Format] = {".txt": "lightgbm", ".ubj": "xgboost", ".json": "xgboost", ".onnx": "onnx"}
_PICKLES = (".pkl", ".pickle", ".joblib", ".sav", ".pt", ".pth")
_TWO = [0, 1]
_MIDDAY = datetime(2024, 6, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """A feature as the file knows it."""

    #: Its name; None where the file counts columns only.
    name: str | None
    #: The texts that its numbers stand for, in order; None for a number.
    texts: tuple[str, ...] | None = None
    #: A value that training saw, where the file tells.
    seen: float | None = None
    #: Numbers that stand for categories, of which the file does not say which.
    codes: bool = False


@dataclass(frozen=True)
class Bare:
    """A model file that can answer, what was guessed about it, and a row that it takes."""

    bundle: Bundle
    said: tuple[str, ...]
    example: Mapping[str, Any]


def is_model_file(name: str) -> bool:
    """Whether an argument means a file and no published model; names of models have no dots and slashes."""
    return Path(name).suffix.lower() in (*FORMATS, *_PICKLES) or (("/" in name or "." in name) and Path(name).is_file())


def open_bare(
    path: Path, home: Path, takes: type[Record] | None = None, gives: type[Record] | None = None, name: str = ""
) -> Bare:
    """Open a model file; contracts that are not given are inferred from it.

    The file is tried in a process of its own first, as `probe` does; `home` remembers that. Raises `NotFound` for no file,
    `BadInput` for a pickle, a file of another form, and a contract that does not have the features of the file.
    """
    saved = _saved(path)
    vouch(home, saved)
    opened = open_file(saved)
    columns = COLUMNS[saved.format](saved.data, opened)
    _refuse_codes(path, columns)
    said: list[str] = []
    if takes is None:
        takes, of = _inferred(path, columns, said)
    else:
        of = matched(path, columns, takes)
    if gives is None:
        gives = _output(path, opened, len(columns), said)
    model = Model(
        name or _model_name(path),
        takes=takes,
        gives=gives,
        label=_label(takes),
        features=_features(of),
        fit=_never,
        metrics=(),
    )
    bundle = Bundle(hashlib.sha256(saved.data).hexdigest(), _facts(model, saved, columns, of), model, opened)
    example = {field.name: _example(field, columns, of) for field in fields(takes) if not field.optional}
    return Bare(bundle, tuple(said), example)


def _saved(path: Path) -> Saved:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise NotFound(
            f"there is no file {path}", do="Name a model file: model.txt, model.ubj, model.json or model.onnx."
        )
    data = path.read_bytes()
    if suffix in _PICKLES or data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise BadInput(
            f"{path} is a pickle, which can run any code when it is loaded",
            do="Save the model in its own format: booster.save_model('model.txt'), or .ubj, .json, .onnx.",
        )
    if suffix not in FORMATS:
        raise BadInput(
            f"{path} is no model file by its name", do="Use .txt (LightGBM), .ubj or .json (XGBoost) or .onnx."
        )
    return Saved(FORMATS[suffix], data)


def _lightgbm_columns(data: bytes, _: Opened) -> list[Column]:
    text = data.decode()
    head = dict(line.split("=", 1) for line in text.partition("\n\n")[0].split("\n") if "=" in line)
    names, infos = head["feature_names"].split(" "), head.get("feature_infos", "").split(" ")
    infos += ["none"] * (len(names) - len(infos))
    known = re.search(r"^pandas_categorical:(.*)$", text, re.MULTILINE)
    texts: list[list[Any]] = (json.loads(known[1]) if known else None) or []
    found, left = list[Column](), iter(texts)
    for name, info in zip(names, infos, strict=True):
        plain = None if re.fullmatch(r"Column_\d+", name) else name
        if ":" in info and not info.startswith("["):
            words = next(left, None)
            named = tuple(map(str, words)) if words and all(isinstance(one, str) for one in words) else None
            found.append(Column(plain, named, codes=named is None))
        else:
            ends = [float(one) for one in info[1:-1].split(":")] if info.startswith("[") else []
            found.append(Column(plain, seen=_middle(ends)))
    return found


def _middle(ends: Sequence[float]) -> float | None:
    if len(ends) != 2 or not np.isfinite(ends).all():
        return None
    return float(f"{sum(ends) / 2:.3g}")


def _xgboost_columns(data: bytes, opened: Opened) -> list[Column]:
    booster = import_module("xgboost").Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    names = booster.feature_names or [None] * (opened.features or 0)
    kinds = booster.feature_types or [""] * len(names)
    return [Column(name, codes=kind == "c") for name, kind in zip(names, kinds, strict=True)]


def _onnx_columns(_: bytes, opened: Opened) -> list[Column]:
    return [Column(None)] * (opened.features or 0)


#: What each format tells of its features.
COLUMNS: dict[Format, Callable[[bytes, Opened], list[Column]]] = {
    "lightgbm": _lightgbm_columns,
    "xgboost": _xgboost_columns,
    "onnx": _onnx_columns,
}


def _refuse_codes(path: Path, columns: Sequence[Column]) -> None:
    if odd := [column.name or f"column {i}" for i, column in enumerate(columns) if column.codes]:
        raise BadInput(
            f"{path} does not say which category each number of {odd[0]} is",
            *first_few(odd[1:], len(odd) - 1),
            do="Train it by assay.train, which keeps the categories in the bundle.",
        )


def _inferred(path: Path, columns: Sequence[Column], said: list[str]) -> tuple[type[Record], list[str]]:
    """A contract with a field for each feature, and the field of each."""
    if not columns:
        raise BadInput(f"{path} does not say how many features it takes", do="Pass --takes MODULE:CLASS.")
    names, annotations = list[str](), dict[str, Any]()
    for i, column in enumerate(columns):
        name = _python_name(column.name or f"f{i}", annotations)
        names.append(name)
        annotations[name] = Optional[Literal[column.texts] if column.texts else float]  # noqa: UP045 - a Literal from a tuple
        if column.name and name != column.name:
            said.append(f"{column.name} is sent as {name}, because Python takes no such name")
    if not any(column.name for column in columns):
        said.append(f"the file names no features: they are {names[0]} to {names[-1]}, in its order")
    said.append("--takes is not given: every number may be null, and no range is checked")
    return _record("Row", annotations), names


def _python_name(name: str, taken: Mapping[str, Any]) -> str:
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    plain = plain if plain.isidentifier() and not plain.startswith("_") else f"f_{plain.lstrip('_')}"
    plain = f"{plain}_" if keyword.iskeyword(plain) else plain
    while plain in taken:
        plain += "_"
    return plain


def _record(name: str, annotations: Mapping[str, Any]) -> type[Record]:
    return RecordType(name, (Record,), {"__annotations__": dict(annotations), "__module__": __name__})  # pyright: ignore[reportReturnType]


def matched(path: object, columns: Sequence[Column], takes: type[Record]) -> list[str]:
    """The field of each feature: by name where the file knows names, else in declared order."""
    known = {field.name: field for field in fields(takes)}
    if any(column.name for column in columns):
        plain = {_python_name(name, {}): name for name in known}
        of = [plain.get(_python_name(column.name or f"f{i}", {}), "") for i, column in enumerate(columns)]
        if missing := [str(column.name) for column, name in zip(columns, of, strict=True) if not name]:
            raise BadInput(
                f"{path} wants features that {takes.__name__} does not have",
                *first_few(missing, len(missing)),
                do="Declare a field for each, or leave --takes out.",
            )
    else:
        of = [field.name for field in known.values() if not field.role]
        if columns and len(of) != len(columns):
            raise BadInput(
                f"{path} takes {len(columns)} features without names, and {takes.__name__} has {len(of)} fields",
                do="Declare one field for each feature, in the order of training.",
            )
    for column, name in zip(columns or [Column(None)] * len(of), of, strict=True):
        _refuse_type(path, column, known[name], takes)
    return of


def _refuse_type(path: object, column: Column, field: Field, takes: type[Record]) -> None:
    where = f"{takes.__name__}.{field.name}"
    if column.texts is None and field.type not in (float, int, bool):
        raise BadInput(
            f"{where} is {field.rule}, and {path} wants a number", do="Declare a float, or train by assay.train."
        )
    if column.texts is not None and field.type is not str:
        raise BadInput(
            f"{where} is {field.rule}, and {path} wants one of {', '.join(column.texts[:20])}", do="Declare a Literal."
        )
    if column.texts and (odd := [one for one in field.categories or () if one not in column.texts]):
        raise BadInput(
            f"{where} may be {odd[0]}, which {path} does not know", do="Declare only what it was trained on."
        )


def _output(path: Path, opened: Opened, width: int, said: list[str]) -> type[Record]:
    """The contract of what the file gives, from its answer to one row."""
    try:
        row = np.zeros((1, width))
        if opened.probabilities is not None:
            kinds = _probabilities(opened, np.asarray(opened.probabilities(row)), said)
        else:
            shape = np.shape(opened.predict(row)) if opened.predict else ()
            several = shape[1] if len(shape) == 2 else 1
            kinds = {"prediction": float if several == 1 else Annotated[list[float], length(several)]}
    except AssayError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        raise BadInput(
            f"{path} does not answer a row of {width} numbers", f"{type(error).__name__}: {error}"[:300],
            do="Pass --gives MODULE:CLASS.",
        ) from None  # fmt: skip
    return _record("Prediction", kinds)


def _probabilities(opened: Opened, answer: Array, said: list[str]) -> dict[str, Any]:
    if answer.ndim != 2:
        raise BadInput(f"the model gives an array of shape {answer.shape}", do="Pass --gives MODULE:CLASS.")
    known = opened.classes or list(range(answer.shape[1]))
    if known == _TWO:
        return {"probability": Annotated[float, between(0, 1)]}
    if opened.classes is None:
        said.append(f"the file does not name its classes: they are 0 to {len(known) - 1}, as training numbered them")
    return {"probability": Probabilities[Literal[tuple(known)]]}


def _model_name(path: Path) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return plain if plain and plain[0].isalpha() else f"model-{plain}".strip("-")


def _label(takes: type[Record]) -> str:
    names, label = {field.name for field in fields(takes)}, "label"
    while label in names:
        label += "_"
    return label


def _features(of: Sequence[str]) -> Callable[[Columns[Any]], dict[str, Array]]:
    def features(columns: Columns[Any]) -> dict[str, Array]:
        return {name: columns[name] for name in of}

    return features


def _never(*_: Any) -> None:
    raise BadInput("a model file can't be fitted", do="Declare an assay.Model.")


def _facts(model: Model, saved: Saved, columns: Sequence[Column], of: Sequence[str]) -> Manifest:
    texts = {name: list(column.texts) for column, name in zip(columns, of, strict=False) if column.texts is not None}
    return Manifest(
        model=model.name,
        module="",
        attribute="",
        features={name: "text" if name in texts else "number" for name in of},
        categories=texts,
        format=saved.format,
        rows=0,
        trained_until=datetime.now(UTC),
        takes={},
        assay=version("assay"),
        coded=saved.format != "onnx",
    )


def _example(field: Field, columns: Sequence[Column], of: Sequence[str]) -> Any:
    """A value that the contract takes, and training saw where the file tells."""
    seen = dict(zip(of, columns, strict=False)).get(field.name)
    if field.categories:
        return field.categories[0]
    if seen and seen.texts:
        return seen.texts[0]
    if field.type is datetime:
        return _MIDDAY.isoformat().replace("+00:00", "" if field.zone else "Z")
    if field.type not in (float, int, bool):
        return _MIDDAY.date().isoformat() if field.type is not str else "a"
    value = seen.seen if seen and seen.seen is not None else 1.0
    if field.range:
        value = max(value, field.range.low if field.range.low is not None else value)
        value = min(value, field.range.high if field.range.high is not None else value)
    return field.type(value)
