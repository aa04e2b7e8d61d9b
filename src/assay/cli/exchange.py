"""`assay import` and `assay mirror`."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from assay.cli.command import command, console, print_json
from assay.cli.terminal import Terminal
from assay.errors import first_few
from assay.store import Store

if TYPE_CHECKING:
    from assay.exchange import Mirrored, Summary, Tracker
    from assay.exchange.summary import Shortfalls


@click.group(name="import")
def import_() -> None:
    r"""Import experiments, runs, models and their files from another tracker. You can stop and repeat it at any time.

    \b
    Example:
      assay import mlflow http://localhost:5000
    """


@click.group()
def mirror() -> None:
    r"""Send runs of this store to another tracker. You can stop and repeat it at any time.

    \b
    Example:
      assay mirror mlflow http://localhost:5000
    """


#: Reasons, and runs that are not finished, that are shown.
_GROUPS = 20
_EXPERIMENT = click.option("--experiment", "experiments", multiple=True, help="Only this experiment; can be repeated.")


_PREFIX = click.option("--prefix", default="", help="Put this before the names of registered models.")


@command(begins=True, writes=True)
@click.argument("uri")
@_EXPERIMENT
@_PREFIX
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path, file_okay=False),
    help="For a database: the folder of the server's --artifacts-destination.",
)
def mlflow(
    store: Store, uri: str, experiments: tuple[str, ...], prefix: str, artifacts: Path | None, as_json: bool
) -> None:
    r"""Import from MLflow: URI is a server, a database or a folder.

    \b
    Examples:
      assay import mlflow http://localhost:5000
      assay import mlflow sqlite:///mlflow.db --artifacts mlartifacts
      assay import mlflow mlruns --experiment flights
      assay import mlflow http://localhost:5001 --prefix team-b-
    """
    from assay.exchange import open_mlflow

    _bring(store, open_mlflow(uri, artifacts=artifacts), experiments, as_json, prefix=prefix)


@command(begins=True, writes=True)
@click.argument("folder", type=click.Path(path_type=Path))
@_EXPERIMENT
def wandb(store: Store, folder: Path, experiments: tuple[str, ...], as_json: bool) -> None:
    r"""Import the runs of Weights & Biases in FOLDER; a project becomes an experiment.

    \b
    Example:
      assay import wandb ./wandb
    """
    from assay.exchange import open_wandb

    _bring(store, open_wandb(folder), experiments, as_json)


@command(begins=True)
@click.argument("folder", type=click.Path(path_type=Path))
@_EXPERIMENT
@_PREFIX
@click.option(
    "--files",
    type=click.Path(path_type=Path, file_okay=False),
    help="The --files-path of the export, when it is not the folder files beside the data.",
)
def neptune(
    store: Store, folder: Path, experiments: tuple[str, ...], prefix: str, files: Path | None, as_json: bool
) -> None:
    r"""Import an export of Neptune in FOLDER; a project becomes an experiment.

    \b
    Examples:
      assay import neptune exports
      assay import neptune exports/data --files /mnt/cold/files
    """
    from assay.exchange import open_neptune

    _bring(store, open_neptune(folder, files=files), experiments, as_json, prefix=prefix)


@command(begins=True)
@click.argument("place")
@_EXPERIMENT
@_PREFIX
@click.option("--artifacts", help="For a database: the folder, or s3://BUCKET/PREFIX, of its artifacts.")
def assay(
    store: Store, place: str, experiments: tuple[str, ...], prefix: str, artifacts: str | None, as_json: bool
) -> None:
    r"""Import from another store of Assay: PLACE is its state folder, or the URL of its database.

    \b
    Examples:
      assay import assay ../other/.assay
      assay import assay postgresql://me@host/assay --artifacts s3://bucket/assay
    """
    from assay.exchange import open_assay

    _bring(store, open_assay(place, artifacts=artifacts), experiments, as_json, prefix=prefix)


import_.add_command(assay)
import_.add_command(mlflow)
import_.add_command(neptune)
import_.add_command(wandb)


def _bring(store: Store, source: "Tracker", experiments: tuple[str, ...], as_json: bool, *, prefix: str = "") -> None:
    from assay.exchange import bring

    with _progress() as tell:

        def told(what: str, so_far: "Summary") -> None:
            seen = so_far.runs + so_far.runs_changed + so_far.runs_unchanged
            tell(f"{seen:,} runs, {so_far.points:,} points, {so_far.artifacts:,} files: {what}")

        summary = bring(store, source, only=experiments, prefix=prefix, told=told)
    if as_json:
        print_json(asdict(summary) | {"changed": summary.changed, "complete": summary.complete})
    else:
        _print(_said(summary))
    if not summary.complete:
        raise SystemExit(1)


def _print(lines: Iterable[str]) -> None:
    shown = console()
    for line in lines:
        shown.print(line, markup=False)


def _said(summary: "Summary") -> Iterator[str]:
    if not summary.changed and summary.complete:
        yield f"nothing has changed at {summary.source}: {summary.runs_unchanged:,} runs are here as they are there"
    else:
        yield f"from {summary.source}: {summary.experiments:,} experiments"
        counts = {
            "runs came": summary.runs,
            "runs were updated": summary.runs_changed,
            "runs are as they were": summary.runs_unchanged,
            "points of metrics": summary.points,
            f"files ({_size(summary.artifact_bytes)})": summary.artifacts,
            "logged models": summary.logged_models,
            "registered models": summary.registered_models,
        }
        for what, count in counts.items():
            if count:
                yield f"  {count:,} {what}"
    yield from _left_out(summary, summary.left_out_counts)


def _left_out(report: "Shortfalls", counted: dict[str, int]) -> Iterator[str]:
    if report.left_out or counted:
        yield "left out:"
    yield from _named(report.left_out)
    for what, count in counted.items():
        yield f"  {count:,} {what}"
    if report.refused:
        yield "refused:"
    yield from _named(report.refused)
    if report.unfinished:
        yield "not finished; the same command tries these again:"
    yield from _named(report.unfinished)


def _named(groups: dict[str, list[str]]) -> Iterator[str]:
    for above, what in islice(groups.items(), _GROUPS):
        yield f"  {above} ({len(what):,})"
        for one in first_few(what, len(what)):
            yield f"    {one}"
    if len(groups) > _GROUPS:
        yield f"  and {len(groups) - _GROUPS:,} more: see --json"


@command(name="mlflow", begins=False)
@click.argument("uri")
@_EXPERIMENT
@click.option("--follow", is_flag=True, help="Continue with new runs and points until stopped.")
@click.option("--every", default="5s", show_default=True, help="With --follow: the interval.")
def mirror_mlflow(
    store: Store, uri: str, experiments: tuple[str, ...], follow: bool, every: str, as_json: bool
) -> None:
    r"""Send runs to the MLflow server at URI. Repeating it updates them there.

    \b
    Example:
      assay mirror mlflow http://localhost:5000 --experiment flight-delay --follow
    """
    from time import sleep

    from assay.exchange import Mirror
    from assay.times import duration

    pause = duration(every).total_seconds()
    sending = Mirror(store, uri, only=experiments)
    before: object = None
    while True:
        with _progress() as tell:
            done = sending.once(tell)
        if done.changed or not follow or before != (done.refused, done.unfinished):
            _print_sent(done, as_json)
        before = (done.refused, done.unfinished)
        if not follow:
            break
        sleep(pause)
    if not done.complete:
        raise SystemExit(1)


@command(name="wandb", begins=False)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_EXPERIMENT
def mirror_wandb(store: Store, folder: Path, experiments: tuple[str, ...], as_json: bool) -> None:
    r"""Write runs into FOLDER as offline runs of Weights & Biases. Repeating it writes new and changed runs.

    \b
    Example:
      assay mirror wandb ./wandb && wandb sync ./wandb/offline-run-*
    """
    from assay.exchange import WandbMirror

    sending = WandbMirror(store, folder, only=experiments)
    with _progress() as tell:
        done = sending.once(tell)
    _print_sent(done, as_json)
    if not done.complete:
        raise SystemExit(1)


mirror.add_command(mirror_mlflow)
mirror.add_command(mirror_wandb)


def _print_sent(done: "Mirrored", as_json: bool) -> None:
    if as_json:
        print_json(asdict(done) | {"changed": done.changed, "complete": done.complete})
    else:
        _print(_sent(done))


def _sent(done: "Mirrored") -> Iterator[str]:
    if done.changed:
        yield f"sent to {done.server}: {done.runs:,} new runs, {done.runs_changed:,} updated"
        yield f"  {done.points:,} points of metrics, {done.artifacts:,} files ({_size(done.artifact_bytes)})"
    elif done.complete:
        yield f"{done.server} is up to date: {done.runs_unchanged:,} runs"
    yield from _left_out(done, {})


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
    shown = Terminal(stderr=True)
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task = progress.add_task("")
        yield lambda what: progress.update(task, description=" ".join(what.split())[: shown.width - 14])
