"""The version that was served last of a model, in the home: a server starts with it while the database is away."""

import hashlib
from pathlib import Path

import msgspec

from assay.errors import Unavailable
from assay.store import Store
from assay.store.artifacts import write_whole
from assay.track import ModelVersion


def remember(store: Store, version: ModelVersion) -> None:
    """Keep which version is served now. Raises `Unavailable` when the disk is full."""
    write_whole(_path(store, version.model), msgspec.json.encode(version))


def last_served(store: Store, model: str) -> ModelVersion | None:
    """The version of a model that a server of this home answered from last; None when none did."""
    try:
        found = msgspec.json.decode(_path(store, model).read_bytes(), type=ModelVersion)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    except OSError as error:
        raise Unavailable(
            f"can't read {_path(store, model)}: {error.strerror}", do="Correct its permissions."
        ) from None
    return found if found.model == model else None


def _path(store: Store, model: str) -> Path:
    """By the hash of both: a name is no path, and another database has other versions."""
    named = hashlib.sha256(f"{store.database_url}\0{model}".encode()).hexdigest()
    return store.home.serving / f"{named}.json"
