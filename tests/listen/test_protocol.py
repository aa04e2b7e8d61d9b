"""Each bound of a connection, tried with raw bytes against a real server."""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

Server = Callable[..., int]
Raw = Callable[..., socket.socket]
GOOD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes; a reset ends it too."""
    said = bytearray()
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 18):
            said += piece
    return bytes(said)


def until(connection: socket.socket, end: bytes) -> bytes:
    """What comes until it ends so."""
    said = b""
    while not said.endswith(end):
        piece = connection.recv(1 << 16)
        assert piece, said
        said += piece
    return said


def refused(said: bytes) -> tuple[int, str]:
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"connection: close" in head, said
    assert b"content-type: application/json" in head, said
    return int(head.split()[1]), json.loads(body)["message"]


def send_all(connection: socket.socket, data: bytes) -> None:
    with suppress(ConnectionResetError, BrokenPipeError):  # it stopped listening, which is as good
        connection.sendall(data)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * 10_000_000, 414),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 10_000_000, 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: 1\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: 1\r\n" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x" * 100_000 + b": 1\r\n\r\n", 431),
        (b"\r\n" * 100_000, 414),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", 400),
        (b"FETCH / HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    ],
    ids=count(),
)
def test_a_head_beyond_the_bounds_or_against_the_grammar_is_refused(
    server: Server, raw: Raw, data: bytes, status: int
) -> None:
    port = server()
    connection = raw(port)
    send_all(connection, data)
    assert refused(all_of(connection))[0] == status
    assert all_of(raw(port, GOOD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))).endswith(b"hi")


def test_a_head_just_within_the_bounds_is_taken(server: Server, raw: Raw) -> None:
    lines = b"".join(b"x%d: %s\r\n" % (i, b"a" * 600) for i in range(97))
    said = all_of(raw(server(), b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + lines + b"\r\n"))
    assert said.startswith(b"HTTP/1.1 200")


def test_many_small_heads_are_no_large_one(server: Server, raw: Raw) -> None:
    connection = raw(server())
    for _ in range(30):
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 30_000 + b"\r\ncontent-length: 2\r\n\r\nhi")
        assert until(connection, b"hi").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("data", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nhost: x\r\nx: a", b"\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(server: Server, raw: Raw, data: bytes) -> None:
    said = all_of(raw(server(head_s=1), data))
    assert refused(said) == (408, "the head of the request did not come within 1 seconds")


def test_a_head_that_comes_drop_by_drop_is_not_waited_for(server: Server, raw: Raw) -> None:
    connection = raw(server(head_s=1, look_every_s=0.1), b"GET / HTTP/1.1\r\nhost: x\r\n")
    connection.settimeout(0.05)
    said = b""
    for _ in range(600):
        send_all(connection, b"x: 1\r\n" if not said else b"")
        with suppress(TimeoutError):
            said += connection.recv(1000)
            break
    connection.settimeout(60)
    assert refused(said + all_of(connection))[0] == 408


def test_a_body_that_is_silent_or_slow_is_not_waited_for(server: Server, raw: Raw) -> None:
    port = server(body_s=1, look_every_s=0.1)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc"
    silent, slow = raw(port, head), raw(port, head)
    said = b""
    slow.settimeout(0.05)
    for _ in range(600):
        send_all(slow, b"x")
        with suppress(TimeoutError):
            said = slow.recv(1000)
            break
    slow.settimeout(60)
    assert refused(said + all_of(slow)) == (408, "the body arrives at less than 4,096 bytes a second")
    assert refused(all_of(silent))[0] == 408


def test_an_answer_that_nobody_takes_is_cut_off(server: Server, raw: Raw) -> None:
    port = server(send_s=1, look_every_s=0.1)
    connection = raw(port, b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n")
    probe = raw(port, GOOD)  # the server goes on meanwhile
    assert probe.recv(1000).startswith(b"HTTP/1.1 200")
    # Nothing is read until the server has cut the connection: a peek shows no end before that.
    while True:
        try:
            connection.send(b"GET / HTTP/1.1\r\n")
        except OSError:
            break
        with suppress(TimeoutError):
            probe.settimeout(0.1)
            probe.recv(1)
    assert len(all_of(connection)) < 64 << 20


def test_a_client_that_takes_its_answer_slowly_but_takes_it_gets_all(server: Server, raw: Raw) -> None:
    connection = raw(server(send_s=20, look_every_s=0.1), b"GET /much HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert len(all_of(connection)) > 64 << 20


def test_an_idle_connection_is_closed(server: Server, raw: Raw) -> None:
    said = all_of(raw(server(idle_s=1), GOOD))
    assert said.endswith(b"hi")


def test_requests_in_a_pipeline_are_answered_in_order_and_bounded(server: Server, raw: Raw) -> None:
    port = server()
    few = b"".join(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n%02d" % i for i in range(10))
    last = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n10"
    said = all_of(raw(port, few + last))
    assert [part[:2] for part in said.split(b"\r\n\r\n")[1:]] == [b"%02d" % i for i in range(11)]
    many = raw(port)
    send_all(many, GOOD * 10_000)
    assert all_of(many).count(b"HTTP/1.1 200") < 10_000


def test_connections_are_bounded_and_those_that_are_open_go_on(server: Server, raw: Raw) -> None:
    port = server(connections=20, head_s=60)
    first = raw(port, GOOD)
    assert first.recv(1000).startswith(b"HTTP/1.1 200")
    others = [raw(port) for _ in range(19)]
    beyond = raw(port)
    status, why = refused(all_of(beyond))
    assert (status, why) == (503, "the server has 20 connections already; try again")
    for one in others:
        one.close()
    while True:  # as soon as the server has seen that they are gone
        again = raw(port, GOOD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        said = all_of(again)
        if b" 200 " in said:
            break


def test_a_client_that_is_refused_early_can_read_why(server: Server, raw: Raw) -> None:
    connection = raw(server(), b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000\r\n\r\n")
    connection.sendall(b"x" * 30_000_000)
    assert connection.recv(1000).startswith(b"HTTP/1.1 403")
    connection.sendall(GOOD)
    assert until(connection, b"hi")


def test_a_client_that_is_refused_early_and_never_ends_is_left(server: Server, raw: Raw) -> None:
    port = server(linger_s=1, look_every_s=0.1)
    connection = raw(port, b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000000\r\n\r\n")
    assert all_of(connection).startswith(b"HTTP/1.1 403")  # and is closed, though the body never comes


def test_a_post_that_offers_another_protocol_is_answered(server: Server, raw: Raw) -> None:
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    connection = raw(server(), GOOD.replace(b"\r\n\r\n", b"\r\n" + offer + b"\r\n"))
    assert until(connection, b"hi").startswith(b"HTTP/1.1 200")


def test_half_a_connection_is_enough(server: Server, raw: Raw) -> None:
    connection = raw(server(), GOOD)
    connection.shutdown(socket.SHUT_WR)
    assert all_of(connection).endswith(b"hi")
