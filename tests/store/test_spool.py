"""The spool: every append that said True is in a segment, and nothing ever fails its caller."""

import fcntl
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assay.errors import BadInput
from assay.store.delivery import known_faults
from assay.store.drain import drain, snapshot
from assay.store.segment import MAX_RECORD, Segment, read
from assay.store.spool import LOOK_AGAIN_S, Spool

TOPIC = "rows"


def files(folder: Path) -> list[Path]:
    return sorted((folder / TOPIC).glob("*.seg"))


def kept(folder: Path) -> list[bytes]:
    return [record for segment in snapshot(folder, TOPIC) for record in segment.records]


def is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def run(program: str, *arguments: object) -> str:
    """What another Python process prints."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        assert spool.append(b"one")
        assert spool.append(b"two", b"three")
        assert kept(tmp_path) == [b"one", b"two", b"three"]
    assert [segment.meta for segment in snapshot(tmp_path, TOPIC)] == [b"meta"]


def test_an_idle_spool_leaves_no_file(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        spool.tick()
        spool.rotate()
        assert spool.append()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_without_meta_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        Spool(tmp_path, TOPIC, b"")
    assert str(refused.value) == "a spool needs a meta record\nPass a description of its records."


@pytest.mark.parametrize("topic", ["", "a/b", "..", ".hidden", "quarantine"])
def test_a_topic_that_cannot_be_a_folder_is_refused(tmp_path: Path, topic: str) -> None:
    with pytest.raises(BadInput) as refused:
        Spool(tmp_path, topic, b"meta")
    assert (
        str(refused.value) == f"{topic!r} can't be the name of a spool\nUse one word that can be the name of a folder."
    )


@pytest.mark.parametrize("size", [0, MAX_RECORD + 1])
def test_a_refused_record_takes_its_batch_with_it(tmp_path: Path, size: int) -> None:
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        spool.append(b"before")
        with pytest.raises(BadInput, match="can't be kept"):
            spool.append(b"good", bytes(size))
        spool.append(b"after")
    assert kept(tmp_path) == [b"before", b"after"]


def test_a_full_segment_is_closed_and_another_begun(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta", max_bytes=1000) as spool:
        for n in range(30):
            spool.append(bytes([n]) * 100)
        assert [is_locked(path) for path in files(tmp_path)] == [False, False, False, True]
    assert all(path.stat().st_size <= 1000 for path in files(tmp_path))
    assert kept(tmp_path) == [bytes([n]) * 100 for n in range(30)]


def test_a_record_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta", max_bytes=100) as spool:
        assert spool.append(bytes(500))
        assert spool.append(b"small")
    assert [len(read(path).records) for path in files(tmp_path)] == [1, 1]


def test_tick_closes_an_old_segment_and_leaves_a_young_one(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta", max_age_s=3600) as spool:
        spool.append(b"one")
        spool.tick()
        assert is_locked(files(tmp_path)[0])
    with Spool(tmp_path, TOPIC, b"meta", max_age_s=0) as spool:
        spool.append(b"two")
        assert [is_locked(path) for path in files(tmp_path)] == [False, True]
        spool.tick()
        assert [is_locked(path) for path in files(tmp_path)] == [False, False]
        spool.append(b"three")
        assert [is_locked(path) for path in files(tmp_path)] == [False, False, True]


def test_an_append_closes_an_old_segment_even_if_nobody_ticks(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta", max_age_s=3600) as spool:
        spool.append(b"one")
        spool.append(b"two")
    with Spool(tmp_path, TOPIC, b"meta", max_age_s=0) as spool:
        spool.append(b"three")
        assert spool.append(b"four")
        assert [is_locked(path) for path in files(tmp_path)] == [False, False, True]
    assert [read(path).records for path in files(tmp_path)] == [[b"one", b"two"], [b"three"], [b"four"]]


def test_rotate_frees_the_segment(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        spool.append(b"one")
        spool.rotate()
        assert not is_locked(files(tmp_path)[0])


def test_beyond_the_bound_records_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Spool(tmp_path, TOPIC, b"meta", max_bytes=1000, bound_bytes=3000) as spool:
        said = [spool.append(bytes([n]) * 100) for n in range(100)]
        assert 20 < sum(said) < 30
        assert said == sorted(said, reverse=True)
        assert spool.dropped == 100 - sum(said)
        assert not spool.append(b"one", b"two")
        assert spool.dropped == 102 - sum(said)
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 3000
        assert len(kept(tmp_path)) == sum(said)
        assert caplog.messages == [
            f"spool: {tmp_path / TOPIC} holds its bound of 3,000 undrained bytes; 1 records dropped so far"
        ]
        drain(tmp_path, TOPIC, lambda _: None)
        spool.tick()
        assert spool.append(b"there is room again")
        assert kept(tmp_path) == [b"there is room again"]


def test_dropping_at_the_bound_is_cheap_with_ten_thousand_segments(tmp_path: Path) -> None:
    (tmp_path / TOPIC).mkdir()
    for n in range(10_000):
        (tmp_path / TOPIC / f"{n}.seg").touch()
    looked: list[object] = []
    folder = str(tmp_path / TOPIC)
    hooks.append(
        lambda event, given: looked.append(given) if event == "os.scandir" and str(given[0]) == folder else None
    )
    with Spool(tmp_path, TOPIC, b"meta", bound_bytes=10) as spool:
        start = time.monotonic()
        assert not any(spool.append(b"x") for _ in range(1000))
        assert spool.dropped == 1000
        assert 1 <= len(looked) <= 1 + (time.monotonic() - start) / LOOK_AGAIN_S  # at the folder, once a second
    hooks.clear()


hooks: list[Callable[[str, tuple[object, ...]], None]] = []
sys.addaudithook(lambda event, arguments: [hook(event, arguments) for hook in hooks] and None)


def test_an_append_after_close_is_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, TOPIC, b"meta")
    spool.append(b"one")
    spool.close()
    spool.close()
    assert not spool.append(b"two")
    assert spool.dropped == 1
    assert caplog.messages == [f"spool: {tmp_path / TOPIC} is closed; 1 records dropped so far"]
    assert not spool.append(b"three", b"four")
    assert (spool.dropped, len(caplog.messages)) == (3, 1)  # said once a minute
    assert kept(tmp_path) == [b"one"]


def test_a_folder_that_cannot_be_made_drops_and_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gone").write_text("a file stands where the folder should be")
    with Spool(tmp_path / "gone", TOPIC, b"meta") as spool:
        assert not spool.append(b"one")
        assert spool.dropped == 1
        assert caplog.messages == [f"spool: Not a directory at {spool.folder}; 1 records dropped so far"]
        (tmp_path / "gone").unlink()
        spool.tick()
        assert spool.append(b"two")


def test_only_segments_count_against_the_bound(tmp_path: Path) -> None:
    (tmp_path / TOPIC).mkdir()
    (tmp_path / TOPIC / "notes.txt").write_bytes(bytes(5000))
    with Spool(tmp_path, TOPIC, b"meta", bound_bytes=1000) as spool:
        assert spool.append(bytes([1]) * 500)
    with Spool(tmp_path, TOPIC, b"meta", bound_bytes=1000) as spool:
        assert not spool.append(bytes([1]) * 500)  # beside the one that is there
        assert spool.append(bytes([1]) * 100) is False  # it is not looked at again so soon
        spool.tick()
        assert spool.append(bytes([1]) * 100)


def test_a_record_may_fill_a_segment_and_the_bound_to_the_last_byte(tmp_path: Path) -> None:
    with Spool(tmp_path / "a", TOPIC, b"meta") as spool:
        spool.append(bytes([1]) * 100)
        full = files(tmp_path / "a")[0].stat().st_size
    for way in ("max_bytes", "bound_bytes"):
        for size, whole in ((full, True), (full - 1, False)):
            with Spool(tmp_path / f"{way}-{size}", TOPIC, b"meta", **{way: size}) as spool:
                assert spool.append(bytes([1]) * 60)
                taken = spool.append(bytes([1]) * 28)  # 12 bytes go before each record
            found = files(tmp_path / f"{way}-{size}")
            assert [path.stat().st_size for path in found][:1] == [full if whole else full - 40]
            assert (taken, len(found)) == ((True, 1) if whole else (way == "max_bytes", 1 + (way == "max_bytes")))


def test_threads_lose_nothing_while_segments_turn_and_are_drained(tmp_path: Path) -> None:
    threads, each = 2, 3000
    drained: list[bytes] = []
    with Spool(tmp_path, TOPIC, b"meta", max_bytes=20_000) as spool:

        def write(name: int) -> None:
            for n in range(each):
                assert spool.append(b"%d %d" % (name, n), b"%d %d second" % (name, n))

        workers = [threading.Thread(target=write, args=(name,)) for name in range(threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            spool.tick()
            drain(tmp_path, TOPIC, lambda segment: drained.extend(segment.records))
    assert spool.dropped == 0
    drain(tmp_path, TOPIC, lambda segment: drained.extend(segment.records))
    for name in range(threads):
        mine = [record for record in drained if record.startswith(b"%d " % name)]
        assert mine == [b"%d %d%s" % (name, n, end) for n in range(each) for end in (b"", b" second")]


def test_a_snapshot_while_it_is_written_sees_a_prefix(tmp_path: Path) -> None:
    expected = [b"%d" % n * 500 for n in range(2000)]
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        writer = threading.Thread(target=lambda: [spool.append(record) for record in expected])
        writer.start()
        seen: list[list[Segment]] = []
        while writer.is_alive():
            seen.append(snapshot(tmp_path, TOPIC))
        writer.join()
        assert kept(tmp_path) == expected
    for segments in seen:
        for segment in segments:
            assert segment.records == expected[: len(segment.records)]
            assert segment.damaged == []


def test_a_logging_handler_that_spools_hears_of_drops_without_waiting_for_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path, TOPIC, b"meta", bound_bytes=1)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            spool.append(record.getMessage().encode())

    handler = Handler()
    logging.getLogger("assay").addHandler(handler)
    try:
        assert not spool.append(b"one")
    finally:
        logging.getLogger("assay").removeHandler(handler)
    assert spool.dropped == 2


def test_a_segment_removed_by_hand_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        spool.append(b"lost")
        files(tmp_path)[0].unlink()
        gone = snapshot(tmp_path, TOPIC)
        spool.tick()
        assert gone == []
        (said,) = caplog.messages
        assert said.startswith(f"spool: {tmp_path / TOPIC}/")
        assert said.endswith(".seg was removed while it was written; its records are lost")
        assert spool.append(b"kept")
    assert kept(tmp_path) == [b"kept"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from assay.store.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
said = [spool.append(bytes([n]) * 100, bytes([n]) * 50) for n in range(100)]
full = (sum(said), spool.dropped, said == sorted(said, reverse=True))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.tick()
print(*full, spool.append(b"room again"))
"""


def test_a_full_disk_drops_whole_appends_and_leaves_what_was_there(tmp_path: Path) -> None:
    assert run(FULL_DISK, tmp_path, 5000) == "28 144 True True\n"
    (segment,) = snapshot(tmp_path, TOPIC)
    assert segment.records == [bytes([n]) * size for n in range(28) for size in (100, 50)] + [b"room again"]
    assert (segment.torn_bytes, segment.damaged) == (0, [])


@pytest.mark.parametrize("limit", [0, 20])
def test_a_disk_too_full_for_a_header_leaves_no_file(tmp_path: Path, limit: int) -> None:
    assert run(FULL_DISK, tmp_path, limit) == "0 200 True True\n"
    assert kept(tmp_path) == [b"room again"]
    assert len(list((tmp_path / TOPIC).iterdir())) == 1


HALF_A_HEADER = """
import logging, resource, signal, sys
from pathlib import Path
from assay.store.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logging.basicConfig(stream=sys.stdout, format="%(message)s")
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
spool.append(b"one")
"""


def test_a_header_that_fits_only_in_part_is_a_full_disk(tmp_path: Path) -> None:
    assert run(HALF_A_HEADER, tmp_path) == (
        f"spool: No space left on device at {tmp_path / TOPIC}; 1 records dropped so far\n"
    )


FAR_EAST = """
import os, sys, time
os.environ["TZ"] = "Asia/Tokyo"
time.tzset()
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
spool.append(b"one")
print(os.getpid())
"""


def test_a_segment_is_named_by_its_time_in_utc_its_process_and_eight_digits(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    process = run(FAR_EAST, tmp_path).strip()
    (segment,) = files(tmp_path)
    at, by, random = segment.stem.split("-")
    assert before <= datetime.strptime(at, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert (by, len(random), int(random, 16) >= 0) == (process, 8, True)


NO_DESCRIPTOR = """
import logging, resource, sys
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
spool.append(b"one")
said = []
class Said(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger("assay").addHandler(Said())
synced = []
folder = str(spool.folder)  # opened for its own fsync, once a segment
sys.addaudithook(lambda event, given: synced.append(1) if event == "open" and given[0] == folder else None)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 1000))
spool.tick()
failed = len(synced)
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
spool.tick()
again = len(synced)
spool.tick()
print(failed, again, len(synced), said == [f"spool {spool.folder}: can't be synced now: Too many open files"])
"""


def test_what_a_tick_could_not_open_to_put_on_the_disk_the_next_one_does(tmp_path: Path) -> None:
    assert run(NO_DESCRIPTOR, tmp_path) == "0 1 1 True\n"


FAILED_FSYNC = """
import logging, os, sys
from pathlib import Path
from assay.store.spool import Spool
from assay.store.drain import snapshot
asked, said, true = [], [], os.fsync
class Said(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger("assay").addHandler(Said())
def spoil(how):  # the disk has lost a part of it too
    (path,) = Path(sys.argv[1], "rows").glob("*.seg")
    if how == "shorter":
        os.truncate(path, path.stat().st_size - 1)
    else:
        with open(path, "r+b") as file:
            file.seek(-1, 2)
            file.write(b"!")
def fsync(file):  # the kernel reports an error once, and then says yes
    asked.append(os.fstat(file).st_ino)
    if len(asked) <= int(sys.argv[2]):
        if len(sys.argv) > 4:
            spoil(sys.argv[4])
        raise OSError(5, "Input/output error")
    true(file)
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
spool.append(b"one", b"two")
os.fsync = fsync
spool.tick() if sys.argv[3] == "tick" else spool.rotate()
synced = set(asked[int(sys.argv[2]):])
at_once = [segment.records for segment in snapshot(Path(sys.argv[1]), "rows")]
there = {path.stat().st_ino for path in Path(sys.argv[1], "rows").glob("*.seg")}
asked_before, first = len(asked), asked[0]
spool.tick()
again = len(asked) - asked_before
spool.append(b"three")
spool.close()
print(at_once, bool(there & synced), first in asked[1:asked_before], spool.dropped, again)
print(*said, sep="\\n")
"""


@pytest.mark.parametrize("way", ["tick", "rotate"])
def test_a_segment_whose_fsync_failed_is_written_again(tmp_path: Path, way: str) -> None:
    """It is never synced again and taken for good: the kernel may have dropped what it could not write."""
    told, *said = run(FAILED_FSYNC, tmp_path, 1, way).splitlines()
    assert told == "[[b'one', b'two']] True False 0 0"
    name = files(tmp_path)[0].name
    assert said == [f"spool {tmp_path / TOPIC}: fsync of {name} failed (Input/output error); it was written again"]
    assert kept(tmp_path) == [b"one", b"two", b"three"]
    assert len(files(tmp_path)) == (1 if way == "tick" else 2)
    assert known_faults(tmp_path) == []


@pytest.mark.parametrize("way", ["tick", "rotate"])
def test_a_segment_that_can_not_be_written_again_either_is_closed_and_reported(tmp_path: Path, way: str) -> None:
    told, *said = run(FAILED_FSYNC, tmp_path, 2, way).splitlines()
    assert told == "[[b'one', b'two']] False False 0 0"
    first, second = files(tmp_path)
    assert [read(path).records for path in (first, second)] == [[b"one", b"two"], [b"three"]]
    (fault,) = known_faults(tmp_path)
    assert (fault.segment, fault.reason) == (
        first.name,
        "fsync failed (Input/output error), and writing it again too (Input/output error)",
    )
    end = "until it is drained, a power cut can lose its records"
    assert said == [f"spool {tmp_path / TOPIC}: {first.name}: {fault.reason}; {end}"]
    assert not [path for path in (tmp_path / TOPIC).iterdir() if path.name.startswith(".")]
    drain(tmp_path, TOPIC, lambda _: None)
    assert known_faults(tmp_path) == []


@pytest.mark.parametrize("way", ["tick", "rotate"])
@pytest.mark.parametrize("spoilt", ["shorter", "changed"])
def test_a_segment_that_can_not_be_read_again_is_not_written_again(tmp_path: Path, spoilt: str, way: str) -> None:
    told, _ = run(FAILED_FSYNC, tmp_path, 1, way, spoilt).splitlines()
    assert told.endswith("False False 0 0")
    (fault,) = known_faults(tmp_path)
    why = "fsync failed (Input/output error), and writing it again too (not all of it can be read again)"
    assert (fault.segment, fault.reason) == (files(tmp_path)[0].name, why)
    assert [segment.records[:1] for segment in snapshot(tmp_path, TOPIC)] == [[b"one"], [b"three"]]


SYNCED = """
import os, sys
from pathlib import Path
from assay.store.spool import Spool
asked, true = [], os.fsync
def fsync(file):
    asked.append(os.readlink(f"/proc/self/fd/{file}"))
    true(file)
os.fsync = fsync
Path(sys.argv[1], "there").touch()  # an empty folder counts as one that was just made
spool = Spool(Path(sys.argv[1], "new", "spool"), "rows", b"meta")
spool.append(b"one")
made = asked.copy()
spool.tick()
(segment,) = spool.folder.glob("*.seg")
first = asked[len(made):]
spool.tick()
spool.append(b"two")
spool.close()
parents = [str(path) for path in (spool.folder.parents[2], spool.folder.parents[1], spool.folder.parent)]
print(made == parents, first == [str(segment), str(spool.folder)], asked[len(made) + 2:] == [str(segment)])
"""


def test_a_tick_syncs_the_segment_and_every_new_folder_above_it_once(tmp_path: Path) -> None:
    assert run(SYNCED, tmp_path) == "True True True\n"


FORK = """
import os, sys
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
spool.append(b"before")
child = os.fork()
name = b"child" if child == 0 else b"parent"
for n in range(500):
    assert spool.append(b"%s %d" % (name, n))
    if n % 100 == 0:
        spool.tick()
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_parent_and_child_of_a_fork_both_keep_everything(tmp_path: Path) -> None:
    run(FORK, tmp_path)
    expected = [b"before"] + [b"%s %d" % (name, n) for name in (b"parent", b"child") for n in range(500)]
    assert sorted(kept(tmp_path)) == sorted(expected)
    assert len(files(tmp_path)) == 2


FORK_WHILE_LOCKED = """
import os, signal, sys, threading
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
stop = threading.Event()
def write():
    while not stop.is_set():
        spool.append(bytes(100))
writer = threading.Thread(target=write)
writer.start()
for _ in range(50):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if spool.append(b"child") else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
writer.join()
"""


def test_a_fork_while_another_thread_appends_does_not_hang_the_child(tmp_path: Path) -> None:
    run(FORK_WHILE_LOCKED, tmp_path)
    assert kept(tmp_path).count(b"child") == 50


DROPPED = """
import os, sys
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta", bound_bytes=1)
spool.append(b"one", b"two")
if os.fork() == 0:
    spool.append(b"three")
    os._exit(spool.dropped)
print(spool.dropped, os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_each_process_counts_what_it_dropped_itself(tmp_path: Path) -> None:
    assert run(DROPPED, tmp_path) == "2 1\n"


IDLE_CHILD = """
import os, signal, sys
from pathlib import Path
from assay.store.spool import Spool
if sys.argv[2] == "without stdin":  # as services are started; the segment is then the first file that is open
    os.close(0)
spool = Spool(Path(sys.argv[1]), "rows", b"meta")
spool.append(b"one")
ready, say = os.pipe()
child = os.fork()
if child == 0:
    os.write(say, b"x")
    signal.pause()
os.read(ready, 1)
spool.rotate()
from assay.store.drain import drain
print(drain(Path(sys.argv[1]), "rows", lambda _: None).records)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize("how", ["with stdin", "without stdin"])
def test_an_idle_child_does_not_hold_the_segment_of_its_parent(tmp_path: Path, how: str) -> None:
    assert run(IDLE_CHILD, tmp_path, how) == "1\n"


SIGNALS = """
import signal, sys
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta", max_bytes=5000)
told = [0, 0]
def tell(*_):
    told[spool.append(b"signal")] += 1
signal.signal(signal.SIGALRM, tell)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
kept = sum(spool.append(b"main") for _ in range(30_000))
signal.setitimer(signal.ITIMER_REAL, 0)
spool.close()
assert spool.dropped == told[0] + 30_000 - kept
print(kept, told[1])
"""


def test_a_signal_handler_that_appends_neither_hangs_nor_loses(tmp_path: Path) -> None:
    main, signals = map(int, run(SIGNALS, tmp_path).split())
    assert (main, signals > 0) == (30_000, True)
    assert (kept(tmp_path).count(b"main"), kept(tmp_path).count(b"signal")) == (main, signals)


def test_a_segment_is_not_readable_by_everybody_and_writable_by_a_group_that_shares_the_home(tmp_path: Path) -> None:
    for name, folder, file in (("own", 0o750, 0o640), ("shared", 0o770, 0o660)):
        (tmp_path / name / TOPIC).mkdir(parents=True)
        (tmp_path / name / TOPIC).chmod(folder)
        with Spool(tmp_path / name, TOPIC, b"meta") as spool:
            spool.append(b"one")
        assert files(tmp_path / name)[0].stat().st_mode & 0o777 == file
