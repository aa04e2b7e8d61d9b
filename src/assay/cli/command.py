"""What every command shares: its home, its log, its machine-readable form."""

import functools
import inspect
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
import msgspec

from assay import store
from assay.errors import NotFound, Unavailable
from assay.logs import setup
from assay.settings import setting

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
_ACTS_IN_JSON = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def command(
    *, name: str = "", json: bool = True, begins: bool = False, writes: bool = False
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command. It gets the store first, and `as_json` when it has a machine-readable form.

    One that `begins` may be the first of a project; for the others there must be a state folder. One that `writes`
    upgrades a database of an older Assay before it looks into it; the others never do.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def called(home: str | None, **values: Any) -> Any:
            found = store.find_home(home)
            if not begins:
                need_state(found)
            setup(found, f"assay-{name or function.__name__}")
            with store.use(found) as opened:
                if writes:
                    with suppress(Unavailable):  # for whatever needs the database to say
                        opened.database.upgrade()
                return function(opened, **values)

        if json:
            called = click.option("--json", "as_json", is_flag=True, help="Print JSON with stable keys.")(called)
        called = click.option("--home", help="The state folder; when omitted, .assay here or in a folder above.")(
            called
        )
        return click.command(name=name or function.__name__, help=_help(function))(called)

    return made


def _help(function: Callable[..., Any]) -> str:
    r"""The docstring as Click reads it: docstrings are raw, and `\b` before lines that stay as they are is a character."""
    return inspect.cleandoc(function.__doc__ or "").replace(r"\b", "\b")


def need_state(home: store.Home) -> None:
    """Raise `NotFound` where no project was begun."""
    if not home.path.is_dir() and not setting("ASSAY_DATABASE"):
        raise NotFound(
            f"{home.project} has no state folder {home.path.name} yet",
            do="Change to the folder of your project, or pass its state folder with --home.",
        )


def console() -> "Console":
    """Where results for people go: stdout, 100 columns unless the terminal is narrower."""
    from rich.console import Console

    from assay.cli.terminal import Terminal

    wide = Console()
    width = min(wide.width, WIDTH) if sys.stdout.isatty() else WIDTH
    return Terminal(width=width, highlight=False, soft_wrap=False, markup=False)


def print_json(value: Any) -> None:
    """Print a value as JSON; what numpy counted is a number like any other, NaN and infinities are null."""
    click.echo(safe_json(msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain)).decode()))


def safe_json(text: str) -> str:
    r"""JSON of the same value in which nothing acts on a terminal: JSON escapes C0 itself, but not C1 and directions.

    >>> safe_json('"\x9b"')
    '"\\u009b"'
    """
    return _ACTS_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: Any) -> Any:
    """What JSON has instead of a type that it does not know.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> [_plain(one) for one in (np.float64(0.5), np.bool_(True), np.array([1, 2]), Path("a/b"))]
    [0.5, True, [1, 2], 'a/b']
    """
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # a scalar or an array of numpy
        return value.tolist()
    if hasattr(value, "as_py"):  # a scalar of Arrow
        return value.as_py()
    raise TypeError(f"a {type(value).__name__} is no JSON")


def key_values(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`K=V` options: values are JSON where they can be, texts otherwise."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise click.UsageError(f"{pair!r} is not NAME=VALUE")
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found
