"""What is wrong with a project or its profile is told with its place."""

import subprocess
import sys
from pathlib import Path

import pytest

from assay.dbt import check_project
from assay.dbt.project import read_project
from assay.errors import BadInput, NotFound, Unavailable


def test_a_folder_without_project_names_the_one_below(make, tmp_path: Path) -> None:
    make()
    with pytest.raises(NotFound, match=r"not a dbt project(.|\n)*shop\?"):
        check_project(tmp_path)
    with pytest.raises(NotFound, match="not a dbt project"):
        check_project(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("models/schema.yml", "sources:\n  - name: raw\n   tables: [", "schema.yml, line 3: not YAML"),
        ("dbt_project.yml", "name: [", "dbt_project.yml, line"),
        ("dbt_project.yml", "version: 1", "the project has no name"),
        ("models/schema.yml", "- a\n- b", "a mapping is expected"),
        ("models/schema.yml", "sources: 7", "models/schema.yml: sources: a list is expected"),
        ("models/schema.yml", "sources: [{tables: []}]", "an entry has no name"),
        (
            "models/schema.yml",
            "models: [{name: a, columns: [3]}]",
            "models/schema.yml: a: columns: a mapping is expected",
        ),
        ("profiles.yml", "shp: {}", "has no profile 'shop'(.|\n)*did you mean shp"),
        ("profiles.yml", "shop: {target: dev, outputs: {prod: {type: duckdb}}}", "has no target 'dev'"),
        (
            "profiles.yml",
            "shop: {target: dev, outputs: {dev: {type: snowflake}}}",
            "of type 'snowflake'(.|\n)*duckdb and postgres",
        ),
        ("profiles.yml", "shop: {target: dev, outputs: {dev: {type: postgres}}}", "no dbname or no schema"),
        ("profiles.yml", "shop: {target: \"{{ env_var('NOT_SET_X') }}\", outputs: {}}", "no variable 'NOT_SET_X'"),
        ("profiles.yml", "shop: {target: d, outputs: {d: {type: duckdb, path: 'md:x'}}}", "md:x is not a file"),
        ("profiles.yml", "shop: {target: d, outputs: {d: {type: duckdb, path: gone.db}}}", "gone.db does not exist"),
        (
            "profiles.yml",
            "shop: {target: d, outputs: {d: {type: duckdb, path: shop.duckdb, attach: 3}}}",
            "attach: a list",
        ),
    ],
)
def test_a_malformed_file_is_told_with_its_place(make, name: str, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_project(make(files={name: text}))


def test_a_project_without_profiles_is_told_where_was_looked(
    make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make()
    (folder / "profiles.yml").unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NotFound, match=r"no profiles.yml(.|\n)*DBT_PROFILES_DIR"):
        check_project(folder)


def test_the_profiles_of_the_environment_win(make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = make()
    (tmp_path / "profiles.yml").write_text(
        "shop: {target: a, outputs: {a: {type: duckdb, path: x.db}, b: {type: duckdb, path: y.v2.db, schema: s}}}"
    )
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    assert read_project(folder).profile.database == "x"
    chosen = read_project(folder, "b").profile
    assert (chosen.database, chosen.schema) == ("y", "s")


def test_a_setting_that_the_database_refuses_is_unavailable(make) -> None:
    profiles = "shop: {target: d, outputs: {d: {type: duckdb, path: shop.duckdb, settings: {nonsense: 1}}}}"
    with pytest.raises(Unavailable, match="nonsense"):
        check_project(make(files={"profiles.yml": profiles}))


def test_a_damaged_database_is_unavailable(make) -> None:
    folder = make()
    (folder / "shop.duckdb").write_bytes(b"x" * 5000)
    with pytest.raises(Unavailable, match=r"shop.duckdb can't be opened"):
        check_project(folder)


def test_a_database_that_another_process_has_open_is_unavailable(make) -> None:
    folder = make()
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(folder / "shop.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(Unavailable, match=r"can't be opened(.|\n)*one process's at a time"):
            check_project(folder)
        holder.communicate()


@pytest.mark.parametrize("part", ["jinja2", "yaml"])
def test_a_part_that_is_not_installed_is_told(make, part: str) -> None:
    # What is None here can't be imported, as if it were not installed.
    script = f"import sys; sys.modules[{part!r}] = None; sys.argv[1:] = ['check', '--dbt', '.']; from assay.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], cwd=make(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "assay[dbt]"' in done.stderr
