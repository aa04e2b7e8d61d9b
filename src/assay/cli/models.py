"""`assay models`, `assay ledger` and `assay rollback`."""

from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from assay.cli.command import command, console, print_json
from assay.store import Store

if TYPE_CHECKING:
    from assay.blessing import LedgerEntry


@command()
@click.argument("model", required=False)
@click.option("--version", type=int, help="Show the run, data, contract, features and code of this version.")
def models(store: Store, model: str | None, version: int | None, as_json: bool) -> None:
    r"""List the models that have a champion, or the versions of MODEL.

    \b
    Example:
      assay models flight-delay --version 3
    """
    from assay.track import champion, versions
    from assay.track.aliases import champions

    if model and version is not None:
        _show_lineage(store, model, version, as_json=as_json)
        return
    stands = [champion(store, model)] if model else champions(store)  # or it is unknown
    found = versions(store, model) if model else stands
    if as_json:
        print_json(found)
        return
    now = {one.model: one.version for one in stands}
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
        table.add_row(Text(name, style="dim"), value)
    console().print(table)


@command()
@click.argument("model", required=False)
@click.option("--last", default=20, show_default=True, help="The maximum number of lines.")
@click.option("--accept-loss", is_flag=True, help="Accept that lines are missing, as after a restored backup.")
@click.option("--reason", default="", help="Why they are missing; kept in the ledger.")
def ledger(store: Store, model: str | None, last: int, accept_loss: bool, reason: str, as_json: bool) -> None:
    r"""List verdicts and moves of the champion, the oldest first. All seals are verified.

    Exit code 1 when lines at the end are missing. The mark beside the artifacts shows this.

    \b
    Examples:
      assay ledger flight-delay --last 5
      assay ledger --accept-loss --reason "the backup of Monday was restored"
    """
    from assay.blessing import entries, verify

    if accept_loss:
        _accept_loss(store, reason)

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
    shown.print(f"{checked:,} lines, all seals valid", style="dim")


def _accept_loss(store: Store, reason: str) -> None:
    from assay.errors import BadInput
    from assay.track.ledger import accept_loss
    from assay.track.provenance import user

    if not reason.strip():
        raise BadInput("--accept-loss needs a reason", do='Give the reason: --reason "a backup was restored"')
    accept_loss(store, user(), reason)


def _words(line: "LedgerEntry") -> str:
    body = line.decoded()
    if line.kind == "restored":
        numbers = ", ".join(name.partition("/")[2].partition("-")[0] for name in body["lost"])
        return f"restored: the lines up to {numbers} are lost, by {body['who']}, {body['reason']}"
    if line.kind == "verdict":
        return f"{'blessed' if body['blessed'] else 'refused'}: {'; '.join(body['reasons'])}"
    what = f"version {body['version']}" if body["version"] is not None else f"no version is the {body['alias']}"
    alias = f"{body['alias']} " if body.get("alias", "champion") != "champion" and body["version"] is not None else ""
    before = f", before it {body['previous']}" if body["previous"] else ""
    by = (
        f", by {body['who']}" + (f" through {body['through']}" if body["through"] != "assay" else "")
        if "who" in body
        else ""
    )
    return f"{line.kind}: {alias}{what}{before}{by}" + (f", {body['reason']}" if body.get("reason") else "")


@command(writes=True)
@click.argument("model")
@click.option("--to", type=int, help="The version to make the champion; the previous one when omitted.")
@click.option("--reason", default="", help="The reason, kept in the ledger.")
def rollback(store: Store, model: str, to: int | None, reason: str, as_json: bool) -> None:
    r"""Make the previous version of MODEL the champion again. Servers load it within about two seconds.

    \b
    Example:
      assay rollback flight-delay --reason "complaints from the gate"
    """
    from assay.blessing import rollback as roll_back

    version = roll_back(store, model, to=to, reason=reason)
    if as_json:
        print_json(version)
    else:
        console().print(f"the champion of {model} is version {version.version} again")
