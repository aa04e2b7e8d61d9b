"""A published model for Python: the same features, estimator and contract as in serving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from assay.contract import Decoder, Record, fields
from assay.contract.columns import Array, Columns, from_rows
from assay.contract.decode import to_json
from assay.contract.formats.arrow import columns, schema
from assay.errors import BadInput, NotFound
from assay.model.bundle import Bundle, open_bundle
from assay.model.misfits import misfits
from assay.predictions.write import to_arrow
from assay.store import Store
from assay.tables import as_table
from assay.track import ModelVersion, alias, champion, find_version
from assay.track.ledger import CHAMPION

#: The column of a scored row that says why it has no prediction.
ERROR = "error"


@dataclass(frozen=True)
class Answers:
    """What a model says of a table, and from what: what `log_part` files is not computed again."""

    #: As `LoadedModel.score` gives it.
    table: pa.Table
    #: The rows that have a prediction, their positions in the table.
    answered: Array
    #: Input and features of these rows.
    inputs: Columns[Any]
    features: Mapping[str, Array]


@dataclass(frozen=True)
class LoadedModel:
    """A version of a model that answers in this process."""

    version: ModelVersion
    bundle: Bundle

    def predict(self, rows: Any) -> Any:
        """The predictions of one row, of several, or of a frame, in the same form.

        A dict by column or a record gives a dict by field, a sequence of them a list; a frame of pandas, polars or pyarrow gives one of
        the same library with a column for each number, text or class, in the order of the rows.
        Raises `Invalid` for a dict that breaks the contract, and `BadInput` for a frame that does, and for a prediction that
        the contract refuses: `assay score` keeps such rows apart.
        """
        if isinstance(rows, Mapping | Record):
            return self._of_records([rows])[0]
        if isinstance(rows, Sequence):
            return self._of_records(rows) if rows else []
        table = as_table(rows)
        scored = self.score(table)
        if scored.column(ERROR).null_count < len(scored):
            errors = scored.column(ERROR).to_pylist()
            first = next(i for i, error in enumerate(errors) if error is not None)
            refused = len(errors) - scored.column(ERROR).null_count
            raise BadInput(
                f"{self.version} has no prediction for {refused:,} of {len(errors):,} rows",
                f"row {first}: {errors[first]}",
                do="Correct these rows or leave them out; `assay score` keeps them apart.",
            )
        return _like(rows, scored.drop_columns([ERROR]))

    def score(self, rows: pa.Table) -> pa.Table:
        """The predictions of a table by column, and why a row has none.

        A row that a server would refuse is null in each column, with the reason in `error`. Raises `BadInput` for a table
        that lacks a column, or has one of another type.
        """
        return self.answer(rows).table

    def answer(self, rows: pa.Table) -> Answers:
        """As `score`, with the inputs and features behind it; raises as it does."""
        wrong, why = misfits(rows, self.bundle.model.takes)
        errors: list[str | None] = [None] * len(rows)
        for row in np.flatnonzero(wrong).tolist():
            errors[row] = why(row)
        kept = np.flatnonzero(~wrong)
        if not len(kept):
            return Answers(self._table({}, errors), kept, Columns({}), {})
        inputs = columns(rows if len(kept) == len(rows) else rows.take(kept), self.bundle.model.takes)
        features = self.bundle.features(inputs)
        settled = self.bundle.settle(self.bundle.predict(features))
        if not settled.refused.any():
            return Answers(self._table(settled.values, errors), kept, inputs, features)
        for position in np.flatnonzero(settled.refused).tolist():
            errors[int(kept[position])] = settled.why(position)
        answered = np.flatnonzero(~settled.refused)
        values, features = ({name: one[answered] for name, one in of.items()} for of in (settled.values, features))
        return Answers(self._table(values, errors), kept[answered], inputs.take(answered), features)

    def _table(self, values: Mapping[str, Any], errors: list[str | None]) -> pa.Table:
        """Values of the rows without an error, nulls in the others."""
        said = pa.array(errors, pa.string()) if any(errors) else pa.nulls(len(errors), pa.string())
        taken = _places(said) if said.null_count < len(errors) else None
        made = {}
        for field in schema(self.bundle.model.gives):
            if not said.null_count:
                made[field.name] = pa.nulls(len(errors), field.type)
            else:
                column = to_arrow(values[field.name], field.type)
                made[field.name] = column if taken is None else column.take(taken)
        return pa.table(made | {ERROR: said})

    def _of_records(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        takes = self.bundle.model.takes
        decoder = Decoder(takes)
        records = [row if isinstance(row, takes) else decoder.decode(to_json(_plain(row))).rows[0] for row in rows]
        settled = self.bundle.settle(self.bundle.predict(self.bundle.features(from_rows(records, takes))))
        if settled.refused.any():
            first = int(np.flatnonzero(settled.refused)[0])
            raise BadInput(f"{self.version} has no prediction for row {first}: {settled.why(first)}")
        return settled.rows()

    def __str__(self) -> str:
        return f"{self.version}: {self.bundle.model.takes.__name__} -> {self.bundle.model.gives.__name__}"


def _places(said: pa.Array) -> pa.Array:
    """The position of each row among those without an error, null for the others."""
    free = said.is_null().to_numpy(zero_copy_only=False)
    return pa.array(np.cumsum(free) - 1, mask=~free)


def load_version(store: Store, name: str) -> LoadedModel:
    """The version that `name` means: `bikes` and `bikes@champion` the champion, `bikes@ALIAS`, or `bikes/3`.

    Raises `NotFound` for what is not there, `BadInput` for another form of a name and for a version that only MLflow's client
    can load.
    """
    model, at, called = name.partition("@")
    model, slash, number = model.partition("/")
    if (at and slash) or (slash and not number.isdecimal()):
        raise BadInput(f"{name!r} names no version of a model", do="Write MODEL, MODEL@ALIAS or MODEL/NUMBER.")
    if slash:
        version = find_version(store, model, int(number))
    elif called in ("", CHAMPION):
        version = champion(store, model)
    elif (found := alias(store, model, called)) is not None:
        version = found
    else:
        raise NotFound(f"{model} has no alias {called!r}", do=f"List them: assay models {model}")
    if not version.bundle:
        raise BadInput(f"{version} was registered by a client of MLflow", do="Load it with that client.")
    return LoadedModel(version, open_bundle(store, version.bundle))


def _plain(row: Any) -> dict[str, Any]:
    """A row as Python values, by the names of its columns: a row of a frame holds numpy's."""
    known = row if isinstance(row, Mapping) else {one.name: getattr(row, one.attribute) for one in fields(type(row))}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in known.items()}


def _like(given: Any, scored: pa.Table) -> Any:
    if isinstance(given, pa.Table | pa.RecordBatch):
        return scored
    native = nw.from_native(given, pass_through=True)
    if isinstance(native, nw.LazyFrame):
        native = native.head(0).collect()
    if not isinstance(native, nw.DataFrame):
        return scored
    made = nw.from_arrow(scored, backend=native.implementation)
    return made.to_native()
