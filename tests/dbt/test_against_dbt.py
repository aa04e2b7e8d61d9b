"""The real dbt and Assay over the same randomised projects: every source and every test must agree.

The projects are made from a seed: all ways of inheriting thresholds, times with and without zone, dates, texts, missing
values, empty and absent tables, and tests of every kind with random settings.
"""

import json
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from assay.dbt import DbtReport, DbtResult, check_project

ROOT = Path(__file__).parents[2]
DBT = Path(os.environ.get("ASSAY_DBT", ROOT / ".venv" / "dbt" / "bin" / "dbt"))
SOURCES, TESTS = 36, 70
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DBT.is_file(), reason="MISSING: dbt. Run: make parts"),
]
PERIODS = {"minute": 60, "hour": 3600, "day": 86400}
FRESHNESS = ("pass", "warn", "error", "runtime error")
VERDICTS = ("pass", "warn", "fail", "error")
#: Seeds of the projects, the time zone of the database's session, and whether the project names schemas by its own rule.
SEEDS = {3: ("UTC", False), 6: ("America/New_York", True), 159: ("Asia/Kolkata", False)}
Tree = dict[str, Any]


@dataclass
class Compared:
    """What both said of one project."""

    sources: Tree
    tests: Tree
    console: str
    report: DbtReport


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[Compared]:
    made: list[Compared] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DBT_PROFILES_DIR", raising=False)
        patch.setenv("SHOP_LIMIT", "7")
        for seed, (zone, ruled) in SEEDS.items():
            folder = tmp_path_factory.mktemp(f"seed{seed}")
            write(random.Random(seed), folder, zone, ruled=ruled)
            made.append(compare(folder))
    return made


def compare(folder: Path) -> Compared:
    """Ask dbt, then Assay: one process at a time has the database."""
    console = dbt(folder, "source", "freshness")
    sources = json.loads((folder / "target" / "sources.json").read_text())
    dbt(folder, "test")
    tests = json.loads((folder / "target" / "run_results.json").read_text())
    return Compared(
        {each["unique_id"]: each for each in sources["results"]},
        {each["unique_id"]: each for each in tests["results"]},
        console,
        check_project(folder),
    )


def dbt(folder: Path, *command: str) -> str:
    """Run dbt in a project; its answer is in files, its exit code says no more."""
    options = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--no-use-colors"]
    done = subprocess.run(
        [DBT, *command, *options], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_every_source_has_the_status_and_the_newest_time_of_dbt(compared: list[Compared]) -> None:
    for project in compared:
        ours = {each.unique_id: each for each in project.report.of("freshness")}
        refused = {key for key, each in ours.items() if each.dbt_status == "runtime error"}
        # sources.json leaves out what could not be asked; the console has it.
        assert set(ours) - refused == set(project.sources)
        for key in set(ours) - refused:
            agree(ours[key], project.sources[key])
        said = {
            line.split(" freshness of ")[1].split(" ")[0]
            for line in project.console.splitlines()
            if " ERROR freshness of " in line
        }
        assert said == {ours[key].name for key in refused}


def agree(mine: DbtResult, theirs: Tree) -> None:
    assert mine.dbt_status == theirs["status"] or grew_late(mine, theirs), mine.name
    assert mine.max_loaded_at == datetime.fromisoformat(theirs["max_loaded_at"]), mine.name
    assert mine.snapshotted_at is not None
    assert mine.age_s is not None
    apart = mine.snapshotted_at - datetime.fromisoformat(theirs["snapshotted_at"])
    assert timedelta() < apart < timedelta(minutes=5), mine.name
    # A float holds the age of the year 1 to some microseconds only.
    assert mine.age_s - theirs["max_loaded_at_time_ago_in_s"] == pytest.approx(apart.total_seconds(), abs=1e-4)


def grew_late(mine: DbtResult, theirs: Tree) -> bool:
    """True when the table passed a threshold between dbt's look and ours, which is some seconds later."""
    units = {"minute": 60, "hour": 3600, "day": 86400}
    bounds = [each for each in theirs["criteria"].values() if isinstance(each, dict) and each.get("count") is not None]
    limits = [each["count"] * units[each["period"]] for each in bounds]
    return any(theirs["max_loaded_at_time_ago_in_s"] <= limit < (mine.age_s or 0) for limit in limits)


def test_every_test_has_the_status_and_the_count_of_dbt(compared: list[Compared]) -> None:
    for project in compared:
        ours = {each.unique_id: each for each in project.report.of("test")}
        assert set(ours) == set(project.tests)
        for key, each in project.tests.items():
            assert ours[key].dbt_status == each["status"], (key, each["message"], ours[key].message)
            assert ours[key].failures == (each["failures"] or 0), key


def test_the_projects_are_varied_enough_to_mean_something(compared: list[Compared]) -> None:
    for kind, words in (("freshness", FRESHNESS), ("test", VERDICTS)):
        found = [each.dbt_status for project in compared for each in project.report.of(kind)]
        assert {word: found.count(word) >= 5 for word in words} == dict.fromkeys(words, True), found


# What follows makes the projects.

PROJECT = """
name: shop
version: '1.0'
profile: shop
vars:
  floor: 2
  shop: {word: lost}
models:
  +schema: marts
  shop:
    raw: {+schema: null}
sources:
  shop:
    late: {+freshness: {warn_after: {count: 1, period: hour}}}
data_tests:
  shop:
    strictly: {+error_if: '> 1'}
flags: {send_anonymous_usage_stats: false}
"""
PROFILES = """
shop:
  target: "{{ env_var('SHOP_TARGET', 'dev') }}"
  outputs:
    dev: {type: duckdb, path: shop.duckdb, schema: core, threads: 1, settings: {TimeZone: ZONE}}
"""
RULE = """
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if custom_schema_name is none -%}{{ target.schema }}{%- else -%}{{ custom_schema_name | trim }}{%- endif -%}
{%- endmacro %}
"""
#: Column to SQL that makes it from the row's number.
COLUMNS = {
    "id": "CASE WHEN i % {a} = 0 THEN NULL ELSE i % {b} END",
    "status": "['new', 'paid', 'lost', NULL, 'it''s'][1 + i % {c}]",
    "amount": "CASE WHEN i % {d} = 0 THEN NULL ELSE i * 1.5 END",
    '"select"': "i % {e}",
}


def write(rng: random.Random, folder: Path, zone: str, *, ruled: bool) -> None:
    """Write a project and its database."""
    (folder / "models" / "raw").mkdir(parents=True)
    (folder / "models" / "strictly").mkdir()
    (folder / "models" / "late").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILES.replace("ZONE", zone))
    if ruled:
        (folder / "macros").mkdir()
        (folder / "macros" / "names.sql").write_text(RULE)
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        for schema in ("raw", "other", "late", "core", "core_marts", "core_deep", "marts", "deep"):
            connection.execute(f"CREATE SCHEMA {schema}")
        trees = list(sources(rng, connection))
        models = dict(model(rng, folder, connection, number, "" if ruled else "core_") for number in range(6))
    placed: dict[str, list[Tree]] = {"late": [], "strictly": [], "": []}
    for tree in trees:
        placed["late" if tree["name"].startswith("late") else rng.choice(["strictly", ""])].append(tree)
    subjects = [table for tree in trees for table in tree["tables"]] + list(models.values())
    names = [f"source('{tree['name']}', '{table['name']}')" for tree in trees for table in tree["tables"]]
    names += [f"ref('{name}')" for name in models]
    for number in range(TESTS):
        declare_test(rng, rng.choice(subjects), names, number)
    for place, found in placed.items():
        (folder / "models" / place / "sources.yml").write_text(yaml.safe_dump({"version": 2, "sources": found}))
    (folder / "models" / "raw" / "models.yaml").write_text(
        yaml.safe_dump({"version": 2, "models": list(models.values())})
    )


def sources(rng: random.Random, connection: duckdb.DuckDBPyConnection) -> Iterator[Tree]:
    """Sources with tables, which are made too, or not."""
    for number in range(SOURCES // 6):
        late = number == 0
        tree: Tree = {"name": "late" if late else f"source{number}", "tables": []}
        schema = "late" if late else rng.choice(["raw", "other"])
        tree["schema"] = schema
        level(rng, tree, 0.7)
        if rng.random() < 0.9:
            rng.choice([tree, tree.setdefault("config", {})])["loaded_at_field"] = "loaded"
        for each in range(6):
            identifier = f"{tree['name']}_t{each}"
            table: Tree = {"name": f"t{each}", "identifier": identifier}
            level(rng, table, 0.5)
            loaded_at(rng, table, f"{schema}.{identifier}")
            tree["tables"].append(table)
            if rng.random() > 0.06:
                build(rng, connection, f"{schema}.{identifier}")
        yield tree


def level(rng: random.Random, tree: Tree, chance: float) -> None:
    """Thresholds on a level itself, in its config, or both; some of them null or in part."""
    for place in (lambda: tree, lambda: tree.setdefault("config", {})):
        if rng.random() > chance * 0.7:
            continue
        if rng.random() < 0.08:
            place()["freshness"] = None
            continue
        found: Tree = {}
        for name in ("warn_after", "error_after"):
            if rng.random() < 0.65:
                count, period = rng.choice([0, 1, 2, 6, 30, 300]), rng.choice(list(PERIODS))
                found[name] = rng.choice([{"count": count, "period": period}] * 8 + [None, {"count": count}])
        if rng.random() < 0.3:
            found["filter"] = rng.choice(
                [
                    "id >= 1",
                    "id > 3",
                    "status = '{{ var('word') }}'",
                    "amount is not null",
                    "1 = 0",
                    "nothing = 1",
                    "loaded > now() - interval 5 hour",
                ]
            )
        place()["freshness"] = found


def loaded_at(rng: random.Random, table: Tree, relation: str) -> None:
    """Some tables have a field of their own, a null, or a query."""
    choice = rng.random()
    place = rng.choice([table, table.setdefault("config", {})])
    if choice < 0.25:
        place["loaded_at_field"] = rng.choice(
            ["loaded", "loaded::timestamp", "{{ var('column', 'loaded') }}", "loaded - interval 1 hour"]
        )
    elif choice < 0.32:
        table["loaded_at_field"] = None
    elif choice < 0.45:
        place["loaded_at_query"] = rng.choice(
            [
                f"select max(loaded) from {relation}",
                "select max(loaded) from {{ this }}",
                "select loaded from {{ this }}",
                "select null",
            ]
        )
    if not table["config"]:
        del table["config"]


def build(rng: random.Random, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
    """A table of 0 to 40 rows whose newest time is minutes to days old, or in the future."""
    rows = rng.choice([0, 1, 7, 20, 20, 40, 40, 40, 40])
    kind = rng.choice(["TIMESTAMP"] * 4 + ["TIMESTAMPTZ"] * 4 + ["DATE", "VARCHAR", "TIMESTAMP_NS", "BIGINT"])
    age = rng.choice([-7200, 90, 90, 1800, 1800, 5000, 20000, 100000, 3000000])
    newest = datetime.now(UTC) - timedelta(seconds=age)
    if rng.random() < 0.3:
        newest = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    shown = newest.isoformat() if kind == "TIMESTAMPTZ" else newest.replace(tzinfo=None).isoformat(sep=" ")
    time = "i" if kind == "BIGINT" else f"('{shown}'::TIMESTAMPTZ - i * interval 1 hour)::{kind}"
    if kind in ("TIMESTAMP", "DATE", "VARCHAR", "TIMESTAMP_NS"):
        time = f"('{shown}'::TIMESTAMP - i * interval 1 hour)::{kind}"
    if rng.random() < 0.06:
        time = f"NULL::{kind}"
    numbers = {name: rng.choice([2, 3, 5, 11, 50]) for name in "abde"} | {"c": rng.choice([1, 2, 3, 4, 5])}
    columns = ", ".join(f"{sql.format(**numbers)} AS {name}" for name, sql in COLUMNS.items())
    connection.execute(f"CREATE TABLE {relation} AS SELECT {columns}, {time} AS loaded FROM range({rows}) r(i)")


def model(
    rng: random.Random, folder: Path, connection: duckdb.DuckDBPyConnection, number: int, prefix: str
) -> tuple[str, Tree]:
    """A model with its file; its table is made here, as `dbt run` would."""
    name = f"model{number}"
    alias = rng.choice([None, f"renamed{number}"])
    schema, inline = rng.choice([(None, ""), ("deep", "schema='deep'")])
    settings = ", ".join(part for part in (inline, f"alias='{alias}'" if alias else "") if part)
    below = rng.choice(["raw", "strictly"])
    own = f"{{{{ config({settings}) }}}}\n" if settings else ""
    (folder / "models" / below / f"{name}.sql").write_text(
        own + "select 1 as id {% if false %}{{ unknown() }}{% endif %}"
    )
    built = f"{prefix}{schema}" if schema else {"raw": "core", "strictly": f"{prefix}marts"}[below]
    if rng.random() > 0.1:
        build(rng, connection, f"{built}.{alias or name}")
    return name, {"name": name}


#: Of accepted_values, for texts and for numbers.
VALUES: tuple[list[Tree], list[Tree]] = (
    [
        {"values": ["new", "paid", "{{ var('word') }}"]},
        {"values": ["new", "it''s"]},
        {"values": ["'new'", "'paid'", "null"], "quote": False},
    ],
    [
        {"values": [0, 1, 2, 3], "quote": False},
        {"values": [0, 1.5, 3], "quote": "{{ var('quoted', false) }}"},
        {"values": [1, 2, 3, 4.5]},
        {"values": [1, 2.5, True]},
    ],
)


def declare_test(rng: random.Random, subject: Tree, names: list[str], number: int) -> None:
    """Put a test under a table or one of its columns."""
    kind = rng.choice(["not_null", "unique", "accepted_values", "relationships"])
    odd = ["id", "status", "amount", "select", "loaded", "absent"]
    column = rng.choice(odd if rng.random() < 0.2 else ["id", "status", "amount"])
    arguments = random_arguments(rng, kind, column, names)
    settings = random_settings(rng)
    body: Tree = {"arguments": arguments} if arguments and rng.random() < 0.5 else dict(arguments)
    if rng.random() < 0.5:
        body |= settings
    elif settings:
        body["config"] = settings
    if rng.random() < 0.2:
        body["description"] = "for people"
    # Two tests that differ in settings alone are one to dbt, which it refuses.
    signature = f"{kind} {column} {arguments}"
    if signature in subject.setdefault("meta", {}) or rng.random() < 0.5:
        body["name"] = f"test{number}_{kind}_{column}"
    else:
        subject["meta"][signature] = number
    place = subject if rng.random() < 0.25 else column_of(subject, column)
    if place is subject:
        body["column_name"] = f'"{column}"' if column == "select" else column
    # dbt refuses both keys in one place.
    key = next((each for each in ("tests", "data_tests") if each in place), rng.choice(["tests", "data_tests"]))
    place.setdefault(key, []).append({"test_name": kind, **body} if rng.random() < 0.15 else {kind: body})


def random_arguments(rng: random.Random, kind: str, column: str, names: list[str]) -> Tree:
    """Arguments that mostly fit the column; the others mix texts and numbers, which the database refuses."""
    fitting = rng.random() < 0.85
    if kind == "accepted_values":
        texts, numbers = VALUES
        return rng.choice((texts if column == "status" else numbers) if fitting else texts + numbers)
    if kind == "relationships":
        to = rng.choice(names)
        fields = ["id", "amount", "status"]
        field = column if fitting and column in fields else rng.choice(fields)
        return {"to": rng.choice([to, f"{{{{ {to} }}}}"]), "field": field}
    return {}


def column_of(subject: Tree, name: str) -> Tree:
    """The entry of a column, made when there is none."""
    columns: list[Tree] = subject.setdefault("columns", [])
    found = next((each for each in columns if each["name"] == name), None)
    if found is None:
        found = {"name": name, "quote": True} if name == "select" else {"name": name}
        columns.append(found)
    return found


def random_settings(rng: random.Random) -> Tree:
    """Some of the settings of a test."""
    chances: list[tuple[str, float, list[Any]]] = [
        ("severity", 0.5, ["warn", "error", "WARN", "Error"]),
        (
            "where",
            0.4,
            [
                "id > {{ var('floor') }}",
                "loaded > now() - interval 1 day",
                "status = 'paid'",
                "amount < 30",
                "id < {{ env_var('SHOP_LIMIT') }}",
            ]
            * 4
            + ["oops"],
        ),
        ("warn_if", 0.3, [">0", "> 3", "between 1 and 5", "!= 2", "= 0"]),
        ("error_if", 0.3, [">10", "> 2", "= 1", "<> 0"]),
        ("limit", 0.2, [0, 1, 3, 100]),
        ("fail_calc", 0.12, ["sum(n_records)", "count(*) * 2", "count(*) * 2", "max(2.5)", "count(*) / 2"]),
        ("enabled", 0.06, [False, True]),
        ("store_failures", 0.05, [False]),
    ]
    return {name: rng.choice(values) for name, chance, values in chances if rng.random() < chance}
