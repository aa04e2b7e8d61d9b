"""Where a published version comes from: run, data, contract, features, code."""

import hashlib
from typing import Any

import msgspec

from assay.model.bundle import CODE, open_bundle
from assay.store import Store
from assay.store.artifacts import unpack
from assay.track import ModelVersion, get_run


class Lineage(msgspec.Struct, frozen=True):
    """Everything that made a version what it is."""

    model: str
    version: int
    #: The run that trained it, with its code and its parameters.
    run_id: str | None
    code_version: str | None
    params: dict[str, Any]
    #: Rows, columns and SHA-256 of the rows it was trained on.
    data: dict[str, Any] | None
    trained_until: str
    #: The signature: JSON Schema of what goes in, from the contract.
    takes: dict[str, Any]
    #: The features and their kinds, and the SHA-256 of the code that computes them.
    features: dict[str, str]
    features_hash: str
    format: str
    #: Digest of the bundle.
    bundle: str


def lineage(store: Store, version: ModelVersion) -> Lineage:
    """The lineage of a version that Assay published. Raises `NotFound` or `Corrupt` when its bundle can't be opened."""
    facts = open_bundle(store, version.bundle).facts
    run = get_run(store, version.run_id) if version.run_id else None
    return Lineage(
        model=version.model,
        version=version.version,
        run_id=version.run_id,
        code_version=run.code_version if run else None,
        params=run.params if run else {},
        data=run.data_identity if run else None,
        trained_until=facts.trained_until.isoformat(),
        takes=facts.takes,
        features=dict(facts.features),
        features_hash=_code_hash(store, version.bundle),
        format=facts.format,
        bundle=version.bundle,
    )


def _code_hash(store: Store, digest: str) -> str:
    sha = hashlib.sha256()
    for name, content in sorted(unpack(store.artifacts.get(digest)).items()):
        if name.startswith(CODE):
            sha.update(f"{name}\0{len(content)}\0".encode() + content)
    return sha.hexdigest()
