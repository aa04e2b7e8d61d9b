"""Clients that mean no good, against both servers: others are answered meanwhile, nothing is left, the end is orderly."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from targets import Target

MIB = 1 << 20


@contextmanager
def attacked(server: Target, *clients: Callable[[], object]) -> Iterator[None]:
    """Run clients in threads for the length of a block; what the server's refusals do to them is their own matter."""

    def run(client: Callable[[], object]) -> None:
        with suppress(OSError):
            client()

    threads = [threading.Thread(target=run, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


def closed(connection: socket.socket) -> bytes:
    """All that comes until the end."""
    said = bytearray()
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 18):
            said += piece
    connection.close()
    return bytes(said)


def test_heads_of_any_size_cost_nothing(server: Target) -> None:
    server.works()
    before, descriptors = server.measured()

    def endless() -> None:
        with server.connect(server.head("GET", "/health")[:-2] + b"x: ") as connection:
            for _ in range(49):
                connection.sendall(b"a" * MIB)

    def lines() -> None:
        with server.connect(server.head("GET", "/health")[:-2]) as connection:
            connection.sendall(b"x: 1\r\n" * 200_000)

    def address() -> None:
        with server.connect(b"GET /") as connection:
            for _ in range(20):
                connection.sendall(b"a" * MIB)

    with attacked(server, *[endless, lines, address] * 3):
        for _ in range(20):
            assert server.healthy() < 10
    server.works()
    assert server.measured()[0] - before < 60 * MIB
    server.descriptors_return(descriptors + 2)
    assert server.end() == 0


def test_large_bodies_are_held_within_a_budget(server: Target) -> None:
    server.works()
    before, descriptors = server.measured()
    many = b'{"run_id": "x", "metrics": [' + b'{"key":"a","value":1.0,"timestamp":1,"step":1},' * 1_300_000 + b"{}]}"
    head = server.head(
        "POST",
        "/api/2.0/mlflow/runs/log-batch" if server.which == "up" else "/predict",
        "content-type: application/json",
        f"content-length: {len(many)}",
    )

    def send() -> None:
        with server.connect(head) as connection:
            connection.sendall(many)
            assert b" 413 " in connection.recv(1000)

    def stall() -> None:  # just below the bound of one body, and never the rest
        with server.connect(head.replace(str(len(many)).encode(), str(4 * MIB).encode())) as connection:
            connection.sendall(b" " * (4 * MIB - 1))
            closed(connection)

    with attacked(server, *[send] * 4, *[stall] * 30):
        for _ in range(20):
            assert server.healthy() < 10
            server.works()
    assert server.measured()[0] - before < 250 * MIB
    server.descriptors_return(descriptors + 2)
    assert server.end() == 0


@pytest.mark.parametrize("declared", ["content-length: 1000000", "transfer-encoding: chunked"])
def test_a_body_that_stops_is_dropped_and_nobody_waits_for_it(server: Target, declared: str) -> None:
    server.works()
    descriptors = server.measured()[1]
    head = server.head("POST", server.path, "content-type: application/json", declared)
    slow = [server.connect(head + b"3\r\nabc") for _ in range(70)]
    for _ in range(5):
        server.works()
    for connection in slow:
        assert b" 408 " in closed(connection)
    server.descriptors_return(descriptors + 2)


def test_a_thousand_connections_keep_nobody_out(server: Target) -> None:
    server.works()
    descriptors = server.measured()[1]
    idle = [server.connect() for _ in range(500)]
    begun = [server.connect(server.head("GET", "/health")[:-2] + b"x: ") for _ in range(500)]
    for _ in range(20):
        assert server.healthy() < 10
    server.works()
    for connection in (idle[0], begun[0]):
        assert b" 408 " in closed(connection)
    for connection in idle + begun:
        connection.close()
    server.descriptors_return(descriptors + 2)
    assert server.end() == 0


def test_odd_hosts_are_refused_as_such(server: Target) -> None:
    odd = ["localhost:80@evil.com", "[::1", "", "a b", "localhost:x", "localhost:123456", "[1::zz]", "evil.example/x"]
    for host in odd:
        said = closed(server.connect(f"GET /nothing HTTP/1.1\r\nconnection: close\r\nhost: {host}\r\n\r\n".encode()))
        assert b" 400 " in said.partition(b"\r\n")[0], (host, said)
    for lines in (b"", b"host: localhost\r\nhost: localhost\r\n"):
        said = closed(server.connect(b"GET /nothing HTTP/1.1\r\nconnection: close\r\n" + lines + b"\r\n"))
        assert b" 400 " in said.partition(b"\r\n")[0]


def test_pages_of_other_sites_ask_nothing(server: Target) -> None:
    for lines in (
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{server.path}", server.body, {"content-type": "application/json", **lines}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=30)
        assert refused.value.code == 403, lines
        refused.value.close()


def test_deep_json_wrong_texts_and_bytes_are_the_clients_fault(server: Target) -> None:
    for body in (b"[" * 1_000_000, b'{"a":' * 200_000, b"\xff\xfe", b'"\\ud800"', b"\x00" * 1000, b"nan"):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{server.path}", body, {"content-type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=30)
        assert refused.value.code in (400, 422), body[:20]
        assert json.loads(refused.value.read())
    server.works()


def test_a_signal_right_after_the_start_ends_the_server(server: Target) -> None:
    assert server.end() == 0


def test_a_signal_ends_the_server_beside_idle_and_half_requests(server: Target) -> None:
    server.works()
    idle = server.connect(server.head("GET", "/health"))
    assert idle.recv(1000)
    held = [
        idle,
        server.connect(),
        server.connect(b"GET / HTT"),
        server.connect(
            server.head("POST", server.path, "content-type: application/json", "content-length: 1000") + b"abc"
        ),
    ]
    begun = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - begun < 50
    for connection in held:
        connection.close()


# Files: `assay up` only.
def run_of(up: Target) -> str:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{up.port}/api/2.0/mlflow/runs/create",
        b'{"experiment_id": "0", "start_time": 1}',
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)["run"]["info"]["run_id"]


def test_slow_uploads_starve_no_other_and_leave_nothing(up: Target) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_of(up)}/artifacts"
    slow = [up.connect(up.head("PUT", f"{path}/f{i}", "content-length: 1000000") + b"abc") for i in range(70)]
    for i in range(5):
        asked = urllib.request.Request(f"http://127.0.0.1:{up.port}{path}/good{i}", b"x" * 300_000, method="PUT")
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert answer.status == 200
    for connection in slow:
        assert b" 408 " in closed(connection)
    for _ in range(100):
        left = [p for p in (up.home / "artifacts").rglob(".part-*") if p.is_file()]
        if not left:
            break
        time.sleep(0.1)
    assert left == []
    assert up.end() == 0


def test_a_signal_during_an_upload_and_a_download_ends_the_server(up: Target) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_of(up)}/artifacts"
    big = up.connect(up.head("PUT", f"{path}/big", f"content-length: {100 * MIB}"))
    for _ in range(100):
        big.sendall(b"x" * MIB)
    assert b" 200 " in big.recv(1000)
    upload = up.connect(up.head("PUT", f"{path}/half", "content-length: 100000000") + b"x" * MIB)
    download = up.connect(up.head("GET", f"{path}/big"))
    assert download.recv(1000)
    assert up.end() == 0
    for connection in (big, upload, download):
        connection.close()


def test_a_download_stops_when_its_client_has_gone(up: Target) -> None:
    import psutil

    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_of(up)}/artifacts"
    with up.connect(up.head("PUT", f"{path}/big", f"content-length: {400 * MIB}")) as sending:
        for _ in range(400):
            sending.sendall(b"x" * MIB)
        assert b" 200 " in sending.recv(1000)
    seen = psutil.Process(up.process.pid)
    before = seen.io_counters().read_chars  # pyright: ignore[reportAttributeAccessIssue]
    with up.connect(up.head("GET", f"{path}/big")) as connection:
        connection.recv(100_000)
    after = -1
    while after != (after := seen.io_counters().read_chars):  # pyright: ignore[reportAttributeAccessIssue]
        time.sleep(1)
    assert after - before < 100 * MIB


def test_downloads_that_nobody_reads_are_bounded(up: Target) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_of(up)}/artifacts"
    with up.connect(up.head("PUT", f"{path}/big", f"content-length: {50 * MIB}")) as sending:
        for _ in range(50):
            sending.sendall(b"x" * MIB)
        assert b" 200 " in sending.recv(1000)
    before = up.measured()[0]
    taken = [up.connect(up.head("GET", f"{path}/big")) for _ in range(200)]
    for _ in range(20):
        assert up.healthy() < 10
    up.works()
    assert up.measured()[0] - before < 300 * MIB
    for connection in taken:
        connection.close()
    assert up.end() == 0
