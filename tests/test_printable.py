"""What can't be seen, or turns a text around, is shown; what is read stays."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from assay.draw.text import escape
from assay.errors import printable

INVISIBLE = [
    "mo\u200bdel",
    "mo\u200cdel",
    "mo\u200ddel",
    "model\ufeff",
    "mo\u00addel",
    "mo\u2060del",
    "model\u3164",
    "model\u115f",
    "model\u2800",
    "mo\u034fdel",
    "model\ufe0f",
    "model\ufe00",
    "model\U000e0041",
    "model\U000e0100",
    "\u202eledom",
    "\u2067model\u2069",
    "\u061cmodel",
    "model\u2028",
    "model\x85",
    "\U0001f600\u200d",
]
READ = [
    "model",
    "Modèle № 3",
    "模型",
    "نموذج",
    "דגם",
    "मॉडल",
    "e\u0301",
    "❤️",
    "👩\u200d🔬",
    "🏳️\u200d🌈",
    "a\nb",
    "1\u00a0000",
]


def test_two_texts_that_look_alike_are_shown_as_two() -> None:
    for text in INVISIBLE:
        for said in (printable(text), escape(text)):
            assert "\\" in said, text.encode("unicode_escape")
            assert all(unicodedata.category(one) not in ("Cf", "Cc", "Zl", "Zp") for one in said.replace("\u200d", ""))


def test_what_people_write_stays() -> None:
    assert [printable(text) for text in READ] == READ


@given(st.text())
def test_nothing_turns_a_line_around_and_it_is_the_same_when_it_is_shown_again(text: str) -> None:
    said = printable(text)
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\x1b]", said)
    assert printable(said) == said
    said.encode()
