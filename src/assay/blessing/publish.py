"""Moves the champion: forward to a blessed candidate, or back to the version before."""

import logging

import msgspec

from assay.blessing import ledger
from assay.errors import BadInput, Refused
from assay.model import Candidate
from assay.store import Store, current
from assay.track import ModelVersion, alias, champion, find_version, register, set_alias
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

    Raises `Refused` when its last verdict is not a blessing, or when there is none.
    """
    store = current()
    line = ledger.last_verdict(store, candidate.bundle)
    verdict = line.decoded() if line else None
    if not verdict or not verdict["blessed"]:
        why = "; ".join(verdict["reasons"]) if verdict else "nobody has judged it"
        raise Refused(
            f"{candidate.model} from run {candidate.run_id} is not blessed", why, do="Publish only what is blessed."
        )
    known = alias(store, candidate.model)
    if known and known.bundle == candidate.bundle:
        return Publication(known.model, known.version)
    with store.database.begin() as connection:
        made = register(
            connection,
            candidate.model,
            candidate.bundle,
            run_id=candidate.run_id,
            trained_until=candidate.open().facts.trained_until,
        )
        set_alias(connection, made.model, CHAMPION, made.version)
        body = {
            "version": made.version,
            "previous": known.version if known else None,
            "verdict": line.id if line else None,
        }
        ledger.append(connection, made.model, "published", made.bundle, body)
    log.info("published %s", made)
    return Publication(made.model, made.version)


def rollback(store: Store, model: str, *, to: int | None = None, reason: str = "") -> ModelVersion:
    """Make the champion what it was before, or the version `to`; returns the new champion.

    Raises `NotFound` for an unknown model or version, `BadInput` when there is nothing to go back to.
    """
    now = champion(store, model)
    target = find_version(store, model, to if to is not None else _before(store, now))
    if target.version == now.version:
        raise BadInput(f"{target} is the champion already", do=f"See the versions: assay models {model}")
    with store.database.begin() as connection:
        set_alias(connection, model, CHAMPION, target.version)
        body = {"version": target.version, "previous": now.version, "reason": reason}
        ledger.append(connection, model, "rolled back", target.bundle, body)
    log.warning("rolled %s back to version %s: %s", model, target.version, reason or "no reason given")
    return target


def _before(store: Store, now: ModelVersion) -> int:
    """The version that was the champion before the present one was published."""
    for line in reversed(ledger.entries(store, now.model)):
        body = line.decoded()
        if line.kind == "published" and body["version"] == now.version and body["previous"] is not None:
            return body["previous"]
    raise BadInput(f"{now} has no version before it", do="Name one: assay rollback MODEL --to VERSION")
