"""One server for the tests that only ask, and a project of its own for each of the others."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from running import Server, copy_project, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of long-trip."""
    with serving(copy_project(tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("asked"))) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one's own."""
    return copy_project(tmp_path_factory.getbasetemp(), tmp_path)
