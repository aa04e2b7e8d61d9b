"""`assay runs`, `assay compare` and `assay experiments`."""

import re
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from assay.cli.command import command, console, print_json
from assay.errors import BadInput, printable, shown
from assay.store import Store

if TYPE_CHECKING:
    from datetime import datetime

    from assay.track import RunRow

#: Of a metric whose name has such a word, less is better.
_LOW = re.compile(r"(?i)(^|[^a-z])(loss|logloss|error|err|mae|mse|rmse|mape|deviance|perplexity|brier)($|[^a-z])")
#: Of a run so many metrics and parameters are listed; `assay run-show` has all.
METRICS, PARAMS = 3, 4
LONGEST_PARAM, LONGEST_NAME, LONGEST_ID = 24, 32, 48


@command()
@click.argument("filter", default="")
@click.option("--experiment", "--name", help="Only runs of this experiment: a model, a pipeline, a question.")
@click.option("--since", help="Started at or after: ISO 8601, a date, or 2h, 7d, yesterday.")
@click.option("--until", help="Started before.")
@click.option("--order-by", multiple=True, metavar="FIELD [DESC]", help="Like 'metrics.auc DESC'; may be repeated.")
@click.option(
    "--best",
    metavar="METRIC",
    help="The best first. Less is better for metrics like mae, and for names with loss or error in them.",
)
@click.option("--highest/--lowest", default=None, help="Say yourself whether more is better.")
@click.option("--importance", metavar="METRIC", help="What the hyperparameters of these runs explain of a metric.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--limit", default=20, show_default=True, help="At most so many.")
@click.option("--page", metavar="TOKEN", help="Go on where the page before ended.")
@click.option("--finish-silent", metavar="AGE", help="Close runs of which their client wrote nothing for so long: 1d.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one column a parameter and metric.")
def runs(store: Store, filter: str, as_json: bool, as_csv: bool, **options: Any) -> None:  # noqa: A002
    r"""Search runs, the newest first. FILTER has the syntax of MLflow, with OR, NOT and parentheses.

    \b
    Examples:
      assay runs --experiment flight-delay --since 2h --best auc
      assay runs "metrics.auc > 0.7 AND params.leaves = '31'"
      assay runs --finish-silent 1d
    """
    from assay.times import instant
    from assay.track import search
    from assay.track.frames import as_csv as to_csv
    from assay.track.outbox import deliver_if_possible

    deliver_if_possible(store)
    if options["finish_silent"]:
        if filter or options["experiment"]:
            raise BadInput("--finish-silent closes silent runs of every experiment", do="Give it without a filter.")
        _finish_silent(store, instant(options["finish_silent"]), as_json)
        return
    best = options["best"]
    order = list(options["order_by"])
    if best:
        order.insert(0, f"metrics.`{best}` {'DESC' if _more_is_better(best, options['highest']) else 'ASC'}")
        filter = f"{f'({filter}) AND ' if filter.strip() else ''}metrics.`{best}` IS NOT NULL"  # noqa: A001
    if options["experiment"]:
        named = "'" + options["experiment"].replace("'", "''") + "'"
        filter = f"{f'({filter}) AND ' if filter.strip() else ''}experiment = {named}"  # noqa: A001
    found = search(
        store,
        filter,
        order_by=order,
        since=instant(options["since"]) if options["since"] else None,
        until=instant(options["until"]) if options["until"] else None,
        deleted=options["deleted"],
        limit=1000 if options["importance"] else options["limit"],
        token=options["page"],
    )
    if options["importance"]:
        _show_importance(found.runs, options["importance"], options["highest"], as_json)
    elif as_json:
        print_json(found.runs)
    elif as_csv:
        text = to_csv(found.runs)
        click.echo(printable(text) if sys.stdout.isatty() else text, nl=False)
    else:
        _show(found.runs, best)
        if found.token:
            console().print(f"more: --page {found.token}", style="dim", soft_wrap=True)


def _finish_silent(store: Store, since: "datetime", as_json: bool) -> None:
    from assay.track.died import finish_silent

    closed = finish_silent(store, since)
    if as_json:
        print_json({"closed": closed})
        return
    for run_id in closed:
        console().print(f"{run_id} is killed now", highlight=False)
    console().print(f"{len(closed):,} runs closed" if closed else "no run has been silent for this time")


def _more_is_better(metric: str, said: bool | None) -> bool:
    if said is not None:
        return said
    from assay.metrics import direction

    known = direction(metric)
    return known if known is not None else not _LOW.search(metric)


def _show(found: list["RunRow"], best: str | None) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    longest = max((len(run.id) for run in found), default=0)
    table.add_column("run", overflow="fold", min_width=min(longest, LONGEST_ID))  # in one piece it can be copied
    for title in ("status", "started", "metrics and parameters"):
        table.add_column(title, overflow="fold")
    metrics = _worth_showing([run.metrics for run in found], [best] if best else [], METRICS)
    params = _worth_showing([run.params for run in found], [], PARAMS)
    for place, run in enumerate(found):
        said = [f"{key}={run.metrics[key]:.4g}" for key in metrics if key in run.metrics]
        said += [f"{key}={shown(run.params[key], LONGEST_PARAM)}" for key in params if key in run.params]
        started = f"{run.started_at.astimezone():%m-%d %H:%M}"
        style = "green" if best and place == 0 else None
        table.add_row(_named(run), _status(run), started, " ".join(said) or _of_pipeline(run), style=style)
    console().print(table if found else "no runs")


def _named(run: "RunRow") -> str:
    """The id, and below it a name that says more."""
    return run.id if run.name in (run.id, run.experiment) else f"{run.id}\n  {shown(run.name, LONGEST_NAME)}"


def _of_pipeline(run: "RunRow") -> str:
    if run.kind != "pipeline":
        return ""
    return f"pipeline of {run.asof:%Y-%m-%d %H:%M}Z" if run.asof else "pipeline"


def _status(run: "RunRow") -> str:
    if run.silent_since:
        return f"{run.status}, silent since {run.silent_since.astimezone():%m-%d %H:%M}"
    return run.status if run.error is None else f"{run.status}: {run.error.splitlines()[0]}"


def _worth_showing(values: list[dict[str, Any]], first: list[str], most: int) -> list[str]:
    """Names that are shown: those asked for, then those in which the runs differ."""
    names = sorted({name for one in values for name in one if not name.startswith("system/")})
    differing = [name for name in names if len({repr(one.get(name)) for one in values}) > 1]
    alike = [name for name in names if name not in differing]
    return list(dict.fromkeys([*first, *differing, *alike]))[:most]


def _show_importance(found: list["RunRow"], metric: str, highest: bool | None, as_json: bool) -> None:
    from assay.track.importance import importance

    known = importance(found, metric, highest=_more_is_better(metric, highest))
    if as_json:
        print_json(known)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("parameter", f"explains of {metric}", "", "best run has"):
        table.add_column(title)
    for one in known:
        table.add_row(one.name, f"{one.share:.0%}", "█" * round(one.share * 20), str(one.best))
    console().print(table if known else "no parameter differs among these runs")


@command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN RUN...")
def compare(store: Store, run_ids: tuple[str, ...], as_json: bool) -> None:
    r"""Show the differences between runs: parameters, metrics, tags, code, data and installed packages.

    \b
    Example:
      assay compare flight-delay-12ab flight-delay-34cd
    """
    from assay.track.differ import differences

    found = differences(store, list(run_ids))
    if as_json:
        print_json([{"what": one.what, "values": dict(zip(run_ids, one.values, strict=True))} for one in found])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", *run_ids):
        table.add_column(title, overflow="fold")
    for one in found:
        table.add_row(one.what, *("" if value is None else str(value) for value in one.values))
    console().print(table if found else "no differences")


@command()
@click.argument("action", type=click.Choice(["list", "delete", "restore", "rename"]), default="list")
@click.argument("name", required=False)
@click.argument("new_name", required=False)
def experiments(store: Store, action: str, name: str | None, new_name: str | None, as_json: bool) -> None:
    r"""List experiments; delete or restore one with its runs, or rename it. `assay gc` removes deleted ones for good.

    \b
    Example:
      assay experiments rename flight-delay flights
    """
    from assay.track.experiments import delete_experiment, find_experiments, rename_experiment, restore_experiment

    if action != "list":
        if not name or (action == "rename") is (new_name is None):
            raise click.UsageError(f"write: assay experiments {action} NAME{' NEW' if action == 'rename' else ''}")
        if new_name is not None and action == "rename":
            rename_experiment(store, name, new_name)
        else:
            (delete_experiment if action == "delete" else restore_experiment)(store, name)
    found = find_experiments(store, deleted=None)
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("id", "experiment", "made", ""):
        table.add_column(title)
    for one in found:
        table.add_row(str(one.id), one.name, f"{one.created_at:%Y-%m-%d %H:%M}Z", "deleted" if one.deleted_at else "")
    console().print(table)
