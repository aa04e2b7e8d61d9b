"""Rules that are about some of the rows, allow some to break them, or are written in SQL."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.checks import Checks, check, col, fresh, rows, sql, unique
from assay.checks.render import lines
from assay.errors import BadInput, Refused

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
TRIPS = pa.table(
    {
        "trip": ["a", "b", "b", "c"],
        "city": ["north", "north", "south", "south"],
        "began": [1, 5, 3, 9],
        "arrived": [2, 4, None, 10],
        "miles": [1.0, float("nan"), 300.0, 4.0],
        "at": pa.array([datetime(2013, 6, day, tzinfo=UTC) for day in (3, 1, 2, 3)], pa.timestamp("us", "UTC")),
    }
)


def result(rule: object, table: object = TRIPS):
    (found,) = check(table, rule, now=NOON).results  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("form", ["frame", "files"])
@pytest.mark.parametrize(
    ("rule", "status", "failing", "total", "message"),
    [
        (col("miles").between(0, 10, where="city = 'north'"), "pass", 0, 2, "1 to 1"),
        (
            col("miles").between(0, 10, where="city = 'south'"),
            "fail",
            1,
            2,
            "1 of 2 rows outside 0 to 10   worst 300   where city = 'south'",
        ),
        (col("miles").nulls(where="city = 'north'"), "fail", 1, 2, "missing in 1 of 2 rows   where city = 'north'"),
        (
            col("trip").isin("a", "b", where="began > 4"),
            "fail",
            1,
            2,
            "1 of 2 rows not one of a, b   c × 1   where began > 4",
        ),
        (unique("trip", where="city = 'north'"), "pass", 0, 2, "no two rows alike"),
        (rows(min=3, where="city = 'north'"), "fail", 0, 2, "2 rows, at least 3 rows expected   where city = 'north'"),
        (
            fresh("at", error="30h", where="city = 'north' AND began > 1"),
            "fail",
            0,
            1,
            "newest 2013-06-01T00:00:00Z, 60h old, not older than 30h expected   where city = 'north' AND began > 1",
        ),
    ],
)
def test_a_condition_chooses_the_rows(form, rule, status, failing, total, message, tmp_path) -> None:
    if form == "files":
        pq.write_table(TRIPS, tmp_path / "t.parquet")
    found = result(rule, tmp_path if form == "files" else TRIPS)
    assert (found.status, found.failing, found.total, found.message) == (status, failing, total, message)


def test_the_worst_rows_are_among_those_chosen() -> None:
    found = result(col("miles").between(0, 2, where="city = 'south'"))
    assert [row.values["miles"] for row in found.worst] == [300.0, 4.0]
    assert [row.row for row in result(unique("trip", where="began > 2")).worst] == [1, 2]


def test_a_tolerance_lets_so_many_rows_break_the_rule() -> None:
    half = result(col("miles").between(0, 10, tolerance=0.25))
    assert (half.status, half.failing, half.message) == ("pass", 1, "1 of 4 rows at fault, at most 25 % allowed")
    less = result(col("miles").between(0, 10, tolerance=0.2))
    assert (less.status, less.message) == (
        "fail",
        "1 of 4 rows outside 0 to 10   worst 300   25 %, at most 20 % allowed",
    )
    assert result(unique("trip", tolerance=0.5)).status == "pass"
    assert result(col("trip").isin("a", "b", tolerance=0.25, severity="warn")).status == "pass"


def test_a_predicate_of_ones_own_shows_the_rows_that_break_it() -> None:
    found = result(sql("arrived >= began", title="no trip ends before it begins"))
    assert (found.status, found.column, found.failing) == ("fail", "no trip ends before it begins", 1)
    assert found.message == "1 of 4 rows break arrived >= began"
    assert found.worst[0].values == {"trip": "b", "city": "north", "began": 5, "arrived": 4}


@pytest.mark.parametrize(
    "rule",
    [
        sql("arived >= began"),
        sql("arrived >="),
        sql("CAST(city AS INT) > 1"),
        col("began").between(0, where="citty = 1"),
    ],
    ids=["an unknown column", "no SQL", "a value that can't be cast", "an unknown column in a condition"],
)
def test_a_rule_that_can_t_be_asked_is_an_error_and_the_others_are_asked(rule: object) -> None:
    report = check(TRIPS, Checks(rule, col("began").between(0, 9)), now=NOON)  # type: ignore[arg-type]
    assert [one.status for one in report.results] == ["error", "pass"]
    assert report.results[0].message.startswith("can't be asked: ")
    assert report.failed
    assert "1 not asked, 1 passed" in lines(report)[0]
    with pytest.raises(Refused, match="can't be asked"):
        report.raise_for_failure()


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda: sql("  "), "needs a condition"),
        (lambda: col("x").between(0, tolerance=2), "tolerance=2 is not a share"),
        (lambda: unique("x", tolerance=-0.1), "is not a share"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(declare, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        declare()


@pytest.fixture
def cities(tmp_path):
    pq.write_table(pa.table({"name": ["north", "east", None], "number": [1, 2, 3]}), tmp_path / "cities.parquet")
    (tmp_path / "cities.csv").write_text("name,number\nnorth,1\neast,2\n")
    return tmp_path


@pytest.mark.parametrize("file", ["cities.parquet", "cities.csv"])
def test_values_that_the_other_table_lacks_are_named(cities, file: str) -> None:
    found = result(col("city").refers(cities / file, "name"))
    assert (found.rule, found.status, found.failing) == ("refers", "fail", 2)
    assert found.message == f"2 of 4 rows not in name of {cities / file}   south × 2"
    assert [row.values["city"] for row in found.worst] == ["south", "south"]
    assert result(col("city").refers(cities / file, "name", where="began < 4 AND trip = 'a'")).status == "pass"


def test_a_reference_that_can_t_be_followed(cities) -> None:
    kinds = result(col("city").refers(cities / "cities.parquet", "number"))
    assert (kinds.status, kinds.failing) == ("fail", 4)
    assert "holds text, number of " in kinds.message
    lacking = result(col("city").refers(cities / "cities.parquet", "nam"))
    assert lacking.status == "error"
    assert "has no column nam (did you mean name?)" in lacking.message
    absent = result(col("city").refers(cities / "towns.parquet", "name"))
    assert (absent.status, "towns.parquet does not exist" in absent.message) == ("error", True)
