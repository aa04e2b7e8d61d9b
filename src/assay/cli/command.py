"""What every command shares: its home, its log, its machine-readable form."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import click
import msgspec
from rich.console import Console

from assay import store
from assay.errors import NotFound
from assay.logs import setup

WIDTH = 100


def command(
    *, name: str = "", json: bool = True, begins: bool = False
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command. It gets the store first, and `as_json` when it has a machine-readable form.

    One that `begins` may be the first of a project; for the others there must be a state folder.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def called(home: str | None, **values: Any) -> Any:
            found = store.find_home(home)
            if not begins:
                _need_state(found)
            setup(found, f"assay-{name or function.__name__}")
            with store.use(found) as opened:
                return function(opened, **values)

        if json:
            called = click.option("--json", "as_json", is_flag=True, help="Print JSON with stable keys.")(called)
        called = click.option("--home", help="The state folder; .assay of this or a higher folder when omitted.")(
            called
        )
        return click.command(name=name or function.__name__)(called)

    return made


def _need_state(home: store.Home) -> None:
    if not home.path.is_dir() and not os.environ.get("ASSAY_DATABASE"):
        raise NotFound(
            f"nothing has been run in {home.project} yet: it has no {home.path.name}",
            do="Go to the folder of your project, or name its state folder with --home.",
        )


def console() -> Console:
    """Where results for people go: stdout, 100 columns unless the terminal is narrower."""
    wide = Console()
    width = min(wide.width, WIDTH) if sys.stdout.isatty() else WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


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
