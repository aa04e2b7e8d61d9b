"""Keeps profiles in the metadata database: of a version's training rows, and of each day of its served rows."""

from typing import Literal

from sqlalchemy import Connection, select

from assay.profiles.table import Profile, decode, encode
from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import profiles
from assay.times import now

Source = Literal["trained", "served"]
#: Version and day; the day is empty for training rows.
Key = tuple[int, str]


def keep(connection: Connection, model: str, source: Source, version: int, profile: Profile, *, day: str = "") -> None:
    """Keep a profile; the same key again replaces it."""
    row = {
        "model": model,
        "source": source,
        "version": version,
        "day": day,
        "rows": profile.rows,
        "made_at": now(),
        "body": encode(profile),
    }
    upsert(connection, profiles, [row])


def kept_rows(store: Store, model: str, source: Source) -> dict[Key, int]:
    """The rows of each kept profile, without reading the profiles."""
    asked = select(profiles.c.version, profiles.c.day, profiles.c.rows).filter_by(model=model, source=source)
    with store.database.read() as connection:
        return {(version, day): rows for version, day, rows in connection.execute(asked)}


def kept(store: Store, model: str, source: Source, *, version: int | None = None) -> dict[Key, Profile]:
    """The kept profiles, of one version when it is named; raises `Corrupt` for one that is damaged."""
    asked = select(profiles.c.version, profiles.c.day, profiles.c.body).filter_by(model=model, source=source)
    if version is not None:
        asked = asked.filter_by(version=version)
    with store.database.read() as connection:
        rows = connection.execute(asked.order_by(profiles.c.day, profiles.c.version)).all()
    return {(number, day): decode(body) for number, day, body in rows}
