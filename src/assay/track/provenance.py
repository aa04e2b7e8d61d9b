"""What a run was made of: the code, the environment and the data."""

import hashlib
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa


@lru_cache(maxsize=8)
def code_version(project: Path) -> str | None:
    """The git commit of `project`, with "+changes" when its files differ from it; None outside of git."""
    commit = _git(project, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+changes" if _git(project, "status", "--porcelain", "--untracked-files=no") else "")


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@lru_cache(maxsize=1)
def environment() -> bytes:
    """Python, platform and the installed distributions, as JSON."""
    installed = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    facts = {"python": sys.version, "platform": platform.platform(), "packages": dict(sorted(installed.items()))}
    return msgspec.json.format(msgspec.json.encode(facts))


def data_identity(table: pa.Table) -> dict[str, Any]:
    """Rows, columns and the SHA-256 of a table's content; the same rows always give the same identity."""
    sha = hashlib.sha256()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as stream:
        stream.write_table(table.replace_schema_metadata().combine_chunks())
    sha.update(sink.getvalue())
    return {"rows": table.num_rows, "columns": table.num_columns, "sha256": sha.hexdigest()}
