import pytest

from assay.contract import Invalid, Violation
from assay.errors import (
    AssayError,
    BadInput,
    Conflict,
    Corrupt,
    NotFound,
    Refused,
    Taken,
    Unavailable,
    first_few,
    near_miss,
)
from assay.times import instant


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AssayError, 3),
        (Refused, 1),
        (BadInput, 2),
        (NotFound, 2),
        (Taken, 2),
        (Unavailable, 3),
        (Conflict, 3),
        (Corrupt, 3),
    ],
)
def test_the_exit_code_is_on_the_class(error: type[AssayError], code: int) -> None:
    assert error("what").exit_code == code
    assert isinstance(error("what"), AssayError)


def test_a_message_has_what_the_values_and_what_to_do() -> None:
    error = BadInput("no model 'a'", "there is b", "and c", do="did you mean b?")
    assert str(error) == "no model 'a'\n  there is b\n  and c\ndid you mean b?"
    assert (error.what, error.values, error.do) == ("no model 'a'", ("there is b", "and c"), "did you mean b?")
    assert str(BadInput("only what")) == "only what"


def test_five_of_many_values_are_shown_and_the_rest_counted() -> None:
    assert first_few((str(i) for i in range(5)), 5) == ["0", "1", "2", "3", "4"]
    assert first_few((str(i) for i in range(10**4)), 10**4) == ["0", "1", "2", "3", "4", "... and 9,995 more"]
    assert first_few([], 0) == []
    error = Invalid("Trip", [Violation(f"$[{i}]", "1", "an object") for i in range(7)])
    assert str(error).splitlines() == [
        "the input breaks Trip in 7 places",
        *(f"  $[{i}]: 1, expected an object" for i in range(5)),
        "  ... and 2 more",
    ]
    assert str(Invalid("Trip", error.faults[:1])).startswith("the input breaks Trip in 1 place\n")


def test_the_nearest_known_word_is_named_or_none() -> None:
    assert near_miss("distnce", iter(["distance", "origin"])) == "did you mean distance?"
    assert near_miss("Distance", ["distance"]) == "did you mean distance?"
    assert near_miss("zzz", ["distance"]) == ""
    assert near_miss("", []) == ""


def test_an_error_of_ours_hides_what_caused_it() -> None:
    with pytest.raises(BadInput) as error:
        instant("noon")
    assert error.value.__suppress_context__
