"""A copy of a home that is in use, made as docs/operations.md says, has everything that was there when it began."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from assay.store import find_home, use
from assay.track.outbox import deliver
from assay.track.points import history
from assay.track.show import artifacts_of

WRITER = """
import assay
from itertools import count
with assay.start_run("busy", system_metrics=False) as run:
    print(run.id, flush=True)
    for step in count():
        run.log_metric("loss", 1 / (step + 1), step)
        if step % 50 == 0:
            run.log_text(f"notes/{step}.txt", f"at {step}")
            print(step, flush=True)
"""
#: The order of the page: what is on its way first, what is referred to last.
ORDER = ("spool", "pending", "tables", "assay.db", "artifacts")


def copy(home: Path, to: Path) -> None:
    """Copy a home that others write to; what vanishes meanwhile has reached a place that is copied later."""
    to.mkdir(parents=True)
    for name in ORDER:
        if name == "assay.db":
            with closing(sqlite3.connect(home / name)) as source, closing(sqlite3.connect(to / name)) as target:
                source.backup(target)
        elif (home / name).is_dir():
            subprocess.run(["cp", "-a", str(home / name), str(to)], check=False, capture_output=True)


def test_a_copy_of_a_busy_home_has_all_that_was_there_when_it_began(tmp_path: Path) -> None:
    home, script = tmp_path / "project" / ".assay", tmp_path / "writer.py"
    home.mkdir(parents=True)
    script.write_text(WRITER)
    writer = subprocess.Popen([sys.executable, str(script)], cwd=home.parent, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout
        run_id = writer.stdout.readline().strip()
        known = [int(writer.stdout.readline()) for _ in range(20)][-1]
        copy(home, tmp_path / "backup")
    finally:
        writer.kill()
        writer.communicate()
    restored = tmp_path / "elsewhere" / ".assay"
    shutil.copytree(tmp_path / "backup", restored)
    with use(find_home(restored)) as store:
        deliver(store)
        steps = {point.step for point in history(store, run_id, "loss")}
        assert set(range(known + 1)) <= steps
        files = {one.name: one.digest for one in artifacts_of(store, run_id)}
        assert {f"notes/{step}.txt" for step in range(0, known + 1, 50)} <= set(files)
        assert all(store.artifacts.get(digest) for digest in files.values())
