"""Packs of files: whatever is not exactly what `pack` writes is refused, in bounded memory and time."""

import gzip
import io
import tarfile
from typing import Any

import pytest

from assay.errors import Corrupt
from assay.store.artifacts import unpack


def _tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry, content in entries:
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, size: int = 0, **what: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    for attribute, value in what.items():
        setattr(entry, attribute, value)
    return entry


def _negative_size() -> bytes:
    """A header whose size leads back to itself: older versions of tarfile never end with it."""
    header = bytearray(_entry("a").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-512 & (2**96 - 1)).to_bytes(12, "big")
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:512]))
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize(
    "data",
    [
        _tar((_entry("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")),
        _tar((_entry("a", 1), b"a"), (_entry("link", type=tarfile.LNKTYPE, linkname="a"), b"")),
        _tar((_entry("../a", 1), b"a")),
        _tar((_entry("/etc/a", 1), b"a")),
        _tar((_entry("a", 1), b"a"), (_entry("a", 1), b"b")),
        _tar((_entry("device", type=tarfile.CHRTYPE), b"")),
        _tar((_entry("a", 1, pax_headers={"GNU.sparse.major": "0", "GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,1"}), b"a")),
        _tar((_entry("a", 1), b"a"))[:700],
        b"".join(_entry(f"p{i}", 0, type=tarfile.XHDTYPE).tobuf() for i in range(5_000)),
        _negative_size(),
        gzip.compress(_tar((_entry("a", 1), b"a"))),
        b"",
    ],
    ids=["symlink", "hard-link", "above", "absolute", "twice", "device", "sparse", "cut", "headers", "negative", "gz", "empty"],
)  # fmt: skip
def test_a_hostile_tar_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt, match="a pack of files can't be read"):
        unpack(data)
