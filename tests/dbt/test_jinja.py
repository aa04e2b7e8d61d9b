"""The Jinja that YAML of a project may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.dbt.declared import Unreadable
from assay.dbt.jinja import Renderer, env_var, var_of

RENDERER = Renderer(
    {
        "var": var_of({"floor": 2, "seven": "7", "shop": {"floor": 3, "word": "lost"}}, "shop"),
        "env_var": env_var,
        "target": {"schema": "core"},
    }
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ var('floor') }}", 3),
        ("id > {{ var('floor') }}", "id > 3"),
        ("{{ var('none', 'x') }}", "x"),
        ("{{ target.schema }}_raw", "core_raw"),
        ("{{ env_var('ASSAY_NOT_SET', 'd') }}", "d"),
        ("{{ var('word') | as_text }}", "lost"),
        ("{{ var('seven') | as_number }}", 7),
        ("{% if target.schema == 'core' %}yes{% else %}no{% endif %}", "yes"),
        (5, 5),
    ],
)
def test_an_expression_keeps_its_type_and_a_text_is_filled_in(text: object, value: object) -> None:
    assert RENDERER.value(text) == value


@given(st.text().filter(lambda text: "{" not in text))
def test_text_without_jinja_stays_as_it_is(text: str) -> None:
    assert RENDERER.value(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ dbt_utils.star('x') }}", "'dbt_utils' is undefined"),
        ("{{ var('nowhere') }}", "'nowhere' is set nowhere"),
        ("{{ env_var('ASSAY_NOT_SET') }}", "no variable 'ASSAY_NOT_SET'"),
        ("{{ ''.__class__.__mro__ }}", "unsafe|undefined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ 1 +", "can't be rendered"),
    ],
)
def test_what_can_not_be_worked_out_is_told(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        RENDERER.value(text)
