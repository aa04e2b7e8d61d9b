"""Whether a request is for this server: by the names it goes by, and by the page that sent it."""

import pytest

from assay.listen.head import Head, Hosts, head_of

OURS = b"localhost:8400"


def head(*lines: tuple[bytes, bytes]) -> Head:
    return head_of([(b"host", OURS), *lines])


def status(hosts: Hosts, host: bytes, *lines: tuple[bytes, bytes]) -> int:
    """With what it is refused; 200 when it is not."""
    refused = hosts.refuse(head_of([(b"host", host), *lines]))
    return refused.status if refused else 200


@pytest.mark.parametrize(
    ("host", "on_loopback", "on_all"),
    [
        (b"localhost", 200, 200),
        (b"LOCALHOST:8400", 200, 200),
        (b"127.0.0.1:8400", 200, 200),
        (b"127.9.9.9", 200, 200),
        (b"[::1]:8400", 200, 200),
        (b"Named.example:1", 200, 200),
        (b"other.example", 403, 403),
        (b"localhost.evil.example", 403, 403),
        (b"10.1.2.3:8400", 403, 200),  # an address of this machine that others reach
        (b"[2001:db8::1]", 403, 200),
        (b"localhost:80@evil.example", 400, 400),
        (b"localhost:", 400, 400),
        (b"-x", 400, 400),
        (b"", 400, 400),
    ],
)
def test_a_server_answers_by_its_names_and_by_addresses_that_reach_it(
    host: bytes, on_loopback: int, on_all: int
) -> None:
    assert status(Hosts("127.0.0.1", ["named.EXAMPLE"]), host) == on_loopback
    assert status(Hosts("0.0.0.0", ["named.EXAMPLE"]), host) == on_all


def test_a_server_goes_by_the_name_that_it_listens_on() -> None:
    assert status(Hosts("Trainer-1"), b"trainer-1:8400") == 200
    assert (Hosts("Trainer-1").is_open, Hosts("localhost").is_open, Hosts("::1").is_open) == (True, False, False)


def test_what_is_refused_says_why() -> None:
    hosts = Hosts("127.0.0.1")
    said = {host: hosts.refuse(head_of([(b"host", host)])) for host in (b"other.example", b"10.1.2.3", b"a b")}
    assert [(one.code, one.why) for one in said.values() if one] == [
        (
            "PERMISSION_DENIED",
            "this server is not called 'other.example'; start it with --allow-host other.example if it is",
        ),
        ("PERMISSION_DENIED", "this server is not called '10.1.2.3'"),
        ("BAD_REQUEST", "'a b' is not a host"),
    ]


def test_a_request_has_one_host() -> None:
    hosts = Hosts("127.0.0.1")
    for lines in ([], [(b"host", OURS), (b"host", OURS)], [(b"host", b"evil.example"), (b"host", OURS)]):
        refused = hosts.refuse(head_of(lines))
        assert refused
        assert (refused.status, refused.code, refused.why) == (400, "BAD_REQUEST", "a request has one Host header")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([(b"origin", b"http://localhost:8400")], 200),
        ([(b"origin", b"https://localhost:8400")], 200),
        ([(b"origin", b"http://localhost:8401")], 403),
        ([(b"origin", b"http://evil.example")], 403),
        ([(b"origin", b"null")], 403),
        ([(b"origin", b"")], 403),
        ([(b"origin", b"http://[")], 403),
        ([(b"sec-fetch-site", b"same-origin")], 200),
        ([(b"sec-fetch-site", b"none")], 200),
        ([(b"sec-fetch-site", b"same-site")], 403),
        ([(b"sec-fetch-site", b"cross-site")], 403),
    ],
)
def test_a_page_of_another_site_asks_nothing(lines: list[tuple[bytes, bytes]], expected: int) -> None:
    assert status(Hosts("127.0.0.1"), OURS, *lines) == expected
    assert status(Hosts("0.0.0.0"), OURS, *lines) == expected


def test_the_head_has_what_is_looked_at() -> None:
    lines = [(b"authorization", b"Bearer \xe9"), (b"content-type", b"text/x"), (b"content-encoding", b"gzip")]
    lines += [(b"content-length", b"12"), (b"cookie", b"x"), (b"origin", b"o"), (b"sec-fetch-site", b"s")]
    assert head(*lines) == Head("localhost:8400", "o", "s", "Bearer \xe9", "text/x", "gzip", 12)
    assert head() == Head("localhost:8400", None, "", "", "", "", 0)


@pytest.mark.parametrize(
    ("text", "length"),
    [(b"0", 0), (b"007", 7), (b"9" * 18, 10**18 - 1), (b"9" * 19, 0), (b"-1", 0), (b"\xb2", 0), (b"1.5", 0), (b"", 0)],
)
def test_a_length_is_a_number_that_can_be_one(text: bytes, length: int) -> None:
    assert head((b"content-length", text)).content_length == length
