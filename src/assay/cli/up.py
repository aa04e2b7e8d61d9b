"""`assay up` and `assay tokens`."""

from pathlib import Path

import click

from assay.cli.command import command, console, print_json
from assay.cli.listening import listening, names_of, tls_of
from assay.store import Store


@command(json=False, begins=True)
@listening(8400)
@click.option("--static-prefix", default="", metavar="PATH", help="The prefix of every path, like /mlflow.")
def up(
    store: Store,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    certfile: Path | None,
    keyfile: Path | None,
    static_prefix: str,
) -> None:
    r"""Serve the MLflow API for runs, models and artifacts until Ctrl-C.

    \b
    Example:
      assay up --port 8400

    Then, in the shell of a client: export MLFLOW_TRACKING_URI=http://127.0.0.1:8400
    """
    from assay.web import up as serve

    def ready(address: str) -> None:
        click.echo(f"up on {address}\nClients of MLflow: export MLFLOW_TRACKING_URI={address}")

    serve(
        store,
        host=host,
        port=port,
        names=names_of(allow_host),
        prefix=static_prefix.rstrip("/"),
        tls=tls_of(certfile, keyfile),
        ready=ready,
    )


@command(begins=True)
@click.argument("action", type=click.Choice(["list", "add", "remove"]), default="list")
@click.argument("name", required=False)
@click.option("--scope", type=click.Choice(["predict", "read", "write", "admin"]), default="write", show_default=True)
def tokens(store: Store, action: str, name: str | None, scope: str, as_json: bool) -> None:
    r"""Manage tokens for clients on other machines. The secret is shown once; only its hash is kept.

    \b
    Example:
      assay tokens add laptop --scope write
    """
    from rich.table import Table

    from assay.access import make_token, remove_token
    from assay.access import tokens as every

    if action != "list" and not name:
        raise click.UsageError(f"name the token: assay tokens {action} NAME")
    if action == "add":
        secret = make_token(store, str(name), scope)  # pyright: ignore[reportArgumentType]
        if as_json:
            print_json({"name": name, "token": secret})
        else:
            click.echo(f"{secret}\nClients: export MLFLOW_TRACKING_TOKEN=...")
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
