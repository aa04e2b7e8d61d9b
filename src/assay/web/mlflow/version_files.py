"""The files of a model version that a client of MLflow registered, where they are kept here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from assay.errors import BadInput, NotFound
from assay.store import Store
from assay.track.find import ARTIFACTS
from assay.web.mlflow.files import locate
from assay.web.mlflow.sources import OF_MODELS
from assay.web.mlflow.version_sources import files_uri, models_of, named_version


@dataclass(frozen=True)
class VersionFiles:
    """A version and its files by name, relative to its folder."""

    model: str
    version: int
    run_id: str | None
    created_at: datetime
    #: The bytes of a file; raises `NotFound` for a name that is not there.
    read: Callable[[str], bytes]

    def __str__(self) -> str:
        return f"{OF_MODELS}:/{self.model}/{self.version}"


def files_of_version(store: Store, uri: str) -> VersionFiles:
    """The files of `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `models:/NAME/latest`.

    Raises `NotFound` for a version or an alias that is not there, `BadInput` for another form and for files elsewhere.
    """
    if not models_of(uri):
        raise BadInput(
            f"{uri!r} names no version in the registry", do="Write models:/NAME@ALIAS or models:/NAME/VERSION."
        )
    with store.database.read() as connection:
        row = named_version(connection, uri.partition(":")[2].strip("/"))
        where = files_uri(connection, row)
        if row.bundle:
            raise BadInput(f"{row.model}/{row.version} has a bundle already", do="Load it: assay.load_model(...).")
        if not where.startswith(ARTIFACTS):
            raise BadInput(
                f"the files of {row.model}/{row.version} are not kept here: {where}",
                do="Register it through `assay up`, or import it: assay import mlflow.",
            )
        place = locate(connection, where.removeprefix(ARTIFACTS))
        names = select(place.table.c.name, place.table.c.digest).filter_by(**place.key)
        prefix = f"{place.name}/" if place.name else ""
        digests = {
            one.name[len(prefix) :]: one.digest for one in connection.execute(names) if one.name.startswith(prefix)
        }

    def read(name: str) -> bytes:
        if name not in digests:
            raise NotFound(
                f"{row.model}/{row.version} has no file {name!r}", f"it has {', '.join(sorted(digests))}"[:300]
            )
        return store.artifacts.get(digests[name])

    return VersionFiles(row.model, row.version, row.run_id, row.created_at, read)
