"""Two users of one group work in one home, whatever their umask says."""

import http.client
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ANN, BEN, TEAM = 20_001, 20_002, 30_000
LOG = """
import os, sys, assay
with assay.start_run("shared", name=sys.argv[1]) as run:
    run.log_metric("loss", 1.0)
    assay.log_text("note.txt", "the same for both")
run = assay.start_run("shared", name=sys.argv[1])
run.log_metric("left", 2.0)
run.flush()
os._exit(0)  # what it left is for the next process, whoever runs it
"""


@pytest.fixture
def project(published_project: Path) -> Iterator[Path]:
    """A project of a team: the group may write its home, which has the setgid bit."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("MISSING: two users, whom only root can be. Run the tests as root, with setpriv of util-linux.")
    made = Path(tempfile.mkdtemp())  # those of pytest are root's alone
    made.chmod(0o755)
    for name in ("taxi.py", "trips.parquet"):
        shutil.copy(published_project / name, made)
    home = made / ".assay"
    home.mkdir()
    os.chown(home, 0, TEAM)
    home.chmod(0o2770)
    yield made
    shutil.rmtree(made)


def start(user: int, project: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Python, as a user of the group whose umask gives nothing to others.

    It may read everything, because the packages may lie where only root reads; what it may write is the user's.
    """
    become = ["setpriv", f"--reuid={user}", f"--regid={TEAM}", "--clear-groups"]
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.Popen(
        [*become, *reads, sys.executable, "-P", *arguments],
        cwd=project,
        env=environment,
        umask=0o077,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(user: int, project: Path, *arguments: str) -> str:
    process = start(user, project, *arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, (arguments, out, err)
    return out


def assay(user: int, project: Path, *arguments: str) -> str:
    return run(user, project, "-m", "assay", *arguments)


def served(user: int, project: Path) -> None:
    """Serve a prediction, and end."""
    process = start(user, project, "-m", "assay", "serve", "long-trip", "--port", "0")
    assert process.stdout
    port = int(process.stdout.readline().split("http://127.0.0.1:")[1].split("/")[0])
    row = {"trip": f"of {user}", "start": "2013-01-21T08:00:00Z", "zone": "north", "miles": 10.0}
    ask = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    ask.request("POST", "/predict", json.dumps(row), {"content-type": "application/json"})
    answer = ask.getresponse()
    assert answer.status == 200, answer.read()
    ask.close()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)


def not_of_the_group(home: Path) -> list[str]:
    """What the other user could not change."""
    found: list[str] = []
    for path in home.rglob("*"):
        wanted = 0o2070 if path.is_dir() else 0o060
        if path.stat().st_mode & wanted != wanted:
            found.append(f"{stat.filemode(path.stat().st_mode)} {path.relative_to(home)}")
    return sorted(found)


def test_whatever_one_user_writes_into_a_home_of_the_group_the_other_can_change(project: Path) -> None:
    home = project / ".assay"
    for user in (ANN, BEN, ANN):
        run(user, project, "-c", LOG, str(user))
        assay(user, project, "run", "taxi:daily", "--asof", "2013-01-21", "--publish")
        served(user, project)
        assay(user, project, "gc", "--older-than", "0s")
        assert not_of_the_group(home) == []
    assert {path.stat().st_uid for path in home.rglob("*") if path.is_file()} == {ANN, BEN}
    runs = json.loads(assay(BEN, project, "runs", "experiment = 'shared'", "--json"))
    found = sorted((one["name"], one["status"], *one["metrics"]) for one in runs)
    ann, ben = ([(str(user), "finished", "loss"), (str(user), "killed", "left")] for user in (ANN, BEN))
    assert found == sorted(2 * ann + ben)
    assay(ANN, project, "drain")
    rows = assay(ANN, project, "sql", "SELECT input_trip AS trip FROM served.long_trip", "--json")
    assert sorted(one["trip"] for one in map(json.loads, rows.splitlines())) == ["of 20001", "of 20001", "of 20002"]
