"""`assay models`, `assay ledger` and `assay rollback`."""

from typing import TYPE_CHECKING

import click
from rich.table import Table

from assay.cli.command import command, console, print_json
from assay.store import Store

if TYPE_CHECKING:
    from assay.blessing import Entry


@command()
@click.argument("model", required=False)
@click.option("--version", type=int, help="Where this version comes from: run, data, contract, features, code.")
def models(store: Store, model: str | None, version: int | None, as_json: bool) -> None:
    r"""The models that have a champion, or the versions of MODEL.

    \b
    Example: assay models flight-delay --version 3
    """
    from assay.track import alias, champion, versions
    from assay.track.versions import model_names

    if model and version is not None:
        _show_lineage(store, model, version, as_json=as_json)
        return
    if model:
        champion(store, model)  # or it is unknown
    found = versions(store, model) if model else [v for n in model_names(store) if (v := alias(store, n))]
    if as_json:
        print_json(found)
        return
    now = {name: champion.version for name in {v.model for v in found} if (champion := alias(store, name))}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("model", "version", "trained until", "run", ""):
        table.add_column(title)
    for v in found:
        until = f"{v.trained_until:%Y-%m-%d %H:%MZ}" if v.trained_until else ""
        table.add_row(
            v.model, str(v.version), until, v.run_id or "", "champion" if now.get(v.model) == v.version else ""
        )
    console().print(table if found else "no model is published yet")


def _show_lineage(store: Store, model: str, version: int, *, as_json: bool) -> None:
    from assay.model.lineage import lineage
    from assay.track import find_version

    found = lineage(store, find_version(store, model, version))
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    data = found.data or {}
    takes = found.takes.get("$defs", {}).get(found.takes.get("$ref", "").rpartition("/")[2], found.takes)
    for name, value in {
        "model": f"{found.model}/{found.version}, {found.format}",
        "trained until": found.trained_until,
        "run": found.run_id or "",
        "code": found.code_version or "outside of git",
        "parameters": " ".join(f"{key}={value}" for key, value in found.params.items()),
        "data": f"{data.get('rows', 0):,} rows, sha256 {str(data.get('sha256', ''))[:12]}",
        "takes": ", ".join(takes.get("properties", {})),
        "features": f"{', '.join(found.features)}; code sha256 {found.features_hash[:12]}",
        "bundle": found.bundle[:12],
    }.items():
        table.add_row(f"[dim]{name}[/]", value)
    console().print(table)


@command()
@click.argument("model", required=False)
@click.option("--last", default=20, show_default=True, help="At most so many lines.")
def ledger(store: Store, model: str | None, last: int, as_json: bool) -> None:
    r"""Every verdict and every move of the champion, oldest first; the seals of all lines are verified.

    \b
    Example: assay ledger flight-delay --last 5
    """
    from assay.blessing import entries, verify

    lines = entries(store, model)[-last:]
    checked = verify(store)
    if as_json:
        print_json([{**vars(line), "body": line.decoded()} for line in lines])
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for line in lines:
        table.add_row(str(line.id), f"{line.at:%Y-%m-%d %H:%M:%S}Z", line.model, _words(line))
    shown = console()
    shown.print(table)
    shown.print(f"{checked:,} lines, every seal whole", style="dim")


def _words(line: "Entry") -> str:
    body = line.decoded()
    if line.kind == "verdict":
        return f"{'blessed' if body['blessed'] else 'refused'}: {'; '.join(body['reasons'])}"
    before = f", before it {body['previous']}" if body["previous"] else ""
    return f"{line.kind}: version {body['version']}{before}" + (f", {body['reason']}" if body.get("reason") else "")


@command()
@click.argument("model")
@click.option("--to", type=int, help="A version; the champion before this one when omitted.")
@click.option("--reason", default="", help="Kept in the ledger.")
def rollback(store: Store, model: str, to: int | None, reason: str, as_json: bool) -> None:
    r"""Make the champion of MODEL what it was before; servers adopt it within a second or two.

    \b
    Example: assay rollback flight-delay --reason "complaints from the gate"
    """
    from assay.blessing import rollback as roll_back

    version = roll_back(store, model, to=to, reason=reason)
    if as_json:
        print_json(version)
    else:
        console().print(f"the champion of {model} is version {version.version} again")
