"""What features need of all training rows, like a mean: found once, kept in the bundle, the same in serving."""

from typing import Any

import msgspec
import numpy as np

from assay.contract import Columns
from assay.errors import BadInput
from assay.model.frames import form_of, in_frame
from assay.model.model import Model

#: A bundle is opened by each server.
MOST_BYTES = 16 << 20


def learn(model: Model, columns: Columns[Any]) -> dict[str, Any]:
    """What `model.learn` says of the columns of the training rows, as the bundle keeps it; {} when it has none.

    Raises `BadInput`, naming the value, for one that JSON can't keep, and for NaN and infinity.
    """
    if model.learn is None:
        return {}
    columns.protect()
    given: Any = model.learn(in_frame(columns, form_of(model.name, model.learn, "learn")))
    if not isinstance(given, dict):
        raise BadInput(f"{model.name}: learn() gave a {type(given).__name__}", do="Return a dict of what it learnt.")
    plain = {_text(model, "a name", name): _plain(model, str(name), value) for name, value in given.items()}
    kept = msgspec.json.encode(plain)
    if len(kept) > MOST_BYTES:
        raise BadInput(
            f"{model.name}: what learn() gave takes {len(kept) >> 20} MiB of the bundle", do="Keep 16 MiB at most."
        )
    return msgspec.json.decode(kept)


def _plain(model: Model, name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {_text(model, name, key): _plain(model, f"{name}.{key}", one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(model, f"{name}[{place}]", one) for place, one in enumerate(value)]
    if isinstance(value, float) and not np.isfinite(value):
        raise BadInput(
            f"{model.name}: learn() gave {value} for {name}",
            do="Leave missing values out (np.nanmean), and say what stands in when all are missing.",
        )
    if isinstance(value, int) and abs(value) >> 63:
        raise BadInput(f"{model.name}: learn() gave {value} for {name}", do="Keep whole numbers below 2^63.")
    if value is None or isinstance(value, str | int | float):
        return value
    raise BadInput(
        f"{model.name}: learn() gave a {type(value).__name__} for {name}",
        do="Give numbers, texts, lists and dicts of these: what is not fitted by an estimator stays readable.",
    )


def _text(model: Model, name: str, key: Any) -> str:
    if not isinstance(key, str):
        raise BadInput(f"{model.name}: learn() gave {name} that is a {type(key).__name__}", do="Use texts as keys.")
    return key
