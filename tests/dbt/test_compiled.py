"""The tests that dbt compiled, of a project with all kinds of them: the real dbt and Assay must agree."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.dbt import DbtReport, check_project
from assay.dbt.render import lines
from assay.errors import BadInput

ROOT = Path(__file__).parents[2]
DBT = Path(os.environ.get("ASSAY_DBT", ROOT / ".venv" / "dbt" / "bin" / "dbt"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DBT.is_file(), reason="MISSING: dbt. Run: make parts"),
]
FILES = {
    "dbt_project.yml": """
name: shop
version: '1.0'
profile: shop
flags: {send_anonymous_usage_stats: false}
vars: {floor: 0, flag: false}
models: {shop: {marts: {+tags: [nightly]}}}
""",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: shop.duckdb, schema: main}
    prod: {type: duckdb, path: shop.duckdb, schema: prod}
""",
    "packages.yml": "packages: [{local: ./tools}]",
    "tools/dbt_project.yml": "{name: tools, version: '1.0', config-version: 2}",
    "tools/macros/tests.sql": """
{% test at_least(model, column_name, least=1) %}
{{ config(fail_calc='coalesce(sum(lacking), 0)', error_if='> 3') }}
select {{ least }} - {{ column_name }} as lacking from {{ model }} where {{ column_name }} < {{ least }}
{% endtest %}""",
    "tools/models/of_tools.sql": "select 1 as id union all select 1",
    "tools/models/schema.yml": "models: [{name: of_tools, columns: [{name: id, data_tests: [unique]}]}]",
    "models/orders_v1.sql": "select range as id, range % 3 as kind from range(10)",
    "models/orders_v2.sql": "select range // 2 as id, range % 3 as kind, 'x' as extra from range(10)",
    "models/temporary.sql": "{{ config(materialized='ephemeral') }} select range // 2 as id from range(6)",
    "models/marts/branch.sql": """
{% if target.name == 'dev' %}{{ config(alias='branch_dev') }}{% else %}{{ config(alias='branch_prod') }}{% endif %}
select 1 as id union all select 1""",
    "models/marts/by_set.sql": "{% set where = 'deep' %}{{ config(schema=where, tags='weekly') }} select null as id",
    "models/undecided.sql": "{% if modules.datetime.datetime(2024, 1, 1).year == 2024 %}{{ config(alias='decided') }}{% endif %} select 7 as id union all select 7",
    "models/schema.yml": """
models:
  - name: orders
    latest_version: 2
    columns:
      - {name: id, data_tests: [unique, not_null]}
      - {name: kind, data_tests: [{accepted_values: {arguments: {values: [0, 1], quote: false}}}]}
    versions:
      - v: 1
      - v: 2
        columns: [{include: all, exclude: [kind]}, {name: extra, data_tests: [not_null, is_even]}]
  - {name: temporary, columns: [{name: id, data_tests: [unique, {tools.at_least: {arguments: {least: 2}}}]}]}
  - {name: branch, columns: [{name: id, data_tests: [unique]}]}
  - {name: by_set, columns: [{name: id, data_tests: [not_null, {relationships: {arguments: {to: ref('branch'), field: id}}}]}]}
  - {name: undecided, columns: [{name: id, data_tests: [unique, {is_even: {config: {severity: warn, tags: [odd]}}}]}]}
unit_tests:
  - {name: sums, model: by_set, given: [], expect: {rows: [{id: null}]}}
""",
    "tests/generic/even.sql": "{% test is_even(model, column_name) %} select * from {{ model }} where try_cast({{ column_name }} as int) % 2 is distinct from 0 {% endtest %}",
    "tests/no_sevens.sql": "{{ config(severity='warn', warn_if='> 1') }} select * from {{ ref('undecided') }} where id > {{ var('floor') }}",
    "tests/deep/of_ephemeral.sql": "select * from {{ ref('temporary') }} where id < 0",
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled") / "shop"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    dbt(folder, "deps")
    dbt(folder, "run")
    dbt(folder, "run", "--target", "prod")
    dbt(folder, "test")
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, with the times of the files kept."""
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    return Path(shutil.copytree(built, tmp_path / "shop", symlinks=False))


def dbt(folder: Path, *command: str) -> str:
    options = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--no-use-colors"]
    done = subprocess.run(
        [DBT, *command, *options], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def theirs(folder: Path) -> dict[str, tuple[str, int]]:
    """What dbt said of each test of data; it counts no failures of those that pass."""
    results: list[dict[str, Any]] = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    return {
        each["unique_id"]: (each["status"], each["failures"] or 0)
        for each in results
        if not each["unique_id"].startswith("unit_test.")
    }


def ours(report: DbtReport) -> dict[str, tuple[str, int]]:
    return {each.unique_id: (each.dbt_status, each.failures) for each in report.of("test")}


def unread(report: DbtReport) -> dict[str, str]:
    return {each.what: each.hint or each.why for each in report.not_read}


def test_every_test_of_data_is_answered_as_dbt_does(project: Path) -> None:
    report = check_project(project)
    said = theirs(project)
    assert len(said) == 17
    assert ours(report) == said
    assert {status for status, _ in said.values()} == {"pass", "warn", "fail"}
    assert unread(report) == {"unit test sums": "it tests SQL, not data"}
    assert (report.tests, report.tests_read) == (18, 17)
    assert report.tests_compiled == 8
    assert "17 of 18 tests read" in lines(report)[0]
    assert "8 tests asked by the SQL that dbt compiled at 20" in "\n".join(lines(report))


def test_without_what_dbt_left_the_rest_is_still_right_and_the_others_are_counted(project: Path) -> None:
    said = theirs(project)
    shutil.rmtree(project / "target")
    report = check_project(project)
    found = ours(report)
    undecided = [key for key in found if "undecided" in key]
    assert {found.pop(key)[0] for key in undecided} == {"error"}
    assert found == {key: said[key] for key in found}
    assert report.tests_read == 9
    assert "9 of 17 tests read" in lines(report)[0]
    assert "dbt's own SQL: target/manifest.json does not exist: run dbt compile" in "\n".join(lines(report))
    assert report.exit_code == 3


def test_the_files_that_dbt_compiled_answer_when_the_manifest_holds_no_sql(project: Path) -> None:
    dbt(project, "parse", "--no-partial-parse")
    nodes = json.loads((project / "target" / "manifest.json").read_text())["nodes"].values()
    assert not any(node.get("compiled_code") for node in nodes)
    said = theirs(project)
    assert ours(check_project(project)) == said


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("tests/no_sevens.sql", "select 1 where false", "test no_sevens"),
        ("tests/generic/even.sql", "{% test is_even(model, column_name) %} select 1 {% endtest %}", "test is_even_orders_v2_extra"),
        ("models/temporary.sql", "{{ config(materialized='ephemeral') }} select 8 as id", "test unique_temporary_id"),
        ("dbt_packages/tools/macros/tests.sql", "{% test at_least(model, column_name, least) %} select 1 {% endtest %}", "test tools_at_least_temporary_id__2"),
    ],
)  # fmt: skip
def test_sql_of_a_file_that_has_changed_is_not_used(project: Path, file: str, text: str, what: str) -> None:
    (project / file).write_text(text)
    report = check_project(project)
    assert unread(report)[what] == f"{file} has changed since dbt compiled it: run dbt compile"
    said = theirs(project)
    assert {key: said[key] for key in ours(report)} == ours(report)


def test_sql_with_another_condition_is_not_used_and_other_settings_are_those_of_now(project: Path) -> None:
    file = project / "models/schema.yml"
    file.write_text(file.read_text().replace("severity: warn", "severity: error, error_if: '> 5'"))
    assert (
        next(each for each in check_project(project).of("test") if "even_undecided" in each.name).dbt_status == "warn"
    )
    file.write_text(file.read_text().replace("error_if: '> 5'", "where: id > 1"))
    report = check_project(project)
    assert "its where has changed since dbt compiled it" in unread(report)["test is_even_undecided_id"]


def test_sql_of_another_target_or_of_other_vars_is_not_used(project: Path) -> None:
    hint = "dbt compiled for another target or with other vars: run dbt compile with these"
    for report in (check_project(project, target="prod"), check_project(project, vars={"floor": 7})):
        assert unread(report)["test no_sevens"] == hint
        assert report.tests_compiled == 0
    dbt(project, "test", "--target", "prod", "--vars", "{floor: 7}")
    said = theirs(project)
    report = check_project(project, target="prod", vars={"floor": 7})
    assert ours(report) == said
    assert report.tests_compiled == 8
    assert check_project(project).tests_compiled == 0


def test_what_dbt_could_not_compile_is_an_error_with_its_words(project: Path) -> None:
    (project / "tests/broken.sql").write_text(
        "select 1 {% if execute %}{{ exceptions.raise_compiler_error('no such thing') }}{% endif %}"
    )
    dbt(project, "test")
    report = check_project(project)
    (broken,) = [each for each in report.having("error") if each.name == "broken"]
    assert "dbt could not compile it: Compilation Error in test broken" in broken.message
    assert {
        key: (status, 0) if status == "error" else (status, n) for key, (status, n) in theirs(project).items()
    } == ours(report)


SPECS = [
    "orders",
    "orders.v1",
    "orders_v2",
    "marts",
    "tag:nightly",
    "tag:weekly",
    "tag:odd",
    "path:models/marts",
    "path:tests",
    "branch.sql",
    "test_name:is_even",
    "test_type:singular",
    "test_type:generic,undecided",
    "tag:nightly,test_name:unique temporary",
    "package:tools",
    "shop.marts.*",
    "uniq*",
    "temporary",
    "no_sevens",
]


def test_the_selection_is_that_of_dbt(project: Path) -> None:
    asked: list[tuple[str, Callable[[], DbtReport], str]] = []
    for spec in SPECS:
        asked.append((spec, lambda spec=spec: check_project(project, select=[spec]), "--select"))
    for spec in ("orders", "tag:nightly", "test_type:singular"):
        asked.append((spec, lambda spec=spec: check_project(project, exclude=[spec]), "--exclude"))
    wrong: dict[str, object] = {}
    results = [(spec, option, set(ours(make()))) for spec, make, option in asked]
    for spec, option, found in results:
        words = [
            "ls",
            "--resource-type",
            "test",
            "--output",
            "json",
            "--output-keys",
            "unique_id",
            option,
            *spec.split(),
        ]
        wanted = {json.loads(line)["unique_id"] for line in dbt(project, *words).splitlines() if line.startswith("{")}
        if found != wanted:
            wrong[f"{option} {spec}"] = (sorted(found - wanted), sorted(wanted - found))
    assert wrong == {}


def test_a_selection_that_needs_the_graph_is_refused(project: Path) -> None:
    with pytest.raises(BadInput, match=r"\+ and @ need the graph"):
        check_project(project, select=["orders+"])
    with pytest.raises(BadInput, match="'tags' is not a method"):
        check_project(project, select=["tags:x"])
