"""`assay check --dbt`: the sources and tests of a dbt project."""

from collections.abc import Iterable

import click

from assay.cli.command import console, print_json


def check_dbt(folder: str | None, target: str | None, *, others: Iterable[str], as_json: bool) -> int:
    """Check a dbt project and print what was found; gives the exit code. `others` are options given that don't suit."""
    if not folder:
        raise click.UsageError("--target needs --dbt")
    if given := list(others):
        raise click.UsageError(f"--dbt checks a whole project: leave out {', '.join(given)}")
    from assay.dbt import check_project, render

    report = check_project(folder, target=target)
    if as_json:
        print_json(report)
    else:
        render(report, console())
    return report.exit_code
