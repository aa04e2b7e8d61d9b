"""The settings that a model's own SQL makes: as dbt takes them, or an error; never the other branch."""

import pytest

from assay.dbt.declared import Unreadable
from assay.dbt.inline import Templates
from assay.dbt.jinja import var_of

WANTED = frozenset(("schema", "alias", "enabled", "materialized", "tags"))
MACROS = {
    "named": "{% macro named() %}{{ return('returned') }}{% endmacro %}",
    "set_schema": "{% macro set_schema(to) %}{{ config(schema=to) }}{% endmacro %}",
    "by_two": "{% macro by_two(to) %}{{ shop.set_schema(to) }}{% endmacro %}",
    "by_kind": "{% macro by_kind() %}{{ return(adapter.dispatch('by_kind')()) }}{% endmacro %}",
    "duckdb__by_kind": "{% macro duckdb__by_kind() %}duck{% endmacro %}",
    "default__by_kind": "{% macro default__by_kind() %}any{% endmacro %}",
}
NAMES = {"target": {"name": "dev", "schema": "main"}, "var": var_of({"flag": False, "word": "lost"}, "shop")}
TEMPLATES = Templates("shop", "duckdb", NAMES, MACROS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "{% if target.name == 'dev' %}{{ config(alias='mine') }}{% else %}{{ config(alias='other') }}{% endif %}",
            {"alias": "mine"},
        ),
        (
            "{% if var('flag') %}{{ config(alias='yes') }}{% elif target.name == 'dev' %}{{ dbt_utils.star() }}{{ config(alias='no') }}{% endif %}",
            {"alias": "no"},
        ),
        ("{{ config(alias='a') if target.name == 'dev' else config(alias='b') }}", {"alias": "a"}),
        ("{% set where = 'marts' %}{{ config(schema=where) }}", {"schema": "marts"}),
        ("{% set where %}ma{{ 'rts' }}{% endset %}{{ config(schema=where) }}", {"schema": "marts"}),
        (
            "{% set ns = namespace(x='1') %}{% for i in [1] %}{% set ns.x = 'two' %}{% endfor %}{{ config(alias=ns.x) }}",
            {"alias": "two"},
        ),
        ("{% for name in ['a', 'b'] %}{{ config(alias=name) }}{% endfor %}", {"alias": "b"}),
        ("{% do config(schema='done') %}", {"schema": "done"}),
        ("{% set all = {'schema': 'dict'} %}{{ config(**all) }}{{ config({'enabled': false}) }}", {"schema": "dict", "enabled": False}),
        ("{{ config(schema='deep', alias=var('word'), post_hook=whatever()) }} select {{ nothing_known() }}", {"schema": "deep", "alias": "lost"}),
        ("{% raw %}{{ config(schema='raw') }}{% endraw %}{# {{ config(schema='said') }} #}{{ config(alias='real') }}", {"alias": "real"}),
        # As dbt has it while it parses.
        ("{% if execute %}{{ config(alias='never') }}{% endif %}{% if is_incremental() %}{{ config(schema='x') }}{% endif %}", {}),
        ("{{ config(tags=['a']) }}{{ config(tags='b') }}", {"tags": ["a", "b"]}),
        # Macros of the project.
        ("{{ set_schema('one') }}", {"schema": "one"}),
        ("{{ by_two('two') }}", {"schema": "two"}),
        ("{{ config(schema=named(), alias=by_kind()) }}", {"schema": "returned", "alias": "duck"}),
        # What is unknown and decides nothing.
        ("{% set rows = dbt_utils.get('x') %}{% if rows %} select {% endif %}{{ config(alias='a') }}", {"alias": "a"}),
    ],
)  # fmt: skip
def test_the_settings_are_those_of_dbt(text: str, found: dict[str, object]) -> None:
    assert TEMPLATES.settings(text + " select 1", WANTED) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{% if dbt_utils.any() %}{{ config(alias='a') }}{% endif %}", "dbt_utils.any"),
        ("{% if dbt_utils.any() %}{% set a = 1 %}{% endif %}{{ config(alias='a') }}", "dbt_utils.any"),
        ("{% set where = dbt_utils.get('x')['y'] %}{{ config(schema=where) }}", r"config\(schema=...\) needs dbt_utils.get\(...\)\['y'\]"),
        ("{{ config(tags=['a', nowhere]) }}", "needs nowhere"),
        ("{{ config(schema=var('nowhere')) }}", "'nowhere' is set nowhere"),
        ("{{ config(schema=1 / 0) }}", "ZeroDivisionError"),
        ("{{ config(schema='a' }}", "can't be rendered"),
        ("{% for i in range(9999999999) %}{{ config(schema='a') }}{% endfor %}", "can't be rendered"),
    ],
)  # fmt: skip
def test_what_can_not_be_worked_out_is_an_error_and_no_guess(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        TEMPLATES.settings(text, WANTED)
