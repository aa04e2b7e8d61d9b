"""What `assay COMMAND --help` prints in a terminal of 80 columns."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from assay.cli import COMMANDS, cli


def commands(group: click.Group, *above: str) -> Iterator[list[str]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield [*above, name]
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


ALL = list(commands(cli))


def test_every_command_of_the_table_is_there() -> None:
    assert {one[0] for one in ALL} == set(COMMANDS)


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_help_shows_examples_on_lines_of_their_own(command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"], terminal_width=80)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert "\\" not in result.output
    assert all(len(line) <= 80 for line in lines), [line for line in lines if len(line) > 80]
    for place, line in enumerate(lines):
        if line.strip() in ("Example:", "Examples:"):
            assert lines[place + 1].startswith("    assay "), lines[place : place + 2]
        else:
            assert "Example" not in line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name: str) -> None:
    lines = CliRunner().invoke(cli, [name, "--help"], terminal_width=80).output.splitlines()
    assert any(f"{line} ".startswith(f"    assay {name} ") for line in lines), lines
