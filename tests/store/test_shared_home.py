"""Two users in one home, and a home that nobody may write."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

GROUP = 30_000


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the group, which both users reach; those of pytest are root's alone."""
    if os.geteuid():
        pytest.skip("MISSING: two users, whom only root can be. Run the tests as root.")
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    home = made / "home"
    home.mkdir()
    os.chown(home, 0, GROUP)
    home.chmod(0o2770)
    yield home
    shutil.rmtree(made)


USERS = """
import os, sys
from pathlib import Path
from assay.store.delivery import known_faults
from assay.store.drain import drain, segments, snapshot
from assay.store.spool import Spool
folder = Path(sys.argv[1])
def become(user, work):  # in a child, since the packages are root's
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.setgroups([]); os.setgid(30_000); os.setuid(user); os.umask(0o022)
        try:
            work()
        except BaseException as error:
            print(type(error).__name__, error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
def write(text):
    with Spool(folder, "rows", b"meta") as spool:
        assert spool.append(text), "dropped"
def take():
    records = []
    done = drain(folder, "rows", lambda segment: records.extend(segment.records))
    print(sorted(records), sorted(done.faults.values()))
"""


def run(text: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", USERS + text, str(folder)], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()


SHARED = """
become(20_001, lambda: write(b"of a"))
become(20_002, lambda: write(b"of b"))
become(20_002, take)
become(20_001, take)
"""


def test_in_a_home_of_the_group_each_drains_what_the_other_left(folder: Path) -> None:
    assert run(SHARED, folder) == ["[b'of a', b'of b'] []", "[] []"]
    topic = folder / "rows"
    assert stat.S_IMODE(topic.stat().st_mode) & 0o2070 == 0o2070


PRIVATE = """
become(20_001, lambda: write(b"of a"))
(segment,) = segments(folder, "rows")
segment.chmod(0o600)
become(20_002, lambda: write(b"of b"))
become(20_002, take)
become(20_002, lambda: print(len(snapshot(folder, "rows")), [fault.user for fault in known_faults(folder)]))
become(20_001, take)
print(known_faults(folder))
"""


def test_a_segment_that_one_user_can_not_read_stays_and_holds_up_nothing(folder: Path) -> None:
    first, second, third, last = run(PRIVATE, folder)
    assert first.startswith("[b'of b'] [\"PermissionError: [Errno 13] Permission denied")
    assert second == "0 ['20002']"
    assert third == "[b'of a'] []"
    assert last == "[]"


READ_ONLY = """
become(20_001, lambda: write(b"of a"))
for path in (folder / "rows", folder):
    path.chmod(0o555)
become(20_002, take)
print([segment.records for segment in snapshot(folder, "rows")])
"""


def test_a_home_that_can_not_be_written_is_read_and_left_as_it_is(folder: Path) -> None:
    said, left = run(READ_ONLY, folder)
    assert said.startswith("[] [")
    assert "can't be written by this user" in said
    assert left == "[[b'of a']]"
