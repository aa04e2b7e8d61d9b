"""Moves the champion: forward to a blessed candidate, or back to the version before."""

import logging
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy import Connection

from assay import context
from assay.blessing import what_if
from assay.errors import BadInput, Conflict, Corrupt, Refused, Unavailable
from assay.model import Candidate
from assay.model.train import PROFILE
from assay.predictions import is_value, read_rows
from assay.profiles import Profile, decode, profile
from assay.profiles.profile_rows import keep
from assay.store import Store, current
from assay.store.database import retried
from assay.store.soon import soon
from assay.track import By, ModelVersion, aliases, ledger, register
from assay.track.provenance import user
from assay.track.show import artifacts_of
from assay.track.versions import model_names, unknown_version

log = logging.getLogger(__name__)


class Publication(msgspec.Struct, frozen=True):
    """A version that was made the champion, or would have been."""

    model: str
    #: None in a what-if, which gives no version numbers.
    version: int | None
    #: The what-if in which it is the incumbent now; empty for production.
    what_if: str = ""

    def __str__(self) -> str:
        return f"{self.model}, in the what-if {self.what_if}" if self.what_if else f"{self.model}/{self.version}"


@retried
def publish(candidate: Candidate) -> Publication:
    """Make a blessed candidate the champion; doing it again changes nothing.

    In a what-if, as runs of the past are, it becomes the incumbent of that what-if, and production stays as it is.
    Raises `Refused` when its last verdict is not a blessing, when there is none, and when the champion has changed
    since: the verdict compared it with another, and what was rolled back must not come back by itself.
    """
    store = current()
    if scope := context.what_if():
        return _would_publish(store, scope, candidate)
    with store.database.read() as connection:
        known = aliases.pointed(connection, candidate.model)
        if known and known.bundle == candidate.bundle:
            return Publication(known.model, known.version)
        _check_verdict(connection, candidate)
    trained_until = candidate.open().facts.trained_until
    trained = _training_profile(store, candidate)
    with store.database.begin() as connection:
        made = register(
            connection, candidate.model, candidate.bundle, run_id=candidate.run_id, trained_until=trained_until
        )
        known = aliases.pointed(connection, candidate.model)  # once more, for the model is held now
        if known != made:
            verdict = _check_verdict(connection, candidate)
            aliases.move(connection, made.model, made.version, By(user()), kind="published", verdict=verdict.id)
            if trained:
                keep(connection, made.model, "trained", made.version, trained)
    log.info("published %s", made)
    return Publication(made.model, made.version)


def _would_publish(store: Store, scope: context.WhatIf, candidate: Candidate) -> Publication:
    """Make a candidate the incumbent of a what-if."""
    trained_until = candidate.open().facts.trained_until
    with store.database.begin() as connection:
        verdict = what_if.last_verdict(connection, scope, candidate.bundle)
        if verdict is None or not verdict["blessed"]:
            raise _unblessed(candidate, verdict)
        what_if.hold(connection)  # of several who publish it at once, one does
        if not what_if.is_published(connection, scope, candidate.bundle):
            what_if.append(connection, scope, "published", candidate, trained_until, {})
    log.info("%s would be published, in the what-if %s", candidate.model, scope.name)
    return Publication(candidate.model, None, scope.name)


def _training_profile(store: Store, candidate: Candidate) -> Profile | None:
    """What the version was trained on and said of it, as its run kept it; None when there is neither that nor its rows.

    Raises `Corrupt` when the file is damaged.
    """
    file = next((one for one in artifacts_of(store, candidate.run_id) if one.name == PROFILE), None)
    if file:
        return decode(store.artifacts.get(file.digest))
    rows = read_rows(store.home, candidate.model, "trained", request_id=candidate.run_id)
    if rows is None or rows.num_rows == 0:
        return None
    rows = rows.filter(pa.array([part == "train" for part in rows.column("part").to_pylist()], pa.bool_()))
    return profile(rows.select([name for name in rows.column_names if is_value(name)]))


def _check_verdict(connection: Connection, candidate: Candidate) -> ledger.LedgerEntry:
    """The blessing of a candidate, given beside the champion of now. Raises `Refused` when there is none."""
    verdict = ledger.last_verdict(connection, candidate.bundle)
    if verdict is None or not verdict.decoded()["blessed"]:
        raise _unblessed(candidate, verdict.decoded() if verdict else None)
    _refuse_stale(connection, verdict, candidate)
    return verdict


def _unblessed(candidate: Candidate, verdict: Any) -> Refused:
    why = "; ".join(verdict["reasons"]) if verdict else "it has not been judged"
    return Refused(
        f"{candidate.model} from run {candidate.run_id} is not blessed", why, do="Publish only a blessed candidate."
    )


def _refuse_stale(connection: Connection, verdict: ledger.LedgerEntry, candidate: Candidate) -> None:
    comparison, standing = verdict.decoded()["comparison"], aliases.pointed(connection, candidate.model)
    beside = comparison["incumbent"] if comparison else None
    stands = str(standing) if standing and standing.bundle else None
    # A champion of before may be champion again: what was rolled back in between must not come back by itself.
    since = [line for line in ledger.moves(connection, candidate.model) if line.id > verdict.id]
    if not since and beside == stands:
        return
    now = f"the champion is {stands}" if stands else "there is no champion now"
    if since:
        now = f"version {_of(since[-1])} was {since[-1].kind} {since[-1].at:%Y-%m-%dT%H:%M:%SZ}"
    raise Refused(
        f"{candidate.model} from run {candidate.run_id} was judged before the champion changed",
        f"judged {verdict.at:%Y-%m-%dT%H:%M:%SZ} beside {beside or 'no incumbent'}; {now}",
        do="Judge it again with assay.bless, beside the present champion.",
    )


def _of(line: ledger.LedgerEntry) -> int:
    body = line.decoded()
    return body["previous"] if body["version"] is None else body["version"]


@retried
def rollback(store: Store, model: str, *, to: int | None = None, reason: str = "") -> ModelVersion:
    """Make the champion what it was before, or the version `to`; returns the new champion.

    Doing it again goes one further back. Raises `NotFound` for an unknown model or version, `BadInput` when there is
    nothing to go back to, and `Corrupt` when the bundle to go back to is damaged; one that can't be looked at, because
    the place of the artifacts does not answer soon, is taken with a warning.
    """
    store.database.check_writable()
    with store.database.read() as connection:
        target, last = _target(store, connection, model, to)
    seen, moved_meanwhile = set[str](), False
    while True:
        if target.bundle not in seen:
            _look_at_bundle(store, target)  # not while the model is held
            seen.add(target.bundle)
        try:
            with store.database.begin() as connection:
                if moved_meanwhile:  # then it is decided while others wait, or this could go on for ever
                    aliases.hold(connection, model)
                    target, last = _target(store, connection, model, to)
                if target.bundle in seen:
                    aliases.move(connection, model, target.version, By(user(), reason), kind="rolled back", since=last)
                    break
        except Conflict:
            if moved_meanwhile:
                raise
            moved_meanwhile = True
    log.warning("rolled %s back to version %s: %s", model, target.version, reason or "no reason given")
    return target


def _look_at_bundle(store: Store, target: ModelVersion) -> None:
    """Read a bundle whole, if it comes soon: a step back must not wait for a bucket. Raises `NotFound`, `Corrupt`."""
    try:
        soon(lambda: store.artifacts.get(target.bundle))
    except Corrupt:
        raise
    except Unavailable as error:
        log.warning("the bundle of %s could not be verified: %s", target, error.what)


def _target(store: Store, connection: Connection, model: str, to: int | None) -> tuple[ModelVersion, int]:
    """The version to go back to, and the line of the ledger that told last. Raises as `rollback` does."""
    moves, last = ledger.last_told(connection, model)
    standing = aliases.standing_versions([(line.kind, line.decoded()["version"]) for line in moves])
    found, present = aliases.look(connection, model, [to] if to is not None else standing[-2:])
    if not found and model not in model_names(store):
        aliases.champion(store, model)  # says which models there are
    number = to if to is not None else _before(model, standing, found.get(present) if present else None)
    if number == present:
        raise BadInput(f"{found[number]} is the champion already", do=f"List the versions: assay models {model}")
    target = found.get(number)
    if target is None:
        raise unknown_version(model, number)
    if not target.bundle:
        raise BadInput(
            f"{target} was registered by a client of MLflow",
            do="Load it with MLflow: Assay serves only the models that it trained.",
        )
    return target, last


def _before(model: str, standing: list[int], present: ModelVersion | None) -> int:
    before = standing[:-1] if present and standing and standing[-1] == present.version else standing
    if not before:
        raise BadInput(f"{present or model} has no version before it", do="Name one: assay rollback MODEL --to VERSION")
    return before[-1]
