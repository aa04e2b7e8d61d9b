"""Scored rows in the prediction log, each once however often their part is scored."""

from datetime import datetime
from hashlib import sha256

import numpy as np
import pyarrow as pa

from assay.contract import fields
from assay.contract.formats.arrow import arrow_type, cast
from assay.model import LoadedModel
from assay.model.loaded import ERROR, Answers
from assay.predictions.layout import ORIGIN, table_name
from assay.predictions.write import to_arrow
from assay.store import Store
from assay.store.tables import file_served


def log_part(
    store: Store, model: LoadedModel, rows: pa.Table, answers: Answers, part: str, first: int, at: datetime
) -> None:
    """File the rows of a part that have a prediction, with the very features that they were predicted from.

    `part` names it, `first` is the number of its first row, `at` when the table was begun: the same again changes nothing.
    """
    kept = answers.answered
    if not len(kept):
        return
    named = sha256(f"{model.bundle.digest} {part}".encode()).hexdigest()[:24]
    constant = {
        "model_version": model.version.version,
        "request_id": f"score-{named}",
        "part": "served",
        "received_at": at,
        "answered_at": at,
        "label": None,
        "segment": f"score-{named}",
    }
    arrays = {name: pa.repeat(pa.scalar(value, ORIGIN[name]), len(kept)) for name, value in constant.items()}
    arrays["row"], arrays["record"] = pa.array(first + kept), pa.array(np.arange(len(kept)))
    layout = model.bundle.layout
    here, scored = (one if len(kept) == len(rows) else one.take(kept) for one in (rows, answers.table))
    for field in fields(layout.takes):
        column = cast(here, field) if field.type is str else to_arrow(answers.inputs[field.name], arrow_type(field))
        arrays[f"input_{field.name}"] = column
    features = answers.features.items()
    arrays |= {f"feature_{name}": to_arrow(one, layout.values[f"feature_{name}"]) for name, one in features}
    arrays |= {f"prediction_{name}": scored.column(name) for name in scored.column_names if name != ERROR}
    ordered = pa.table({name: arrays[name] for name in [*ORIGIN, *layout.values]})
    name = table_name("served", layout.model)
    file_served(store.home.tables, name, f"score-{named}", ordered, day=layout.day_column, at="received_at")
