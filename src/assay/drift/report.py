"""What a look for drift found."""

from datetime import datetime

import msgspec

from assay.draw import Shown
from assay.profiles import Shift


class WindowDrift(msgspec.Struct, frozen=True):
    """One window of time and what moved in it, worst first."""

    start: datetime
    end: datetime
    rows: int
    shifts: list[Shift]


class Moved(msgspec.Struct, frozen=True):
    """One thing that moved, with its window."""

    start: datetime
    shift: Shift


class Beside(msgspec.Struct, frozen=True):
    """A column of the newest window beside the rows that the champion was trained on."""

    column: str
    psi: float
    noise: float


class DriftReport(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Windows of a table or of a model's served rows, each beside those before it."""

    name: str
    windows: list[WindowDrift]
    #: Windows that must be known before a word is said.
    needed: int
    #: Columns that go with the season, named or recognised.
    seasonal: list[str]
    #: Only of a model: PSI of the newest window beside the training rows, largest first.
    beside_training: list[Beside] = []

    @property
    def silent(self) -> bool:
        """True when there is too little history to say anything."""
        return len(self.windows) <= self.needed

    @property
    def moved(self) -> list[Moved]:
        """Everything that moved, worst first."""
        found = [Moved(window.start, shift) for window in self.windows for shift in window.shifts]
        return sorted(found, key=lambda one: -one.shift.severity)

    @property
    def judged(self) -> int:
        """The windows that were compared with enough history."""
        return max(len(self.windows) - self.needed, 0)
