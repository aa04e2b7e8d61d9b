"""The folder in which the state of a project lives."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from assay.errors import BadInput, Unavailable
from assay.settings import setting
from assay.store.durable import can_write

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
    def is_read_only(self) -> bool:
        """Whether it is there and this process can't write it: a backup, a snapshot, another user's."""
        return self.path.is_dir() and not can_write(self.path)

    @property
    def database_url(self) -> str:
        """`ASSAY_DATABASE`, or the SQLite file in this folder."""
        return setting("ASSAY_DATABASE") or f"sqlite:///{quote(str(self.path / 'assay.db'))}"

    @property
    def artifacts(self) -> Path:
        """Artifacts, by hash; only incomplete ones when `ASSAY_ARTIFACTS` names another place."""
        return self.path / "artifacts"

    @property
    def artifacts_url(self) -> str:
        """`ASSAY_ARTIFACTS` (a path, relative to the project, `file:///...` or `s3://...`), or the folder in here."""
        return setting("ASSAY_ARTIFACTS") or str(self.artifacts)

    @property
    def pending(self) -> Path:
        """Files of runs that the artifact store has not taken yet."""
        return self.path / "pending"

    @property
    def bundles(self) -> Path:
        """Copies of the bundles that were opened last, when artifacts are stored elsewhere."""
        return self.path / "bundles"

    @property
    def serving(self) -> Path:
        """The version of each model that was served last."""
        return self.path / "serving"

    @property
    def spool(self) -> Path:
        """Segments that are not drained yet."""
        return self.path / "spool"

    @property
    def logs(self) -> Path:
        """JSON lines, one file for each process."""
        return self.path / "logs"

    @property
    def tables(self) -> Path:
        """Parquet tables by day."""
        return self.path / "tables"

    @property
    def shared(self) -> Path:
        """Copies of table files that a team keeps beside its artifacts."""
        return self.path / "shared"

    @property
    def code(self) -> Path:
        """The code of published models, unpacked by content."""
        return self.path / "code"


def find_home(given: str | Path | None = None) -> Home:
    """The home that was given, or `ASSAY_HOME`, or `.assay` in this folder or the nearest one above it.

    The folder need not be there: whatever keeps something in it makes it. Raises `BadInput` when a file stands in its
    place, `Unavailable` when it can't be looked at.
    """
    named = given or setting("ASSAY_HOME")
    another = "Name another folder with --home or ASSAY_HOME."
    try:
        path = Path(named).resolve() if named else _nearest(Path.cwd())
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path} is a file, not a folder", do=another)
    except OSError as error:
        place = error.filename or named or "of this project"
        raise Unavailable(f"can't read {place}: {error.strerror}", do=another) from None
    except ValueError as error:
        raise BadInput(f"{str(named)!r} can't be a folder: {error}", do=another) from None
    return Home(path)


def _nearest(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / NAME).is_dir():
            return folder / NAME
    return start / NAME
