"""`assay run-show`, `assay run-delete` and `assay run-restore`."""

from collections.abc import Mapping, Sequence

import click
from rich.table import Table

from assay.cli.command import command, console, print_json
from assay.store import Store

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 30
_POINTS = 20_000


@command(name="run-show")
@click.argument("run_id")
def run_show(store: Store, run_id: str, as_json: bool) -> None:
    r"""Everything about one run: parameters, metrics over time, tags, artifacts, children, and why it failed.

    \b
    Example: assay run-show flight-delay-12ab
    """
    from assay.track.find import find_runs, get_run
    from assay.track.show import artifacts_of, datasets_of

    run = get_run(store, run_id)
    files, data = artifacts_of(store, run.id), datasets_of(store, run.id)
    children = find_runs(store, f"parent_id = '{run.id.replace(chr(39), chr(39) * 2)}'", limit=1000)
    if as_json:
        print_json({"run": run, "artifacts": files, "datasets": data, "children": [child.id for child in children]})
        return
    shown = console()
    took = f", {(run.ended_at - run.started_at).total_seconds():,.1f} s" if run.ended_at else ""
    shown.print(f"[bold]{run.id}[/]  {run.status}{took}, {run.kind} run of {run.experiment}")
    for line in filter(None, (run.error, run.tags.get("mlflow.note.content"))):
        shown.print(line, style="red" if line == run.error else None, markup=False)
    facts = {"started": f"{run.started_at:%Y-%m-%d %H:%M:%S}Z", "by": run.user, "code": run.code_version}
    facts |= {"parent": run.parent_id, "data": (run.data_identity or {}).get("sha256", "")[:12]}
    shown.print(_pairs({name: value for name, value in facts.items() if value}))
    if run.params:
        shown.print("\n[bold]parameters[/]", _pairs(run.params))
    if run.points:
        shown.print("\n[bold]metrics[/]", _metrics(store, run.id, run.metrics))
    tags = {name: value for name, value in run.tags.items() if name != "mlflow.note.content"}
    if tags:
        shown.print("\n[bold]tags[/]", _pairs(tags))
    if data:
        shown.print("\n[bold]data[/]", _pairs({one.name: f"{one.context} {one.digest[:12]}" for one in data}))
    if files:
        from assay.doctor import size

        shown.print("\n[bold]artifacts[/]", _pairs({one.name: size(one.size_bytes) for one in files}))
    if children:
        shown.print("\n[bold]children[/]", _pairs({child.id: child.status for child in children[:20]}))


def _pairs(values: Mapping[str, object]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(name, str(value))
    return table


def _metrics(store: Store, run_id: str, newest: dict[str, float]) -> Table:
    from assay.track.points import history

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in newest.items():
        points = sorted(history(store, run_id, name, limit=_POINTS), key=lambda point: (point.step, point.at_us))
        drawn = sparkline([point.value for point in points])
        table.add_row(
            f"[dim]{name}[/]", f"{value:.6g}", drawn if len(points) > 1 else "", f"[dim]{len(points):,} points[/]"
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


@command(name="run-delete", json=False)
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def run_delete(store: Store, run_ids: tuple[str, ...]) -> None:
    r"""Delete runs. They can be restored until `assay gc` takes them.

    \b
    Example: assay run-delete flight-delay-12ab
    """
    _set_deleted(store, run_ids, deleted=True)


@command(name="run-restore", json=False)
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def run_restore(store: Store, run_ids: tuple[str, ...]) -> None:
    r"""Take the deletion of runs back.

    \b
    Example: assay run-restore flight-delay-12ab
    """
    _set_deleted(store, run_ids, deleted=False)


def _set_deleted(store: Store, run_ids: tuple[str, ...], *, deleted: bool) -> None:
    from assay.track.show import set_deleted

    set_deleted(store, list(run_ids), deleted=deleted)
    console().print(f"{'deleted' if deleted else 'restored'} {len(run_ids)} run{'s' if len(run_ids) > 1 else ''}")
