"""How results show themselves: printed as the command line prints them, and as a part of a page in a notebook.

The module that draws a kind of result registers it here, so that the result need not know how it is drawn.
"""

import io
from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING

from assay.draw.document import Html
from assay.draw.style import STYLE
from assay.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

#: Columns of a terminal, when a result is turned into a text.
WIDTH = 80


class Shown:
    """A result that people look at."""

    __slots__ = ()

    def __str__(self) -> str:
        return printed(self)

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return fragment(*in_notebook(self))


@singledispatch
def to_terminal(value: object, console: "Console") -> None:
    """Print a result for a person, in colour where the console has it."""
    console.print(repr(value))


@singledispatch
def in_notebook(value: object) -> Sequence[Html]:
    """The parts of a page that show a result."""
    del value
    return ()


def printed(value: object, width: int = WIDTH) -> str:
    """A result as `to_terminal` prints it, without colours."""
    from rich.console import Console

    file = io.StringIO()
    to_terminal(value, Console(file=file, width=width, color_system=None, highlight=False, markup=False))
    return "\n".join(printable(line.rstrip()) for line in file.getvalue().split("\n")).rstrip()


def fragment(*parts: Html) -> str:
    """Parts of a page with a style of their own, which does not touch what lies around them."""
    style = STYLE.replace(":root", ":scope").replace("body{", ":scope{")
    return f"<div class='assay'><style>@scope{{{style}}}</style>{''.join(parts)}</div>"
