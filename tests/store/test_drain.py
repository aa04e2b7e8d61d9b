"""The drainer: each acknowledged record is delivered, and what is damaged is kept and told."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.errors import BadInput, Unavailable
from assay.store.delivery import known_faults
from assay.store.delivery.faults import MOST
from assay.store.drain import LEFTOVER_S, Drained, drain, is_due, segments, snapshot
from assay.store.segment import Segment, frame
from assay.store.spool import Spool

TOPIC = "rows"


def fill(folder: Path, *batches: list[bytes]) -> list[Path]:
    """One closed segment a batch."""
    with Spool(folder, TOPIC, b"meta") as spool:
        for batch in batches:
            assert spool.append(*batch)
            spool.rotate()
    return segments(folder, TOPIC)


def taken(folder: Path) -> tuple[list[bytes], Drained]:
    records: list[bytes] = []
    done = drain(folder, TOPIC, lambda segment: records.extend(segment.records))
    return records, done


def test_a_drained_segment_is_gone_and_draining_again_finds_nothing(tmp_path: Path) -> None:
    fill(tmp_path, [b"one", b"two"], [b"three"])
    assert taken(tmp_path) == ([b"one", b"two", b"three"], Drained(segments=2, records=3))
    assert taken(tmp_path) == ([], Drained())
    assert segments(tmp_path, TOPIC) == []


def test_a_topic_that_nobody_wrote_is_drained_as_empty(tmp_path: Path) -> None:
    assert taken(tmp_path) == ([], Drained())
    assert snapshot(tmp_path, TOPIC) == []


def test_a_sink_that_failed_is_given_the_same_segment_again(tmp_path: Path) -> None:
    fill(tmp_path, [b"one", b"two"])
    given: list[tuple[str, list[bytes]]] = []

    def failing(segment: Segment) -> None:
        given.append((segment.id, segment.records))
        raise ConnectionError("the store is down")

    done = drain(tmp_path, TOPIC, failing)
    assert (done.segments, list(done.faults.values())) == (0, ["ConnectionError: the store is down"])
    until_drained(tmp_path, lambda segment: given.append((segment.id, segment.records)))
    assert given[0] == given[1]
    assert given[0][1] == [b"one", b"two"]
    assert segments(tmp_path, TOPIC) == []


def until_drained(folder: Path, sink: Callable[[Segment], None]) -> None:
    """What failed is tried again after a second."""
    until = time.monotonic() + 30
    while segments(folder, TOPIC):
        drain(folder, TOPIC, sink)
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_segment_that_fails_holds_up_no_other_and_is_seen_by_other_processes(tmp_path: Path) -> None:
    bad, _, _ = fill(tmp_path, [b"one"], [b"two"], [b"three"])
    given: list[bytes] = []

    def sink(segment: Segment) -> None:
        if segment.path == bad:
            raise ValueError("the table refuses it\nDETAIL: long")
        given.extend(segment.records)

    assert list(drain(tmp_path, TOPIC, sink).faults) == [bad.name]
    assert given == [b"two", b"three"]
    assert drain(tmp_path, TOPIC, sink) == Drained()  # not tried again at once
    (fault,) = known_faults(tmp_path)
    assert (fault.topic, fault.segment, fault.times) == (TOPIC, bad.name, 1)
    assert fault.reason == "ValueError: the table refuses it"
    until_drained(tmp_path, lambda segment: given.extend(segment.records))
    assert known_faults(tmp_path) == []
    assert b"refuses" not in (tmp_path / f"{TOPIC}.faults.json").read_bytes()


def test_a_destination_that_is_away_ends_the_pass_and_the_next_begins_elsewhere(tmp_path: Path) -> None:
    first, second = fill(tmp_path, [b"one"], [b"two"])
    asked: list[Path] = []

    def sink(segment: Segment) -> None:
        asked.append(segment.path)
        if segment.path == first:
            raise Unavailable("nobody answers")

    for _ in range(2):
        with pytest.raises(Unavailable):
            drain(tmp_path, TOPIC, sink)
    assert asked == [first, second, first]
    assert known_faults(tmp_path) == []


def test_a_pass_hands_over_a_bounded_number_of_segments(tmp_path: Path) -> None:
    fill(tmp_path, *([b"%d" % n] for n in range(5)))
    records: list[bytes] = []
    left = [drain(tmp_path, TOPIC, lambda s: records.extend(s.records), at_most=2).left for _ in range(3)]
    assert (left, records) == ([3, 1, 0], [b"0", b"1", b"2", b"3", b"4"])


def test_what_two_passes_did_is_told_together() -> None:
    first = Drained(1, 10, 100, ["a"], {"x": "then", "y": "only then"}, 5)
    later = Drained(2, 20, 200, ["b"], {"x": "now"}, 3)
    together = Drained(3, 30, 300, ["a", "b"], {"x": "now", "y": "only then"}, 3)
    assert first.followed_by(later) == together


@pytest.mark.parametrize(
    ("error", "traceback"),
    [(BadInput("the table refuses it"), False), (OSError("no room"), False), (ValueError("odd"), True)],
)
def test_a_segment_that_stays_is_logged_and_what_nobody_expected_with_its_traceback(
    error: Exception, traceback: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = fill(tmp_path, [b"one"])

    def sink(segment: Segment) -> None:
        raise error

    assert is_due(path)
    drain(tmp_path, TOPIC, sink)
    assert not is_due(path)
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert record.getMessage() == f"{path} stays in the spool: {type(error).__name__}: {error}"
    assert (record.exc_info[1] if record.exc_info else None) is (error if traceback else None)


def test_a_segment_that_another_drainer_took_meanwhile_is_no_fault(tmp_path: Path) -> None:
    _, second = fill(tmp_path, [b"one"], [b"two"])
    assert drain(tmp_path, TOPIC, lambda _: second.unlink()) == Drained(segments=1, records=1)


def test_a_segment_that_failed_once_and_was_handed_over_fails_as_if_for_the_first_time(tmp_path: Path) -> None:
    (path,) = fill(tmp_path, [b"one"])
    data = path.read_bytes()
    failing = True

    def sink(segment: Segment) -> None:
        if failing:
            raise ValueError("not now")

    drain(tmp_path, TOPIC, sink)
    assert not is_due(path)
    failing = False
    until_drained(tmp_path, sink)
    path.write_bytes(data)  # as a backup that is put back
    assert is_due(path)


def test_the_file_of_faults_is_bounded(tmp_path: Path) -> None:
    fill(tmp_path, *([b"x"] for _ in range(MOST + 5)))

    def sink(segment: Segment) -> None:
        raise ValueError("x" * 10_000)

    assert len(drain(tmp_path, TOPIC, sink).faults) == MOST + 5
    assert len(known_faults(tmp_path)) == MOST
    assert (tmp_path / f"{TOPIC}.faults.json").stat().st_size < 1000 * MOST


def test_a_file_put_in_the_place_of_one_that_is_being_taken_is_not_taken_with_it(tmp_path: Path) -> None:
    """The writer of a segment may write it again; a drainer that held the old file must not remove the new one."""
    (path,) = fill(tmp_path, [b"one"])
    given: list[list[bytes]] = []

    def replace_when_opened(event: str, arguments: tuple[object, ...]) -> None:
        if event == "fcntl.flock" and not given:  # between the opening and the lock
            given.append([])
            new = path.with_name(".new")
            new.write_bytes(path.read_bytes() + frame(int.from_bytes(path.read_bytes()[8:12], "little"), b"two"))
            new.rename(path)

    hooks.append(replace_when_opened)
    try:
        assert drain(tmp_path, TOPIC, lambda segment: given.append(segment.records)) == Drained()
    finally:
        hooks.clear()
    assert given == [[]]
    drain(tmp_path, TOPIC, lambda segment: given.append(segment.records))
    assert given == [[], [b"one", b"two"]]


hooks: list[Callable[[str, tuple[object, ...]], None]] = []
sys.addaudithook(lambda event, arguments: [hook(event, arguments) for hook in hooks] and None)


CHILD_OF_A_DRAINER = """
import os, signal, sys, time
from pathlib import Path
from assay.store.drain import drain
def sink(segment):
    if os.fork() == 0:
        os.close(1)
        time.sleep(60)
    print("forked", flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("not now")
drain(Path(sys.argv[1]), "rows", sink)
"""


@pytest.mark.parametrize("end", ["killed", "failed"])
def test_the_child_of_a_drainer_does_not_keep_a_segment_that_was_not_handed_over(tmp_path: Path, end: str) -> None:
    fill(tmp_path, [b"one"])
    command = [sys.executable, "-c", CHILD_OF_A_DRAINER, str(tmp_path), end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.read() == b"forked\n"  # until both have let go of it
            process.wait(timeout=60)
            assert taken(tmp_path)[0] == [b"one"]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


AFTER_A_DRAIN = """
import os, sys
from pathlib import Path
from assay.store.drain import drain
drain(Path(sys.argv[1]), "rows", lambda _: None)
ends = [os.pipe() for _ in range(8)]  # they take the numbers that the segments had
if os.fork() == 0:
    for pair in ends:
        for end in pair:
            os.fstat(end)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_child_closes_no_file_that_was_opened_after_a_hand_over(tmp_path: Path) -> None:
    fill(tmp_path, [b"one"])
    command = [sys.executable, "-c", AFTER_A_DRAIN, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"


@pytest.mark.parametrize("age_s", [LEFTOVER_S - 600, LEFTOVER_S + 600])
def test_a_file_that_another_process_is_making_is_never_removed(tmp_path: Path, age_s: float) -> None:
    (tmp_path / TOPIC).mkdir()
    hidden = tmp_path / TOPIC / ".new.seg"
    with hidden.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(hidden, (time.time() - age_s,) * 2)
        assert taken(tmp_path) == ([], Drained())
        assert hidden.exists()
    taken(tmp_path)
    assert hidden.exists() is (age_s < LEFTOVER_S)


DRAINER = """
import sys, time
from pathlib import Path
from assay.store.drain import drain
def sink(segment):
    time.sleep(0.002)
    for number, record in enumerate(segment.records):
        print(segment.id, number, record.decode())
print("ready", flush=True)
sys.stdin.readline()
drain(Path(sys.argv[1]), "rows", sink)
"""


def test_two_drainers_at_once_deliver_each_record_once(tmp_path: Path) -> None:
    fill(tmp_path, *([b"%d-%d" % (n, k) for k in range(5)] for n in range(60)))
    command = [sys.executable, "-c", DRAINER, str(tmp_path)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        process.stdout.readline()
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert all(outputs)  # both had a share
    delivered = [line.split() for lines in outputs for line in lines]
    keys = Counter((segment, number) for segment, number, _ in delivered)
    assert set(keys.values()) == {1}
    assert sorted(record for _, _, record in delivered) == sorted(f"{n}-{k}" for n in range(60) for k in range(5))


WRITER = """
import os, signal, sys
from pathlib import Path
from assay.store.spool import Spool
spool = Spool(Path(sys.argv[1]), "rows", b"meta", max_bytes=50_000)
acknowledged = 0
for n in range(int(sys.argv[2])):
    acknowledged += spool.append(b"record %d" % n)
print(acknowledged, flush=True)
if sys.argv[3] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.readline()
"""


def writer(folder: Path, count: int, end: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(count), end]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_everything_that_a_killed_process_acknowledged_is_drained(tmp_path: Path) -> None:
    process = writer(tmp_path, 10_000, "kill")
    acknowledged = int(process.communicate(timeout=60)[0])
    assert process.returncode == -signal.SIGKILL
    records, done = taken(tmp_path)
    assert records == [b"record %d" % n for n in range(acknowledged)]
    assert (acknowledged, done.torn_bytes, done.damaged) == (10_000, 0, [])


def test_the_segment_of_a_live_process_is_seen_but_not_drained(tmp_path: Path) -> None:
    process = writer(tmp_path, 10, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "10\n"
    expected = [b"record %d" % n for n in range(10)]
    assert taken(tmp_path) == ([], Drained())
    assert [segment.records for segment in snapshot(tmp_path, TOPIC)] == [expected]
    process.communicate("end\n", timeout=60)
    assert taken(tmp_path)[0] == expected


def test_a_segment_of_this_very_process_is_not_drained_either(tmp_path: Path) -> None:
    with Spool(tmp_path, TOPIC, b"meta") as spool:
        spool.append(b"one")
        assert taken(tmp_path)[0] == []
    assert taken(tmp_path)[0] == [b"one"]


def test_an_unfinished_last_record_is_cut_off_and_counted(tmp_path: Path) -> None:
    (path,) = fill(tmp_path, [b"one", b"two"])
    os.truncate(path, path.stat().st_size - 1)
    assert taken(tmp_path) == ([b"one"], Drained(segments=1, records=1, torn_bytes=14))
    assert segments(tmp_path, TOPIC) == []
    for path in fill(tmp_path, [b"one"], [b"two", b"three"]):
        os.truncate(path, path.stat().st_size - 1)
    assert taken(tmp_path) == ([b"two"], Drained(segments=2, records=1, torn_bytes=14 + 16))


def test_damage_costs_one_record_and_the_file_is_kept(tmp_path: Path) -> None:
    (path,) = fill(tmp_path, [b"a" * 50, b"b" * 50, b"c" * 50])
    data = bytearray(path.read_bytes())
    offset = len(data) - 2 * 62
    data[offset + 30] ^= 1
    path.write_bytes(data)
    records, done = taken(tmp_path)
    quarantined = tmp_path / "quarantine" / f"rows-{path.name}"
    assert records == [b"a" * 50, b"c" * 50]
    assert done.damaged == [f"{path}: 62 bytes at {offset:,} damaged, the rest drained; kept in {quarantined}"]
    assert quarantined.read_bytes() == data
    assert taken(tmp_path) == ([], Drained())
    (path,) = fill(tmp_path, [b"a" * 50, b"b" * 50, b"c" * 50, b"d" * 50, b"e" * 50])
    data = bytearray(path.read_bytes())
    for n in (2, 4):
        data[len(data) - n * 62 + 30] ^= 1
    path.write_bytes(data)
    records, done = taken(tmp_path)
    assert records == [b"a" * 50, b"c" * 50, b"e" * 50]
    places = f"62 bytes at {len(data) - 4 * 62:,}, 62 bytes at {len(data) - 2 * 62:,}"
    assert done.damaged[0].startswith(f"{path}: {places} damaged, the rest drained; kept in ")


def test_a_segment_without_a_usable_header_does_not_stop_the_others(tmp_path: Path) -> None:
    first, second, third = fill(tmp_path, [b"one"], [b"two"], [b"three"])
    first.write_bytes(b"")
    data = bytearray(second.read_bytes())
    data[24] ^= 1
    second.write_bytes(data)
    assert [segment.path for segment in snapshot(tmp_path, TOPIC)] == [third]
    records, done = taken(tmp_path)
    folder = tmp_path / "quarantine"
    assert records == [b"three"]
    assert done.damaged == [
        f"{first}: this is not a spool segment; kept in {folder / f'rows-{first.name}'}",
        f"{second}: the first frame of the segment is damaged; kept in {folder / f'rows-{second.name}'}",
    ]
    assert segments(tmp_path, TOPIC) == []


def test_a_segment_without_records_is_removed_without_asking_the_sink(tmp_path: Path) -> None:
    (path,) = fill(tmp_path, [b"one"])
    os.truncate(path, path.stat().st_size - len(b"one") - 12)
    assert taken(tmp_path) == ([], Drained(segments=1))
    assert segments(tmp_path, TOPIC) == []


def test_what_a_process_killed_at_birth_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    fill(tmp_path, [b"one"])
    old, young = tmp_path / TOPIC / ".old.seg", tmp_path / TOPIC / ".young.seg"
    for path in (old, young):
        path.write_bytes(b"ASSAYSP1")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    assert taken(tmp_path)[0] == [b"one"]
    assert (old.exists(), young.exists()) == (False, True)
