"""Reads the log file of a run of Weights & Biases: blocks of 32 KiB as LevelDB writes them, with protobuf records in them.

Of both formats only as much is known here as is needed. Sources: the log format of LevelDB (doc/log_format.md of
github.com/google/leveldb), the wire format of protobuf (protobuf.dev, Encoding), wandb/proto/wandb_internal.proto.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

_MAGIC = b":W&B"
_FILE_HEADER = 7
_BLOCK = 32768
_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4

#: Values of one message by field number: numbers as they are on the wire, everything else as bytes.
Message = dict[int, list[int | bytes]]


def records(path: Path) -> Iterator[bytes]:
    """The records of a log, up to the first that is not whole: of a run that goes on, or was killed.

    Raises `ValueError` when it is no such log, `OSError` when it can't be read.
    """
    with path.open("rb") as file:
        if file.read(_FILE_HEADER)[:4] != _MAGIC:
            raise ValueError("it is not a log of Weights & Biases")
        parts: list[bytes] = []
        place = _FILE_HEADER
        while True:
            left = _BLOCK - place % _BLOCK
            if left < _HEADER.size:
                file.read(left)
                place += left
                continue
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            checksum, length, kind = _HEADER.unpack(header)
            data = file.read(length)
            if len(data) < length or not _FULL <= kind <= _LAST or _checksum(kind, data) != checksum:
                return
            place += _HEADER.size + length
            parts = [data] if kind in (_FULL, _FIRST) else [*parts, data]
            if kind in (_FULL, _LAST):
                yield b"".join(parts)


def _checksum(kind: int, data: bytes) -> int:
    """Unlike LevelDB's: the common polynomial, and not masked."""
    return crc32(data, crc32(bytes([kind])))


def message(data: bytes) -> Message:
    """The fields of a protobuf message. Raises `ValueError` when it is cut off.

    >>> message(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69]))
    {1: [150], 2: [b'hi']}
    """
    found: Message = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value: int | bytes
        match key & 7:
            case 0:
                value, at = _varint(data, at)
            case 1:
                value, at = data[at : at + 8], at + 8
            case 2:
                length, at = _varint(data, at)
                value, at = data[at : at + length], at + length
            case 5:
                value, at = data[at : at + 4], at + 4
            case kind:
                raise ValueError(f"a field has the type {kind}")
        if at > len(data):
            raise ValueError("a record is cut off")
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number is cut off")


def inner(of: Message, field: int) -> list[Message]:
    """The messages in a field."""
    return [message(value) for value in of.get(field, []) if isinstance(value, bytes)]


def text(of: Message, field: int) -> str:
    """A field's text; empty when it is not there."""
    found = texts(of, field)
    return found[-1] if found else ""


def texts(of: Message, field: int) -> list[str]:
    """A repeated field's texts."""
    return [value.decode("utf-8", "replace") for value in of.get(field, []) if isinstance(value, bytes)]


def integer(of: Message, field: int) -> int:
    """A field's signed number; 0 when it is not there."""
    found = of.get(field, [0])[-1]
    value = found if isinstance(found, int) else 0
    return value - (1 << 64) if value >= 1 << 63 else value


def real(value: int | bytes) -> float:
    """A number of eight bytes."""
    return struct.unpack("<d", value)[0] if isinstance(value, bytes) else float(value)
