"""The tutorial runs as it stands: its Python and its commands, one after the other, in an empty folder."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_leads_from_a_file_to_scores(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("ISLP")  # located, not imported: it would load PyTorch
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("MISSING: ISLP's Bikeshare. Run: make parts")
    shutil.copy(Path(spec.submodule_search_locations[0]) / "data" / "Bikeshare.csv", tmp_path)
    folder, said, promised = tmp_path, "", 0
    for kind, text in BLOCK.findall(PAGE.read_text()):
        if kind == "py":
            (folder / "step.py").write_text(text)
            said = ran([sys.executable, "step.py"], folder)
        elif kind == "shell":
            said = ""
            for line in text.splitlines():
                if line.startswith("cd "):
                    folder /= line.removeprefix("cd ")
                    continue
                assert line.startswith("assay "), line
                said += ran([sys.executable, "-m", "assay", *shlex.split(line)[1:]], folder)
        elif kind == "text":
            promised += 1
            assert " ".join(text.split()) in " ".join(said.split())
    assert promised == 2
    assert list((folder / "scores").glob("part-*.parquet"))
    assert "champion" in said


def ran(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
