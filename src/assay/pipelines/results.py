"""Results of steps to JSON and back: small values as they are, tables and bytes by reference. Nothing is pickled.

What JSON has no form for stands in an object with one marked key, like `{"$time": "2013-06-03T10:00:00+00:00"}`. A dict
of the user that has such a key itself is kept as `{"$dict": [[key, value], ...]}`, so that it can't be mistaken.
"""

import importlib
import io
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from assay.errors import BadInput
from assay.store import Artifacts
from assay.times import zone

Encode = Callable[[Any], Any]


def encode(value: Any, artifacts: Artifacts, step: str) -> Any:
    """A step's result as JSON. Raises `BadInput`, naming the step, for what can't be kept.

    Numbers of numpy are kept as those of Python; subclasses of list, dict, str, int and float as the class itself.
    """
    again = partial(encode, artifacts=artifacts, step=step)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, (np.bool_, np.integer)):
        return value.item()
    if isinstance(value, dict):
        return _dict(value, again)
    if isinstance(value, list):
        return [again(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _struct(value, again, step)
    if isinstance(value, pa.Table):
        return {"$table": artifacts.put(_arrow(value))}
    if isinstance(value, bytes):
        return {"$bytes": artifacts.put(value)}
    kept = _exactly(value, again)
    if kept is None:
        raise _unkeepable(step, value)
    return kept


def _exactly(value: Any, again: Encode) -> Any:
    """Of classes whose subclasses hold more than they do: pandas' NaT is a datetime, a named tuple is a tuple."""
    kind = type(value)
    if kind is tuple:
        return {"$tuple": [again(item) for item in value]}
    if kind is datetime:
        key = getattr(value.tzinfo, "key", None)
        return {"$time": value.isoformat(), "zone": key} if key else {"$time": value.isoformat()}
    if kind is date:
        return {"$date": value.isoformat()}
    if kind is time and value.tzinfo is None:
        return {"$clock": value.isoformat()}
    if kind is timedelta:
        return {"$span": [value.days, value.seconds, value.microseconds]}
    return None


def _dict(value: dict[Any, Any], again: Encode) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: again(item) for key, item in value.items()}
    return {"$dict": [[again(key), again(item)] for key, item in value.items()]}


def _struct(value: msgspec.Struct, again: Encode, step: str) -> Any:
    kind = type(value)
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = _class(name) is kind
        plain = msgspec.to_builtins(value)
    except (BadInput, TypeError, ValueError) as error:
        raise _unkeepable(step, value, str(error)) from None
    if not found:
        raise _unkeepable(step, value, f"{name} is another class")
    return {"$struct": name, "value": again(plain)}


def _arrow(table: pa.Table) -> bytes:
    """An Arrow file, which keeps every type as it is; Parquet has no seconds, for one."""
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write_table(table.unify_dictionaries())  # the format has one dictionary a column
    return buffer.getvalue()


def _unkeepable(step: str, value: Any, *why: str) -> BadInput:
    return BadInput(
        f"step {step} returned a {type(value).__module__}.{type(value).__qualname__}, which can't be stored",
        *why,
        do="Return numbers, texts, times, lists, dicts, Arrow tables or msgspec structs.",
    )


def decode(value: Any, artifacts: Artifacts) -> Any:
    """The result that `encode` kept. Raises `BadInput` when the class of a struct has changed since."""
    if isinstance(value, list):
        return [decode(item, artifacts) for item in value]
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), "")
    if not mark.startswith("$"):
        return {key: decode(item, artifacts) for key, item in value.items()}
    if mark in _PLAIN:
        return _PLAIN[mark](value[mark])
    if mark == "$time":
        moment = datetime.fromisoformat(value[mark])
        return moment.astimezone(zone(value["zone"])) if "zone" in value else moment
    if mark == "$table":
        return pa.ipc.open_file(pa.BufferReader(artifacts.get(value[mark]))).read_all()
    if mark == "$bytes":
        return artifacts.get(value[mark])
    if mark == "$tuple":
        return tuple(decode(value[mark], artifacts))
    if mark == "$dict":
        return {decode(key, artifacts): decode(item, artifacts) for key, item in value[mark]}
    return _revived(value[mark], decode(value["value"], artifacts))


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$date": date.fromisoformat,
    "$clock": time.fromisoformat,
    "$span": lambda parts: timedelta(*parts),
}


def _revived(name: str, value: Any) -> Any:
    try:
        return msgspec.convert(value, _class(name))
    except msgspec.ValidationError as error:
        raise BadInput(
            f"a stored {name} does not fit its class", str(error), do="Start a new run: assay run ... --again"
        ) from None


def _class(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        return attrgetter(path)(importlib.import_module(module))
    except (ImportError, AttributeError):
        raise BadInput(
            f"there is no class {name}", do="Declare it at the top of a module that can be imported."
        ) from None
