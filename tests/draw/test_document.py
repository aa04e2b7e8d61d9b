from collections.abc import Callable
from html import escape

from hypothesis import given, settings
from hypothesis import strategies as st

from assay.draw import badge, bars, cards, figure, folded, page, section, table

Tags = Callable[[str], list[str]]
NASTY = "</style><script src='https://example.org/x.js'>alert(1)</script> \"&amp;"


def whole(text: str) -> str:
    return page(
        text,
        cards({text: (text, "bad")}),
        section(text, table((text, text), [(text, badge(text, "warn"))]), note=text),
        section(text, figure(text, bars([]), text), figure(text, bars([]), text), grid=True),
        folded(text, [text, text], before=text),
        under=text,
        foot=text,
    )


def test_every_part_escapes_its_text(tags: Tags) -> None:
    found = tags(whole(NASTY).replace(escape(NASTY), ""))
    assert tags(whole("plain")) == found
    assert escape(NASTY) in whole(NASTY)


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1))
def test_any_text_leaves_the_page_balanced(tags: Tags, text: str) -> None:
    assert tags(whole(text)) == tags(whole("plain"))


def test_a_page_of_nothing_is_a_page(tags: Tags) -> None:
    assert tags(page(""))[:2] == ["html", "head"]


def test_only_html_of_this_package_is_put_in_as_it_is() -> None:
    assert table(("a",), [("<b>",)]).count("&lt;b&gt;") == 1
    assert "<span class='badge good'>✓ pass</span>" in table(("a",), [(badge("pass", "good"),)])


def test_a_mood_is_said_by_a_sign_too() -> None:
    assert "✓ x" in badge("x", "good")
    assert "✕ x" in badge("x", "bad")
    assert "▲ x" in badge("x", "warn")
