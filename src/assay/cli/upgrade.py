"""`assay upgrade`."""

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(begins=True)
def upgrade(store: Store, as_json: bool) -> None:
    r"""Upgrade the metadata database to the schema of this version. Restart processes of an older version afterwards.

    Make a backup first. Commands that only read never upgrade the database; commands that write do, with a warning.

    \b
    Example:
      assay upgrade
    """
    from assay.store.migrate import head

    before = store.database.upgrade()
    if as_json:
        print_json({"before": before, "now": head(), "changed": before != head()})
    elif before == head():
        console().print(f"the database is at schema {head()}: nothing to do")
    else:
        console().print(f"the database was upgraded from schema {before or 'none'} to {head()}")
