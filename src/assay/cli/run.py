"""`assay run` and `assay resume`."""

from datetime import datetime

import click

from assay.cli.command import command, console, key_values
from assay.errors import BadInput
from assay.store import Store


@command(begins=True)
@click.argument("pipeline")
@click.option("--asof", help="The moment to run for: ISO 8601, a date, or 2h, 7d, yesterday; now when omitted.")
@click.option("--replay", metavar="A..B", help="Run every tick of the schedule from date A up to and including B.")
@click.option("--set", "settings", multiple=True, metavar="K=V", help="A parameter of the pipeline.")
@click.option("--again", is_flag=True, help="Begin a new run even where one of that moment is finished.")
def run(
    store: Store,
    pipeline: str,
    asof: str | None,
    replay: str | None,
    settings: tuple[str, ...],
    again: bool,
    as_json: bool,
) -> int:
    r"""Run PIPELINE, named MODULE:PIPELINE.

    \b
    Examples: assay run flights:weekly --asof 2013-06-03
              assay run flights:weekly --replay 2013-03-01..2013-12-31
    A run that was killed goes on at its first unfinished step. Exit code 1 when the last verdict, or check, said no.
    """
    from assay.cli import show_run
    from assay.pipelines.pipeline import find_pipeline
    from assay.times import instant, zone

    found = find_pipeline(pipeline, store.home.project)
    given = key_values(settings)
    if replay is None:
        shown = show_run.Steps(store, console(), quiet=as_json)
        moment = instant(asof or "now", tz=zone(found.tz))
        return shown.run(found, moment, given, again=again)
    if asof:
        raise BadInput("--asof and --replay exclude each other", do="Give one of them.")
    moments = _moments(found.schedule, found.tz, replay)
    return show_run.Calendar(store, console(), found.tz, quiet=as_json).run(found, moments, given, again=again)


@command()
@click.argument("run_id")
def resume(store: Store, run_id: str, as_json: bool) -> int:
    r"""Go on with a run at its first unfinished step; finished steps are not done again.

    \b
    Example: assay resume weekly@2013-06-03T10:00Z
    """
    from assay.cli import show_run
    from assay.pipelines import resume as resume_run

    steps = show_run.Steps(store, console(), quiet=as_json)
    outcome = resume_run(store, run_id, watch=steps.watch)
    return steps.show(outcome)


def _moments(schedule: str | None, tz: str, replay: str) -> list[datetime]:
    from datetime import timedelta

    from assay.pipelines import ticks
    from assay.times import instant, zone

    if schedule is None:
        raise BadInput(
            "the pipeline has no schedule to replay", do='Give it one: @assay.pipeline(schedule="0 6 * * MON").'
        )
    first, dots, last = replay.partition("..")
    if not dots:
        raise BadInput(f"--replay {replay!r} is no span of dates", do="Write it like 2013-03-01..2013-12-31.")
    start, end = (instant(text, tz=zone(tz)) for text in (first, last))
    whole_day = timedelta(days=1) if len(last.strip()) == len("2013-12-31") else timedelta()
    moments = list(ticks(schedule, tz, start, end + whole_day))
    if end < start:
        raise BadInput(f"--replay {replay} ends before it begins", do="Put the earlier date first.")
    if not moments:
        raise BadInput(f"the schedule {schedule!r} has no tick in {replay}")
    return moments
