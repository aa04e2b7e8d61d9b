"""`assay check --dbt`: the sources and tests of a dbt project."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import click

from assay.cli.command import console, print_json
from assay.errors import BadInput

_EXAMPLE = "Write it like --vars '{day: 2024-01-01}'."


@dataclass(frozen=True)
class DbtOptions:
    """The options of `assay check` that go with `--dbt`."""

    target: str | None
    vars: str | None
    select: tuple[str, ...]
    exclude: tuple[str, ...]
    strict: bool

    def __bool__(self) -> bool:
        return bool(self.target or self.vars or self.select or self.exclude or self.strict)


def check_dbt(folder: str | None, options: DbtOptions, *, others: Iterable[str], as_json: bool) -> int:
    """Check a dbt project and print what was found; gives the exit code. `others` are options given that don't suit."""
    if not folder:
        raise click.UsageError("--target, --vars, --select, --exclude and --strict need --dbt")
    if given := list(others):
        raise click.UsageError(f"--dbt checks a whole project: leave out {', '.join(given)}")
    from assay.dbt import check_project, render

    report = check_project(
        folder,
        target=options.target,
        vars=_vars(options.vars),
        select=options.select,
        exclude=options.exclude,
        strict=options.strict,
    )
    if as_json:
        print_json(report)
    else:
        render(report, console())
    return report.exit_code


def _vars(text: str | None) -> dict[str, object]:
    """The mapping that `--vars` holds as YAML, like dbt's."""
    import yaml

    try:
        found = yaml.safe_load(text or "{}")
    except yaml.YAMLError as error:
        raise BadInput(f"--vars {text}: not YAML", str(error).splitlines()[0], do=_EXAMPLE) from None
    if not isinstance(found, dict):
        raise BadInput(f"--vars {text}: a mapping is expected", do=_EXAMPLE)
    return {str(name): value for name, value in cast("dict[object, object]", found).items()}
