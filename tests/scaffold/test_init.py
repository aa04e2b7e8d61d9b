"""A project for any table: what is guessed, that it runs, and that nothing in a table becomes code."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from assay.errors import BadInput
from assay.scaffold import guess, source

ROWS = 400


def columns(rows: int = ROWS) -> dict[str, Any]:
    """Columns of each kind, from which labels follow."""
    random = np.random.default_rng(3)
    x = random.normal(0, 1, rows)
    return {
        "customer_id": np.arange(1000, 1000 + rows),
        "x": x,
        "weight_kg": random.uniform(40, 120, rows),
        "hour": random.integers(0, 24, rows),
        "plan": random.choice(["basic", "plus", 'the "best"'], rows),
        "note": [f"row {number} says something" for number in range(rows)],
        "always": ["same"] * rows,
        "class": random.integers(0, 9, rows),
        "gone": pa.nulls(rows, pa.float64()),
        "amount": 10 * x + random.normal(0, 5, rows),
        "late": x > 0,
        "churn": np.where(x + random.normal(0, 0.5, rows) > 1, "yes", "no"),
        "species": np.array(["adelie", "chinstrap", "gentoo"])[np.clip(np.floor(x + 1), 0, 2).astype(int)],
        "when": pa.array(np.datetime64("2013-01-01", "us") + np.arange(rows) * np.timedelta64(6 * 3_600_000_000, "us")),
    }


def write(folder: Path, name: str, *kept: str, **others: Any) -> Path:
    """A table of some of these columns."""
    known = columns()
    table = pa.table({one: known[one] for one in kept} | others)
    path = folder / name
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def assay(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "assay", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


INPUTS = ("customer_id", "x", "weight_kg", "hour", "plan")


@pytest.mark.parametrize("file", ["made.csv", "made.parquet"])
@pytest.mark.parametrize("label", ["amount", "late", "churn", "species"])
@pytest.mark.parametrize("timed", [True, False])
def test_a_project_trains_at_once_and_says_what_was_guessed(tmp_path: Path, file: str, label: str, timed: bool) -> None:
    write(tmp_path, file, *INPUTS, label, *(["when"] if timed else []))
    made = assay(tmp_path, "init", "shop", file, "--label", label)
    assert made.returncode == 0, made.stderr
    assert max(map(len, made.stdout.splitlines())) <= 100
    assert "customer_id is the key" in " ".join(made.stdout.split())
    assert ("when is when it happened" in made.stdout) is timed
    assert ("there is no column of times" in made.stdout) is not timed
    ran = assay(tmp_path / "shop", "run", "shop:train")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "BLESSED" in ran.stdout
    assert "Traceback" not in ran.stderr
    listed = json.loads(assay(tmp_path / "shop", "models", "--json").stdout)
    assert [one["model"] for one in listed] == ["shop"]


def test_columns_that_tell_nothing_or_all_are_left_out_and_named(tmp_path: Path) -> None:
    amount = columns()["amount"]
    path = write(tmp_path, "a.parquet", *columns(), in_cents=amount * 100)
    draft = guess(str(path), module="shop", reads="a.parquet", label="amount")
    assert draft.left_out == {
        "always": "it is the same in every row",
        "class": "its name is none that Python takes: rename it in the table",
        "gone": "it is missing in 100% of the rows",
        "in_cents": "alone it tells amount; put it back if it is known before",
        "note": "it differs in nearly every row",
    }
    by_name = {one.name: one for one in draft.columns}
    assert by_name["weight_kg"].unit == "kg"
    assert by_name["customer_id"].is_key
    assert by_name["plan"].values == ("basic", "plus", 'the "best"')
    assert (by_name["hour"].low, by_name["hour"].high) == (0, 23)


def test_a_date_that_is_no_event_time_is_a_feature(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    days = np.datetime64("1990-01-01") + random.integers(0, 3000, ROWS)
    write(tmp_path, "a.parquet", "x", "hour", "churn", "when", born=pa.array(days))
    assert assay(tmp_path, "init", "shop", "a.parquet", "--label", "churn", "--time", "when").returncode == 0
    text = (tmp_path / "shop" / "shop.py").read_text()
    assert "    born: date\n" in text
    ran = assay(tmp_path / "shop", "run", "shop:train")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with pytest.raises(BadInput, match="born is not a column of times"):
        guess(str(tmp_path / "a.parquet"), module="a", reads="a.parquet", label="churn", time="born")


def test_a_code_for_the_label_is_the_label_in_other_words(tmp_path: Path) -> None:
    species = columns()["species"]
    path = write(tmp_path, "a.parquet", "x", "species", code=np.unique(species, return_inverse=True)[1])
    draft = guess(str(path), module="birds", reads="a.parquet", label="species")
    assert draft.left_out == {"code": "each of its values goes with one species"}


@pytest.mark.parametrize("name", ['x"""\nimport os', "x\nimport os", "x' + os", "\\", "x\u202e", "a\rb"])
def test_nothing_in_a_table_becomes_code(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(1)
    texts = random.choice([name, "b"], ROWS)
    path = write(
        tmp_path, "a.parquet", "x", "late", **{name: texts, "plan": texts, "other": random.choice(["a", "c"], ROWS)}
    )
    for label in ("late", name, "plan"):
        text = source(guess(str(path), module="odd", reads=f"{name}.parquet", label=label))
        tree = ast.parse(text)
        assert {type(node).__name__ for node in tree.body} <= {
            "Expr",
            "ImportFrom",
            "Import",
            "Assign",
            "ClassDef",
            "FunctionDef",
        }
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert imported == {"lightgbm", "numpy", "pyarrow", "assay"}
        told = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert f"{name}.parquet" in told
        assert label in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": "amuont"}, "has no column 'amuont'\n  did you mean amount"),
        ({}, "which column shall be predicted"),
        ({"label": "always"}, "the label always has one value"),
        ({"label": "note"}, "the label note has 400 different texts"),
        ({"label": "when"}, "the label when holds"),
        ({"label": "amount", "time": "x"}, "x is not a column of times"),
        ({"label": "amount", "tz": "Mars"}, "is not a time zone"),
        ({"label": "amount", "key": "nothing"}, "has no column 'nothing'"),
    ],
)
def test_what_can_not_be_guessed_is_asked_for(tmp_path: Path, options: dict[str, str], words: str) -> None:
    kept = [name for name in columns() if name not in ("class", "churn", "species")]
    path = write(tmp_path, "a.parquet", *kept)
    with pytest.raises(BadInput, match=words):
        guess(str(path), module="shop", reads="a.parquet", **options)  # pyright: ignore[reportArgumentType]


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "x", "late")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.py").write_text("mine")
    said = assay(tmp_path, "init", "shop", "a.csv", "--label", "late")
    assert said.returncode == 2
    assert "is there already" in said.stderr
    assert (tmp_path / "shop" / "shop.py").read_text() == "mine"
    assert assay(tmp_path, "init", "new", "b.csv", "--label", "late").returncode == 2
    assert not (tmp_path / "new").exists()


def test_a_small_table_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0] * 20, "late": [True, False] * 10}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="has 20 rows"):
        guess(str(tmp_path / "a.parquet"), module="a", reads="a.parquet", label="late")


def test_times_without_a_zone_get_the_one_that_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.parquet", "hour", "plan", "late", "when")
    draft = guess(str(path), module="a", reads="a.parquet", label="late", tz="Europe/Paris")
    assert 'when: assay.EventTime(zone="Europe/Paris")' in source(draft)
    assert not any("UTC" in one for one in draft.guesses)
