"""What really happened: labels, weights and groups of the rows of a table."""

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assay.contract.columns import TEXT, Array
from assay.contract.formats.arrow import to_numpy
from assay.errors import BadInput, first_few, near_miss
from assay.model.truth import Truth, classes_of, holds_text

if TYPE_CHECKING:
    from assay.model.model import Model

log = logging.getLogger(__name__)


def with_labels(model: "Model", rows: pa.Table) -> tuple[pa.Table, Truth]:
    """The rows whose labels are all known, with these, their weights and their groups.

    Raises `BadInput` for a column that is not there or of a wrong type, for a label that the contract of the prediction
    does not have, and when no row has all labels.
    """
    for name in [*model.labels, model.weight, model.group]:
        _need(name, rows, "label" if name in model.labels else "weight" if name == model.weight else "group")
    known = np.ones(len(rows), dtype=bool)
    for name in model.labels:
        known &= ~rows.column(name).is_null(nan_is_null=True).to_numpy()
    labelled = rows.filter(pa.array(known))
    what = " and ".join(repr(name) for name in model.labels)
    if len(labelled) == 0:
        raise BadInput(f"none of {len(rows):,} rows has a label {what}", do="Read rows that are old enough.")
    if len(labelled) < len(rows):
        log.info(
            "%s of %s rows have no %s yet and are left out",
            len(rows) - len(labelled), len(rows), " or ".join(model.labels),
        )  # fmt: skip
    labels = {name: _label(model, name, labelled.column(name)) for name in model.labels}
    weight = _weight(model.weight, labelled) if model.weight else None
    group = _group(labelled.column(model.group)) if model.group else None
    return labelled, Truth(labels, weight, group)


def _need(name: str | None, rows: pa.Table, what: str) -> None:
    if name is not None and name not in rows.column_names:
        raise BadInput(f"the {what} {name!r} is not a column of the table", near_miss(name, rows.column_names))


def _label(model: "Model", name: str, column: pa.ChunkedArray) -> Array:
    fields = model.fields_of(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if lengths := [field.length for field in fields if field.length]:
        return _lists(name, column, lengths[0])
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or column.type == pa.string_view()
    if text is not holds_text(fields) or not (text or _is_number(column.type)):
        raise _wrong_type(model, name, column.type)
    values = to_numpy(column, TEXT if text else np.dtype(np.float64))
    classes = classes_of(fields)
    if classes is not None:
        _refuse_new_values(model, name, column, classes)
    return values


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _wrong_type(model: "Model", name: str, kind: pa.DataType) -> BadInput:
    wants = "; ".join(f"{field.name} is {field.rule}" for field in model.fields_of(name))
    return BadInput(
        f"the label {name!r} is {kind}",
        f"of {model.gives.__name__}, {wants}",
        do="Declare texts as Literal or assay.Probabilities, or make the label a number or true and false.",
    )


def _refuse_new_values(model: "Model", name: str, column: pa.ChunkedArray, classes: tuple[str | int, ...]) -> None:
    counts = Counter(column.to_pylist())
    new = [(value, count) for value, count in counts.items() if value not in classes]
    if new:
        words = [f"{value!r} in {count:,} rows" for value, count in sorted(new, key=lambda one: (-one[1], str(one[0])))]
        raise BadInput(
            f"the label {name!r} has {len(new):,} value{'s' if len(new) > 1 else ''} that {model.gives.__name__} does not have",
            *first_few(words, len(words)),
            do="Add them to the Literal, or correct the table.",
        )


def _lists(name: str, column: pa.ChunkedArray, length: int) -> Array:
    lists = (
        pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type) or pa.types.is_large_list(column.type)
    )
    if not lists or not _is_number(column.type.value_type):
        raise BadInput(f"the label {name!r} is {column.type}", do=f"Make it a list of {length} numbers.")
    whole = column.combine_chunks()
    lengths = np.array([len(one) for one in whole.to_pylist()])
    if (lengths != length).any():
        odd = lengths[lengths != length]
        raise BadInput(f"the label {name!r} has {len(odd):,} lists of another length than {length}, like {odd[0]}")
    values = to_numpy(pa.chunked_array([whole.flatten()]), np.dtype(np.float64))
    if np.isnan(values).any():
        raise BadInput(f"the label {name!r} has lists with missing numbers", do="Fill them, or leave these rows out.")
    return values.reshape(-1, length)


def _weight(name: str, rows: pa.Table) -> Array:
    column = rows.column(name)
    if not _is_number(column.type):
        raise BadInput(f"the weight {name!r} is {column.type}", do="Make it a number.")
    weight = to_numpy(column, np.dtype(np.float64))
    odd = ~(np.isfinite(weight) & (weight >= 0))
    if odd.any() or not weight.any():
        like = f"like {weight[odd][0]}" if odd.any() else "all are 0"
        raise BadInput(
            f"the weight {name!r} must be a number of 0 or more", f"in {int(odd.sum()):,} rows it is not, {like}",
            do="Correct the column.",
        )  # fmt: skip
    return weight


def _group(column: pa.ChunkedArray) -> Array:
    if column.null_count:
        raise BadInput(f"the group is missing in {column.null_count:,} rows", do="Leave these rows out.")
    encoded: Any = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
