"""Which files a path, a folder or a glob names."""

import os
from glob import glob, has_magic
from pathlib import Path
from typing import Literal

from assay.errors import BadInput, NotFound, near_miss

Format = Literal["parquet", "csv"]
_ENDINGS: dict[str, Format] = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv", ".tsv": "csv"}


def find(name: str) -> tuple[Format, tuple[Path, ...]]:
    """The files that `name` names, sorted, and their format.

    Raises `NotFound` when there are none, `BadInput` when one is no table, and when Parquet and CSV are mixed.
    """
    path = Path(name)
    found = _listed(path)
    if not found:
        raise _absent(name)
    formats: set[Format] = {_format(file) for file in found}
    if len(formats) > 1:
        raise BadInput(f"{name} holds Parquet and CSV files", do=f"Name one kind, like {name.rstrip('/')}/*.parquet.")
    return formats.pop(), tuple(found)


def _listed(path: Path) -> list[Path]:
    if path.exists():
        return _below(path)
    matches = glob(str(path), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = {
        file: None for match in map(Path, sorted(matches)) for file in _below(match)
    }  # ** gives a folder and its files
    return list(found)


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in sorted(path.rglob("*")) if _ending(file) and not _hidden(file.relative_to(path))]


def below(file: str, files: tuple[Path, ...]) -> str:
    """A file's path below the folder that all of them share.

    >>> below("w/day=2013-01-02/b.parquet", (Path("w/day=2013-01-01/a.parquet"), Path("w/day=2013-01-02/b.parquet")))
    'day=2013-01-02/b.parquet'
    """
    return os.path.relpath(file, os.path.commonpath([path.parent for path in files]))


def _ending(file: Path) -> Format | None:
    return next((kind for ending, kind in _ENDINGS.items() if file.name.lower().endswith(ending)), None)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _format(file: Path) -> Format:
    if kind := _ending(file):
        return kind
    with file.open("rb") as opened:
        if opened.read(4) == b"PAR1":
            return "parquet"
    raise BadInput(
        f"{file} is neither Parquet nor CSV", do="Give a file that ends in .parquet or .csv, or a folder of them."
    )


def _absent(name: str) -> BadInput:
    path = Path(name)
    if "://" in name:
        return BadInput(f"{name} is not on this machine", do="Only local files can be checked: copy it here.")
    if path.is_dir():
        return NotFound(f"{name} holds no Parquet or CSV file", do="Name the folder that holds them.")
    if has_magic(name):
        return NotFound(f"{name} matches no file", do="Look with ls; ** goes into folders.")
    beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = near_miss(path.name, beside)
    return NotFound(
        f"{name} does not exist", *[hint] * bool(hint), do="Give a Parquet or CSV file, a folder or a glob."
    )
