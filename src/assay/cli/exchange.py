"""`assay import` and `assay mirror`."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from assay.cli.command import command, console, print_json
from assay.errors import first_few
from assay.store import Store

if TYPE_CHECKING:
    from assay.exchange import Mirrored, Source, Summary


@click.group(name="import")
def import_() -> None:
    """Bring experiments, runs, models and their files from another tracker; may be stopped and repeated at any time."""


_EXPERIMENT = click.option("--experiment", "experiments", multiple=True, help="Only this one; can be given again.")


@command(begins=True)
@click.argument("uri")
@_EXPERIMENT
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path, file_okay=False),
    help="For a database: the folder of the server's --artifacts-destination.",
)
def mlflow(store: Store, uri: str, experiments: tuple[str, ...], artifacts: Path | None, as_json: bool) -> None:
    r"""Import from MLflow: URI is a server, a database or a folder.

    \b
    Examples: assay import mlflow http://localhost:5000
              assay import mlflow sqlite:///mlflow.db --artifacts mlartifacts
              assay import mlflow mlruns --experiment flights
    """
    from assay.exchange import open_mlflow

    _bring(store, open_mlflow(uri, artifacts=artifacts), experiments, as_json)


@command(begins=True)
@click.argument("folder", type=click.Path(path_type=Path))
@_EXPERIMENT
def wandb(store: Store, folder: Path, experiments: tuple[str, ...], as_json: bool) -> None:
    r"""Import runs that Weights & Biases kept in FOLDER; a project becomes an experiment.

    \b
    Example: assay import wandb ./wandb
    """
    from assay.exchange import open_wandb

    _bring(store, open_wandb(folder), experiments, as_json)


import_.add_command(mlflow)
import_.add_command(wandb)


def _bring(store: Store, source: "Source", experiments: tuple[str, ...], as_json: bool) -> None:
    from assay.exchange import bring

    with _progress() as tell:

        def told(what: str, so_far: "Summary") -> None:
            seen = so_far.runs + so_far.runs_changed + so_far.runs_unchanged
            tell(f"{seen:,} runs, {so_far.points:,} points, {so_far.artifacts:,} files: {what}")

        summary = bring(store, source, only=experiments, told=told)
    if as_json:
        print_json(asdict(summary) | {"changed": summary.changed})
        return
    shown = console()
    for line in _said(summary):
        shown.print(line, markup=False)


def _said(summary: "Summary") -> Iterator[str]:
    if not summary.changed:
        yield f"nothing has changed at {summary.source}: {summary.runs_unchanged:,} runs are here as they are there"
    else:
        yield f"from {summary.source}: {summary.experiments:,} experiments"
        counts = {
            "runs came": summary.runs,
            "runs were brought up to date": summary.runs_changed,
            "runs are as they were": summary.runs_unchanged,
            "points of metrics": summary.points,
            f"files ({_size(summary.artifact_bytes)})": summary.artifacts,
            "logged models": summary.logged_models,
            "registered models": summary.registered_models,
        }
        for what, count in counts.items():
            if count:
                yield f"  {count:,} {what}"
    yield from _left_out(summary.left_out, summary.left_out_counts)


def _left_out(named: dict[str, list[str]], counted: dict[str, int]) -> Iterator[str]:
    if named or counted:
        yield "left out:"
    for why, what in named.items():
        yield f"  {why} ({len(what):,})"
        for one in first_few(what, len(what)):
            yield f"    {one}"
    for what, count in counted.items():
        yield f"  {count:,} {what}: Assay has no place for them"


@command(begins=False)
@click.argument("uri")
@_EXPERIMENT
@click.option("--follow", is_flag=True, help="Go on, until stopped, with what is logged here.")
@click.option("--every", default="5s", show_default=True, help="With --follow: how often to look.")
def mirror(store: Store, uri: str, experiments: tuple[str, ...], follow: bool, every: str, as_json: bool) -> None:
    r"""Send the runs of this store on to the MLflow server at URI; done again it brings them up to date there.

    \b
    Example: assay mirror http://localhost:5000 --experiment flight-delay --follow
    """
    from time import sleep

    from assay.exchange import Mirror
    from assay.times import duration

    pause = duration(every).total_seconds()
    sending = Mirror(store, uri, only=experiments)
    while True:
        with _progress() as tell:
            done = sending.once(tell)
        if as_json:
            print_json(asdict(done))
        elif done.changed or not follow:
            for line in _sent(done):
                console().print(line, markup=False)
        if not follow:
            return
        sleep(pause)


def _sent(done: "Mirrored") -> Iterator[str]:
    if done.changed:
        yield f"sent to {done.server}: {done.runs:,} new runs, {done.runs_changed:,} brought up to date"
        yield f"  {done.points:,} points of metrics, {done.artifacts:,} files ({_size(done.artifact_bytes)})"
    else:
        yield f"{done.server} is up to date: {done.runs_unchanged:,} runs"
    yield from _left_out(done.left_out, {})


def _size(count: int) -> str:
    """Bytes for people.

    >>> _size(1536)
    '1.5 KiB'
    """
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"


@contextmanager
def _progress() -> Generator[Callable[[str], None]]:
    """One line in the terminal that tells what is going on; nothing where stderr is none."""
    shown = Console(stderr=True)
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task = progress.add_task("")
        yield lambda what: progress.update(task, description=" ".join(what.split())[: shown.width - 14])
