"""A project of its own for each test, with the published model of tests/serve/running.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from running import copy_project


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one's own."""
    return copy_project(tmp_path_factory.getbasetemp(), tmp_path)
