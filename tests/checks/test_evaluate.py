import math
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.checks import Checks, Result, check, col, fresh, rows, unique
from assay.contract import EventTime, Key, Record, between
from assay.errors import BadInput

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
nan = math.nan


class Flight(Record):
    flight: Key[str]
    scheduled: EventTime
    carrier: Literal["AA", "UA"]
    miles: Annotated[float, between(50, 5000, unit="mi")]
    seats: int


def flights(**changed: object) -> pa.Table:
    columns = {
        "flight": pa.array(["AA1", "AA2", "UA3"]),
        "scheduled": pa.array([NOON - timedelta(hours=h) for h in (3, 2, 1)], pa.timestamp("us", tz="UTC")),
        "carrier": pa.array(["AA", "AA", "UA"]),
        "miles": pa.array([100.0, 200.0, 300.0]),
        "seats": pa.array([10, 20, 30]),
    }
    return pa.table({name: values for name, values in {**columns, **changed}.items() if values is not None})


def only(table: object, rule: object, **options: object) -> Result:
    (result,) = check(table, rule, now=NOON, **options).results  # type: ignore[arg-type]
    return result


def broken(report) -> list[tuple[str, str, str]]:
    return [(result.rule, result.column, result.message) for result in report.results if result.status != "pass"]


def test_a_good_table_passes_its_contract() -> None:
    report = check(flights(), Flight, fresh="2h", now=NOON)
    assert (report.passed, report.failed, report.rows, report.files, report.target) == (
        True,
        False,
        3,
        0,
        "pyarrow.Table",
    )
    assert len(report.results) == 15
    assert report.checked_at == NOON


@pytest.mark.parametrize("form", ["parquet", "pyarrow", "polars", "lazy", "pandas"])
def test_the_same_report_from_every_form(form: str, tmp_path) -> None:
    table = flights(
        miles=pa.array([nan, 9999.5, 300.0]), carrier=pa.array(["AA", "AAA", "UA"]), flight=pa.array(["a", "b", "b"])
    )
    pq.write_table(table, tmp_path / "t.parquet")
    forms = {
        "parquet": tmp_path / "t.parquet",
        "pyarrow": table,
        "polars": pl.from_arrow(table),
        "lazy": pl.from_arrow(table).lazy(),
        "pandas": table.to_pandas(),
    }
    report = check(forms[form], Flight, now=NOON)
    assert broken(report) == [
        ("unique", "flight", "2 of 3 rows not unique   1 value more than once"),
        ("isin", "carrier", "1 of 3 rows not one of AA, UA   AAA × 1 (did you mean AA?)"),
        ("nulls", "miles", "missing in 1 of 3 rows"),
        ("between", "miles", "1 of 3 rows outside 50 to 5,000 mi   worst 9,999.5"),
    ]
    far = next(result for result in report.results if result.rule == "between").worst[0]
    assert far.row == 1
    assert far.values == {"flight": "b", "scheduled": "2013-06-03T10:00:00Z", "miles": 9999.5}
    assert far.file == ("t.parquet" if form == "parquet" else "")


def test_rows_at_both_ends() -> None:
    assert only(flights(), rows(min=3, max=3)).status == "pass"
    assert only(flights(), rows(min=4)).message == "3 rows, at least 4 rows expected"
    assert only(flights(), rows(max=2)).message == "3 rows, at most 2 rows expected"


def test_an_empty_table_fails_for_being_empty_and_for_having_no_newest_time() -> None:
    report = check(flights().slice(0, 0), Flight, fresh="26h", now=NOON)
    assert broken(report) == [
        ("rows", "", "empty, at least 1 row expected"),
        ("fresh", "scheduled", "no time from which to compute the age"),
    ]


def test_nulls_count_nan_and_only_a_larger_share_breaks_the_rule() -> None:
    table = pa.table({"x": [1.0, nan, None, 4.0]})
    assert only(table, col("x").nulls(max=0.5)).status == "pass"
    result = only(table, col("x").nulls(max=0.4))
    assert (result.message, result.failing, result.observed) == (
        "missing in 2 of 4 rows (50 %), at most 40 % expected",
        2,
        "50 % missing",
    )
    assert [row.row for row in result.worst] == [1, 2]
    assert [row.row for row in only(table, col("x").nulls()).worst] == [1, 2]


def test_a_share_right_at_the_limit_passes() -> None:
    table = pa.table({"x": [None] * 29 + [1.0] * 71})
    assert only(table, col("x").nulls(max=0.29)).status == "pass"


def test_between_ignores_missing_values_and_shows_the_farthest_first() -> None:
    table = pa.table({"id": list("abcdefg"), "x": [None, nan, -3.0, 0.0, 100.0, 101.5, math.inf]})
    result = only(table, col("x").between(0, 100, unit="mph"))
    assert (result.failing, result.observed) == (3, "-3 to inf mph")
    assert [row.values for row in result.worst] == [
        {"id": "g", "x": "inf"},
        {"id": "c", "x": -3.0},
        {"id": "f", "x": 101.5},
    ]


def test_between_with_one_end() -> None:
    table = pa.table({"x": [-1, 5]})
    assert only(table, col("x").between(0)).message == "1 of 2 rows outside at least 0   worst -1"
    assert only(table, col("x").between(high=4)).message == "1 of 2 rows outside at most 4   worst 5"
    assert only(table, col("x").between(-1.5, 5.5)).status == "pass"
    assert only(table, col("x").between(-0.5, 4.5)).failing == 2


def test_whole_numbers_are_compared_exactly() -> None:
    assert only(pa.table({"x": [2**53 + 1]}), col("x").between(0, 2**53)).failing == 1
    assert only(pa.table({"x": pa.array([2**64 - 1], pa.uint64())}), col("x").between(-1, math.inf)).status == "pass"


def test_isin_counts_unknown_values_by_how_often_they_occur() -> None:
    table = pa.table({"carrier": ["AA", "UA", "ua", "ZZ", "ZZ", None]})
    result = only(table, col("carrier").isin("AA", "UA"))
    assert (result.failing, result.observed) == (3, "ZZ × 2, ua × 1 (did you mean UA?)")
    assert [row.row for row in result.worst] == [2, 3, 4]
    many = pa.table({"n": list(range(20))})
    assert only(many, col("n").isin(0, 1)).observed == "2 × 1, 3 × 1, 4 × 1, 5 × 1, 6 × 1, 13 more values"


def test_unique_counts_the_rows_involved_the_commonest_first_and_no_missing_ones() -> None:
    table = pa.table({"k": ["a", "b", "b", "c", "c", "c", None, None]})
    result = only(table, unique("k"))
    assert (result.failing, result.observed) == (5, "2 values more than once")
    assert [row.row for row in result.worst] == [3, 4, 5, 1, 2]


def test_unique_over_several_columns() -> None:
    table = pa.table({"origin": ["E", "E", "J"], "hour": [1, 2, 1]})
    assert only(table, unique("origin", "hour")).status == "pass"
    assert only(table, unique("origin")).failing == 2


def test_fresh_by_the_newest_event_time() -> None:
    result = only(flights(), fresh("scheduled", error="1h"))
    assert (result.status, result.observed) == ("pass", "newest 2013-06-03T11:00:00Z")
    late = check(flights(), fresh("scheduled", error="26h"), now=NOON + timedelta(hours=29)).results[0]
    assert late.message == "newest 2013-06-03T11:00:00Z, 30h old, not older than 26h expected"
    assert late.failing == 0


def test_a_time_in_the_future_breaks_freshness() -> None:
    ahead = flights(scheduled=pa.array([NOON, NOON + timedelta(hours=5), NOON], pa.timestamp("us", tz="UTC")))
    result = only(ahead, fresh("scheduled", error="26h"))
    assert result.message == "1 of 3 rows in the future   newest 2013-06-03T17:00:00Z, 5h ahead"
    assert [row.row for row in result.worst] == [1]


def test_a_clock_a_little_ahead_is_no_future() -> None:
    ahead = flights(scheduled=pa.array([NOON + timedelta(minutes=4)] * 3, pa.timestamp("us", tz="UTC")))
    assert only(ahead, fresh("scheduled", error="26h")).status == "pass"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "+05:30"])
def test_times_of_every_precision_and_zone(unit: str, zone: str, tmp_path) -> None:
    table = flights(scheduled=flights()["scheduled"].cast(pa.timestamp(unit, zone)), miles=pa.array([1.0, 60.0, 60.0]))
    pq.write_table(table, tmp_path / "t.parquet")
    for target in (table, tmp_path / "t.parquet"):
        report = check(target, Flight, fresh="1h", now=NOON)
        assert report.results[-1].observed == "newest 2013-06-03T11:00:00Z"
        (failed,) = report.having("fail")
        assert failed.worst[0].values["scheduled"] == "2013-06-03T09:00:00Z"


def test_an_index_of_pandas_counts_only_with_a_name() -> None:
    frame = pd.DataFrame({"x": [1.0, nan]}, index=[7, 8])
    assert only(frame, col("x").nulls()).worst[0].values == {"x": None}
    assert only(frame.rename_axis("id"), col("id").between(0, 7)).failing == 1


def test_fresh_needs_an_event_time() -> None:
    with pytest.raises(BadInput, match="fresh= needs an event time"):
        check(flights(), rows(min=1), fresh="26h")


def test_times_without_a_zone_fail_and_say_what_to_do() -> None:
    naive = flights(scheduled=pa.array([datetime(2013, 6, 3)] * 3, pa.timestamp("us")))
    report = check(naive, Flight, fresh="26h", now=NOON)
    say = 'add one, like pc.assume_timezone(table["scheduled"], "America/New_York")'
    assert broken(report) == [
        ("type", "scheduled", f"its times have no time zone: {say}"),
        ("fresh", "scheduled", 'its times have no time zone: add one, like zone="America/New_York"'),
    ]


def test_a_missing_column_fails_its_rules_and_the_others_still_run() -> None:
    table = flights(miles=None, mils=pa.array([1.0, 2.0, 3.0]), carrier=pa.array(["AA", "XX", "UA"]))
    assert broken(check(table, Flight, now=NOON)) == [
        ("isin", "carrier", "1 of 3 rows not one of AA, UA   XX × 1"),
        *[(rule, "miles", "not in the table (did you mean mils?)") for rule in ("type", "nulls", "between")],
    ]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array(["1", "2", "3"]), "holds text, whole numbers expected"),
        (pa.array(["1", "x", "3"]), "1 of 3 rows can't be read as whole numbers"),
        (pa.array([1.0, 2.5, 3.0]), "1 of 3 rows can't be read as whole numbers"),
        (pa.array([True, False, True]), "holds true or false, whole numbers expected"),
        (pa.array([date(2013, 6, 3)] * 3), "holds dates, whole numbers expected"),
        (pa.array([[1], [2], [3]]), "holds values of another type, whole numbers expected"),
    ],
)
def test_a_column_of_the_wrong_type(column: pa.Array, says: str) -> None:
    assert broken(check(flights(seats=column), Flight, now=NOON)) == [("type", "seats", says)]


def test_a_rule_that_can_not_read_a_column_fails() -> None:
    assert only(flights(), col("carrier").between(0, 1)).message == "holds text, numbers expected"
    assert only(flights(), col("miles").isin("a")).message == "holds decimal numbers, text expected"
    assert only(flights(), fresh("miles", error="1h")).message == "holds decimal numbers, times expected"


@pytest.mark.parametrize("kind", [pa.null(), pa.string(), pa.int32(), pa.timestamp("us")])
def test_a_column_without_any_value_may_have_any_type(kind: pa.DataType) -> None:
    class Loose(Record):
        x: Annotated[float | None, between(0, 1)]
        t: Literal["a"] | None

    table = pa.table({"x": pa.nulls(3, kind), "t": pa.nulls(3, kind)})
    assert check(table, Loose).passed


def test_dictionaries_half_floats_and_odd_names() -> None:
    table = pa.table(
        {
            'odd"na.me': pa.array(["a", "b", "a"]).dictionary_encode(),
            "h": pa.array([1.0, 2.0, 3.0], pa.float16()),
            "d": pa.array([1, 2, 3], pa.decimal128(9, 2)),
        }
    )
    rules = Checks(col('odd"na.me').isin("a"), col("h").between(0, 2.5), col("d").between(0, 2.5))
    assert [(result.failing, result.worst[0].row) for result in check(table, rules).results] == [(1, 1), (1, 2), (1, 2)]


def test_several_rule_sets_and_a_warning_that_does_not_fail() -> None:
    report = check(flights(), [Flight, Checks(rows(min=10, severity="warn"))], now=NOON)
    assert (report.failed, report.warned, report.passed) == (False, True, False)
    assert report.results[-1].status == "warn"


def test_frames_of_mixed_objects_are_refused() -> None:
    with pytest.raises(BadInput, match="can't become an Arrow table"):
        check(pd.DataFrame({"x": [1, "a"]}), rows(min=1))
    with pytest.raises(BadInput, match=r"builtins\.int is not a table"):
        check(5, rows(min=1))  # type: ignore[arg-type]


numbers = st.none() | st.just(nan) | st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, math.inf, -math.inf])


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers), st.floats(-10, 10), st.floats(0, 10), st.booleans())
def test_counts_of_numbers_equal_a_plain_loop(
    tmp_path_factory, values: list[float | None], low: float, width: float, filed: bool
) -> None:
    table = pa.table({"x": pa.array(values, pa.float64())})
    if filed:  # a file's statistics must not change the answer
        file = tmp_path_factory.mktemp("numbers") / "t.parquet"
        pq.write_table(table, file, row_group_size=3)
        table = file
    there = [value for value in values if value is not None and not math.isnan(value)]
    report = check(table, Checks(col("x").between(low, low + width).nulls(), unique("x")))
    wrong = [value for value in there if not low <= value <= low + width]
    assert [result.failing for result in report.results] == [
        len(wrong),
        len(values) - len(there),
        sum(there.count(value) > 1 for value in there),
    ]
    absent = [i for i, value in enumerate(values) if value is None or math.isnan(value)]
    assert [row.row for row in report.results[1].worst] == absent[:5]
    far = {max(low - value, value - low - width) for value in wrong}
    if far and max(far) < math.inf:
        shown = report.results[0].worst[0].values["x"]
        assert max(low - shown, shown - low - width) == max(far)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.text(max_size=3)), st.lists(st.text(max_size=3), min_size=1, max_size=4))
def test_counts_of_texts_equal_a_plain_loop(values: list[str | None], known: list[str]) -> None:
    result = only(pa.table({"x": pa.array(values, pa.string())}), col("x").isin(*known))
    wrong = [i for i, value in enumerate(values) if value is not None and value not in known]
    assert result.failing == len(wrong)
    assert [row.row for row in result.worst] == wrong[:5]
