"""Options of the commands that listen on a port."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from assay.listen import Tls


def listening(port: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options; `port` is the one that is taken when none is named."""
    options = (
        click.option(
            "--host",
            default="127.0.0.1",
            show_default=True,
            help="The address to listen on; any other than loopback needs a token.",
        ),
        click.option("--port", default=port, show_default=True, help="The port to listen on; 0 chooses a free one."),
        click.option(
            "--allow-host",
            multiple=True,
            metavar="NAME",
            help="Accept requests with this Host header; can be repeated.",
        ),
        click.option("--certfile", type=click.Path(path_type=Path), help="Serve TLS with this certificate, in PEM."),
        click.option("--keyfile", type=click.Path(path_type=Path), help="The key of the certificate, in PEM."),
    )

    def added(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return added


def tls_of(certfile: Path | None, keyfile: Path | None) -> "Tls | None":
    """The certificate and its key; None for neither. Raises `UsageError` for one without the other."""
    if certfile is None and keyfile is None:
        return None
    if certfile is None or keyfile is None:
        raise click.UsageError("give both --certfile and --keyfile")
    from assay.listen import Tls

    return Tls(certfile, keyfile)


def names_of(allow_host: tuple[str, ...]) -> frozenset[str]:
    """Names of hosts, as they are compared."""
    return frozenset(map(str.lower, allow_host))
