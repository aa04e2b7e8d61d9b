"""`pip install .` into an empty environment gives a working `assay` of few distributions."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_DISTRIBUTIONS = 25
SMALL = """
import assay

@assay.pipeline()
def pipe(asof):
    return asof.year
"""


@pytest.mark.slow
def test_the_core_installs_alone_and_stays_small(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", ROOT], check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, text=True)
    names = {dist["name"] for dist in json.loads(listed.stdout)} - {"pip", "setuptools", "wheel"}
    assert "assay" in names
    assert len(names) <= MOST_DISTRIBUTIONS, sorted(names)
    # It works, brings the example along, and says what an extra is missing.
    assay = environment / "bin" / "assay"
    assert "assay 0." in subprocess.run([assay, "--version"], check=True, capture_output=True, text=True).stdout
    (tmp_path / ".assay").mkdir()
    (tmp_path / "small.py").write_text(SMALL)
    subprocess.run([assay, "run", "small:pipe", "--asof", "2013-01-01"], cwd=tmp_path, check=True)
    runs = subprocess.run([assay, "runs"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "pipe@2013-01-01T00:00Z~what-if  finished" in runs.stdout
    lines = [f"{i},{i % 7},{i % 2},{i % 2}" for i in range(200)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,x,same,late", *lines]))
    found = subprocess.run(
        [assay, "quality", "rows.csv", "--label", "late"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "same tells late in every row" in found.stdout
    made = subprocess.run(
        [assay, "init", "p", "rows.csv", "--label", "late"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert 'pip install "assay[lightgbm]"' in made.stdout
    demo = subprocess.run([assay, "demo", "flights", "f"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert demo.returncode == 2
    assert 'Run: pip install "assay[demo]"' in demo.stderr
    assert not (tmp_path / "f").exists()
    assert list(environment.glob("lib/python*/site-packages/assay/examples/flights/flights.py"))
