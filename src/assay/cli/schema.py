"""`assay schema`."""

import click

from assay.cli.check import find_contract
from assay.cli.command import command
from assay.store import Store


@command(json=False, begins=True)
@click.argument("form", type=click.Choice(["arrow", "sql", "json"]))
@click.argument("contract")
@click.option(
    "--dialect", type=click.Choice(["duckdb", "postgresql", "sqlite"]), default="duckdb", help="The SQL dialect."
)
def schema(store: Store, form: str, contract: str, dialect: str) -> None:
    r"""Print CONTRACT, named MODULE:CLASS, as an Arrow schema, an SQL table or a JSON Schema.

    \b
    Example:
      assay schema sql flights:Departure
    """
    import msgspec

    from assay.contract.formats import arrow, sql

    record = find_contract(store, contract)
    if form == "arrow":
        click.echo(arrow.schema(record).to_string(show_field_metadata=False))
    elif form == "sql":
        click.echo(sql.create_table(record, record.__name__.lower(), dialect))  # pyright: ignore[reportArgumentType]
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(msgspec.json.schema(record))).decode())
