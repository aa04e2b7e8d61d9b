"""How a replay that is a what-if looks on a terminal: a line for each tick."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from assay.cli.command import print_json
from assay.cli.run_progress import UNTOUCHED, as_json, exit_code, score_of, would_do
from assay.pipelines import Outcome, Pipeline
from assay.pipelines import run as run_pipeline
from assay.store import Store


class Ticks:
    """Each tick of a replay, with what would have happened."""

    def __init__(self, store: Store, console: Console, tz: str, *, quiet: bool) -> None:
        self.store = store
        self.console = console
        self.zone = ZoneInfo(tz)
        self.quiet = quiet

    def run(self, pipeline: Pipeline, moments: Sequence[datetime], parameters: dict[str, Any], name: str) -> int:
        """Run each moment in the replay of that name, and show it; returns the exit code of the last."""
        outcomes: list[Outcome] = []
        for moment in moments:
            outcomes.append(run_pipeline(self.store, pipeline, moment, parameters, replay=name))
            if not self.quiet:
                when = f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M}  "
                self.console.print(
                    Text.assemble(
                        when, score_of(outcomes[-1]), would_do(self.store, outcomes[-1]) or "would change nothing"
                    )
                )
                self.console.file.flush()
        if self.quiet:
            print_json([as_json(self.store, one) for one in outcomes])
        else:
            self.console.print(UNTOUCHED)
        return exit_code(outcomes[-1].result)
