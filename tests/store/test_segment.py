"""The segment format: what is whole is read, what is not is never invented."""

import itertools
import os
import time
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from assay.errors import BadInput, Corrupt
from assay.store.segment import MAX_RECORD, frame, opening, read, scan

SYNC = 0x5EC0FFEE
META = b'{"kind":"test"}'
OPENING = opening(SYNC, META)

records_lists = st.lists(st.binary(min_size=1, max_size=60), max_size=8)
some_records = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8)


def segment(records: list[bytes]) -> bytes:
    return OPENING + b"".join(frame(SYNC, record) for record in records)


def ends(records: list[bytes]) -> list[int]:
    """Where the opening and each record end."""
    return list(itertools.accumulate([len(frame(SYNC, record)) for record in records], initial=len(OPENING)))


@given(records_lists)
def test_every_record_is_read_back(records: list[bytes]) -> None:
    found = scan(segment(records))
    assert (found.meta, found.records, found.torn_bytes, found.damaged) == (META, records, 0, [])


@given(records_lists, st.data())
def test_a_cut_file_gives_the_longest_prefix_of_whole_records(records: list[bytes], data: st.DataObject) -> None:
    whole = segment(records)
    cut = data.draw(st.integers(len(OPENING), len(whole)))
    kept = sum(end <= cut for end in ends(records)[1:])
    found = scan(whole[:cut])
    assert found.records == records[:kept]
    assert found.damaged == []
    assert found.torn_bytes == cut - ends(records)[kept]


@given(some_records, st.data())
def test_a_flipped_byte_costs_only_the_record_it_hits(records: list[bytes], data: st.DataObject) -> None:
    flipped = bytearray(segment(records))
    at = data.draw(st.integers(len(OPENING), len(flipped) - 1))
    flipped[at] ^= data.draw(st.integers(1, 255))
    hit = sum(end <= at for end in ends(records)[1:])
    found = scan(bytes(flipped))
    assert found.records == records[:hit] + records[hit + 1 :]
    if hit + 1 < len(records):
        assert found.damaged == [(ends(records)[hit], len(frame(SYNC, records[hit])))]
    assert found.torn_bytes + sum(length for _, length in found.damaged) == len(frame(SYNC, records[hit]))


@given(records_lists, st.binary(min_size=1, max_size=200))
@example([b"one"], bytes(4096))
@example([b"one"], frame(SYNC ^ 1, b"a frame of another segment"))
def test_garbage_at_the_end_never_becomes_a_record(records: list[bytes], garbage: bytes) -> None:
    found = scan(segment(records) + garbage)
    assert found.records == records
    assert found.torn_bytes + sum(length for _, length in found.damaged) == len(garbage)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_hold_nothing(data: bytes) -> None:
    assume(not data.startswith(OPENING))
    with pytest.raises(Corrupt):
        scan(data)


def test_a_segment_inside_a_damaged_record_is_not_taken_for_records() -> None:
    inner = opening(SYNC ^ 0xFF, META) + frame(SYNC ^ 0xFF, b"inner")
    data = bytearray(segment([inner, b"after"]))
    data[len(OPENING) + 12] ^= 1
    assert scan(bytes(data)).records == [b"after"]


def test_a_whole_but_changed_last_record_is_damage_and_not_a_torn_write() -> None:
    data = bytearray(segment([b"one", b"two"]))
    data[-1] ^= 1
    found = scan(bytes(data))
    assert (found.records, found.torn_bytes, found.damaged) == ([b"one"], 0, [(len(data) - 15, 15)])


@pytest.mark.parametrize("size", [0, MAX_RECORD + 1])
def test_an_empty_or_oversized_record_is_refused(size: int) -> None:
    with pytest.raises(BadInput, match=f"a record of {size:,} bytes can't be kept"):
        frame(SYNC, bytes(size))


def test_the_largest_record_is_kept() -> None:
    assert scan(OPENING + frame(SYNC, bytes(MAX_RECORD))).records == [bytes(MAX_RECORD)]


@pytest.mark.parametrize("at", range(len(OPENING)))
def test_a_segment_with_a_damaged_opening_is_corrupt(at: int) -> None:
    data = bytearray(segment([b"one"]))
    data[at] ^= 0x10
    with pytest.raises(Corrupt):
        scan(bytes(data))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.seg"
    path.write_bytes(b"something else")
    with pytest.raises(Corrupt, match=r"x\.seg: this is not a spool segment\n  it begins with b'somethin'"):
        read(path)


def test_a_segment_is_named_after_its_file_and_its_topic_after_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "rows" / "20250102-7.seg"
    path.parent.mkdir()
    path.write_bytes(segment([b"one"]))
    found = read(path)
    assert (found.id, found.topic, found.path, found.records) == ("20250102-7", "rows", path, [b"one"])


@pytest.mark.parametrize("hole", ["zeros", "noise"])
def test_64_mib_with_damage_is_read_in_seconds(hole: str) -> None:
    size = 30 << 20
    middle = bytes(size) if hole == "zeros" else os.urandom(size)
    data = segment([bytes([n]) * (1 << 20) for n in range(1, 5)]) + middle + frame(SYNC, b"x") + middle
    start = time.process_time()  # of CPU: the machine may be busy
    found = scan(data)
    assert time.process_time() - start < 10
    assert (len(found.records), found.records[-1]) == (5, b"x")
    assert [length for _, length in found.damaged] == [size, size]


def test_many_damaged_frames_are_passed_in_seconds() -> None:
    data = bytearray(segment([bytes([n % 255 + 1]) * 260 for n in range(100_000)]))
    first = len(OPENING)
    for n in range(0, 100_000, 2):
        data[first + n * 272 + 100] ^= 1
    start = time.process_time()
    found = scan(bytes(data))
    assert time.process_time() - start < 10  # it would be hours, were the rest looked through for each of them
    assert (len(found.records), len(found.damaged)) == (50_000, 50_000)
