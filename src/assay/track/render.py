"""A run as people look at it: in a terminal and in a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.draw import Html, Mood, cards, in_notebook, section, table, to_terminal
from assay.errors import AssayError, printable
from assay.track.find import RunRow, get_run
from assay.track.outbox import deliver_if_possible
from assay.track.runs import Run

if TYPE_CHECKING:
    from rich.console import Console

_MOODS: dict[str, Mood] = {"finished": "good", "failed": "bad", "died": "bad", "killed": "bad"}
#: Parameters, and metrics, that are shown.
SHOWN = 50


@to_terminal.register(RunRow)
def render(run: RunRow, console: "Console") -> None:
    """Print what is known of a run."""
    console.print(f"{run.id}  {_state(run)}, {run.kind} run of {run.experiment}", markup=False)
    if run.error:
        console.print(printable(run.error), style="red", markup=False)
    for name, value in [*_params(run), *_metrics(run)]:
        console.print(f"  {name}  {value}", markup=False)


@in_notebook.register(RunRow)
def _parts(run: RunRow) -> list[Html]:
    facts: dict[str, tuple[str, Mood]] = {"status": (run.status, _MOODS.get(run.status, ""))}
    if run.ended_at:
        facts["took"] = (f"{(run.ended_at - run.started_at).total_seconds():,.1f} s", "")
    facts["started"] = (f"{run.started_at:%Y-%m-%d %H:%M}Z", "")
    shown = [
        table(head, rows)
        for head, rows in ((("parameter", "value"), _params(run)), (("metric", "newest"), _metrics(run)))
        if rows
    ]
    note = " ".join(filter(None, [f"{run.kind} run of {run.experiment}, {run.id}", run.error and f"· {run.error}"]))
    return [section(run.name or run.id, cards(facts), *shown, note=note)]


@in_notebook.register(Run)
def _of_active(run: Run) -> Sequence[Html]:
    """A run that is being written, as the store knows it by now."""
    try:
        deliver_if_possible(run.store)
        return _parts(get_run(run.store, run.id))
    except AssayError as error:
        return [section(run.id, note=f"not in the store yet: {error.what}")]


def _state(run: RunRow) -> str:
    took = f", {(run.ended_at - run.started_at).total_seconds():,.1f} s" if run.ended_at else ""
    return run.status + took


def _params(run: RunRow) -> list[tuple[str, str]]:
    return [(printable(name), printable(str(value))[:200]) for name, value in [*run.params.items()][:SHOWN]]


def _metrics(run: RunRow) -> list[tuple[str, str]]:
    return [(printable(name), f"{value:.6g}") for name, value in [*run.metrics.items()][:SHOWN]]
