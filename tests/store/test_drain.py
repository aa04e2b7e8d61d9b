"""The drainer: each acknowledged record is delivered, and what is damaged is kept and told."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from assay.store.drain import Drained, drain, segments, snapshot
from assay.store.segment import Segment
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

    with pytest.raises(ConnectionError):
        drain(tmp_path, TOPIC, failing)
    drain(tmp_path, TOPIC, lambda segment: given.append((segment.id, segment.records)))
    assert given[0] == given[1]
    assert given[0][1] == [b"one", b"two"]
    assert segments(tmp_path, TOPIC) == []


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
