"""Each server on a home of its test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
sys.path.insert(0, str(Path(__file__).parent))
from running import copy_project
from targets import Target, target


@pytest.fixture(params=["up", "serve"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Each of the servers, on a home of this test."""
    home = copy_project(tmp_path_factory.getbasetemp(), tmp_path)
    with target(request.param, home) as running:
        yield running


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Target]:
    """`assay up` on an empty home."""
    with target("up", tmp_path / ".assay") as running:
        yield running
