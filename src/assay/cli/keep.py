"""`assay gc` and `assay doctor`: keeping order."""

import click
from rich.table import Table

from assay.cli.command import command, console, print_json
from assay.store import Store


@command()
@click.option("--older-than", default="30d", show_default=True, help="Only what was deleted longer ago.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
def gc(store: Store, older_than: str, dry_run: bool, as_json: bool) -> None:
    r"""Remove for good what was deleted, and files that nothing refers to; safe while others write.

    \b
    Example: assay gc --older-than 7d --dry-run
    """
    from assay.times import duration
    from assay.track.purge import purge

    done = purge(store, older_than=duration(older_than), dry_run=dry_run)
    if as_json:
        print_json(done)
        return
    console().print(
        f"{'would remove' if dry_run else 'removed'} {done.runs:,} runs, {done.experiments:,} experiments, "
        f"{done.logged_models:,} logged models, {done.files:,} files of {_size(done.bytes)}"
    )


@command(begins=True)
@click.pass_context
def doctor(context: click.Context, store: Store, as_json: bool) -> None:
    r"""What is installed, reachable, waiting, damaged and how large.

    Exit codes: 0 all is well, 1 something needs a look, 3 the database or the artifact store does not answer.

    \b
    Example: assay doctor --json
    """
    from assay.doctor import examine

    findings = examine(store)
    if as_json:
        print_json(findings)
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in findings:
            sign = {"good": "[green]✓[/]", "look": "[yellow]![/]", "away": "[red]✗[/]", "fact": " "}[one.state]
            table.add_row(sign, one.what, one.said, f"[dim]{one.do}[/]" if one.do else "")
        console().print(table)
    states = {one.state for one in findings}
    context.exit(3 if "away" in states else 1 if "look" in states else 0)


def _size(count: float) -> str:
    from assay.doctor import size

    return size(count)
