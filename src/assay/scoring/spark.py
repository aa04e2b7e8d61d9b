"""Scores a DataFrame of Spark where it lies, with the bundle that a server answers from."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa

from assay.contract import fields
from assay.contract.formats.arrow import schema
from assay.errors import BadInput, near_miss
from assay.model import LoadedModel, open_bundle
from assay.model.bundle_copies import bundle_bytes
from assay.model.loaded import ERROR
from assay.store import Home, Store
from assay.track import ModelVersion

Batches = Iterable[pa.RecordBatch]


def score_spark(store: Store, model: LoadedModel, frame: Any) -> Any:
    """A DataFrame with the columns of `frame`, those of the prediction, and `error`, which says why a row has none.

    Its rows are scored by `mapInArrow` when Spark needs them. The bundle travels with the query; Assay and the libraries of the
    estimator must be installed on the executors. Raises `BadInput` for a frame that lacks a column, or has one of the
    prediction already.
    """
    takes, gives = model.bundle.model.takes, schema(model.bundle.model.gives)
    for field in fields(takes):
        if field.name not in frame.columns:
            hint = near_miss(field.name, frame.columns)
            raise BadInput(f"the frame has no column {field.name}", hint, do=f"{takes.__name__} declares it.")
    if taken := [name for name in [*gives.names, ERROR] if name in frame.columns]:
        raise BadInput(f"the frame has a column {taken[0]} already", do="Drop or rename it before.")
    from pyspark.sql.types import StructField, StructType

    made = [StructField(one.name, _spark_type(one.type)) for one in [*gives, pa.field(ERROR, pa.string())]]
    scored = StructType([*frame.schema.fields, *made])
    work = _worker(bundle_bytes(store, model.bundle.digest), model.version, [field.name for field in fields(takes)])
    return frame.mapInArrow(work, scored)


def _spark_type(kind: pa.DataType) -> Any:
    from pyspark.sql.pandas.types import from_arrow_type

    return from_arrow_type(kind)


def _worker(bundle: bytes, version: ModelVersion, names: list[str]) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        model = _opened(bundle, version)
        for batch in batches:
            scored = model.score(pa.Table.from_batches([batch.select(names)])).combine_chunks()
            arrays = [column.combine_chunks() for column in scored.columns]
            yield pa.RecordBatch.from_arrays([*batch.columns, *arrays], [*batch.schema.names, *scored.column_names])

    return work


@lru_cache(maxsize=4)
def _opened(bundle: bytes, version: ModelVersion) -> LoadedModel:
    """The model in a process of an executor, which has no store: its bundle is unpacked into a folder of its own."""
    store = Store(Home(Path(mkdtemp(prefix="assay-spark-")) / ".assay"))
    return LoadedModel(version, open_bundle(store, store.artifacts.put(bundle)))
