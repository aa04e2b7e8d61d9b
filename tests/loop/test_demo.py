"""The main job, whole: `assay demo flights` on a year of real flights, each step the public command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = re.compile(r"Done in (\d+) s")


@pytest.mark.slow
def test_the_demo_runs_the_whole_loop_and_finds_the_real_faults(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "assay", "demo", "flights", "project", "--svg", "demo.svg"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    lines = [line.rstrip() for line in said.splitlines()]

    # the data's real faults
    assert "FAIL  wind_speed   1 of 26,115 rows outside 0 to 100 mph   worst 1,048.36058" in lines
    assert any("station_hour=EWR 2013-02-12T08:00Z" in line for line in lines)
    assert "WARN  seats        missing in 52,606 of 336,776 rows (15.6 %), at most 10 % expected" in lines
    assert "WARN  temp         missing in 1,573 of 336,776 rows (0.467 %), at most 0.2 % expected" in lines

    # the year: 43 Mondays from 4 March on, the champion moves, and not everything is blessed
    months = [line for line in lines if re.match(r"(Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ", line)]
    assert len(months) == 10
    assert sum(len(re.findall(r"first|[▲●◐✗■]", line)) for line in months) == 44
    versions = [int(number) for line in months for number in re.findall(r"\bv(\d+)", line)]
    assert versions == list(range(1, len(versions) + 1))
    assert 25 <= len(versions) < 44

    # clean first, then the kilometres, and nothing else
    assert any(line.startswith("NO SKEW  flight-delay  964 served rows") for line in lines)
    assert any(line.startswith("SKEW  flight-delay  1,928 served rows") for line in lines)
    assert "  distance: 48 of 1,928 rows differ" in lines
    assert "    48 rows: ratio 1.609344: miles sent as kilometres?" in lines
    assert sum("rows differ" in line for line in lines) == 1

    # each step is the public command, and it ends with what to type next
    typed = [line for line in lines if line.startswith("$ assay ")]
    assert [line.split()[2] for line in typed] == ["check", "check", "run", "serve", "send", "skew", "send", "skew"]
    assert lines[-1].startswith("  assay run flights:weekly")
    assert "<svg" in (tmp_path / "demo.svg").read_text()
    assert len((tmp_path / "project" / "flights.py").read_text().splitlines()) < 120
