"""Bad input: one clear message, the right exit code, and nothing lost."""

import socket
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay import store
from assay.store.spool import Spool
from assay.track import alias

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"


def table(project: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = project / "trips.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def naive(rows: pa.Table) -> pa.Table:
    return rows.set_column(1, "start", rows["start"].cast(pa.timestamp("us")))


def as_text(rows: pa.Table) -> pa.Table:
    return rows.set_column(3, "miles", rows["miles"].cast(pa.string()))


RUN = ("run", "taxi:daily", "--asof", "2013-01-21")
CHECK = ("check", "trips.parquet", "--contract", "taxi:Trip")

# what is wrong with the table, the command, exit code, words that must be said
TABLES = {
    "a missing column, trained on": (lambda t: t.drop_columns(["miles"]), RUN, 2, ["column miles is missing"]),
    "a missing column, checked": (lambda t: t.drop_columns(["miles"]), CHECK, 1, ["miles", "FAIL"]),
    "a near miss": (
        lambda t: t.rename_columns(["trip", "start", "zone", "mile", "long"]),
        RUN,
        2,
        ["did you mean mile?"],
    ),
    "a wrong type, trained on": (as_text, RUN, 2, ["column miles is string", "a number, 0 to 100 mi"]),
    "a wrong type, checked": (as_text, CHECK, 1, ["miles", "FAIL"]),
    "an empty table, trained on": (lambda t: t.slice(0, 0), RUN, 2, ["there are no rows to split"]),
    "an empty table, checked": (lambda t: t.slice(0, 0), CHECK, 1, ["empty"]),
    "a naive timestamp, trained on": (naive, RUN, 2, ["start is timestamp[us], a time without a zone"]),
    "a naive timestamp, checked": (naive, CHECK, 1, ["start", "FAIL"]),
    "no label": (lambda t: t.drop_columns(["long"]), RUN, 2, ["the label 'long' is not a column"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table(case: str, project: Path, assay) -> None:
    change, command, code, words = TABLES[case]
    table(project, change)
    before = (project / "trips.parquet").read_bytes()
    said = assay(*command)
    assert said.code == code, said
    for word in words:
        assert word in said.out + said.err
    assert "Traceback" not in said.out + said.err
    assert (project / "trips.parquet").read_bytes() == before
    with store.use(store.find_home()) as opened:
        assert alias(opened, "long-trip") is None


# the command, exit code, words that must be said
COMMANDS = {
    "an unknown model": (("serve", "long-tripp"), 2, ["no model 'long-tripp' is published", "did you mean long-trip?"]),
    "an unknown model, listed": (("models", "long-tripp"), 2, ["no model 'long-tripp'", "did you mean long-trip?"]),
    "an unknown model, rolled back": (("rollback", "nothing"), 2, ["no model 'nothing'"]),
    "nothing to roll back to": (("rollback", "long-trip"), 2, ["long-trip/1 has no version before it"]),
    "an unknown version": (("rollback", "long-trip", "--to", "9"), 2, ["long-trip has no version 9"]),
    "an unknown pipeline": (("run", "taxi:dayly"), 2, ["taxi has no pipeline 'dayly'", "did you mean daily?"]),
    "an unknown module": (("run", "taxy:daily"), 2, ["there is no module 'taxy'", "did you mean taxi?"]),
    "no pipeline named": (("run", "taxi"), 2, ["Write MODULE:PIPELINE"]),
    "an unknown contract": (("check", "trips.parquet", "--contract", "taxi:Tripp"), 2, ["did you mean Trip?"]),
    "no such table": (("check", "nothing.parquet", "--contract", "taxi:Trip"), 2, ["nothing.parquet"]),
    "an unknown parameter": (("run", "taxi:daily", "--set", "tres=3"), 2, ["takes no parameter 'tres'", "trees?"]),
    "a setting without a value": (("run", "taxi:daily", "--set", "trees"), 2, ["NAME=VALUE"]),
    "a time that is none": (("run", "taxi:daily", "--asof", "soonish"), 2, ["'soonish' is not a time"]),
    "a naive time": (("run", "taxi:daily", "--asof", "2013-01-21T06:00"), 2, ["has no time zone"]),
    "a span that is none": (("run", "taxi:daily", "--replay", "2013"), 2, ["2013-03-01..2013-12-31"]),
    "a span that ends first": (
        ("run", "taxi:daily", "--replay", "2013-02-01..2013-01-01"),
        2,
        ["ends before it begins"],
    ),
    "no schedule to replay": (("run", "taxi:unscheduled", "--replay", "2013-01-01..2013-01-02"), 2, ["no schedule"]),
    "an unknown run": (("resume", "daily@never"), 2, ["there is no run 'daily@never'"]),
    "a write through sql": (("sql", "DROP TABLE runs"), 2, ["assay sql only reads"]),
    "sql that does not run": (("sql", "SELECT nothing FROM runs"), 2, ["the query does not run"]),
    "nothing served": (("skew", "long-trip"), 2, ["long-trip has served no rows"]),
    "nobody to send to": (
        ("send", "long-trip", "--day", "2013-01-20", "--url", "http://127.0.0.1:9"),
        3,
        ["no answer"],
    ),
    "a day without rows": (("send", "long-trip", "--day", "2019-01-01"), 2, ["has no rows on 2019-01-01"]),
    "a fault that is none": (("send", "long-trip", "--day", "2013-01-20", "--fault", "miles!"), 2, ["is not a fault"]),
    "an unknown option": (("runs", "--sinse", "2h"), 2, ["--sinse"]),
    "an unknown command": (("chekc",), 2, ["chekc"]),
    "a folder that is not empty": (("demo", "flights", "."), 2, [". is not empty"]),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_bad_command(case: str, published: Path, assay) -> None:
    command, code, words = COMMANDS[case]
    said = assay(*command)
    assert said.code == code, said
    for word in words:
        assert word in said.err
    assert "Traceback" not in said.out + said.err
    with store.use(store.find_home()) as opened:
        assert str(alias(opened, "long-trip")) == "long-trip/1"


@pytest.mark.parametrize("command", ["models", "runs", "ledger"])
def test_looking_where_nothing_was_run_makes_nothing(command: str, project: Path, assay) -> None:
    (project / ".assay").rmdir()
    (project / "trips.parquet").unlink()
    said = assay(command, "--home", str(project / ".assay"))
    assert said.code == 2
    assert f"{project} has no state folder" in said.err
    assert [path.name for path in project.iterdir()] == ["taxi.py"]


def test_a_project_below_another_is_told_how_to_become_one(project: Path, assay, monkeypatch) -> None:
    inner = project / "inner"
    inner.mkdir()
    (project / "taxi.py").rename(inner / "taxy.py")
    monkeypatch.chdir(inner)
    said = assay("run", "taxy:daily")
    assert said.code == 2
    assert "mkdir .assay makes this folder the project" in said.err


def test_a_dead_database(published: Path, assay, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = (published / ".assay" / "assay.db").read_bytes()
    monkeypatch.setenv("ASSAY_DATABASE", NO_DATABASE)
    said = assay("runs")
    assert said.code == 3
    assert "the database postgresql://nobody@127.0.0.1:1/nothing does not answer" in said.err
    assert "set ASSAY_DATABASE to another" in said.err
    assert (published / ".assay" / "assay.db").read_bytes() == kept


def test_a_database_file_that_is_none(published: Path, assay) -> None:
    damaged = published / ".assay" / "assay.db"
    for other in damaged.parent.glob("assay.db-*"):
        other.unlink()
    damaged.write_bytes(b"this was a database once" * 200)
    said = assay("models")
    assert said.code == 3
    assert "is damaged, or another kind of file" in said.err
    assert damaged.read_bytes() == b"this was a database once" * 200


def test_a_port_in_use(published: Path, assay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = assay("serve", "long-trip", "--port", str(port))
    assert said.code == 3
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in said.err


def test_a_corrupt_segment_is_kept_and_the_others_are_drained(published: Path, assay) -> None:
    home = store.find_home()
    served = store.use(home)
    with served as opened:
        log_one_row(opened)
    (good,) = (home.spool / "predictions").glob("*.seg")
    broken = good.with_name("00000000T000000.000000-1-deadbeef.seg")
    broken.write_bytes(b"ASSAYSP?" + good.read_bytes()[8:])
    said = assay("drain")
    assert said.code == 3
    assert "a spool segment is damaged" in said.err
    assert broken.name in said.err
    assert [path.read_bytes()[:8] for path in (home.spool / "quarantine").iterdir()] == [b"ASSAYSP?"]
    assert assay("sql", "SELECT count(*) AS n FROM served.long_trip", "--json").out.strip() == '{"n":1}'
    assert assay("drain").code == 0


def log_one_row(opened: store.Store) -> None:
    from assay.serve.answer import answer, open_served
    from assay.track import champion

    served = open_served(opened, champion(opened, "long-trip"), rotate_s=60)
    answer(served, b'{"trip":"a","start":"2013-01-20T12:00:00Z","zone":"north","miles":3}', "r1")
    served.log.close()


def test_a_damaged_bundle_is_not_served(published: Path, assay) -> None:
    with store.use(store.find_home()) as opened:
        known = alias(opened, "long-trip")
        assert known
        path = opened.artifacts.path(known.bundle)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    said = assay("serve", "long-trip", "--port", "0")
    assert said.code == 3
    assert f"artifact {known.bundle[:12]} is damaged" in said.err


def test_a_half_written_file(project: Path, assay) -> None:
    path = project / "trips.parquet"
    path.write_bytes(path.read_bytes()[:2000])
    for command in (RUN, CHECK):
        said = assay(*command)
        assert said.code == 3, said
        assert "trips.parquet" in said.err


def test_a_module_that_does_not_run(project: Path, assay) -> None:
    (project / "broken.py").write_text("import assay\nx = 1 / 0\n")
    said = assay("run", "broken:daily")
    assert said.code == 2
    assert "broken does not run: ZeroDivisionError" in said.err


def test_a_fault_of_the_users_step_is_told_with_its_place(project: Path, assay) -> None:
    (project / "falls.py").write_text(
        "import assay\n@assay.step\ndef load():\n    return {}['x']\n@assay.pipeline()\ndef p(asof):\n    return load()\n"
    )
    said = assay("run", "falls:p", "--asof", "2013-01-01")
    assert said.code == 3
    assert "KeyError: 'x'" in said.err
    assert "falls.py" in said.err
    assert ".assay/logs" in said.err


def test_a_home_that_is_a_file(project: Path, assay) -> None:
    (project / "state").write_text("mine")
    said = assay("runs", "--home", "state")
    assert said.code == 2
    assert "is a file, not a folder" in said.err
    assert (project / "state").read_text() == "mine"


def test_a_spool_without_meta_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="needs a meta record"):
        Spool(tmp_path, "t", b"")
