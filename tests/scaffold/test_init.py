"""A project for any table: what is guessed, that it runs, and that nothing in a table becomes code."""

import ast
import importlib.util
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
        "gone": "it is missing in 100% of the rows",
        "in_cents": "alone it tells amount; put it back if it is known before",
        "note": "it differs in nearly every row",
    }
    by_name = {one.name: one for one in draft.columns}
    assert by_name["weight_kg"].unit == "kg"
    assert by_name["class"].attribute == "class_"
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
        ({"label": "amount", "key": ("nothing",)}, "has no column 'nothing'"),
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
    assert 'when: assay.Key[assay.EventTime(zone="Europe/Paris")]' in source(draft)
    assert not any("UTC" in one for one in draft.guesses)


def text_of(path: Path, **options: Any) -> tuple[str, list[str]]:
    """The project for a table, and what was guessed."""
    draft = guess(str(path), module="shop", reads=path.name, **options)
    return source(draft), draft.guesses


def test_columns_of_any_name_are_features(tmp_path: Path) -> None:
    known = columns()
    odd = {
        "2nd": known["x"],
        "Weight (kg)": known["weight_kg"],
        "class": known["hour"],
        "a.b": known["plan"],
        "items": known["x"] ** 2,
    }
    names = {"2nd": "column_2nd", "Weight (kg)": "weight_kg", "class": "class_", "a.b": "a_b", "items": "items_"}
    path = write(tmp_path, "a.csv", "churn", **odd, **{"When (UTC)": known["when"]})
    text, _ = text_of(path, label="churn")
    assert all(f'assay.field(name="{name}")' in text and f"    {plain}: " in text for name, plain in names.items())
    assert "    when_utc: Annotated[" in text
    assert assay(tmp_path, "init", "shop", "a.csv", "--label", "churn").returncode == 0
    ran = assay(tmp_path / "shop", "run", "shop:train")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "published as shop/1" in ran.stdout


def test_a_name_that_no_request_can_hold_is_left_out_with_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path, "a.parquet", "x", "churn", **{'say "x"': columns()["hour"]})
    draft = guess(str(path), module="a", reads="a", label="churn")
    assert draft.left_out == {'say "x"': "its name has a character that no request can hold: rename it in the table"}


def test_several_columns_are_the_key_where_no_single_one_is(tmp_path: Path) -> None:
    shop, day = np.divmod(np.arange(ROWS), 40)
    random = np.random.default_rng(4)
    when = np.datetime64("2024-01-01", "us") + day * np.timedelta64(86_400_000_000, "us")
    others = {
        "shop": [f"s{i}" for i in shop],
        "at": pa.array(when).cast(pa.timestamp("us", "UTC")),
        "sold": random.normal(shop, 1),
    }
    text, said = text_of(write(tmp_path, "a.parquet", "x", **others), label="sold")
    assert "shop and at are the key: together they differ in every row" in said
    assert "    at: assay.Key[assay.EventTime]\n" in text
    assert '    shop: assay.Key[Literal["s0"' in text
    assert '        "shop": d.shop,\n' in text
    assert assay(tmp_path, "init", "shops", "a.parquet", "--label", "sold").returncode == 0
    ran = assay(tmp_path / "shops", "run", "shops:train")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    given, _ = text_of(tmp_path / "a.parquet", label="sold", key=("shop", "x"))
    assert "    x: Annotated[assay.Key[float], " in given
    assert "    at: assay.EventTime\n" in given


def test_random_columns_are_no_key_by_chance(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    many = {f"n{i}": random.integers(0, 100, ROWS) for i in range(8)}
    _, said = text_of(write(tmp_path, "a.parquet", "churn", **many), label="churn")
    assert any(one.startswith("no column tells the rows apart") for one in said)


DIRTY = {
    "power": ["?", "n/a", *(str(i % 90 / 4) for i in range(ROWS - 2))],
    "sort": ["unknown", *(["a", "b", "N/A"] * ROWS)[: ROWS - 1]],
    "old": [-999 if i % 20 == 0 else 20 + i % 50 for i in range(ROWS)],
}


def test_texts_that_mean_missing_are_guessed_aloud_and_numbers_only_said(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "churn", **DIRTY)
    text, said = text_of(path, label="churn")
    assert [one for one in said if "means missing" in one] == [
        '"?" means missing, as in power; give --missing if it does not',
        '"n/a" means missing, as in power; give --missing if it does not',
        '"N/A" means missing, as in sort; give --missing if it does not',
    ]
    assert any("old is -999" in one and "it stays a value" in one for one in said)
    assert any('sort is "unknown"' in one or "sort is unknown" in one for one in said)
    assert 'TABLE = assay.csv("a.csv", missing=["", "NA", "?", "n/a", "N/A"])' in text
    assert "    power: Annotated[float | None, " in text
    assert 'Literal["a", "b", "unknown"] | None' in text


def test_marks_that_are_given_are_all_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "churn", **DIRTY)
    text, said = text_of(path, label="churn", missing=("?", "n/a", "unknown"))
    assert 'missing=["", "NA", "?", "n/a", "unknown"])' in text
    assert 'Literal["N/A", "a", "b"] | None' in text
    assert not any("means missing" in one for one in said)
    assert (
        assay(tmp_path, "init", "shop", "a.csv", "--label", "churn", "--missing", "?", "--missing", "n/a").returncode
        == 0
    )
    ran = assay(tmp_path / "shop", "run", "shop:train")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_mark_in_a_table_that_is_not_csv_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", "x", "churn")
    for command in (
        ["init", "shop", "a.parquet", "--label", "churn"],
        ["quality", "a.parquet"],
        ["check", "a.parquet", "--infer"],
    ):
        said = assay(tmp_path, *command, "--missing", "?")
        assert said.returncode == 2
        assert "a.parquet is not CSV, and only in CSV a text stands for a missing value" in said.stderr


def test_check_and_quality_take_marks_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{i / 8},{'?' if i % 4 == 0 else i}\n" for i in range(100)))
    told = assay(tmp_path, "check", "a.csv", "--infer", "--missing", "?").stdout
    assert 'col("b").between(' in told
    assert "numbers kept as text" not in told
    found = json.loads(assay(tmp_path, "quality", "a.csv", "--missing", "?", "--json").stdout)
    assert found["missing"]["b"] == 0.25
    (tmp_path / "rules.py").write_text(
        "import assay\n\nall = assay.Checks(assay.col('b').between(0, 50).nulls(max=0.3))\n"
    )
    checked = assay(tmp_path, "check", "a.csv", "--checks", "rules:all", "--missing", "?", "--json", "--html", "a.html")
    assert [one["failing"] for one in json.loads(checked.stdout)["results"]] == [37, 25]
    assert (tmp_path / "a.html").exists()


def _example(name: str) -> Path:
    """A table that a package ships."""
    package, _, inside = name.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"MISSING: tables of {package}. Run: make parts")
    return Path(spec.origin).parent / inside


@pytest.mark.parametrize(
    ("table", "label", "key"),
    [
        ("ISLP/data/Bikeshare.csv", "bikers", "day and hr are the key"),
        ("ISLP/data/Auto.csv", "mpg", "no column tells the rows apart"),
        ("ISLP/data/Smarket.csv", "Direction", "no column tells the rows apart"),
        ("plotly/package_data/datasets/gapminder.csv.gz", "lifeExp", "country and year are the key"),
        ("plotly/package_data/datasets/tips.csv.gz", "tip", "no column tells the rows apart"),
    ],
)
def test_real_tables_have_the_key_that_they_have(table: str, label: str, key: str) -> None:
    draft = guess(str(_example(table)), module="a", reads="a", label=label)
    assert any(one.startswith(key) for one in draft.guesses), draft.guesses
    ast.parse(source(draft))
