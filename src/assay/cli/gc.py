"""`assay gc`."""

import click

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(writes=True)
@click.option("--older-than", default="30d", show_default=True, help="Remove what was deleted longer ago than this.")
@click.option("--dry-run", is_flag=True, help="Report what would be removed, without removing it.")
def gc(store: Store, older_than: str, dry_run: bool, as_json: bool) -> None:
    r"""Remove deleted runs, and files that nothing refers to, for good. Other processes may write meanwhile.

    \b
    Example:
      assay gc --older-than 7d --dry-run
    """
    from assay.doctor import size
    from assay.predictions import bound
    from assay.times import duration
    from assay.track.purge import purge

    done = purge(store, older_than=duration(older_than), dry_run=dry_run)
    rows = bound(store, older_than=duration(older_than), dry_run=dry_run)
    if as_json:
        print_json(vars(done) | vars(rows))
        return
    console().print(
        f"{'would remove' if dry_run else 'removed'} {done.runs:,} runs, {done.experiments:,} experiments, "
        f"{done.logged_models:,} logged models, {done.files:,} files of {size(done.bytes)}, "
        f"training rows of {rows.training_runs:,} runs"
    )
    if rows.compacted_days:
        days, files = rows.compacted_days, rows.compacted_files
        console().print(f"{files:,} files of {days:,} days of served rows were merged into {rows.compacted_into:,}")
