"""What a route needs, and what a token of a scope may."""

from typing import Literal, get_args

Scope = Literal["predict", "read", "write", "admin"]
SCOPES = get_args(Scope)
#: `open` anybody may ask; `secret` is for who knows the secret in the address, like that of an upload in parts.
Right = Literal["open", "secret", "predict", "read", "write", "admin"]
FREE: frozenset[Right] = frozenset[Right]({"open", "secret"})


def _free_and(*rights: Right) -> frozenset[Right]:
    return FREE | set(rights)


_MAY: dict[Scope, frozenset[Right]] = {
    "predict": _free_and("predict"),
    "read": _free_and("read"),
    "write": _free_and("predict", "read", "write"),
    "admin": _free_and("predict", "read", "write", "admin"),
}


def may(scope: Scope, right: Right) -> bool:
    """Whether a token of a scope may do what needs a right.

    >>> may("write", "read"), may("write", "admin"), may("predict", "read")
    (True, False, False)
    """
    return right in _MAY[scope]
