"""Random tables and rules in every form: all engines and writers give the report of an oracle in plain Python."""

from pathlib import Path
from random import Random

import pytest
from cases import Case, case
from fuzz import differences
from table_writers import FORMS
from table_writers import postgres as in_postgresql

from assay.checks.rules import Fresh

#: Few, because they are in everyone's way: `make fuzz` tries other seeds for as long as one likes.
SEEDS = range(1, 25)
SERVER = "postgresql"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_form_gives_the_report_of_the_oracle(seed: int, postgres: str, tmp_path: Path) -> None:
    forms = FORMS | {SERVER: in_postgresql(postgres)}
    some = {name: forms[name] for name in Random(seed).sample(sorted(FORMS), 5)}
    assert list(differences(case(seed), some | {SERVER: forms[SERVER]}, tmp_path)) == []


def test_the_cases_hold_what_they_shall() -> None:
    made = [case(seed) for seed in range(1, 400)]
    kinds = {rule.name for one in made for rule in one.rules}
    assert kinds == {"rows", "type", "nulls", "between", "isin", "unique", "fresh", "matches", "length", "sql"}
    assert any(isinstance(rule, Fresh) and rule.format for one in made for rule in one.rules)
    assert any("digits" in one.kinds.values() for one in made)
    assert sum(one.contract is not None for one in made) > 80
    assert any(not one.rows for one in made)


def test_a_wrong_engine_is_noticed(tmp_path: Path) -> None:
    """What loses a row, or a value, differs from the oracle: the comparison can fail."""
    from dataclasses import replace

    arrow, broken = FORMS["arrow"], 0
    losing = replace(arrow, write=lambda table, path, dice: arrow.write(table.slice(0, len(table) - 1), path, dice))
    for seed in range(1, 15):
        made: Case = case(seed)
        broken += bool(made.rows) and bool(list(differences(made, {"losing": losing}, tmp_path)))
    assert broken > 8
