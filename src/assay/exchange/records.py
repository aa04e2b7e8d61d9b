"""What another tracker holds, in one form whatever the tracker, and what is asked of every one of them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from assay.track.points import Point

#: Of a run that came from another tracker: where it came from, and what it was when it had come wholly.
FROM = "assay.imported_from"
WHOLE = "assay.imported"
#: Of a run that was sent to another tracker: its id here, and what it was when it was there wholly.
SENT = "assay.run_id"
SENT_WHOLE = "assay.mirrored"

Texts = dict[str, str]


@dataclass(frozen=True)
class SourceExperiment:
    """An experiment of another tracker; times are microseconds since 1970."""

    key: str
    name: str
    created_us: int
    updated_us: int
    deleted: bool = False
    tags: Texts = field(default_factory=dict[str, str])
    deleted_us: int | None = None


@dataclass(frozen=True)
class SourceDataset:
    """A dataset that a run read; `tags` are those of its use."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    context: str
    tags: Texts


@dataclass(frozen=True)
class SourceLink:
    """A logged model that a run read or made."""

    model_id: str
    direction: Literal["input", "output"]
    step: int = 0


@dataclass(frozen=True)
class SourceRun:
    """A run of another tracker, without its points and files."""

    id: str
    name: str
    status: str
    user: str | None
    started_us: int
    ended_us: int | None
    deleted: bool
    deleted_us: int | None
    artifact_uri: str
    #: Texts, or what JSON holds where the source knows types.
    params: dict[str, Any]
    tags: Texts
    #: Names of its metrics.
    metrics: tuple[str, ...]
    #: Differs as soon as points came to it.
    points_mark: str
    datasets: tuple[SourceDataset, ...] = ()
    links: tuple[SourceLink, ...] = ()
    parent: str | None = None
    code_version: str | None = None
    command: str | None = None
    #: Other columns of the table of runs, of a source that has them, and the files that they name by digest.
    columns: dict[str, Any] = field(default_factory=dict[str, Any])
    contents: tuple["SourceFile", ...] = ()
    #: Why it can't be had, when nothing else is known of it.
    problem: str = ""


@dataclass(frozen=True)
class SourceModel:
    """A logged model; `metrics` are (name, value, step, microseconds, run, dataset name, dataset digest)."""

    id: str
    name: str
    model_type: str
    run_id: str
    status: int
    created_us: int
    updated_us: int
    deleted: bool
    artifact_uri: str
    params: Texts
    tags: Texts
    metrics: tuple[tuple[str, float, int, int, str, str | None, str | None], ...]
    deleted_us: int | None = None


@dataclass(frozen=True)
class SourceVersion:
    """A version of a registered model."""

    version: int
    run_id: str | None
    source: str
    logged_model_id: str | None
    run_link: str | None
    user: str | None
    description: str | None
    stage: str
    created_us: int
    updated_us: int
    tags: Texts
    #: Other columns of the table of versions, of a source that has them, and the files that they name by digest.
    columns: dict[str, Any] = field(default_factory=dict[str, Any])
    contents: tuple["SourceFile", ...] = ()


@dataclass(frozen=True)
class SourceRegistered:
    """A registered model with its versions and aliases."""

    name: str
    description: str | None
    created_us: int
    updated_us: int
    tags: Texts
    aliases: dict[str, int]
    versions: tuple[SourceVersion, ...]


@dataclass(frozen=True)
class SourceFile:
    """A file of a run or of a logged model."""

    name: str
    size_bytes: int
    #: Differs when the content does; empty where the source does not say.
    mark: str
    #: A path of this machine, or what the source needs to hand it out.
    where: str
    #: Why it can't be had, where that is known before it is fetched.
    problem: str = ""


class OutOfReach(Exception):
    """A file, or a part of a run, can't be had; the message says why."""


class Tracker(Protocol):
    """Another tracker."""

    @property
    def name(self) -> str:
        """Its address, as it is kept with what comes from it; without passwords."""
        ...

    def experiments(self) -> Iterable[SourceExperiment]:
        """All of them, deleted ones too."""
        ...

    def runs(self, experiment: SourceExperiment) -> Iterable[SourceRun]:
        """The runs of one, deleted ones too."""
        ...

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every point of a run, in portions."""
        ...

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """The files of a run or a model. Raises `OutOfReach`."""
        ...

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """A path at which the file can be read: where it is, or a copy in `folder`. Raises `OutOfReach`."""
        ...

    def models(self, experiment: SourceExperiment) -> Iterable[SourceModel]:
        """The logged models of an experiment."""
        ...

    def registered(self) -> Iterable[SourceRegistered]:
        """The registered models."""
        ...

    def left_out(self) -> dict[str, int]:
        """What it holds and Assay does not, by name, as far as it can be counted."""
        ...

    def close(self) -> None:
        """Let go of what was needed to read it; it can be read again."""
        ...


def mark(*parts: object) -> str:
    """A short text that differs when any part does."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]
