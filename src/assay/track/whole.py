"""Whole numbers that somebody wrote: one reading of them, so that nothing else decides what a number is."""

import re

#: Numbers of 64 bits, as both databases keep them.
LEAST, MOST = -(2**63), 2**63 - 1
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)


def whole_number(text: str, least: int = LEAST, most: int = MOST) -> int | None:
    """The number of a text of ASCII digits, None for any other text or a number out of bounds.

    >>> whole_number("31"), whole_number("-7"), whole_number("²"), whole_number("٣"), whole_number("9" * 25)
    (31, -7, None, None, None)
    """
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text)
    return number if least <= number <= most else None
