"""Files that are given out: by their path, by the run, by the version or by the logged model that they belong to."""

import mimetypes
import re
import unicodedata
from urllib.parse import quote

from sqlalchemy import Connection, select

from assay.store import Store
from assay.store.parts import READ
from assay.track.find import ARTIFACTS
from assay.web.http import Answer
from assay.web.mlflow.ask import Ask, safe_path
from assay.web.mlflow.errors import invalid, missing
from assay.web.mlflow.files import Place, locate, owner_of
from assay.web.mlflow.registry_rows import version_row
from assay.web.mlflow.version_sources import files_uri

#: What is asked of a bucket at a time, for a client that may be slow.
_AHEAD = 1 << 20
#: What a download holds of a file: the piece that is sent, the one after it and the one that the connection has.
_HELD = 3 * READ
_PLAIN = re.compile(r"[A-Za-z0-9!#$&+.^_`|~-]+")
#: Whatever the machine's tables say; MLflow's pages show what is text.
_TEXTS = frozenset(
    (
        "txt",
        "log",
        "err",
        "cfg",
        "conf",
        "cnf",
        "cf",
        "ini",
        "properties",
        "prop",
        "hocon",
        "toml",
        "yaml",
        "yml",
        "xml",
        "json",
        "js",
        "py",
        "py3",
        "csv",
        "tsv",
        "md",
        "rst",
        "ipynb",
        "MLmodel",
        "mlproject",
    )
)


def of_path(store: Store, ask: Ask) -> Answer:
    """The file at a path below the root of all artifacts."""
    path = ask.request.places[0]
    with store.database.read() as connection:
        return _sent(store, connection, locate(connection, path))


def of_run(store: Store, ask: Ask) -> Answer:
    """A file of a run."""
    path, run_id = safe_path(ask.text("path")), ask.text("run_id", "run_uuid")
    with store.database.read() as connection:
        table, root = owner_of(connection, run_id, of_model=False)
        _check_ours(root, f"the run {run_id}")
        return _sent(store, connection, Place(table, run_id, path))


def of_version(store: Store, ask: Ask) -> Answer:
    """A file of a version of a registered model."""
    path, name, number = safe_path(ask.text("path")), ask.text("name"), ask.text("version")
    with store.database.read() as connection:
        root = files_uri(connection, version_row(connection, name, number))
        _check_ours(root, f"version {number} of {name}")
        return _sent(store, connection, locate(connection, f"{root.removeprefix(ARTIFACTS).strip('/')}/{path}"))


def of_model(store: Store, ask: Ask) -> Answer:
    """A file of a logged model."""
    path, model_id = safe_path(ask.text("artifact_file_path")), ask.request.places[0]
    with store.database.read() as connection:
        table, root = owner_of(connection, model_id, of_model=True)
        _check_ours(root, f"the model {model_id}")
        return _sent(store, connection, Place(table, model_id, path))


def _check_ours(root: str, what: str) -> None:
    """The server opens no URI that a client named."""
    if not root.startswith(ARTIFACTS):
        raise invalid(f"The files of {what} are at {root}, which this server does not open. Fetch them from there.")


def _sent(store: Store, connection: Connection, place: Place) -> Answer:
    """A file as a download: no browser shows it as a page of ours."""
    t = place.table.c
    of = select(t.digest, t.size_bytes).filter_by(**place.key)
    row = connection.execute(of.where(t.name == place.name)).first()
    if row is None:
        below = of.where(t.name.startswith(f"{place.name}/", autoescape=True)) if place.name else of
        if connection.execute(below.limit(1)).first():
            raise invalid(f"{place.name[:200]!r} is a folder, not a file")
        raise missing(f"There is no artifact {place.name[:200]!r}")
    headers = {
        "content-type": content_type(place.name),
        "content-disposition": disposition(place.name),
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }
    pieces = store.artifacts.read(row.digest, ahead=_AHEAD)
    held = _HELD + (0 if store.artifacts.in_folder else _AHEAD)
    return Answer(headers=headers, pieces=iter(pieces), size=row.size_bytes, held=min(held, 3 * row.size_bytes))


def content_type(path: str) -> str:
    """The kind of a file by its name.

    >>> content_type("model/MLmodel"), content_type("a.pkl"), content_type("c.png")
    ('text/plain', 'application/octet-stream', 'image/png')
    """
    name = path.rsplit("/", 1)[-1]
    if name.rpartition(".")[2] in _TEXTS:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def disposition(path: str) -> str:
    """What makes a browser keep a file under its name, whatever signs that has (RFC 6266).

    >>> disposition("deep/a.txt")
    'attachment; filename=a.txt'
    >>> disposition('übel "1".txt')
    "attachment; filename=ubel__1_.txt; filename*=UTF-8''%C3%BCbel%20%221%22.txt"
    """
    name = path.rsplit("/", 1)[-1]
    if _PLAIN.fullmatch(name):
        return f"attachment; filename={name}"
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    fallback = re.sub(r"[^A-Za-z0-9.-]", "_", ascii_only) or "download"
    return f"attachment; filename={fallback}; filename*=UTF-8''{quote(name, safe='')}"
