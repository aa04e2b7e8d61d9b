"""A run that is killed goes on at its first unfinished step and redoes no finished one, at every boundary."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = '''
import os, signal
from pathlib import Path
import assay

DONE = Path("done.txt")


def reach(point):
    """Die here, once, when told to."""
    if os.environ.get("DIE_AT") == point and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def work(name):
    reach(f"before {name}")
    with DONE.open("a") as file:
        file.write(name + "\\n")
    reach(f"after {name}")


@assay.step
def load(asof):
    work("load")
    return {"rows": 3, "day": asof.date()}


@assay.step
def part(i):
    work(f"part{i}")
    return i * 10


@assay.step
def big():
    work("big")
    return "big"


@assay.step
def total(values):
    work("total")
    return sum(values)


@assay.pipeline()
def p(asof):
    reach("start")
    found = load(asof)
    reach("between load and loop")
    values = []
    for i in range(found["rows"]):
        values.append(part(i))
        reach(f"between part{i} and next")
    if sum(values) > 20:
        values.append(len(big()))
        reach("between big and total")
    answer = total(values)
    reach("end")
    return answer
'''
STEPS = ["load", "part0", "part1", "part2", "big", "total"]
BETWEEN = [
    "start",
    "between load and loop",
    *(f"between part{i} and next" for i in range(3)),
    "between big and total",
    "end",
]
POINTS = [*BETWEEN, *(f"{when} {step}" for step in STEPS for when in ("before", "after"))]


def assay(project: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "assay", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    return subprocess.run(
        command, cwd=project, env=clean | environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".assay").mkdir()
    (tmp_path / "flow.py").write_text(PIPELINE)
    return tmp_path


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_resumes_at_the_unfinished_step(point: str, project: Path) -> None:
    killed = assay(project, "run", "flow:p", "--asof", "2013-01-01", "--publish", DIE_AT=point)
    assert killed.returncode == -signal.SIGKILL
    resumed = assay(project, "resume", "p@2013-01-01T00:00Z")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines()[-1].strip() == "33"
    done = (project / "done.txt").read_text().split()
    in_flight = [point.removeprefix("after ")] if point.startswith("after ") else []
    assert sorted(done) == sorted(STEPS + in_flight)


def test_the_same_command_goes_on_too_and_then_leaves_the_run_alone(project: Path) -> None:
    command = ("run", "flow:p", "--asof", "2013-01-01", "--publish")
    assert assay(project, *command, DIE_AT="between part1 and next").returncode == -signal.SIGKILL
    assert assay(project, *command).returncode == 0
    assert (project / "done.txt").read_text().split() == STEPS
    assert "is finished already" in assay(project, *command).stdout
    assert (project / "done.txt").read_text().split() == STEPS
    assert assay(project, *command, "--again").returncode == 0
    assert (project / "done.txt").read_text().split() == STEPS * 2


def test_a_step_that_fails_leaves_the_reason_and_finished_steps_are_kept(project: Path) -> None:
    script = project / "flow.py"
    script.write_text(PIPELINE.replace('work("total")', 'raise OSError("disk on fire")'))
    failed = assay(project, "run", "flow:p", "--asof", "2013-01-01", "--publish")
    assert failed.returncode == 3
    assert "OSError: disk on fire" in failed.stderr
    shown = assay(project, "runs")
    assert "failed: OSError: disk on fire" in " ".join(shown.stdout.split())
    script.write_text(PIPELINE)
    assert assay(project, "resume", "p@2013-01-01T00:00Z").returncode == 0
    assert (project / "done.txt").read_text().split() == STEPS


def test_what_cannot_be_kept_is_refused_by_the_name_of_its_step(project: Path) -> None:
    (project / "flow.py").write_text(PIPELINE.replace('return "big"', "return object()"))
    refused = assay(project, "run", "flow:p", "--asof", "2013-01-01", "--publish")
    assert refused.returncode == 2
    assert "step big returned a builtins.object, which can't be stored" in refused.stderr


def test_a_run_that_another_process_works_on_is_refused(project: Path) -> None:
    (project / "slow.py").write_text(
        "import os, time\nimport assay\n\n@assay.step\ndef wait():\n    open('begun', 'a').write('x')\n"
        "    while not os.path.exists('go'):\n        time.sleep(0.01)\n"
        "\n@assay.pipeline()\ndef p(asof):\n    wait()\n"
    )
    command = [sys.executable, "-m", "assay", "run", "slow:p", "--asof", "2013-01-01", "--publish"]
    with subprocess.Popen(command, cwd=project) as first:
        while not (project / "begun").exists():
            assert first.poll() is None
        second = assay(project, "run", "slow:p", "--asof", "2013-01-01", "--publish")
        assert second.returncode == 2
        assert "p@2013-01-01T00:00Z is running in another process" in second.stderr
        (project / "go").touch()
        assert first.wait() == 0
    assert (project / "begun").read_text() == "x"
    assert "finished already" in assay(project, "run", "slow:p", "--asof", "2013-01-01", "--publish").stdout
