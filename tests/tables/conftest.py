"""A home for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay import store
from assay.store import Store


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    """The home of this test's project."""
    with store.use(store.find_home(tmp_path / ".assay")) as found:
        yield found
        found.database.dispose()
