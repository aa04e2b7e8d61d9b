"""The bounds of every server of ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much, and how slowly, a client may send; README of the bounds: docs/security.md."""

    #: Bytes of a request line and its headers together; 414 or 431 beyond.
    head_bytes: int = 64 << 10
    #: Header lines of one request; 431 beyond.
    head_lines: int = 100
    #: Seconds within which a head must be whole; 408 beyond.
    head_s: float = 10.0
    #: Seconds by which a body may fall behind `body_rate`, or be silent; 408 beyond.
    body_s: float = 20.0
    #: Bytes a second that a body must bring, on average.
    body_rate: int = 4 << 10
    #: Seconds in which a client must have taken some of its answer; it is cut off beyond.
    send_s: float = 60.0
    #: Seconds that a connection stays open between two requests.
    idle_s: float = 5.0
    #: Requests that one connection may have waiting; it is closed beyond.
    pipelined: int = 16
    #: Connections of one process; 503 beyond.
    connections: int = 2_000
    #: Seconds in which what a refused client still sends is thrown away, so that it can read why.
    linger_s: float = 3.0
    #: How often a connection is looked at, in seconds: no bound of time is finer.
    look_every_s: float = 1.0


LIMITS = Limits()
