"""`assay up` and `assay tokens`."""

import click
from rich.table import Table

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(json=False, begins=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Others than this machine's need a token.")
@click.option("--port", default=8400, show_default=True, help="0 takes a free one.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name by which clients call this server.")
def up(store: Store, host: str, port: int, allow_host: tuple[str, ...]) -> None:
    r"""Serve runs and models to clients of MLflow, until Ctrl-C.

    \b
    Example: assay up --port 8400, then in a shell: export MLFLOW_TRACKING_URI=http://127.0.0.1:8400
    """
    from assay.web import up as serve

    def ready(address: str) -> None:
        click.echo(f"up on {address}\nClients of MLflow: export MLFLOW_TRACKING_URI={address}")

    serve(store, host=host, port=port, names=frozenset(map(str.lower, allow_host)), ready=ready)


@command(begins=True)
@click.argument("action", type=click.Choice(["list", "add", "remove"]), default="list")
@click.argument("name", required=False)
@click.option("--scope", type=click.Choice(["read", "write", "admin"]), default="write", show_default=True)
def tokens(store: Store, action: str, name: str | None, scope: str, as_json: bool) -> None:
    r"""Tokens for servers that other machines reach; the secret is shown once, its hash is kept.

    \b
    Example: assay tokens add laptop --scope write
    """
    from assay.web import make_token, remove_token
    from assay.web import tokens as every

    if action != "list" and not name:
        raise click.UsageError(f"name the token: assay tokens {action} NAME")
    if action == "add":
        secret = make_token(store, str(name), scope)  # pyright: ignore[reportArgumentType]
        click.echo(
            print_json({"name": name, "token": secret})
            if as_json
            else f"{secret}\nClients: export MLFLOW_TRACKING_TOKEN=..."
        )
        return
    if action == "remove":
        remove_token(store, str(name))
    known = every(store)
    if as_json:
        print_json(known)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("token", "may", "made", "last used"):
        table.add_column(title)
    for token in known:
        used = f"{token.used_at:%Y-%m-%d %H:%M}Z" if token.used_at else "never"
        table.add_row(token.name, token.scope, f"{token.created_at:%Y-%m-%d}", used)
    console().print(table if known else "no tokens")
