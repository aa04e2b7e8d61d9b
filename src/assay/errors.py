"""The error tree; the exit code is on the class.

AssayError            3   a fault of ours
├── Refused           1   a check or a verdict said no
├── BadInput          2   wrong use: the user can mend it
│   ├── Invalid       2   a record breaks its contract (assay.contract)
│   ├── NotFound      2   no such model, run, file, pipeline
│   └── Taken         2   there is one of this name already
├── LeaseLost         3   another process took the work over (assay.store)
└── Unavailable       3   the surroundings failed: database, disk, port
    ├── Conflict      3   others changed the same rows at once (assay.store repeats the work)
    └── Corrupt       3   a file of ours is damaged (assay.store)

A message has three parts, one a line: what and where; the values; what to do.
"""

import re
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


class Taken(BadInput):
    """There is one of this name already."""


class LeaseLost(AssayError):
    """Another process took the work over; nothing more of this one is kept."""


class Unavailable(AssayError):
    """The surroundings failed: a database, a disk, a port."""

    exit_code = 3


class Conflict(Unavailable):
    """Others changed the same rows at once; nothing was changed here, and the same work done again may succeed."""


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


#: Pictures, which a joiner and a selector of their look belong to.
_PICTURE = "\u2190-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
#: What acts on a terminal or a line instead of being read (control characters but for the line feed, marks of direction),
#: and what can't be seen at all (Unicode's default ignorable characters, and those that are drawn as nothing).
_ACTS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u2060-\u2065\u206a-\u206f\u2800\u3164"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    f"|(?<![{_PICTURE}])\ufe0f|(?<![{_PICTURE}\ufe0f])\u200d|\u200d(?![{_PICTURE}])"
)


def printable(text: str) -> str:
    r"""A text as a person is shown it, on a terminal or a page; line feeds stay.

    What would act on it, and what can't be seen, is escaped as in Python, so that two texts that differ look different.
    That holds for the joiners of some scripts too; within pictures they stay. The store and the APIs have the text as it is.

    >>> printable("red: \x1b[31m, turned: \u202e")
    'red: \\x1b[31m, turned: \\u202e'
    >>> printable("mod\u200bel\ufeff"), printable("\u2764\ufe0f")
    ('mod\\u200bel\\ufeff', '\u2764\ufe0f')
    """
    return _ACTS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def shown(value: object, most: int = 60) -> str:
    r"""A value of a row, a client or a file in a message: in one line, printable and not long.

    >>> shown("two\nlines"), shown("x" * 100, 5)
    ('two\\nlines', 'xxxx…')
    """
    text = value if isinstance(value, str) else str(value)
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return printable(cut).replace("\n", "\\n")


def near_miss(name: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to `name`, or nothing.

    >>> near_miss("distnce", ["distance", "origin"]), near_miss("ID", ["i", "id"])
    ('did you mean distance?', 'did you mean id?')
    """
    words = list(known)
    by_case = [word for word in words if word.lower() == name.lower()]
    close = by_case or get_close_matches(name, words, n=1)
    return f"did you mean {close[0]}?" if close else ""
