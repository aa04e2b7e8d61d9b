"""What a user has at hand, as the files that are kept of it: folders, JSON, tables, figures."""

import io
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from assay.errors import BadInput, NotFound
from assay.track.values import artifact_name, number

if TYPE_CHECKING:
    import pyarrow as pa


def files_of(path: Path, name: str) -> dict[str, Path]:
    """The files below a folder, by the names they are kept under: `name` and their own paths.

    Raises `NotFound` when there is no such folder, `BadInput` for a name that no artifact can have.
    """
    if not path.is_dir():
        raise NotFound(f"can't read {path} to keep it: there is no such folder", do="Use log_artifact for a file.")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {artifact_name((PurePosixPath(name) / file.relative_to(path).as_posix()).as_posix()): file for file in files}


def as_json(name: str, value: Any) -> bytes:
    """A value as JSON to be read by people. Raises `BadInput` for what JSON can't hold, infinities and NaN included."""
    _must_end(name, ".json")
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name!r} can't be stored as JSON: {error}", do="Log its text instead: log_text.") from None
    return text.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else number(value)


def as_parquet(name: str, frame: Any) -> bytes:
    """A frame as Parquet. Raises `BadInput` for what is no frame, and for columns that Parquet can't hold."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _must_end(name, ".parquet")
    table, buffer = arrow(frame), pa.BufferOutputStream()
    try:
        pq.write_table(table, buffer, compression="zstd")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"{name!r} can't be stored as Parquet: {error}") from None
    return buffer.getvalue().to_pybytes()


def arrow(frame: Any) -> "pa.Table":
    """A frame of pyarrow, pandas or polars, or a dict of columns, as a table. Raises `BadInput` for anything else."""
    import narwhals as nw
    import pyarrow as pa

    try:
        if isinstance(frame, Mapping):
            return pa.table(dict(cast("Mapping[str, Any]", frame)))
        if isinstance(frame, pa.RecordBatch):
            return pa.Table.from_batches([frame])
        native: Any = nw.from_native(frame)
        return (native.collect() if isinstance(native, nw.LazyFrame) else native).to_arrow()
    except (TypeError, ValueError, pa.ArrowException) as error:
        first = next(iter(str(error).splitlines()), "")
        raise BadInput(
            f"a {type(frame).__name__} can't be read as a table",
            first,
            do="Give a frame of pyarrow, pandas or polars, or a dict of columns.",
        ) from None


def drawn(name: str, figure: Any) -> bytes:
    """A figure as what the name ends in. Raises `BadInput` for what can't save itself as that."""
    kind = PurePosixPath(name).suffix.removeprefix(".").lower()
    if kind == "html" and hasattr(figure, "write_html"):
        page = io.StringIO()
        figure.write_html(page)
        return page.getvalue().encode()
    for way in ("savefig", "write_image"):
        if kind in ("svg", "png", "pdf") and hasattr(figure, way):
            picture = io.BytesIO()
            getattr(figure, way)(picture, format=kind)
            return picture.getvalue()
    can = [".svg, .png or .pdf"] * hasattr(figure, "savefig") + [".html"] * hasattr(figure, "write_html")
    raise BadInput(
        f"a {type(figure).__module__}.{type(figure).__name__} can't be drawn as {name!r}",
        do=f"End the name in {' or '.join(can)}." if can else "Give a figure of matplotlib or plotly.",
    )


def _must_end(name: str, ending: str) -> None:
    if not name.endswith(ending):
        raise BadInput(f"{name!r} does not end in {ending}", do=f"Call it {name.partition('.')[0]}{ending}.")
