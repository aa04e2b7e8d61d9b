"""`assay check --dbt`: the sources and tests of a dbt project."""

import click

from assay.cli.command import console, print_json

_OTHERS = ("TARGET", "--contract", "--fresh", "--now")


def check_dbt(folder: str | None, target: str | None, *, others: tuple[str | None, ...], as_json: bool) -> int:
    """Check a dbt project and print what was found; gives the exit code. `others` are for checks of files."""
    if not folder:
        raise click.UsageError("--target needs --dbt")
    if given := [name for name, value in zip(_OTHERS, others, strict=True) if value is not None]:
        raise click.UsageError(f"--dbt checks a whole project: leave out {', '.join(given)}")
    from assay.dbt import check_project, render

    report = check_project(folder, target=target)
    if as_json:
        print_json(report)
    else:
        render(report, console())
    return report.exit_code
