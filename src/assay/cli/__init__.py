"""The command line. One file a command group, imported when the command is called."""

import importlib
import logging
import sys
from itertools import islice
from keyword import iskeyword
from pathlib import Path
from traceback import extract_tb

import click

from assay.errors import AssayError, printable

#: Of an error, so many characters of a line and so many lines are printed.
LONGEST_LINE, MOST_LINES = 2_000, 100

#: Command, where it is, and what it does, in the order of the way of the data.
COMMANDS = {
    "demo": ("demo", "run the whole loop on a year of real flights"),
    "init": ("init", "write a project that trains a model on a table"),
    "check": ("check", "check files, a database table or a dbt project"),
    "quality": ("quality", "report oddities of a table and leaks of the label"),
    "run": ("run", "run a pipeline, for one moment or a span of the past"),
    "resume": ("run", "continue a run that was killed or failed"),
    "runs": ("runs", "search runs, and rank hyperparameters"),
    "run-show": ("run_show", "show one run"),
    "compare": ("runs", "show the differences between runs"),
    "experiments": ("runs", "list, rename, delete, restore experiments"),
    "run-delete": ("run_show", "delete runs; they can be restored"),
    "run-restore": ("run_show", "restore deleted runs"),
    "gc": ("gc", "remove deleted runs and unreferenced files for good"),
    "doctor": ("doctor", "report health, sizes and what waits in spools"),
    "upgrade": ("upgrade", "upgrade the schema of the database"),
    "up": ("up", "serve the MLflow API for runs and models"),
    "tokens": ("up", "manage tokens for clients on other machines"),
    "models": ("models", "list models, their versions and champions"),
    "ledger": ("models", "list verdicts and moves of the champion"),
    "adopt": ("adopt", "make a model that MLflow's client registered a candidate"),
    "rollback": ("models", "make the previous version the champion again"),
    "serve": ("serve", "answer predictions over HTTP"),
    "send": ("serve", "send rows of a table to a server, also with a fault drill"),
    "drain": ("serve", "move served rows from the spool into the tables"),
    "score": ("score", "score a table with a model, into Parquet files"),
    "skew": ("skew", "compare served rows with training"),
    "drift": ("drift", "report changes of distributions over time"),
    "import": ("exchange", "import runs and models from another tracker"),
    "mirror": ("exchange", "send runs to another tracker"),
    "sql": ("sql", "query served rows, training rows and metadata"),
    "schema": ("schema", "print a contract as Arrow, SQL or JSON Schema"),
}


class Commands(click.Group):
    """Loads a command when it is asked for, so that `assay --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the way of the data."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"assay.cli.{COMMANDS[cmd_name][0]}")
        name = cmd_name.replace("-", "_")
        return _unescaped(getattr(module, f"{name}_" if iskeyword(name) else name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _unescaped(command: click.Command) -> click.Command:
    r"""The command with `\b` as Click wants it: a character, before lines that stay as they are. Docstrings are raw."""
    command.help = (command.help or "").replace(r"\b", "\b")
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _unescaped(below)
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="assay", message="assay %(version)s")
def cli() -> None:
    """Check data, train, judge, serve, log and compare models.

    Exit codes: 0 good, 1 a check or verdict said no, 2 wrong use, 3 a fault of Assay or of the surroundings.
    """


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except AssayError as error:
        logging.getLogger("assay").info("ended: %s", error)
        _say(f"assay: {error}")
        if place := _place(error):
            _say(f"  {place}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        logging.getLogger("assay").info("ended by an exception", exc_info=True)
        _say(f"assay: {type(error).__name__}: {error}")
        for line in (
            _place(error) or "This is a fault of Assay.",
            "The traceback is in the newest file of .assay/logs.",
        ):
            _say(f"  {line}")
        sys.exit(3)


def _say(text: str) -> None:
    """Print an error: what a client or a file sent is in it, so it is printable, and long lines are cut."""
    lines = (line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "…" for line in text.split("\n"))
    click.echo(printable("\n".join(islice(lines, MOST_LINES))), err=True)


def _place(error: Exception) -> str:
    """Where the user's own code was, if it was, so that they need not read our frames to find it."""
    ours = str(Path(__file__).parents[1])
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    own = [
        frame for frame in frames if not any(part in frame.filename for part in ("site-packages", sys.base_prefix, "<"))
    ]
    return f"in {own[-1].filename}, line {own[-1].lineno}: {own[-1].line}" if own else ""
