"""A name that can't be used later is refused when the model is declared."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import assay
from assay.errors import BadInput
from assay.predictions.layout import table_name
from assay.store.tables import folder


class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime


class Out(assay.Record):
    value: float


def declare(name: str) -> assay.Model:
    return assay.Model(name, takes=In, gives=Out, label="y", features=lambda d: {}, fit=lambda x, y: None)


@pytest.mark.parametrize("name", ["3d-model", "", "-a", "a-", "a--b", "Model", "a_b", "mödel", "a\n", "a b", "a/../b"])
def test_it_is_refused_at_the_declaration(name: str) -> None:
    with pytest.raises(BadInput, match=r"can't be the name of a model\nUse lower-case letters"):
        declare(name)


@given(st.text(st.sampled_from("ab09-_ .A"), max_size=8))
def test_whatever_is_declared_can_be_the_name_of_its_tables(name: str) -> None:
    try:
        declare(name)
    except BadInput:
        return
    for source in ("served", "trained"):
        assert folder(Path("t"), table_name(source, name)).parent == Path("t")
