from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from assay.checks import Checks, Report, check, col, fresh, render, rows
from assay.checks.render import lines
from assay.contract import EventTime, Key, Record, between, nulls
from assay.errors import Refused

NOON = datetime(2013, 2, 12, 12, tzinfo=UTC)


class Weather(Record):
    station: Key[str]
    time: EventTime
    wind_speed: Annotated[float, between(0, 100, unit="mph")]
    wind_gust: Annotated[float | None, nulls(max=0.5, severity="warn")]


def weather(**changed: object) -> pa.Table:
    columns = {
        "station": list("abcde"),
        "time": [NOON] * 5,
        "wind_speed": [1.0, 2.0, 1048.36, 4.0, -1.0],
        "wind_gust": [None] * 4 + [1.0],
    }
    return pa.table({**columns, **changed})


def test_a_report_survives_json() -> None:
    report = check(weather(), Weather, fresh="26h", now=NOON)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_the_keys_of_the_json_are_stable() -> None:
    data = msgspec.to_builtins(check(weather(), Weather, now=NOON))
    assert list(data) == ["target", "rows", "files", "checked_at", "results"]
    (failed,) = (result for result in data["results"] if result["status"] == "fail")
    assert failed == {
        "rule": "between",
        "column": "wind_speed",
        "status": "fail",
        "severity": "error",
        "declared": "Weather.wind_speed",
        "expected": "0 to 100 mph",
        "observed": "-1 to 1,048.36 mph",
        "failing": 2,
        "total": 5,
        "message": "2 of 5 rows outside 0 to 100 mph   worst 1,048.36",
        "age_s": None,
        "worst": failed["worst"],
    }
    assert failed["worst"][0] == {
        "file": "",
        "row": 2,
        "values": {"station": "c", "time": "2013-02-12T12:00:00Z", "wind_speed": 1048.36},
    }


def test_a_failure_is_refused_in_three_parts() -> None:
    report = check(weather(), Weather, now=NOON)
    (failed,) = report.having("fail")
    with pytest.raises(Refused) as refused:
        report.raise_for_failure()
    assert str(refused.value).splitlines() == [
        "pyarrow.Table: 1 of 11 checks failed",
        f"  wind_speed: {failed.message}   row 2  station=c  time=2013-02-12T12:00:00Z  wind_speed=1048.36",
        "Correct the rows (counted from 0), or widen the rule in the contract: Weather.wind_speed, Weather.wind_gust",
    ]
    assert refused.value.exit_code == 1


def test_a_warning_is_not_refused() -> None:
    report = check(weather(wind_speed=[1.0] * 5), Weather, now=NOON)
    assert (report.failed, report.warned) == (False, True)
    report.raise_for_failure()


def test_what_people_see(tmp_path) -> None:
    for i, name in enumerate(("a", "b")):
        pq.write_table(
            weather(station=[f"{name}{n}" for n in range(5)], wind_speed=[1.0, 2.0, 50.0 + i * 999, 4.0, 5.0]),
            tmp_path / f"{name}.parquet",
        )
    report = msgspec.structs.replace(check(tmp_path, Weather, now=NOON), target="data/weather")
    assert lines(report) == [
        "data/weather   10 rows in 2 files   11 checks: 1 failed, 1 warned, 9 passed",
        "FAIL  wind_speed   1 of 10 rows outside 0 to 100 mph   worst 1,049",
        "      row 2  station=b2  time=2013-02-12T12:00:00Z  wind_speed=1049.0   b.parquet",
        "WARN  wind_gust    missing in 8 of 10 rows (80 %), at most 50 % expected",
        "      row 0  station=a0  time=2013-02-12T12:00:00Z  wind_gust=missing   a.parquet",
        "Correct the rows (counted from 0), or widen the rule in the contract: Weather.wind_speed,",
        "Weather.wind_gust",
    ]


def test_what_people_see_when_all_is_well() -> None:
    assert lines(check(weather(), rows(min=1))) == ["pyarrow.Table   5 rows   1 check passed"]


def test_a_missing_column_is_said_once_and_many_rows_are_counted() -> None:
    table = weather(
        wind_speed=[-float(i) for i in range(1, 6)] * 2,
        station=list("abcdefghij"),
        time=[NOON] * 10,
        wind_gust=[1.0] * 10,
    )
    report = check(table.drop(["time"]), [Weather, Checks(rows(max=3))], fresh="26h", now=NOON)
    assert lines(report)[0] == "pyarrow.Table   10 rows   13 checks: 5 failed, 8 passed"
    assert [line for line in lines(report) if line.startswith("FAIL") or "more" in line] == [
        "FAIL  time         not in the table",
        "FAIL  wind_speed   10 of 10 rows outside 0 to 100 mph   worst -5",
        "      ... and 5 more",
        "FAIL  rows         10 rows, at most 3 rows expected",
    ]


def test_stale_rows_ask_for_newer_ones() -> None:
    report = check(weather(), fresh("time", error="26h"), now="2013-02-14T12:00:00Z")
    assert lines(report)[1:] == [
        "FAIL  time   newest 2013-02-12T12:00:00Z, 48h old, not older than 26h expected",
        "Load newer rows, or allow a greater age.",
    ]


def test_lines_fit_and_values_can_not_steer_the_terminal() -> None:
    table = pa.table({"note": ["\x1b[31mred\n" + "x" * 500] * 3, "x": [1.0, 2.0, 3.0]})
    shown = lines(check(table, Checks(col("note").isin("ok"), col("x").between(5))))
    assert max(map(len, shown)) <= 100
    assert all(line.isprintable() for line in shown)


def test_the_terminal_gets_the_same_lines(capsys) -> None:
    report = check(weather(station=["[red]a[/]", *"bcde"]), Weather, now=NOON)
    render(report, Console(width=100))
    assert capsys.readouterr().out.splitlines() == lines(report)
