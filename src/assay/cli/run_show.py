"""`assay run-show`, `assay run-delete` and `assay run-restore`."""

from collections.abc import Mapping, Sequence

import click
from rich.table import Table
from rich.text import Text

from assay.cli.command import command, console, print_json
from assay.store import Store

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 30
#: So many points of all metrics together are drawn, the first of each.
_POINTS = 200_000


@command(name="run-show")
@click.argument("run_id")
def run_show(store: Store, run_id: str, as_json: bool) -> None:
    r"""Show one run: parameters, metrics over time, tags, artifacts, children, and its error.

    \b
    Example:
      assay run-show flight-delay-12ab
    """
    from assay.track.find import get_run
    from assay.track.show import belongings

    run = get_run(store, run_id)
    found = belongings(store, run.id)
    files, data, children = found.artifacts, found.datasets, found.children
    if as_json:
        print_json({"run": run, "artifacts": files, "datasets": data, "children": [child for child, _ in children]})
        return
    shown = console()
    took = f", {(run.ended_at - run.started_at).total_seconds():,.1f} s" if run.ended_at else ""
    silent = f", silent since {run.silent_since.astimezone():%Y-%m-%d %H:%M}" if run.silent_since else ""
    shown.print(Text.assemble((run.id, "bold"), f"  {run.status}{silent}{took}, {run.kind} run of {run.experiment}"))
    for line in filter(None, (run.error, run.tags.get("mlflow.note.content"))):
        shown.print(line, style="red" if line == run.error else None, markup=False)
    facts = {"started": f"{run.started_at:%Y-%m-%d %H:%M:%S}Z", "by": run.user, "code": run.code_version}
    facts |= {"parent": run.parent_id, "data": (run.data_identity or {}).get("sha256", "")[:12]}
    shown.print(_pairs({name: value for name, value in facts.items() if value}))
    if run.params:
        shown.print(Text("\nparameters", style="bold"), _pairs(run.params))
    if run.points:
        shown.print(Text("\nmetrics", style="bold"), _metrics(store, run.id, run.metrics))
    tags = {name: value for name, value in run.tags.items() if name != "mlflow.note.content"}
    if tags:
        shown.print(Text("\ntags", style="bold"), _pairs(tags))
    if data:
        shown.print(
            Text("\ndata", style="bold"), _pairs({one.name: f"{one.context} {one.digest[:12]}" for one in data})
        )
    if files:
        from assay.doctor import size

        shown.print(Text("\nartifacts", style="bold"), _pairs({one.name: size(one.size_bytes) for one in files}))
    if children:
        shown.print(Text("\nchildren", style="bold"), _pairs(dict(children[:20])))


def _pairs(values: Mapping[str, object]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(name, str(value))
    return table


def _metrics(store: Store, run_id: str, newest: dict[str, float]) -> Table:
    from assay.track.points import histories_of

    table = Table(box=None, pad_edge=False, show_header=False)
    histories = histories_of(store, run_id, at_most=max(1, _POINTS // max(1, len(newest))))
    for name, value in newest.items():
        points = sorted(histories.get(name, []), key=lambda point: (point.step, point.at_us))
        drawn = sparkline([point.value for point in points])
        table.add_row(
            Text(name, style="dim"),
            f"{value:.6g}",
            drawn if len(points) > 1 else "",
            Text(f"{len(points):,} points", style="dim"),
        )
    return table


def sparkline(values: Sequence[float]) -> str:
    """Values as bars, at most 30: what is not finite leaves a gap.

    >>> sparkline([0, 1, 2, float("nan"), 3])
    '▁▃▆ █'
    """
    some = [values[i * len(values) // _WIDTH] for i in range(_WIDTH)] if len(values) > _WIDTH else list(values)
    finite = [value for value in some if abs(value) < float("inf")]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] if abs(value) < float("inf") else " " for value in some)


@command(name="run-delete", json=False, writes=True)
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def run_delete(store: Store, run_ids: tuple[str, ...]) -> None:
    r"""Delete runs. They can be restored until `assay gc` removes them for good.

    \b
    Example:
      assay run-delete flight-delay-12ab
    """
    _set_deleted(store, run_ids, deleted=True)


@command(name="run-restore", json=False, writes=True)
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def run_restore(store: Store, run_ids: tuple[str, ...]) -> None:
    r"""Restore deleted runs.

    \b
    Example:
      assay run-restore flight-delay-12ab
    """
    _set_deleted(store, run_ids, deleted=False)


def _set_deleted(store: Store, run_ids: tuple[str, ...], *, deleted: bool) -> None:
    from assay.track.show import set_deleted

    set_deleted(store, list(run_ids), deleted=deleted)
    console().print(f"{'deleted' if deleted else 'restored'} {len(run_ids)} run{'s' if len(run_ids) > 1 else ''}")
