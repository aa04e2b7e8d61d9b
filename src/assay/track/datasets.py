"""What data a run used: its name, digest and columns, not its rows."""

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from assay.errors import BadInput
from assay.store.database import insert_new
from assay.store.schema import datasets, run_datasets, runs
from assay.track.provenance import data_identity
from assay.track.values import storable

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_NAME = 500
CONTEXT = "mlflow.data.context"
#: Arrow's questions of a type, and the name by which clients of MLflow know it.
_TYPES = (
    ("is_boolean", "boolean"),
    ("is_int64", "long"),
    ("is_uint32", "long"),
    ("is_uint64", "long"),
    ("is_integer", "integer"),
    ("is_float64", "double"),
    ("is_floating", "float"),
    ("is_temporal", "datetime"),
    ("is_binary", "binary"),
    ("is_large_binary", "binary"),
)


def describe(name: str, table: "pa.Table", source: str) -> dict[str, str]:
    """A row of the table `datasets`: columns and profile as MLflow writes them, the digest of `data_identity`.

    Raises `BadInput` for a name that is empty or longer than 500 characters.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise BadInput(f"{name[:50]!r} can't be the name of a dataset", do=f"Use 1 to {LONGEST_NAME} characters.")
    identity = data_identity(table)
    columns = [
        {"type": _type(field.type), "name": field.name, "required": not field.nullable} for field in table.schema
    ]
    profile = {"num_rows": table.num_rows, "num_elements": table.num_rows * table.num_columns}
    scheme, slashes, _ = source.partition("://")
    return {
        "name": storable(name),
        "digest": identity["sha256"],
        "source_type": (scheme if slashes else "local") if source else "code",
        "source": json.dumps({"uri": source} if source else {"tags": {}}),
        "schema": json.dumps({"mlflow_colspec": columns}),
        "profile": json.dumps(profile),
    }


def _type(kind: "pa.DataType") -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return next((name for fits, name in _TYPES if getattr(pa.types, fits)(kind)), "string")


def use_dataset(connection: Connection, run_id: str, facts: dict[str, Any], context: str) -> None:
    """Keep that a run used a dataset; the same again changes nothing."""
    experiment = connection.execute(select(runs.c.experiment_id).filter_by(id=run_id)).scalar_one()
    insert_new(connection, datasets, [facts | {"experiment_id": experiment}], on=["experiment_id", "name", "digest"])
    same = {"experiment_id": experiment, "name": facts["name"], "digest": facts["digest"]}
    number = connection.execute(select(datasets.c.id).filter_by(**same)).scalar_one()
    link = {"run_id": run_id, "dataset_id": number, "context": context, "tags": {CONTEXT: context} if context else {}}
    insert_new(connection, run_datasets, [link], on=["run_id", "dataset_id"])
