"""The view over a table that is checked, which every query asks: its names, and the kinds of its columns. No I/O."""

from typing import Literal, NamedTuple

from assay.contract.formats.sql import quoted

#: The table, with NaN as null.
VIEW = "checked"
#: Hidden columns of the view: where a row came from; null in a database.
FILE, ROW = "assay:file", "assay:row"
Kind = Literal["text", "number", "whole", "truth", "time", "naive", "date", "other"]
TIMES: tuple[Kind, ...] = ("time", "naive", "date")
#: The kinds that have a least and a greatest value worth knowing.
RANGED: tuple[Kind, ...] = ("number", "whole", *TIMES)
#: What a column of each kind holds, in words.
HOLDS: dict[Kind, str] = {
    "text": "text",
    "number": "decimal numbers",
    "whole": "whole numbers",
    "truth": "true or false",
    "time": "times",
    "naive": "times without a zone",
    "date": "dates",
    "other": "values of another type",
}


class Digits(NamedTuple):
    """How many digits a decimal has before and after its point; None where there is no limit."""

    before: int | None = None
    after: int | None = None


def other(name: str) -> str:
    """The view over another table, to which references are looked up."""
    return quoted(f"other:{name}")
