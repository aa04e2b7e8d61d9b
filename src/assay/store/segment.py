"""The format of a spool segment, and how it is read back.

    magic    eight bytes
    sync     u32 little-endian, drawn at random by the writer
    frames   one after the other, each:
        sync     the same again: where to go on reading after damage
        length   u32 little-endian, of the payload, 1 to 16 MiB
        crc      u32 little-endian, CRC-32 of the payload, begun at the value `length`
        payload  length bytes

The first frame's payload says what the records are (`meta`), each further one is a record. Because the length begins
the checksum and is never zero, neither a flipped bit in it nor a run of zero bytes passes for a frame; because nobody
knows the sync beforehand, neither does a frame inside a payload. (Sync markers are Avro's: Object Container Files.)
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from assay.errors import BadInput, Corrupt

MAGIC = b"ASSAYSP1"
MAX_RECORD = 16 << 20
SUFFIX = ".seg"
#: The folder beside the topics where damaged segments are kept.
QUARANTINE = "quarantine"

_SYNC = struct.Struct("<I")
_HEADER = struct.Struct("<III")
_pack = _HEADER.pack
_FIRST = len(MAGIC) + _SYNC.size


@dataclass(frozen=True)
class Scan:
    """What the bytes of a segment hold."""

    meta: bytes
    records: list[bytes]
    #: Bytes of the unfinished frame at the end: a record that was being written at a kill, and never acknowledged.
    torn_bytes: int = 0
    #: Offset and length of everything else that is no whole frame.
    damaged: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


@dataclass(frozen=True)
class Segment(Scan):
    """A segment as it was read from its file."""

    #: Unique for ever; with a record's number it is the key by which draining twice changes nothing.
    id: str = ""
    path: Path = Path()

    @property
    def topic(self) -> str:
        """The topic it was written to: the name of its folder."""
        return self.path.parent.name


def opening(sync: int, meta: bytes) -> bytes:
    """What a segment begins with."""
    return MAGIC + _SYNC.pack(sync) + frame(sync, meta)


def frame(sync: int, payload: bytes) -> bytes:
    """One frame. Raises `BadInput` for an empty payload and for one of more than 16 MiB."""
    size = len(payload)
    if not 1 <= size <= MAX_RECORD:
        raise BadInput(f"a record of {size:,} bytes can't be kept", do=f"Records have 1 to {MAX_RECORD:,} bytes.")
    return _pack(sync, size, crc32(payload, size)) + payload


def scan(data: bytes) -> Scan:
    """The records of a segment's bytes.

    Damage costs the records that it hit and no other: reading goes on at the next whole frame.
    Raises `Corrupt` when the magic or the first frame is not whole.

    >>> scan(opening(7, b"meta") + frame(7, b"one") + frame(7, b"two")[:-1])
    Scan(meta=b'meta', records=[b'one'], torn_bytes=14, damaged=[])
    """
    if not data.startswith(MAGIC):
        raise Corrupt("this is not a spool segment", f"it begins with {data[:8]!r}")
    sync = data[len(MAGIC) : _FIRST]
    meta = _payload(data, sync, _FIRST)
    if meta is None:
        raise Corrupt("the first frame of the segment is damaged", do="Its records can't be read without it.")
    at = _FIRST + _HEADER.size + len(meta)
    records: list[bytes] = []
    damaged: list[tuple[int, int]] = []
    while at < len(data):
        payload = _payload(data, sync, at)
        if payload is not None:
            records.append(payload)
            at += _HEADER.size + len(payload)
            continue
        following = _next_frame(data, sync, at + 1)
        if following == len(data) and _is_unfinished(data, sync, at):
            return Scan(meta, records, following - at, damaged)
        damaged.append((at, following - at))
        at = following
    return Scan(meta, records, 0, damaged)


def is_whole(data: bytes) -> bool:
    """Whether these are the bytes of a segment without damage and without an unfinished frame.

    >>> is_whole(opening(7, b"meta") + frame(7, b"one")), is_whole(opening(7, b"meta") + frame(7, b"one")[:-1])
    (True, False)
    """
    try:
        found = scan(data)
    except Corrupt:
        return False
    return not found.damaged and not found.torn_bytes


def _payload(data: bytes, sync: bytes, at: int) -> bytes | None:
    """The payload of the frame at `at`, or None when no whole frame stands there."""
    start = at + _HEADER.size
    if start > len(data) or not data.startswith(sync, at):
        return None
    _, length, crc = _HEADER.unpack_from(data, at)
    if not 1 <= length <= MAX_RECORD or start + length > len(data):
        return None
    payload = data[start : start + length]
    return payload if crc32(payload, length) == crc else None


def _next_frame(data: bytes, sync: bytes, start: int) -> int:
    """Where the next whole frame begins, at `start` or after it; the end of the data when there is none."""
    while (at := data.find(sync, start)) >= 0:
        if _payload(data, sync, at) is not None:
            return at
        start = at + 1
    return len(data)


def _is_unfinished(data: bytes, sync: bytes, at: int) -> bool:
    """Whether the bytes from `at` can be the beginning of a frame whose end was never written."""
    there = len(data) - at
    if there < _HEADER.size:
        return (data[at:] + sync[there:]).startswith(sync)
    _, length, _ = _HEADER.unpack_from(data, at)
    return data.startswith(sync, at) and 1 <= length <= MAX_RECORD and _HEADER.size + length > there


def read(path: Path) -> Segment:
    """The segment in a file. Raises `Corrupt`, naming it, when nothing in it can be read."""
    try:
        found = scan(path.read_bytes())
    except Corrupt as error:
        raise Corrupt(f"{path}: {error.what}", *error.values, do=error.do) from None
    return Segment(found.meta, found.records, found.torn_bytes, found.damaged, path.name.removesuffix(SUFFIX), path)
