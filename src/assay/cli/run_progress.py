"""How runs look on a terminal: the steps of one, or a calendar of many."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from assay.blessing import Verdict
from assay.blessing import render as render_verdict
from assay.blessing.what_if import would
from assay.checks import Report, render
from assay.cli.command import print_json
from assay.pipelines import Outcome, Pipeline
from assay.pipelines import run as run_pipeline
from assay.pipelines.journal import StepEvent
from assay.store import Store
from assay.track import alias

SIGNS = {"better": ("▲", "green"), "not worse": ("●", "green"), "undecidable": ("◐", "yellow"), "worse": ("✗", "red")}
LEGEND = "▲ better  ● not worse  ◐ undecidable  ✗ worse  ■ data refused   v: new champion, –: incumbent stays"


UNTOUCHED = "A what-if: production did not change. `assay run --publish` moves it."


def as_json(store: Store, outcome: Outcome) -> dict[str, Any]:
    """A run as `--json` prints it; one of a what-if says which, and what it would have done."""
    plain = {"run_id": outcome.run_id, "already_finished": outcome.already, "result": outcome.result}
    if not outcome.what_if:
        return plain | {"what_if": None, "would": None}
    return plain | {"what_if": outcome.what_if, "would": would_do(store, outcome) or None}


def would_do(store: Store, outcome: Outcome) -> str:
    """What a run of a what-if would have done to production, in words; empty for nothing."""
    result = outcome.result
    if isinstance(result, Report) and result.failed:
        broken = len(result.having("fail")) + len(result.having("error"))
        return f"would refuse: {broken} of {len(result.results)} checks of {result.target} failed"
    return would(store, outcome.run_id)


def exit_code(result: object) -> int:
    """1 when a verdict or a check said no."""
    if isinstance(result, Verdict):
        return 0 if result.blessed else 1
    return 1 if isinstance(result, Report) and result.failed else 0


class Steps:
    """Each step of one run as it is done, then what came of it."""

    def __init__(self, store: Store, console: Console, *, quiet: bool) -> None:
        self.store = store
        self.console = console
        self.quiet = quiet

    def run(
        self, pipeline: Pipeline, asof: datetime, parameters: dict[str, Any], *, again: bool, publish: bool = False
    ) -> int:
        """Run and show; returns the exit code."""
        return self.show(
            run_pipeline(self.store, pipeline, asof, parameters, again=again, publish=publish, watch=self.watch)
        )

    def watch(self, event: StepEvent) -> None:
        """Show one step."""
        if self.quiet or event.event == "started":
            return
        sign, colour = {"finished": ("✓", "green"), "replayed": ("↺", "cyan"), "failed": ("✗", "red")}[event.event]
        times = f" ({event.occurrence})" if event.occurrence > 1 else ""
        took = "kept from an earlier run" if event.event == "replayed" else f"{event.seconds:.2f} s"
        self.console.print(Text.assemble("  ", (sign, colour), f" {event.step}{times}", (f"  {took}", "dim")))

    def show(self, outcome: Outcome) -> int:
        """Show what came of the run; returns the exit code."""
        if self.quiet:
            print_json(as_json(self.store, outcome))
        elif outcome.already:
            self.console.print(f"{outcome.run_id} is finished already; pass --again to run it again")
        else:
            self.console.print(Text(outcome.run_id, style="bold"))
            self._show_result(outcome.result)
        if outcome.what_if and not self.quiet:
            if said := would_do(self.store, outcome):
                self.console.print(Text(f"  {said}", style="bold"))
            self.console.print(UNTOUCHED)
        return exit_code(outcome.result)

    def _show_result(self, result: object) -> None:
        if isinstance(result, Verdict):
            render_verdict(result, self.console)
            if version := _published(self.store, result):
                self.console.print(f"  published as {result.model}/{version}, which is the champion now")
        elif isinstance(result, Report):
            render(result, self.console)
        elif result is not None:
            self.console.print(f"  {result}")


class ReplayCalendar:
    """A year of runs, a line a month, each verdict as it falls."""

    def __init__(self, store: Store, console: Console, tz: str, *, quiet: bool) -> None:
        self.store = store
        self.console = console
        self.zone = ZoneInfo(tz)
        self.quiet = quiet

    def run(self, pipeline: Pipeline, moments: Sequence[datetime], parameters: dict[str, Any], *, again: bool) -> int:
        """Run each moment and show its verdict; returns the exit code of the last."""
        outcomes: list[Outcome] = []
        month = None
        for moment in moments:
            local = moment.astimezone(self.zone)
            if month != (month := f"{local:%b}"):
                self._print(f"\n{month} " if outcomes else f"{month} ")
            outcomes.append(run_pipeline(self.store, pipeline, moment, parameters, again=again, publish=True))
            self._print(Text.assemble(f" {local:%d} ", cell(outcomes[-1], _published(self.store, outcomes[-1].result))))
        self._print(Text(f"\n{LEGEND}\n", style="dim"))
        if self.quiet:
            print_json([as_json(self.store, one) for one in outcomes])
        return exit_code(outcomes[-1].result)

    def _print(self, text: str | Text) -> None:
        if not self.quiet:
            self.console.print(text, end="", soft_wrap=True)
            self.console.file.flush()


def _published(store: Store, result: object) -> int | None:
    """The version that the candidate has become, when it has become champion."""
    if not isinstance(result, Verdict) or not result.blessed:
        return None
    champion = alias(store, result.model)
    return champion.version if champion and champion.bundle == result.bundle else None


def cell(outcome: Outcome, moved: int | None) -> Text:
    """One run in fifteen characters: sign, difference or score, new version."""
    return _cell(outcome, f"v{moved}" if moved else "–")


def score_of(outcome: Outcome) -> Text:
    """One run in fifteen characters: sign, difference or score."""
    return _cell(outcome, "")


def _cell(outcome: Outcome, version: str) -> Text:
    result = outcome.result
    if outcome.already:
        return Text(f"{'done before':<15}", style="dim")
    if isinstance(result, Report):
        return Text(f"{'■ data':<15}", style="red" if result.failed else "green")
    if not isinstance(result, Verdict):
        return Text(f"{'✓':<15}", style="green")
    if result.comparison is None or result.outcome is None:
        return Text(f"{f'first {_short(result.score)[1:]} {version}':<15}", style="green" if result.blessed else "red")
    sign, colour = SIGNS[result.outcome]
    if not result.parity.holds:
        sign, colour = "≠", "red"
    return Text(f"{f'{sign} {_short(result.comparison.difference)} {version}':<15}", style=colour)


def _short(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)
