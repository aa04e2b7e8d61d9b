"""A store of its own for each test, and programs that are run in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay import store
from assay.store import Store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home that this process and those of `program` work in."""
    path = tmp_path / "project" / ".assay"
    path.mkdir(parents=True)
    monkeypatch.setenv("ASSAY_HOME", str(path))
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    return path


@pytest.fixture
def opened(home: Path) -> Iterator[Store]:
    with store.use(store.find_home(home)) as found:
        yield found
    found.database.dispose()


@pytest.fixture
def program(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script to its end; `ok` says whether it must succeed."""

    def run(text: str, *arguments: object, ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "import assay\n" + text, *map(str, arguments)],
            cwd=home.parent,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stderr
        return done

    return run
