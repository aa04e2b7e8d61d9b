"""`assay check`."""

import click

from assay.cli.check_dbt import check_dbt
from assay.cli.command import command, console, print_json
from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store


@command(begins=True)
@click.argument("target", required=False)
@click.option("--contract", "reference", help="MODULE:CLASS of the contract, like flights:Weather.")
@click.option("--fresh", help="How old the newest event may be, like 26h.")
@click.option("--now", help="The moment to measure freshness from; the present when omitted.")
@click.option("--dbt", "project", help="The folder of a dbt project, whose sources and tests to check instead.")
@click.option("--target", "output", help="With --dbt: the target of its profile; the profile's own when omitted.")
def check(
    store: Store,
    target: str | None,
    reference: str | None,
    fresh: str | None,
    now: str | None,
    project: str | None,
    output: str | None,
    as_json: bool,
) -> int:
    r"""Check TARGET, a Parquet or CSV file, folder or glob, against a contract; or a dbt project.

    \b
    Example: assay check data/weather --contract flights:Weather
    Example: assay check --dbt warehouse --target prod
    Exit code 1 when a check fails, 3 when one could not be asked; warnings alone are good.
    """
    if project or output:
        return check_dbt(project, output, others=(target, reference, fresh, now), as_json=as_json)
    if target is None or reference is None:
        raise click.UsageError("give TARGET and --contract, or --dbt")
    from assay.checks import check as run_check
    from assay.checks import render

    report = run_check(target, find_contract(store, reference), fresh=fresh, now=now)
    if as_json:
        print_json(report)
    else:
        render(report, console())
    return 3 if report.having("error") else 1 if report.failed else 0


def find_contract(store: Store, reference: str) -> type:
    """The contract `MODULE:CLASS` of the project; raises `NotFound` with the near miss."""
    from assay.contract import Record
    from assay.pipelines.pipeline import import_module

    module_name, _, name = reference.partition(":")
    if not name:
        raise BadInput(f"{reference!r} does not name a contract", do="Write MODULE:CLASS, like flights:Weather.")
    module = import_module(module_name.removesuffix(".py"), store.home.project)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Record)):
        known = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Record)]
        raise NotFound(
            f"{module_name} has no contract {name!r}", f"it has {', '.join(known)}", do=near_miss(name, known)
        )
    return found
