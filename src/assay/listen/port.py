"""A port to listen on."""

import socket

from assay.errors import BadInput, Unavailable

LAST_PORT = 65535


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `Unavailable`, naming the port, when it is taken, `BadInput` for no port at all."""
    if not 0 <= port <= LAST_PORT:
        raise BadInput(f"{port} is not a port", do=f"Use 1 to {LAST_PORT}; 0 chooses a free port.")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]
        raise Unavailable(
            f"can't listen on {host}:{port}: {why}",
            do="Stop the process that listens there, or choose another port: --port 8402",
        ) from None
    listener.set_inheritable(False)
    return listener


def address_of(listener: socket.socket, tls: object = None) -> str:
    """The address at which a socket answers."""
    host, port = listener.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"
