"""Who is admitted with which token, and when a server needs one."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.access import make_token
from assay.access.guard import WRONG, Asker, Guard, guarding, secret_of
from assay.access.known import KnownTokens
from assay.access.rights import Right
from assay.errors import BadInput
from assay.listen import Hosts, Refusal, head_of
from assay.listen.head import Head
from assay.store import Store, find_home, use

RIGHTS: tuple[Right, ...] = ("open", "secret", "predict", "read", "write", "admin")
HOW = "send a token: Authorization: Bearer ..., or as the password of Basic (make one: assay tokens add NAME)"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    with use(find_home(tmp_path / ".assay")) as opened:
        yield opened
    opened.database.dispose()


def head(authorization: str = "", host: str = "localhost") -> Head:
    return head_of([(b"host", host.encode()), (b"authorization", authorization.encode("latin-1"))])


def basic(pair: bytes) -> str:
    return f"Basic {base64.b64encode(pair).decode()}"


def test_on_loopback_everybody_may_do_all_and_no_token_is_looked_at(store: Store) -> None:
    with guarding(store, "127.0.0.1", []) as guard:
        for authorization in ("", "Bearer stale", "Basic ?"):
            assert [guard.admit(head(authorization), right) for right in RIGHTS] == [Asker("", "admin")] * len(RIGHTS)
        assert guard.foreign(head(host="localhost")) is None
        refused = guard.foreign(head(host="evil.example"))
        assert refused
        assert refused.status == 403


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("predict", ["open", "secret", "predict"]),
        ("read", ["open", "secret", "read"]),
        ("write", ["open", "secret", "predict", "read", "write"]),
        ("admin", list(RIGHTS)),
    ],
)
def test_a_token_admits_to_what_its_scope_says(store: Store, scope: str, may: list[Right]) -> None:
    secret = make_token(store, "ann", scope)  # type: ignore[arg-type]
    guard = Guard(Hosts("0.0.0.0"), KnownTokens(store))
    for authorization in (f"Bearer {secret}", f"bearer   {secret} ", basic(f"x:{secret}".encode())):
        for right in RIGHTS:
            refusal = Refusal(403, "PERMISSION_DENIED", f"token ann may {scope}, this needs {right}")
            assert guard.admit(head(authorization), right) == (Asker("ann", scope) if right in may else refusal)  # type: ignore[arg-type]


def test_without_a_token_or_with_a_wrong_one_only_what_is_free_is_admitted(store: Store) -> None:
    make_token(store, "ann", "admin")
    guard = Guard(Hosts("0.0.0.0"), KnownTokens(store))
    none = Refusal(401, "UNAUTHENTICATED", HOW)
    wrong = Refusal(401, "UNAUTHENTICATED", f"there is no such token; {HOW}")
    for authorization, refusal in (("", none), ("Bearer wrong", wrong), ("Bearer", wrong), ("Digest x", wrong)):
        found = [guard.admit(head(authorization), right) for right in RIGHTS]
        assert found == [Asker("", "read"), Asker("", "read")] + [refusal] * 4
    assert guard.admit(head("Bearer wrong"), "read") is WRONG  # who waits before it is told knows it by this


def test_who_asks_may_what_his_scope_says() -> None:
    assert [right for right in RIGHTS if Asker("ann", "write").may(right)] == list(RIGHTS)[:-1]
    assert all(Asker().may(right) for right in RIGHTS)


@pytest.mark.parametrize(
    ("authorization", "secret"),
    [
        ("Bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Bearer a b", "a b"),
        ("Bearer", ""),
        (basic(b"ann:abc"), "abc"),
        (basic(b":abc"), "abc"),
        (basic(b"ann:a:c"), "a:c"),
        (basic(b"ann:"), ""),
        (basic(b"abc"), ""),
        (basic("\u00fc:\u00e9".encode()), "\u00e9"),
        (basic(b"\xff:\xfe"), "\udcfe"),
        (basic(b"ann:abc").replace("Basic ", "bAsIC   ") + " ", "abc"),
        ("Basic YW5u!OmFiYw==", ""),
        ("Basic YW5uOmFiYw", ""),
        ("Basic \u00e9", ""),
        ("Digest abc", ""),
        ("abc", ""),
        ("", ""),
    ],
)
def test_the_secret_is_what_comes_after_bearer_or_the_password_of_basic(authorization: str, secret: str) -> None:
    assert secret_of(authorization) == secret


def test_a_server_that_others_reach_begins_when_there_is_a_token(store: Store) -> None:
    with pytest.raises(BadInput) as refused, guarding(store, "0.0.0.0", []):
        pass
    assert str(refused.value).splitlines() == [
        "0.0.0.0 can be reached from other machines, and no token exists yet",
        "Create one first: assay tokens add NAME --scope write",
    ]
    secret = make_token(store, "ann", "read")
    with guarding(store, "0.0.0.0", ["named.example"]) as guard:
        assert guard.admit(head(f"Bearer {secret}"), "read") == Asker("ann", "read")
        assert guard.admit(head(), "read") == Refusal(401, "UNAUTHENTICATED", HOW)
        assert guard.foreign(head(host="named.example")) is None
        assert guard.foreign(head(host="other.example"))
