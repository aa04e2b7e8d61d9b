"""`assay check`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.cli.check_dbt import DbtOptions, check_dbt
from assay.cli.command import command, console, print_json
from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store

if TYPE_CHECKING:
    from assay.checks import Checks, Report
    from assay.tables import Target


@command(begins=True)
@click.argument("target", required=False)
@click.option("--contract", "contracts", multiple=True, help="MODULE:CLASS of a contract, like flights:Weather.")
@click.option("--checks", "declared", multiple=True, help="MODULE:NAME of Checks, like rules:flights.")
@click.option("--infer", is_flag=True, help="Print the rules that TARGET keeps today, as Python code.")
@click.option("--missing", multiple=True, metavar="MARK", help="A text of a CSV file that means missing, like '?'.")
@click.option("--fresh", help="The age that the newest event may have, like 26h.")
@click.option("--now", help="The moment from which freshness is measured; now when omitted.")
@click.option("--failing", type=click.Path(), help="Write all failing rows to this Parquet file.")
@click.option("--html", type=click.Path(), help="Write the report as a page with plots to this file.")
@click.option("--dbt", "project", help="Check the sources and tests of the dbt project in this folder instead.")
@click.option("--target", "output", help="With --dbt: the target of the profile; its default target when omitted.")
@click.option(
    "--vars", "dbt_vars", help="With --dbt: vars as YAML, like '{day: 2024-01-01}'; they win over the project's."
)
@click.option("--select", multiple=True, help="With --dbt: the tests and sources to check, as dbt selects them.")
@click.option("--exclude", multiple=True, help="With --dbt: the tests and sources to leave out.")
@click.option("--strict", is_flag=True, help="With --dbt: exit code 1 also when a test could not be read.")
def check(
    store: Store,
    target: str | None,
    contracts: tuple[str, ...],
    declared: tuple[str, ...],
    infer: bool,
    missing: tuple[str, ...],
    fresh: str | None,
    now: str | None,
    failing: str | None,
    html: str | None,
    project: str | None,
    output: str | None,
    dbt_vars: str | None,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> int:
    r"""Check TARGET against contracts and rules, or check a dbt project.

    TARGET is a Parquet or CSV file, a folder or glob of them, or a table of a database by URL.

    Exit code 1 when a check fails, 3 when one could not be evaluated. Warnings alone give 0.

    \b
    Examples:
      assay check data/weather --contract flights:Weather
      assay check postgresql://me@host/shop#public.orders --checks rules:all
      assay check data/weather --infer
      assay check --dbt warehouse --target prod
    """
    options = DbtOptions(output, dbt_vars, select, exclude, strict)
    if project or options:
        others = {"TARGET": target, "--contract": contracts, "--checks": declared, "--infer": infer, "--fresh": fresh}
        others |= {"--missing": missing}
        others |= {"--now": now, "--failing": failing, "--html": html}
        return check_dbt(project, options, others=[name for name, value in others.items() if value], as_json=as_json)
    if target is None or bool(contracts or declared) == infer:
        raise click.UsageError("give TARGET with --contract, --checks or --infer; or --dbt")
    from assay.tables.csv_files import with_missing

    if infer:
        return _infer(with_missing(target, missing))
    from assay.checks import check as run_check
    from assay.checks import keep_report, render
    from assay.checks.evaluate import together
    from assay.checks.report_rows import vanished_report
    from assay.times import instant

    rules = [
        *(find_contract(store, reference) for reference in contracts),
        *(_find_checks(store, reference) for reference in declared),
    ]
    read: Target = target
    try:
        read = with_missing(target, missing)
        report = run_check(read, rules, fresh=fresh, now=now, failing=failing)
    except NotFound as error:
        report = vanished_report(store, target, instant(now or "now"), error)
    keep_report(store, report)
    if html:
        _write_page(store, report, together(rules, fresh), read, html)
    if as_json:
        print_json(report)
    else:
        render(report, console())
    return 3 if report.having("error") else 1 if report.failed else 0


def _write_page(store: Store, report: "Report", checks: "Checks", target: "Target", path: str) -> None:
    from assay.checks import past_reports
    from assay.checks.page import report_page, sampled_profile
    from assay.errors import Unavailable
    from assay.store.artifacts import write_whole

    try:
        shown = sampled_profile(target)
    except (NotFound, Unavailable):  # the report says so
        shown = None
    written = report_page(report, checks, shown=shown, past=past_reports(store, report.target)[:-1])
    write_whole(Path(path), written.encode())


def _infer(target: "Target") -> int:
    from assay.checks import Checks

    rules = repr(Checks.infer(target))
    used = [name for name in ("Checks", "col", "fresh", "rows", "sql", "unique") if f"{name}(" in rules]
    click.echo(f"from assay import {', '.join(used)}\n\nchecks = {rules}")
    return 0


def _find_checks(store: Store, reference: str) -> "Checks":
    from assay.checks import Checks

    module_name, found, known = _declared(store, reference, "checks", "rules:flights")
    if not isinstance(found, Checks):
        named = [name for name, value in known.items() if isinstance(value, Checks)]
        raise _absent(module_name, "checks", reference, named)
    return found


def find_contract(store: Store, reference: str) -> type:
    """The contract `MODULE:CLASS` of the project; raises `NotFound` with the near miss."""
    from assay.contract import Record

    module_name, found, known = _declared(store, reference, "a contract", "flights:Weather")
    if not (isinstance(found, type) and issubclass(found, Record)):
        named = [name for name, value in known.items() if isinstance(value, type) and issubclass(value, Record)]
        raise _absent(module_name, "contract", reference, named)
    return found


def _declared(store: Store, reference: str, what: str, example: str) -> tuple[str, object, dict[str, object]]:
    """The module that `MODULE:NAME` names, what it calls NAME, and all its names."""
    from assay.pipelines.pipeline import import_module

    module_name, _, name = reference.partition(":")
    if not name:
        raise BadInput(f"{reference!r} does not name {what}", do=f"Write MODULE:NAME, like {example}.")
    module = import_module(module_name.removesuffix(".py"), store.home.project)
    return module_name, getattr(module, name, None), vars(module)


def _absent(module_name: str, what: str, reference: str, known: list[str]) -> NotFound:
    name = reference.partition(":")[2]
    return NotFound(
        f"{module_name} has no {what} {name!r}", f"it has {', '.join(known) or 'none'}", do=near_miss(name, known)
    )
