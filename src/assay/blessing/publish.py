"""Moves the champion: forward to a blessed candidate, or back to the version before."""

import logging
from collections.abc import Iterable

import msgspec
import pyarrow as pa

from assay.blessing import ledger
from assay.errors import BadInput, Refused
from assay.model import Candidate
from assay.predictions import is_value, read_rows
from assay.profiles import Profile, profile
from assay.profiles.keep import keep
from assay.store import Store, current
from assay.track import ModelVersion, alias, champion, find_version, register, set_alias
from assay.track.runs import storable
from assay.track.versions import CHAMPION

log = logging.getLogger(__name__)


class Publication(msgspec.Struct, frozen=True):
    """A version that was made the champion."""

    model: str
    version: int

    def __str__(self) -> str:
        return f"{self.model}/{self.version}"


def publish(candidate: Candidate) -> Publication:
    """Make a blessed candidate the champion; doing it again changes nothing.

    Raises `Refused` when its last verdict is not a blessing, when there is none, and when the champion has changed
    since: the verdict compared it with another, and what was rolled back must not come back by itself.
    """
    store = current()
    known = alias(store, candidate.model)
    verdict = _need_blessing(store, candidate)
    if known and known.bundle == candidate.bundle:
        return Publication(known.model, known.version)
    trained_until = candidate.open().facts.trained_until
    trained = _training_profile(store, candidate)
    with store.database.begin() as connection:
        made = register(
            connection, candidate.model, candidate.bundle, run_id=candidate.run_id, trained_until=trained_until
        )
        _refuse_stale(ledger.last_move(connection, made.model), verdict, candidate)
        set_alias(connection, made.model, CHAMPION, made.version)
        body = {"version": made.version, "previous": known.version if known else None, "verdict": verdict.id}
        ledger.append(connection, made.model, "published", made.bundle, body)
        if trained:
            keep(connection, made.model, "trained", made.version, trained)
    log.info("published %s", made)
    return Publication(made.model, made.version)


def _training_profile(store: Store, candidate: Candidate) -> Profile | None:
    """What the version was trained on and said of it; None when its training rows were deleted."""
    rows = read_rows(store.home, candidate.model, "trained", request_id=candidate.run_id)
    if rows is None or rows.num_rows == 0:
        return None
    rows = rows.filter(pa.array([part == "train" for part in rows.column("part").to_pylist()], pa.bool_()))
    return profile(rows.select([name for name in rows.column_names if is_value(name)]))


def _need_blessing(store: Store, candidate: Candidate) -> ledger.Entry:
    verdict = ledger.last_verdict(store, candidate.bundle)
    if verdict and verdict.decoded()["blessed"]:
        return verdict
    why = "; ".join(verdict.decoded()["reasons"]) if verdict else "nobody has judged it"
    raise Refused(
        f"{candidate.model} from run {candidate.run_id} is not blessed", why, do="Publish only what is blessed."
    )


def _refuse_stale(move: ledger.Entry | None, verdict: ledger.Entry, candidate: Candidate) -> None:
    if move is None:
        return
    comparison = verdict.decoded()["comparison"]
    beside = comparison["incumbent"] if comparison else "no incumbent"
    # The champion may have changed while the verdict was made, and a champion of before may be champion again.
    if move.id > verdict.id or beside != f"{candidate.model}/{move.decoded()['version']}":
        raise Refused(
            f"{candidate.model} from run {candidate.run_id} was judged before the champion changed",
            f"judged {verdict.at:%Y-%m-%dT%H:%M:%SZ} beside {beside}; "
            f"version {move.decoded()['version']} was {move.kind} {move.at:%Y-%m-%dT%H:%M:%SZ}",
            do="Judge it again with assay.bless, beside the champion of now.",
        )


def rollback(store: Store, model: str, *, to: int | None = None, reason: str = "") -> ModelVersion:
    """Make the champion what it was before, or the version `to`; returns the new champion.

    Doing it again goes one further back. Raises `NotFound` for an unknown model or version, `BadInput` when there is
    nothing to go back to, and `Corrupt` when the bundle to go back to is damaged.
    """
    present = champion(store, model)
    target = find_version(store, model, to if to is not None else _before(store, present))
    if target.version == present.version:
        raise BadInput(f"{target} is the champion already", do=f"See the versions: assay models {model}")
    store.artifacts.get(target.bundle)
    with store.database.begin() as connection:
        set_alias(connection, model, CHAMPION, target.version)
        body = {"version": target.version, "previous": present.version, "reason": storable(reason)}
        ledger.append(connection, model, "rolled back", target.bundle, body)
    log.warning("rolled %s back to version %s: %s", model, target.version, reason or "no reason given")
    return target


def _before(store: Store, present: ModelVersion) -> int:
    lines = ledger.entries(store, present.model)
    moves = [(line.kind, line.decoded()["version"]) for line in lines if line.kind != "verdict"]
    standing = standing_versions(moves)
    if len(standing) < 2:
        raise BadInput(f"{present} has no version before it", do="Name one: assay rollback MODEL --to VERSION")
    return standing[-2]


def standing_versions(moves: Iterable[tuple[str, int]]) -> list[int]:
    """Versions that were champions and were not rolled back, in the order of the ledger; the last is the champion.

    A step back to a version that stands takes away those after it.

    >>> standing_versions([("published", 1), ("published", 2), ("rolled back", 1), ("published", 3)])
    [1, 3]
    """
    standing: list[int] = []
    for kind, version in moves:
        while kind == "rolled back" and version in standing and standing[-1] != version:
            standing.pop()
        if not standing or standing[-1] != version:
            standing.append(version)
    return standing
