"""Writes the tables of docs/configuration.md from the code that decides them: `python tests/docs/configuration.py`."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from assay.cli import cli
from assay.settings import VARIABLES
from assay.store.home import Home

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
SERVERS = ("up", "serve")


def variables() -> Iterator[str]:
    yield "| variable | decides | default |\n|---|---|---|"
    for one in VARIABLES:
        yield f"| `{one.name}` | {one.decides} | {one.default} |"


def places() -> Iterator[str]:
    home = Path("/project/.assay")
    yield "| in `.assay/` | holds |\n|---|---|"
    for member in vars(Home).values():
        path = member.fget(Home(home)) if isinstance(member, property) else None
        if isinstance(path, Path) and path.is_relative_to(home) and member.__doc__:
            yield f"| `{path.relative_to(home)}/` | {member.__doc__.strip().splitlines()[0]} |"


def options() -> Iterator[str]:
    yield "| command | option | default | means |\n|---|---|---|---|"
    context = click.Context(cli)
    for name in SERVERS:
        command = cli.get_command(context, name)
        assert command
        for option in command.params:
            if isinstance(option, click.Option) and option.name != "home":
                given = option.get_default(click.Context(command))
                shown = isinstance(given, str | int | float) and not option.is_flag and not option.multiple
                default = str(given) if shown else ""
                yield f"| `assay {name}` | `{option.opts[0]}` | {default} | {option.help or ''} |"


TABLES = {"variables": variables, "places": places, "options": options}


def written(page: str) -> str:
    """The page with its tables made anew."""
    for name, lines in TABLES.items():
        table = "\n".join(lines())
        mark = f"<!-- {name}: {{}} -->"
        begin, end = mark.format("begin"), mark.format("end")
        page = re.sub(f"{begin}.*?{end}", lambda _, t=table, b=begin, e=end: f"{b}\n{t}\n{e}", page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
