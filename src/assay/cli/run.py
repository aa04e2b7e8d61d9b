"""`assay run` and `assay resume`."""

from datetime import datetime

import click

from assay.cli.command import command, console, key_values
from assay.errors import BadInput
from assay.store import Store


@command(begins=True, writes=True)
@click.argument("pipeline")
@click.option("--asof", help="The moment to run for: ISO 8601, a date, or 2h, 7d, yesterday; now when omitted.")
@click.option("--replay", metavar="A..B", help="Run every tick of the schedule from date A up to and including B.")
@click.option(
    "--set", "settings", multiple=True, metavar="K=V", help="Set a parameter of the pipeline; can be repeated."
)
@click.option("--again", is_flag=True, help="Start a new run even when a run of that moment is finished.")
@click.option("--publish", is_flag=True, help="Let runs of the past move the champion; without it they are what-ifs.")
def run(
    store: Store,
    pipeline: str,
    asof: str | None,
    replay: str | None,
    settings: tuple[str, ...],
    again: bool,
    publish: bool,
    as_json: bool,
) -> int:
    r"""Run PIPELINE, named MODULE:PIPELINE.

    A killed run continues at its first unfinished step. Exit code 1 when the last verdict or check said no.
    A run of the past, or a replay, is a what-if: it reports what would have happened to production. With --publish it
    moves production.

    \b
    Examples:
      assay run flights:weekly --asof 2013-06-03
      assay run flights:weekly --replay 2013-03-01..2013-12-31
    """
    from assay.cli import run_progress, what_if_progress
    from assay.pipelines.past import replay_name
    from assay.pipelines.pipeline import find_pipeline
    from assay.times import instant, zone

    found = find_pipeline(pipeline, store.home.project)
    given = key_values(settings)
    if replay is None:
        shown = run_progress.Steps(store, console(), quiet=as_json)
        moment = instant(asof or "now", tz=zone(found.tz))
        return shown.run(found, moment, given, again=again, publish=publish)
    if asof:
        raise BadInput("--asof and --replay can't be combined", do="Pass one of them.")
    span = _span(replay, found.tz)
    moments = _moments(found.schedule, found.tz, replay, *span)
    if publish:
        return run_progress.ReplayCalendar(store, console(), found.tz, quiet=as_json).run(
            found, moments, given, again=again
        )
    name = replay_name(store, found.name, *span, again=again)
    return what_if_progress.Ticks(store, console(), found.tz, quiet=as_json).run(found, moments, given, name)


@command(writes=True)
@click.argument("run_id")
def resume(store: Store, run_id: str, as_json: bool) -> int:
    r"""Continue a run at its first unfinished step. Finished steps are not repeated.

    \b
    Example:
      assay resume weekly@2013-06-03T10:00Z
    """
    from assay.cli import run_progress
    from assay.pipelines import resume as resume_run

    steps = run_progress.Steps(store, console(), quiet=as_json)
    outcome = resume_run(store, run_id, watch=steps.watch)
    return steps.show(outcome)


def _span(replay: str, tz: str) -> tuple[datetime, datetime]:
    """The two ends of a span, on the clock of a zone."""
    from assay.times import instant, zone

    first, dots, last = replay.partition("..")
    if not dots:
        raise BadInput(f"--replay {replay!r} is not a span of dates", do="Write it like 2013-03-01..2013-12-31.")
    start, end = (instant(text, tz=zone(tz)).astimezone(zone(tz)) for text in (first, last))
    if end < start:
        raise BadInput(f"--replay {replay} ends before it begins", do="Put the earlier date first.")
    return start, end


def _moments(schedule: str | None, tz: str, replay: str, start: datetime, end: datetime) -> list[datetime]:
    """The ticks of a span; one that ends with a date ends with that day."""
    from datetime import timedelta

    from assay.pipelines import ticks

    if schedule is None:
        raise BadInput(
            "the pipeline has no schedule to replay", do='Give it one: @assay.pipeline(schedule="0 6 * * MON").'
        )
    whole_day = timedelta(days=1) if len(replay.partition("..")[2].strip()) == len("2013-12-31") else timedelta()
    moments = list(ticks(schedule, tz, start, end + whole_day))
    if not moments:
        raise BadInput(f"the schedule {schedule!r} has no tick in {replay}")
    return moments
