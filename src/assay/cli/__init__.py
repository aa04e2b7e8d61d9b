"""The command line. One file a command group, imported when the command is called."""

import importlib
import logging
import sys
from keyword import iskeyword
from pathlib import Path
from traceback import extract_tb

import click

from assay.errors import AssayError

#: Command, where it is, and what it does, in the order of the way of the data.
COMMANDS = {
    "demo": ("demo", "the whole loop on a year of real flights"),
    "check": ("check", "data checks on files, a database table or a dbt project"),
    "quality": ("quality", "what is odd about a table, and what leaks the label"),
    "run": ("run", "run a pipeline, for one moment or over the past"),
    "resume": ("run", "go on with a run that was killed or failed"),
    "runs": ("runs", "find runs, the best of them, and what matters"),
    "run-show": ("run_show", "everything about one run"),
    "compare": ("runs", "what differs between runs"),
    "experiments": ("runs", "list, rename, delete, restore experiments"),
    "run-delete": ("run_show", "delete runs; they can be restored"),
    "run-restore": ("run_show", "take the deletion of runs back"),
    "gc": ("keep", "remove for good what was deleted and what nothing refers to"),
    "doctor": ("keep", "what is installed, reachable, waiting and how large"),
    "up": ("up", "serve runs and models to clients of MLflow"),
    "tokens": ("up", "who may ask a server from another machine"),
    "models": ("models", "versions of models, and which is the champion"),
    "ledger": ("models", "every verdict and every move of the champion"),
    "rollback": ("models", "make the champion what it was before"),
    "serve": ("serve", "answer predictions over HTTP"),
    "send": ("serve", "send rows of a table to a server, also with a fault to see it found"),
    "drain": ("serve", "move served rows from the spool into the tables"),
    "skew": ("skew", "compare what serving saw and computed with training"),
    "drift": ("drift", "how the world moved, in a table or in what a model served"),
    "import": ("exchange", "bring runs and models from MLflow or Weights & Biases"),
    "mirror": ("exchange", "send runs on to an MLflow server"),
    "sql": ("sql", "SQL over served rows, training rows and metadata"),
    "schema": ("schema", "a contract as Arrow, SQL or JSON Schema"),
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
        return getattr(module, f"{name}_" if iskeyword(name) else name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="assay", message="assay %(version)s")
def cli() -> None:
    """Keeps models fresh and honest: check, train, bless, serve, log, compare.

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
        click.echo(f"assay: {error}", err=True)
        if place := _place(error):
            click.echo(f"  {place}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        logging.getLogger("assay").info("ended by an exception", exc_info=True)
        click.echo(f"assay: {type(error).__name__}: {error}", err=True)
        for line in (
            _place(error) or "This is a fault of Assay.",
            "The traceback is in the newest file of .assay/logs.",
        ):
            click.echo(f"  {line}", err=True)
        sys.exit(3)


def _place(error: Exception) -> str:
    """Where the user's own code was, if it was, so that they need not read our frames to find it."""
    ours = str(Path(__file__).parents[1])
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    own = [
        frame for frame in frames if not any(part in frame.filename for part in ("site-packages", sys.base_prefix, "<"))
    ]
    return f"in {own[-1].filename}, line {own[-1].lineno}: {own[-1].line}" if own else ""
