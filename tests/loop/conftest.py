"""The flights project with a champion, made once from the real data."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "flights.py"


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder: flights.py, its data, and a champion trained until September 2013."""
    from assay.cli.flights_data import build

    folder = tmp_path_factory.mktemp("flights")
    (folder / "flights.py").write_text(EXAMPLE.read_text())
    build(folder / "data")
    command = [sys.executable, "-m", "assay", "run", "flights:weekly", "--asof", "2013-09-30T06:00-04:00"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder
