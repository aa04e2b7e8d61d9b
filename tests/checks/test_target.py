from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.checks import Checks, check, col, rows, unique
from assay.contract import EventTime, Record, between
from assay.errors import BadInput, Unavailable

ANY = rows(min=1)


def write(path: Path, **columns: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def place(report, index: int = 0) -> list[tuple[str, int]]:
    return [(row.file, row.row) for row in report.results[index].worst]


def test_rows_are_found_again_in_their_files(tmp_path: Path) -> None:
    write(tmp_path / "day=2013-01-01" / "a.parquet", x=[1, 2, 300, 4, 5])
    write(tmp_path / "day=2013-01-02" / "b.parquet", x=[500, 1, 1, 1, 400])
    report = check(tmp_path, col("x").between(0, 100))
    assert (report.rows, report.files, report.target) == (10, 2, str(tmp_path))
    assert place(report) == [
        ("day=2013-01-02/b.parquet", 0),
        ("day=2013-01-02/b.parquet", 4),
        ("day=2013-01-01/a.parquet", 2),
    ]


def test_folders_named_by_a_column_give_that_column(tmp_path: Path) -> None:
    class Daily(Record):
        zip: str
        x: int

    write(tmp_path / "zip=10001" / "a.parquet", x=[1])
    write(tmp_path / "zip=99999" / "a.parquet", x=[1])
    assert check(tmp_path, Daily).passed
    assert place(check(tmp_path, col("zip").isin(10001))) == [("zip=99999/a.parquet", 0)]


def test_a_flat_folder_a_glob_and_one_file(tmp_path: Path) -> None:
    for name in ("a[1].parquet", "b.parquet"):
        write(tmp_path / name, x=[1, None])
    write(tmp_path / "_temporary" / "half.parquet", x=[1])
    assert check(str(tmp_path), ANY).rows == 4
    assert check(str(tmp_path / "*.parquet"), ANY).files == 2
    assert place(check(tmp_path / "a[1].parquet", col("x").nulls())) == [("a[1].parquet", 1)]


def test_a_column_missing_in_one_file_is_null_there(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", x=[1, 2])
    write(tmp_path / "b.parquet", x=[1, 2], y=[0.5, 1.5])
    report = check(tmp_path, col("y").nulls().between(0, 1))
    assert [result.failing for result in report.results] == [2, 1]
    assert place(report, 0) == [("a.parquet", 0), ("a.parquet", 1)]
    assert place(report, 1) == [("b.parquet", 1)]


class Weather(Record):
    station: str
    time: EventTime
    wind: Annotated[float | None, between(0, 100)]


def test_csv_files_with_rows_counted_without_the_header(tmp_path: Path) -> None:
    head = "station,time,wind\n"
    (tmp_path / "a.csv").write_text(head + "007,2013-01-01T06:00:00Z,NA\n008,2013-01-01T07:00:00-05:00,1048.36\n")
    (tmp_path / "b.csv").write_text(
        head + "009,2013-01-01T08:00:00Z,\n010,2013-01-01T08:00:00Z,5\n011,2013-01-01T08:00:00Z,-1\n"
    )
    report = check(tmp_path, Weather, fresh="26h", now="2013-01-02")
    (failed,) = report.having("fail")
    assert (failed.message, report.rows) == ("2 of 5 rows outside 0 to 100   worst 1,048.36", 5)
    assert place(check(tmp_path, col("wind").between(0, 100))) == [("a.csv", 1), ("b.csv", 2)]
    assert failed.worst[0].values == {"time": "2013-01-01T12:00:00Z", "wind": 1048.36}


def test_a_csv_value_that_is_no_number_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("station,time,wind\nx,2013-01-01T06:00:00Z,3\ny,2013-01-01T06:00:00Z,calm\n")
    report = check(tmp_path / "a.csv", Weather)
    assert [result.message for result in report.having("fail")] == [
        "1 of 2 rows can't be read as numbers",
        "holds text, numbers expected",
    ]
    assert report.having("fail")[0].worst[0].values["wind"] == "calm"


def test_a_csv_of_nothing_but_a_header_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("station,time,wind\n")
    assert [result.rule for result in check(tmp_path / "a.csv", Weather).having("fail")] == ["rows"]


def test_a_list_of_many_files_keeps_duplicates_across_them(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path / f"{i:02}.parquet", k=[i % 11, 100 + i])
    assert place(check(tmp_path, unique("k"))) == [("00.parquet", 0), ("11.parquet", 0)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("wether.parquet", r"wether\.parquet does not exist\n  did you mean weather\.parquet\?"),
        ("*.pq", r"\*\.pq matches no file"),
        ("s3://bucket/x.parquet", "only local files"),
        ("empty", "empty holds no Parquet, CSV, JSON or Arrow file"),
        ("notes.txt", r"notes\.txt is no table"),
        ("mixed", "mixed holds Parquet and CSV files"),
        ("noise.csv", r"noise\.csv is not UTF-8\n  line 3 holds the byte 0x80"),
    ],
)
def test_what_is_no_table_is_bad_input(name: str, says: str, tmp_path: Path) -> None:
    write(tmp_path / "weather.parquet", x=[1])
    write(tmp_path / "mixed" / "a.parquet", x=[1])
    (tmp_path / "mixed" / "a.csv").write_text("x\n1\n")
    (tmp_path / "noise.csv").write_bytes(b"a,b\n1,2\n" + bytes(range(128, 256)) * 9)
    (tmp_path / "notes.txt").write_text("no table")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=says):
        check(name if "://" in name else str(tmp_path / name), ANY)


def test_a_parquet_file_of_another_name_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    assert check(write(tmp_path / "part-0000", x=[1]), ANY).passed


@pytest.mark.parametrize("damage", ["cut", "empty", "no footer", "pages"])
def test_a_damaged_file_is_unavailable_and_named(damage: str, tmp_path: Path) -> None:
    path = write(tmp_path / "w.parquet", x=[float(i) for i in range(1000)], s=[str(i) for i in range(1000)])
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[: len(data) // 2],
            "empty": b"",
            "no footer": b"PAR1" + bytes(100),
            "pages": data[:4] + b"\xff" * 3000 + data[3004:],
        }[damage]
    )
    with pytest.raises(Unavailable, match=r"w\.parquet can't be read\n  .+\nWrite it again"):
        check(path, Checks(col("x").between(0, 5), col("s").nulls(), unique("s")))
