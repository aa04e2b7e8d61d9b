"""Which files a path, a folder or a glob names."""

import os
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Literal

from assay.errors import BadInput, NotFound, near_miss

Database = Literal["duckdb", "sqlite"]
Format = Literal["parquet", "csv", "json", "arrow"]
_ENDINGS: dict[str, Format] = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".tsv", ".csv.gz", ".tsv.gz"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz"), "json"),
    **dict.fromkeys((".arrow", ".feather", ".ipc", ".arrows"), "arrow"),
}
_NAMES: dict[Format, str] = {"parquet": "Parquet", "csv": "CSV", "json": "JSON", "arrow": "Arrow"}
#: The first bytes of a file that is a database, and where they stand.
_DATABASES: dict[Database, tuple[int, bytes]] = {"duckdb": (8, b"DUCK"), "sqlite": (0, b"SQLite format 3\x00")}


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
        kinds = " and ".join(word for kind, word in _NAMES.items() if kind in formats)
        raise BadInput(f"{name} holds {kinds} files", do=f"Name one kind, like {name.rstrip('/')}/*.parquet.")
    return formats.pop(), tuple(found)


def database_file(name: str) -> tuple[Database, Path, str] | None:
    """Kind, file and table of what names a table in a file of a database, as `shop.duckdb#orders` does."""
    path, _, table = (name, "", "") if Path(name).exists() else name.rpartition("#")
    file = Path(path)
    if not path or not file.is_file():
        return None
    with file.open("rb") as opened:
        start = opened.read(16)
    for kind, (at, mark) in _DATABASES.items():
        if start[at:].startswith(mark):
            return kind, file, table
    return None


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
    found = sorted(path.rglob("*"))
    if inner := next((one.parent for one in found if one.name == "_delta_log"), None):
        raise BadInput(f"{inner} is a table of Delta", do="Name its own folder: its files alone hold deleted rows.")
    return [file for file in found if _ending(file) and not _hidden(file.relative_to(path))]


def below(file: str, files: tuple[Path, ...]) -> str:
    """A file's path below the folder that all of them share.

    >>> below("w/day=2013-01-02/b.parquet", (Path("w/day=2013-01-01/a.parquet"), Path("w/day=2013-01-02/b.parquet")))
    'day=2013-01-02/b.parquet'
    """
    return os.path.relpath(file, os.path.commonpath([path.parent for path in files]))


def hive_keys(files: Sequence[Path]) -> set[str]:
    """The columns that stand in the names of all files' folders, like day in `day=2013-01-01`."""
    keys = [{part.partition("=")[0] for part in path.parent.parts if "=" in part} for path in files]
    return set.intersection(*keys)


def _ending(file: Path) -> Format | None:
    return next((kind for ending, kind in _ENDINGS.items() if file.name.lower().endswith(ending)), None)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _format(file: Path) -> Format:
    if kind := _ending(file):
        return kind
    with file.open("rb") as opened:
        start = opened.read(6)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start == b"ARROW1":
        return "arrow"
    do = f"Give a file that ends in {', '.join(_ENDINGS)}, a database of DuckDB or SQLite, or a folder of files."
    if file.suffix.lower() == ".zst":
        do = "Give it as .parquet, .csv or .csv.gz."
    raise BadInput(f"{file} is no table", "its name and its first bytes tell no format", do=do)


def _absent(name: str) -> BadInput:
    path = Path(name)
    if "://" in name:
        return BadInput(f"{name} is not on this machine", do="Copy it here: only local files can be checked.")
    if path.is_dir():
        return NotFound(f"{name} holds no Parquet, CSV, JSON or Arrow file", do="Give the folder that holds them.")
    if has_magic(name):
        return NotFound(f"{name} matches no file", do="Correct the pattern; ** matches folders at any depth.")
    if "#" in path.name and path.with_name(path.name.rpartition("#")[0]).is_file():
        return NotFound(f"{name.rpartition('#')[0]} is no database", do="Leave the table after # out.")
    beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = near_miss(path.name, beside)
    return NotFound(
        f"{name} does not exist",
        *[hint] * bool(hint),
        do="Give a file, a folder or a glob of Parquet, CSV, JSON or Arrow.",
    )
