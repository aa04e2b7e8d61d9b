"""A table is scored in parts, each row once, whatever kills it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from assay.cli import main
from assay.errors import BadInput
from assay.model import LoadedModel
from assay.predictions import open_sql
from assay.scoring import score
from assay.skew import find_skew
from assay.store import Store


def rows_of(folder: Path) -> pa.Table:
    return pq.read_table(folder).sort_by("row")


def test_every_row_is_there_once_in_its_order(
    champion: LoadedModel, opened: Store, table: Path, trips: pa.Table, tmp_path: Path
) -> None:
    seen: list[int] = []
    said = score(opened, champion, str(table), tmp_path / "out", part_rows=110, watch=seen.append)
    assert (said.rows, said.refused, said.kept) == (600, 0, 0)
    assert seen == [110] * 5 + [50]
    found = rows_of(tmp_path / "out")
    assert found.column_names == ["row", "trip", "start", "length", "probability_short", "probability_long", "error"]
    assert found["row"].to_pylist() == list(range(600))
    assert found["trip"].to_pylist() == trips["trip"].to_pylist()
    assert found["probability_long"].to_pylist() == champion.score(trips)["probability_long"].to_pylist()
    again = score(opened, champion, str(table), tmp_path / "out", part_rows=110)
    assert (again.rows, again.kept) == (600, 600)


def test_a_csv_and_a_frame_are_scored_alike(
    champion: LoadedModel, opened: Store, table: Path, trips: pa.Table, tmp_path: Path
) -> None:
    csv.write_csv(trips, tmp_path / "trips.csv")
    score(opened, champion, str(table), tmp_path / "a")
    score(opened, champion, str(tmp_path / "trips.csv"), tmp_path / "b")
    score(opened, champion, trips.to_pandas(), tmp_path / "c")
    assert rows_of(tmp_path / "a").equals(rows_of(tmp_path / "b"))
    assert rows_of(tmp_path / "a").equals(rows_of(tmp_path / "c"))


KILLED = """
import os, signal, sys
from pathlib import Path
from assay import store
from assay.model.loaded import load_version
from assay.scoring import score

home, table, out, log = sys.argv[1:]
done = []

def watch(rows):
    done.append(rows)
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

with store.use(store.find_home(home)) as opened:
    score(opened, load_version(opened, "trips"), table, Path(out), part_rows=50, watch=watch, log=log == "log")
"""


@pytest.mark.parametrize("log", [False, True])
def test_a_run_that_was_killed_goes_on_and_logs_each_row_once(
    champion: LoadedModel, opened: Store, table: Path, tmp_path: Path, log: bool
) -> None:
    out = tmp_path / "out"
    arguments = [str(opened.home.path), str(table), str(out), "log" if log else ""]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert 3 <= len(list(out.glob("part-*.parquet"))) < 12
    said = score(opened, champion, str(table), out, part_rows=50, log=log)
    assert said.rows == 600
    assert said.kept == (0 if log else said.kept) <= 600
    assert log or said.kept >= 150
    score(opened, champion, str(table), tmp_path / "whole", part_rows=50)
    assert rows_of(out).equals(rows_of(tmp_path / "whole"))
    if log:
        asked = "SELECT count(*) AS n, count(DISTINCT input_trip) AS trips, any_value(model_version) AS version FROM served.trips"
        assert open_sql(opened, asked).to_pylist() == [{"n": 600, "trips": 600, "version": 1}]
        report = find_skew(opened, "trips", table=str(table))
        assert (report.clean, report.complete, report.rows) == (True, True, 600)


def test_logged_rows_are_computed_once(champion: LoadedModel, opened: Store, table: Path, tmp_path: Path) -> None:
    calls: list[int] = champion.bundle.model.features.__globals__["calls"]
    calls.clear()
    score(opened, champion, str(table), tmp_path / "out", part_rows=200, log=True)
    assert calls == [200, 200, 200]


def test_rows_that_a_server_would_refuse_are_kept_apart(
    champion: LoadedModel, opened: Store, trips: pa.Table, tmp_path: Path
) -> None:
    miles = trips["miles"].to_pylist()
    miles[7], miles[411] = -5.0, None
    bad = trips.set_column(3, "miles", pa.array(miles))
    said = score(opened, champion, bad, tmp_path / "out", part_rows=100, log=True)
    assert said.refused == 2
    found = rows_of(tmp_path / "out").to_pylist()
    assert {row["row"]: row["error"] for row in found if row["error"]} == {
        7: "miles: -5.0, expected a number, 0 to 100 mi",
        411: "miles: missing, expected a number, 0 to 100 mi",
    }
    assert [row["length"] is None for row in found].count(True) == 2
    assert open_sql(opened, "SELECT count(*) AS n FROM served.trips").to_pylist() == [{"n": 598}]


def test_a_folder_of_something_else_is_left_alone(
    champion: LoadedModel, opened: Store, table: Path, trips: pa.Table, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds no scored table"):
        score(opened, champion, str(table), own)
    score(opened, champion, str(table), tmp_path / "out")
    pq.write_table(trips.slice(0, 300), table)
    with pytest.raises(BadInput, match=r"holds the rows of .*trips\.parquet as scored by trips/1"):
        score(opened, champion, str(table), tmp_path / "out")
    (tmp_path / "out" / "_scored.json").write_text("{")
    with pytest.raises(BadInput, match=r"_scored\.json is damaged"):
        score(opened, champion, str(table), tmp_path / "out")
    assert rows_of(tmp_path / "out").num_rows == 600


def test_a_table_without_a_column_is_refused_before_anything_is_written(
    champion: LoadedModel, opened: Store, trips: pa.Table, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="has no column miles, seats"):
        score(opened, champion, trips.drop_columns(["miles", "seats"]), tmp_path / "out")
    assert not list(tmp_path.glob("out/part-*"))


def test_the_command_says_what_it_did(
    champion: LoadedModel,
    opened: Store,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*arguments: str) -> tuple[int, Any]:
        monkeypatch.setattr(sys, "argv", ["assay", "score", *arguments, "--home", str(opened.home.path)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr()

    out = str(tmp_path / "out")
    code, said = run("trips", str(table), "--out", out)
    assert code == 0
    assert "600 rows scored by trips/1: " in said.out
    code, said = run("trips", str(table), "--out", out, "--json")
    assert json.loads(said.out) | {"folder": ""} == {
        "model": "trips", "version": 1, "folder": "", "rows": 600, "refused": 0, "kept": 600
    }  # fmt: skip
    code, said = run("nothing", str(table), "--out", out)
    assert code == 2
    assert "Traceback" not in said.err
