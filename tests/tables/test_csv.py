"""CSV as people write it: the dialect of the header line, and the line at fault by its number."""

import gzip
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.errors import AssayError, BadInput, Unavailable
from assay.tables import Target, open_table
from assay.tables.view import VIEW


def rows(target: Target) -> list[dict[str, Any]]:
    with closing(open_table(target)) as table:
        return table.rows(f"SELECT {', '.join(table.kinds)} FROM {VIEW}")


def written(folder: Path, content: str | bytes, name: str = "x.csv") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize(
    ("content", "says"),
    {
        "long": ("station,temp\na,1\nb,2,3\nc,4\n", "line 3 has 3 values, 2 expected as in its header"),
        "short": ("station,temp\na,1\nb\nc,4\n", "line 3 has 1 value, 2 expected"),
        "half written": ("a,b\n" + "".join(f"{i},{i * 2}\n" for i in range(1000)) + "5\n", "line 1,002 has 1 value, 2"),
        "one of many": ("a;b;c;d;e\n" + "1;2;3;4;5\n" * 50 + "1;2;3;4;5;6;7\n", "line 52 has 7 values, 5 expected"),
        "after a text of two lines": ('a,b\n"x\ny",1\nz\n', "line 4 has 1 value, 2 expected"),
        "a note above": ("Report of May\n\na,b\n1,2\n3,4\n", "line 3 has 2 values, 1 expected"),
        "an open quote": ('a,b\n"1,2\n3,4\n', "line 2: unexpected end of data"),
    }.values(),
)
def test_a_line_that_does_not_fit_is_named(content: str, says: str, tmp_path: Path) -> None:
    place = written(tmp_path, content)
    for use in (lambda: assay.check(place, assay.Checks.infer(place)), lambda: rows(place)):
        with pytest.raises(Unavailable) as refusal:
            use()
        assert refusal.value.what == f"{place} can't be read as CSV"
        assert says in str(refusal.value)


def test_the_file_at_fault_among_others_is_named(tmp_path: Path) -> None:
    written(tmp_path, "a,b\n1,2\n", "one.csv")
    bad = written(tmp_path, "a,b\n1,2\n3\n", "two.csv")
    with pytest.raises(Unavailable, match="line 3 has 1 value") as refusal:
        rows(str(tmp_path))
    assert bad in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "says"),
    {
        "latin": (
            "name,n\nCafé,1\n".encode("latin-1"),
            ["is not UTF-8", "line 2 holds the byte 0xe9", 'encoding="latin-1"'],
        ),
        "latin header": ("größe,n\n1,1\n".encode("latin-1"), ["is not UTF-8", "line 1 holds the byte 0xf6"]),
        "utf-16": ("name,n\nCafé,1\n".encode("utf-16"), ["is not UTF-8", "begins as UTF-16 does", 'encoding="utf-16"']),
        "twice": (b"class,x,class\n1,2,3\n", ["has two columns called class", "a name of its own"]),
        "by case": (b"ID,id\n1,2\n", ["has columns called ID and id, which differ in case only"]),
        "quoted twice": (b'"a,b","a,b"\n1,2\n', ["has two columns called a,b"]),
        "long line": (b"a,b\n" + b"1" * 3_000_000 + b",2\n", ["line 2 is longer than 2,097,152 bytes"]),
    }.values(),
)
def test_what_is_wrong_with_a_file_is_said(content: bytes, says: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refusal:
        rows(written(tmp_path, content))
    for words in says:
        assert words in str(refusal.value)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "mixed"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_header_tells_the_dialect(delimiter: str, ends: str, mark: str, tmp_path: Path) -> None:
    lines = [["a", '"b,;|"'], ["1", "x y"], ["2", '"he said ""a;b,c|d"""'], ["", "z"]]
    joined = [delimiter.join(line) for line in lines]
    content = "\r\n".join(joined[:2]) + "\n" + "\n".join(joined[2:]) if ends == "mixed" else ends.join(joined) + ends
    place = written(tmp_path, mark + content)
    with closing(open_table(place)) as table:
        assert table.rows(f'SELECT * EXCLUDE ("assay:file", "assay:row") FROM {VIEW}') == [
            {"a": 1, "b,;|": "x y"},
            {"a": 2, "b,;|": 'he said "a;b,c|d"'},
            {"a": None, "b,;|": "z"},
        ]


def test_a_compressed_file_and_one_of_a_single_column(tmp_path: Path) -> None:
    assert rows(written(tmp_path, gzip.compress(b"a;b\n1;2\n"), "x.csv.gz")) == [{"a": 1, "b": 2}]
    assert rows(written(tmp_path, "a\n1\n2\n", "one.csv")) == [{"a": 1}, {"a": 2}]
    with pytest.raises(Unavailable, match="line 3 has 3 values, 2 expected"):
        rows(written(tmp_path, gzip.compress(b"a;b\n1;2\n1;2;3\n"), "y.csv.gz"))


def test_files_of_two_dialects_are_not_one_table(tmp_path: Path) -> None:
    written(tmp_path, "a,b\n1,2\n", "one.csv")
    written(tmp_path, "a;b\n1;2\n", "two.csv")
    with pytest.raises(BadInput, match=r"two\.csv is separated by ';', .*one\.csv by ','"):
        rows(str(tmp_path))


def test_what_the_header_does_not_tell_can_be_said(opened, tmp_path: Path) -> None:
    place = written(tmp_path, "a b:n\nCafé:?\nTee:-9\n".encode("latin-1"))
    source = assay.csv(place, delimiter=":", missing=["?", "-9"], encoding="latin-1")
    assert assay.check(source, assay.Checks(assay.rows(min=2, max=2), assay.col("a b").isin("Café", "Tee"))).passed
    assert [one.failing for one in assay.check(source, assay.Checks(assay.col("n").nulls())).results] == [2]
    sixteen = written(tmp_path, "a,b\nCafé,1\n".encode("utf-16"), "sixteen.csv")
    assert rows(assay.csv(sixteen, encoding="utf-16")) == [{"a": "Café", "b": 1}]
    assert rows(assay.csv(written(tmp_path, "a\nNA\n\n?\n", "c.csv"), missing=["?"]))[0] == {"a": "NA"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delimiter": ";;"}, "';;' is not a delimiter"),
        ({"encoding": "cp1252"}, "CSV in cp1252 can't be read"),
        ({"missing": "?"}, "Give a list, like"),
    ],
)
def test_options_that_can_t_be(options: dict[str, Any], says: str) -> None:
    with pytest.raises(AssayError, match=says):
        assay.csv("x.csv", **options)


def test_training_reads_what_checks_read(opened, tmp_path: Path) -> None:
    class Trip(assay.Record):
        start: assay.EventTime
        code: str
        miles: float | None

    written(tmp_path, "start;code;miles\n2013-01-02T00:00:00Z;007;2\n2013-01-01T00:00:00+01:00;12;NA\n")
    found = assay.read("x.csv", Trip)
    assert found["code"].to_pylist() == ["12", "007"]
    assert found["miles"].to_pylist() == [None, 2]
    assert assay.read("x.csv", Trip, until="2013-01-01")["code"].to_pylist() == ["12"]
    with pytest.raises(BadInput, match="has no column start"):
        assay.read(written(tmp_path, "begin\n2013-01-01\n"), Trip)
    with pytest.raises(BadInput, match="start holds times without a zone"):
        assay.read(written(tmp_path, "start\n2013-01-01 10:00:00\n"), Trip)
    with pytest.raises(BadInput, match="start holds text"):
        assay.read(written(tmp_path, "start\nyesterday\n"), Trip)
