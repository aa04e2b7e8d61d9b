"""What a comparison of serving with training found."""

from typing import Any, Literal

import msgspec

from assay.draw import Shown

Place = Literal["input", "feature", "prediction"]


class Named(msgspec.Struct, frozen=True):
    """A shape, and how many rows have it."""

    sentence: str
    rows: int


class Example(msgspec.Struct, frozen=True):
    """One row that differs."""

    request_id: str
    row: int
    key: str
    expected: Any
    served: Any
    #: Its one place in the prediction log: segment and record.
    record: str = ""
    #: True when another row has the same request id and position: a client sent its id twice.
    repeated: bool = False


class ColumnSkew(msgspec.Struct, frozen=True, kw_only=True):
    """One column that differs in one of the places."""

    place: Place
    column: str
    #: Rows that differ, of so many compared.
    rows: int
    compared: int
    #: What the differences are, most rows first; rows without a name are the remainder.
    shapes: list[Named]
    examples: list[Example]
    #: Every row that differs, as request id and position, so that it can be found again.
    where: list[tuple[str, int]]
    #: The same rows as `segment#record`, which no two rows share, whatever ids clients send.
    records: list[str] = []

    @property
    def unnamed(self) -> int:
        """Rows that no shape explains."""
        return self.rows - sum(shape.rows for shape in self.shapes)


class FeatureDrift(msgspec.Struct, frozen=True):
    """A feature whose distribution moved: the world, not a fault. It warns only."""

    feature: str
    psi: float
    #: What pure chance reaches at this number of rows.
    noise: float


class NotCompared(msgspec.Struct, frozen=True):
    """A place that was not compared."""

    place: Place | Literal["rows", "world"]
    why: str
    #: Whether what it needs should be there and is not: the report is not complete.
    absent: bool


class SkewReport(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Served rows against training, in four places."""

    model: str
    rows: int
    versions: list[int]
    since: str | None
    table: str | None
    #: Served rows whose key the table does not have (yet).
    unknown_keys: int
    findings: list[ColumnSkew]
    shifts: list[FeatureDrift]
    #: Rows that differ from the expected value by no more than rounding to float32.
    rounded: int = 0
    #: What was not compared, and why.
    skipped: list[NotCompared] = []

    @property
    def clean(self) -> bool:
        """True when no row differs."""
        return not self.findings

    @property
    def complete(self) -> bool:
        """False when something that should be there to compare with is not."""
        return not any(one.absent for one in self.skipped)
