"""What a mirror of Assay wrote into the configuration of a run of Weights & Biases, and a run with it."""

from dataclasses import replace
from typing import Any, Literal

import msgspec

from assay.exchange.records import SENT, SourceDataset, SourceRun
from assay.exchange.wandb_names import RUN
from assay.track.runs import NOTE

_PARENT = "mlflow.parentRunId"


class Ours(msgspec.Struct, kw_only=True):
    """What Weights & Biases has no field for."""

    run_id: str
    experiment: str
    status: Literal["scheduled", "running", "finished", "failed", "killed"]
    started_us: int
    ended_us: int | None
    user: str | None
    parent_id: str | None
    tags: dict[str, str]
    datasets: list[SourceDataset]
    #: Names of files there that have another name here.
    files: dict[str, str]


def ours_of(config: dict[str, Any]) -> Ours | None:
    """What a mirror wrote; None when none did, or it was changed since."""
    try:
        return msgspec.convert(config[RUN], Ours) if RUN in config else None
    except msgspec.ValidationError:
        return None


def as_it_was(run: SourceRun, ours: Ours, config: dict[str, Any]) -> SourceRun:
    """The run as it was before it was mirrored."""
    note = {NOTE: run.tags[NOTE]} if NOTE in run.tags else {}
    parent = {_PARENT: ours.parent_id} if ours.parent_id else {}
    return replace(
        run,
        id=ours.run_id,
        status=ours.status,
        user=ours.user,
        started_us=ours.started_us,
        ended_us=ours.ended_us,
        params={name: value for name, value in config.items() if name not in (RUN, "_wandb")},
        tags=note | parent | ours.tags | {SENT: ours.run_id},
        datasets=tuple(sorted(ours.datasets, key=lambda one: (one.name, one.digest))),
        parent=ours.parent_id,
        code_version=None,
        command=None,
    )
