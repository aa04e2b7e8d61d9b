"""What could not be handed over: counted by segment with the reason, in a small file that `assay doctor` reads."""

import fcntl
import getpass
import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import msgspec

from assay.store.durable import open_writable
from assay.times import now

log = logging.getLogger(__name__)
SUFFIX = ".faults.json"
#: A file of faults never grows beyond so many segments; more are only logged.
MOST = 200
LONGEST_REASON = 300
#: A segment that failed is tried again after a second, then after twice as long each time.
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0


class DeliveryFault(msgspec.Struct, frozen=True):
    """A segment that could not be handed over."""

    topic: str
    segment: str
    reason: str
    #: Of the process that saw it: what one user can't read, another can.
    user: str
    times: int
    since: str
    last: str


_decode = msgspec.json.Decoder(dict[str, DeliveryFault]).decode


def known_faults(spool: Path) -> list[DeliveryFault]:
    """The faults of every topic, oldest first; those of segments that are gone meanwhile are left out."""
    found: list[DeliveryFault] = []
    for path in sorted(spool.glob(f"*{SUFFIX}")):
        topic = path.name.removesuffix(SUFFIX)
        found += [one for one in _read(path).values() if (spool / topic / one.segment).exists()]
    return sorted(found, key=lambda one: (one.since, one.segment))


def note(spool: Path, topic: str, reasons: dict[str, str]) -> None:
    """Count faults, by the names of their segments; never raises for the state of a disk."""
    if reasons:
        _change(spool, topic, lambda known: _with(known, topic, reasons))


def forget(spool: Path, topic: str, segments: set[str]) -> None:
    """Strike out segments that were handed over after all."""
    known = _read(_path(spool, topic))
    if segments & known.keys():
        _change(spool, topic, lambda known: {name: one for name, one in known.items() if name not in segments})


def reason(error: BaseException) -> str:
    """What an error says, short.

    >>> reason(PermissionError(13, "Permission denied", "/x"))
    "PermissionError: [Errno 13] Permission denied: '/x'"
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no words'}"[:LONGEST_REASON]


def _with(known: dict[str, DeliveryFault], topic: str, reasons: dict[str, str]) -> dict[str, DeliveryFault]:
    at, user = f"{now():%Y-%m-%dT%H:%M:%SZ}", _user()
    for name, why in reasons.items():
        before = known.get(name)
        if before is None and len(known) >= MOST:
            continue
        times, since = (before.times, before.since) if before else (0, at)
        known[name] = DeliveryFault(topic, name, why, user, times + 1, since, at)
    return known


def _change(spool: Path, topic: str, change: Callable[[dict[str, DeliveryFault]], dict[str, DeliveryFault]]) -> None:
    path = _path(spool, topic)
    try:
        file = open_writable(path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            there = {name: one for name, one in _read(path).items() if (spool / topic / name).exists()}
            data = msgspec.json.encode(change(there))
            os.ftruncate(file, 0)
            os.pwrite(file, data, 0)
        finally:
            os.close(file)
    except OSError as error:  # a full or read-only disk: the log has to do
        log.info("faults of %s can't be recorded: %s", spool / topic, error)


def _path(spool: Path, topic: str) -> Path:
    return spool / f"{topic}{SUFFIX}"


def _read(path: Path) -> dict[str, DeliveryFault]:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):  # none; or half written at a kill, and counted anew
        return {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return str(os.geteuid())


class BackOff:
    """When a segment that failed in this process is tried again."""

    def __init__(self) -> None:
        self._failed: dict[Path, tuple[int, float]] = {}

    def is_due(self, path: Path) -> bool:
        """Whether it may be tried now."""
        return monotonic() >= self._failed.get(path, (0, 0.0))[1]

    def failed(self, path: Path) -> None:
        """Wait longer before the next try."""
        times = self._failed.get(path, (0, 0.0))[0]
        self._failed[path] = (times + 1, monotonic() + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(times, 20)))

    def forget(self, path: Path) -> None:
        """It was handed over, or is gone."""
        self._failed.pop(path, None)

    def keep(self, there: set[Path], folder: Path) -> None:
        """Strike out those of a folder that are no longer there."""
        for path in [path for path in self._failed if path.parent == folder and path not in there]:
            del self._failed[path]
