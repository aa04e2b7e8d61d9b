"""What a run was made of: the code, the environment and the data."""

import getpass
import hashlib
import io
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.store.home import NAME

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 65_536


@lru_cache(maxsize=8)
def code_version(project: Path) -> str | None:
    """The git commit of `project`, with "+changes" when its files differ from it; None outside of git.

    New Python files count as changes, other files that git does not know (data, our own folder) do not.
    """
    commit = _git(project, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(project, "status", "--porcelain", "--untracked-files=no")
    added = _git(project, "ls-files", "--others", "--exclude-standard", "--", "*.py", f":(exclude){NAME}")
    return commit + ("+changes" if changed or added else "")


@lru_cache(maxsize=8)
def code_diff(project: Path) -> bytes | None:
    """What the files that git knows differ in from the commit, as `git diff` writes it; None when in nothing."""
    diff = _git(project, "diff", "HEAD", "--no-color", "--no-ext-diff")
    return diff.encode("utf-8", "surrogateescape") + b"\n" if diff else None


def user() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@lru_cache(maxsize=1)
def environment() -> bytes:
    """Python, platform and the installed distributions, as JSON."""
    named = ((dist.metadata["Name"], dist.version) for dist in metadata.distributions())
    installed = sorted((name, version) for name, version in named if name)  # what is half removed has no name
    facts = {"python": sys.version, "platform": platform.platform(), "packages": dict(installed)}
    return msgspec.json.format(msgspec.json.encode(facts))


def data_identity(table: "pa.Table") -> dict[str, Any]:
    """Rows, columns and the SHA-256 of a table's content; the same rows always give the same identity.

    So neither how the table is cut into chunks and dictionaries counts, nor what lies in memory under a null.
    """
    import numpy as np
    import pyarrow as pa

    plain = _without_dictionaries(table.replace_schema_metadata()).combine_chunks()
    sha = _Sha256()
    with pa.ipc.new_stream(sha, plain.schema) as stream:
        for start in range(0, plain.num_rows, _BATCH_ROWS):
            piece = plain.slice(start, _BATCH_ROWS)
            stream.write_table(piece.take(pa.array(np.arange(piece.num_rows))))  # a copy has zeros under its nulls
    return {"rows": table.num_rows, "columns": table.num_columns, "sha256": sha.digest.hexdigest()}


def _without_dictionaries(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    fields = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


class _Sha256(io.RawIOBase):
    """A file that keeps only the hash of what is written to it."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        return len(data)
