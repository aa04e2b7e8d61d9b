"""Faults that `assay send` puts into rows, as they are written on the command line."""

import pytest

from assay.errors import BadInput
from assay.serve.send import Fault, parse_fault

KNOWN = ["miles", "Body Mass (g)", "50% off: now", "a=b", "a"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("miles*1.6:5%", Fault("miles", "*", "1.6", 0.05)),
        ("miles=-3", Fault("miles", "=", "-3", 1.0)),
        ("Body Mass (g)*1.5:30.5%", Fault("Body Mass (g)", "*", "1.5", 0.305)),
        ("50% off: now-5h:10%", Fault("50% off: now", "-", "5h", 0.1)),
        ("a=b=c", Fault("a=b", "=", "c", 1.0)),
        ("a=c", Fault("a", "=", "c", 1.0)),
    ],
)
def test_a_fault_of_a_column_of_any_name(text: str, fault: Fault) -> None:
    assert parse_fault(text, KNOWN) == fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mile*2", r"there is no column 'mile'\n.*did you mean miles"),
        ("Body Mas (g)*2", r"there is no column 'Body Mas \(g\)'\n.*did you mean Body Mass"),
        ("miles", "'miles' is not a fault\nWrite"),
        ("miles*2:x%", "'miles.*' is not a fault\nWrite"),
        ("", "'' is not a fault\nWrite"),
    ],
)
def test_what_is_no_fault(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_fault(text, KNOWN)
