"""`assay check --html` as its user calls it."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., object]


def test_a_check_writes_its_page(assay: Run, project: Path) -> None:
    said = assay("check", "trips.parquet", "--contract", "taxi:Trip", "--html", "x.html")
    assert said.code == 0
    assert Path("x.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("path", ["trips.parquet/x.html", "."])
def test_a_page_that_cannot_be_written_is_said_in_a_sentence(assay: Run, project: Path, path: str) -> None:
    said = assay("check", "trips.parquet", "--contract", "taxi:Trip", "--html", path)
    assert said.code == 3
    assert f"can't write {path}" in said.err
    assert "Traceback" not in said.err
