"""dbt projects made for tests."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

Make = Callable[..., Path]

PROJECT = "name: shop\nversion: '1.0'\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n"
PROFILES = "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: shop.duckdb, schema: main}\n"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a project into a folder of its own: SQL for its database, its YAML, more files by name."""
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)

    def made(sql: str = "", schema: str = "", project: str = "", files: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "shop"
        written = {"dbt_project.yml": PROJECT + project, "profiles.yml": PROFILES, "models/schema.yml": schema}
        for name, text in {**written, **(files or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with duckdb.connect(str(folder / "shop.duckdb")) as connection:
            connection.execute(sql or "SELECT 1")
        return folder

    return made
