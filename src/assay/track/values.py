"""What a run may be given: names, numbers, parameters, and texts that every database holds."""

import json
from collections.abc import Mapping
from typing import Any

from assay.errors import BadInput, first_few

LONGEST_NAME = 250
LONGEST_ARTIFACT_NAME = 500


def key(what: str, name: str) -> str:
    """The name as it is kept. Raises `BadInput` for one that is empty or longer than 250 characters."""
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or "\0" in name:  # pyright: ignore[reportUnnecessaryIsInstance]
        shown = name[:50] if isinstance(name, str) else name  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadInput(f"{shown!r} can't be the name of a {what}", do=f"Use 1 to {LONGEST_NAME} characters.")
    return storable(name)


def artifact_name(name: str) -> str:
    """The name as it is kept, when it is a relative path that leaves nothing. Raises `BadInput` otherwise."""
    odd = any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or "\0" in name
    if odd or len(name) > LONGEST_ARTIFACT_NAME or (len(name) > 1 and name[1] == ":"):
        raise BadInput(f"{name[:80]!r} can't be the name of an artifact", do="Use a relative path, like plots/roc.png.")
    return storable(name).replace("\\", "%")


def plain_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON gives them back. Raises `BadInput`, naming each that JSON can't hold."""
    plain: dict[str, Any] = {}
    odd: list[str] = []
    for name, value in values.items():
        try:
            plain[name] = _storable_json(json.loads(json.dumps(value, allow_nan=False, default=number)))
        except (TypeError, ValueError) as error:
            odd.append(f"{name} = {value!r}"[:200] + f": {error}")
    if odd:
        raise BadInput("parameters must be JSON", *first_few(odd, len(odd)), do="Log its text instead: str(value).")
    return plain


def _storable_json(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, list):
        return [_storable_json(one) for one in value]
    if isinstance(value, dict):
        return {storable(name): _storable_json(one) for name, one in value.items()}
    return value


def number(value: Any) -> Any:
    """A number of numpy as one of Python."""
    import numpy as np

    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is not JSON")


def is_number(value: Any) -> bool:
    """Whether a metric can have it; texts of digits are no numbers."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, (str, bytes))


def whole_step(step: Any) -> int:
    """A step as it is kept. Raises `BadInput` for what is no whole number of 64 bits."""
    try:
        whole = int(step)
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or not -(2**63) <= whole < 2**63:
        raise BadInput(f"{step!r} is not a step", do="Steps are whole numbers.")
    return whole


def reason(error: BaseException) -> str:
    """Why something failed, as it is kept."""
    return storable(f"{type(error).__name__}: {error}".removesuffix(": "))


def storable(text: str) -> str:
    r"""A text with what no database holds spelt out: halves of characters, as in odd file names, and NUL.

    >>> storable("caf\udce9\0")
    'caf\\udce9\\0'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
