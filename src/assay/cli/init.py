"""`assay init`."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap

import click

from assay.cli.command import command, console, print_json
from assay.errors import BadInput, shown
from assay.store import Store

#: Of columns that are left out, so many are listed.
LISTED = 12


@command(begins=True)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.argument("table")
@click.option("--label", help="The column to predict; guessed by its name when omitted.")
@click.option("--time", "time", help="The column that says when a row happened.")
@click.option("--zone", "tz", help="The zone of times that have none, like Europe/Paris; UTC when omitted.")
@click.option("--key", multiple=True, help="The column that tells rows apart; several of them are one key.")
@click.option("--missing", multiple=True, metavar="MARK", help="A text of a CSV file that means missing, like '?'.")
def init(
    store: Store,  # noqa: ARG001 - every command gets it first
    folder: Path,
    table: str,
    label: str | None,
    time: str | None,
    tz: str | None,
    key: tuple[str, ...],
    missing: tuple[str, ...],
    as_json: bool,
) -> None:
    r"""Write a project into DIR that trains a model on TABLE, as a first draft: one Python file, which runs at once.

    TABLE is whatever `assay check` takes: a CSV or Parquet file, a folder of them, or a table of a database by URL.
    What is not given is guessed from the table, and each guess is printed.

    \b
    Examples:
      assay init bikes Bikeshare.csv --label bikers
      assay init shop orders.csv --label returned --time at --zone Europe/Paris
    """
    from assay.scaffold import guess, source
    from assay.store.artifacts import write_whole

    module = _module(folder)
    file = folder / f"{module}.py"
    if file.exists():
        raise BadInput(f"{file} is there already", do="Name another folder, or remove it.")
    reads = _as_the_project_reads(table, folder)
    draft = guess(table, module=module, reads=reads, label=label, time=time, tz=tz, key=key, missing=missing)
    (folder / ".assay").mkdir(parents=True, exist_ok=True)
    write_whole(file, source(draft).encode())
    if as_json:
        print_json({"file": file, "guesses": draft.guesses, "left_out": draft.left_out})
        return
    out = console()
    features = sum(one.is_feature for one in draft.columns)
    out.print(f"{file}: a project on {draft.rows:,} rows, {features} of the columns are features")
    said = [f"guessed: {sentence}" for sentence in draft.guesses]
    said += [f"left out: {name}, {why}" for name, why in list(draft.left_out.items())[:LISTED]]
    for sentence in said:
        for line in wrap(shown(sentence, 400), out.width - 2, subsequent_indent="  "):
            out.print(f"  {line}")
    if (more := len(draft.left_out) - LISTED) > 0:
        out.print(f"  and {more} more, listed in the file")
    if find_spec("lightgbm") is None:
        out.print('Its estimator is not installed yet: pip install "assay[lightgbm]"')
    out.print(f"Read it, then: cd {folder} && assay run {module}:train && assay serve {module.replace('_', '-')}")


def _module(folder: Path) -> str:
    """The name of the file: that of the folder, as Python takes it."""
    name = re.sub(r"[^0-9a-z]+", "_", folder.absolute().name.lower()).strip("_")
    if not name or name[0].isdigit():
        name = f"model_{name}".rstrip("_")
    return name


def _as_the_project_reads(table: str, folder: Path) -> str:
    """A path relative to the project; what is no path stays."""
    path = table.partition("::")[0]
    if "://" in table or not (Path(path).exists() or any(sign in path for sign in "*?[")):
        return table
    return os.path.relpath(path, folder) + table[len(path) :]
