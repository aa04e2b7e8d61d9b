"""The error tree; the exit code is on the class.

AssayError            3   a fault of ours
├── Refused           1   a check or a verdict said no
├── BadInput          2   wrong use: the user can mend it
│   ├── Invalid       2   a record breaks its contract (assay.contract)
│   └── NotFound      2   no such model, run, file, pipeline
└── Unavailable       3   the surroundings failed: database, disk, port
    └── Corrupt       3   a file of ours is damaged (assay.store)

A message has three parts, one a line: what and where; the values; what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

SHOWN = 5


class AssayError(Exception):
    """A fault of ours, and the root of every error that Assay raises on purpose."""

    exit_code = 3

    def __init__(self, what: str, *values: str, do: str = "") -> None:
        self.what = what
        self.values = values
        self.do = do
        super().__init__("\n".join([what, *(f"  {value}" for value in values), *([do] if do else [])]))


class Refused(AssayError):
    """A check or a verdict said no."""

    exit_code = 1


class BadInput(AssayError):
    """Wrong use: what was given can't be worked with."""

    exit_code = 2


class NotFound(BadInput):
    """What was named does not exist."""


class Unavailable(AssayError):
    """The surroundings failed: a database, a disk, a port."""

    exit_code = 3


class Corrupt(Unavailable):
    """A file of ours is damaged; what was whole in it has been kept."""


def first_few(values: Iterable[str], total: int) -> list[str]:
    """The first five values and a count of the rest, as lines of a message.

    >>> first_few(["a", "b"], 2)
    ['a', 'b']
    >>> first_few(list("abcdefgh"), 8)[-1]
    '... and 3 more'
    """
    shown = list(islice(values, SHOWN))
    return [*shown, f"... and {total - len(shown):,} more"] if total > len(shown) else shown


def near_miss(name: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to `name`, or nothing.

    >>> near_miss("distnce", ["distance", "origin"])
    'did you mean distance?'
    """
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""
