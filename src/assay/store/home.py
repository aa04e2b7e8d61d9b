"""The folder in which the state of a project lives."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from assay.errors import BadInput, Unavailable

NAME = ".assay"


@dataclass(frozen=True)
class Home:
    """Where everything is kept: `.assay/` beside the user's project."""

    path: Path

    @property
    def project(self) -> Path:
        """The user's project; paths that the user declares are relative to it."""
        return self.path.parent

    @property
    def database_url(self) -> str:
        """`ASSAY_DATABASE`, or the SQLite file in this folder."""
        return os.environ.get("ASSAY_DATABASE") or f"sqlite:///{quote(str(self.path / 'assay.db'))}"

    @property
    def artifacts(self) -> Path:
        """Content-addressed files; only those in the making when `artifacts_url` names another place."""
        return self.path / "artifacts"

    @property
    def artifacts_url(self) -> str:
        """`ASSAY_ARTIFACTS` (a path, relative to the project, `file:///...` or `s3://...`), or the folder in here."""
        return os.environ.get("ASSAY_ARTIFACTS") or str(self.artifacts)

    @property
    def spool(self) -> Path:
        """Segments not yet drained."""
        return self.path / "spool"

    @property
    def logs(self) -> Path:
        """JSON lines, one file a process."""
        return self.path / "logs"

    @property
    def tables(self) -> Path:
        """Parquet tables by day."""
        return self.path / "tables"

    @property
    def code(self) -> Path:
        """The code of published models, unpacked by content."""
        return self.path / "code"


def find_home(given: str | Path | None = None) -> Home:
    """The home that was given, or `ASSAY_HOME`, or `.assay` in this folder or the nearest one above it.

    The folder need not be there: whatever keeps something in it makes it. Raises `BadInput` when a file stands in its
    place, `Unavailable` when it can't be looked at.
    """
    named = given or os.environ.get("ASSAY_HOME")
    another = "Name another folder with --home or ASSAY_HOME."
    try:
        path = Path(named).resolve() if named else _nearest(Path.cwd())
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path} is a file, not a folder", do=another)
    except OSError as error:
        place = error.filename or named or "of this project"
        raise Unavailable(f"can't look into {place}: {error.strerror}", do=another) from None
    except ValueError as error:
        raise BadInput(f"{str(named)!r} can't be a folder: {error}", do=another) from None
    return Home(path)


def _nearest(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / NAME).is_dir():
            return folder / NAME
    return start / NAME
