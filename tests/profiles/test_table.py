from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import BadInput, Corrupt
from assay.profiles import decode, encode, merge, profile
from assay.profiles.frequent import KEPT
from assay.profiles.quantiles import RANK_ERROR, sketch, weighted

numbers = st.lists(st.none() | st.floats(width=64, allow_infinity=True) | st.integers(0, 3).map(float), max_size=60)
texts = st.lists(st.none() | st.text(max_size=4), max_size=60)


def ranks(kept: tuple[np.ndarray, np.ndarray], at: np.ndarray) -> np.ndarray:
    values, weights = kept
    return np.append(0, np.cumsum(weights) / weights.sum())[np.searchsorted(values, at, "right")]


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=4))
def test_profiles_of_parts_merge_to_the_profile_of_the_whole(parts: list[list[float | None]]) -> None:
    tables = [pa.table({"x": pa.array(part, pa.float64())}) for part in parts]
    merged, whole = (one.columns["x"] for one in (merge(map(profile, tables)), profile(pa.concat_tables(tables))))
    assert (merged.rows, merged.nulls, merged.low, merged.high) == (whole.rows, whole.nulls, whole.low, whole.high)
    assert merged.moments.count == whole.moments.count
    if max((abs(x) for part in parts for x in part if x and np.isfinite(x)), default=0) < 1e100:
        assert merged.moments.mean == pytest.approx(whole.moments.mean, rel=1e-9, abs=1e-9 * whole.moments.deviation)
        assert merged.moments.second == pytest.approx(whole.moments.second, rel=1e-6, abs=1e-6)
    assert all(map(np.array_equal, merged.sample, whole.sample))  # so few are all kept


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_few_categories_are_counted_exactly(parts: list[list[str | None]]) -> None:
    tables = [pa.table({"x": pa.array(part, pa.string())}) for part in parts]
    assert merge(map(profile, tables)) == profile(pa.concat_tables(tables))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([7, 500, 4095, 4096, 5000, 20_000]), min_size=1, max_size=6))
def test_ranks_stay_within_the_bound_of_the_sketch(seed: int, sizes: list[int]) -> None:
    random = np.random.default_rng(seed)
    parts = [random.normal(i, 1 + i, size) for i, size in enumerate(sizes)]
    kept = merge(profile(pa.table({"x": part})) for part in parts).columns["x"].sample
    whole = np.sort(np.concatenate(parts))
    at = np.quantile(whole, np.linspace(0.01, 0.99, 50))
    assert kept[1].sum() == len(whole)
    # The bound holds for one rank in 99 of 100 cases; here for fifty of them, so a little more is allowed.
    assert np.abs(ranks(kept, at) - np.searchsorted(whole, at, "right") / len(whole)).max() < 1.6 * RANK_ERROR


def test_a_sketch_of_many_values_keeps_their_number_and_ends() -> None:
    values = np.sort(np.random.default_rng(2).normal(size=99_991))
    kept, weights = weighted(sketch(values))
    assert weights.sum() == len(values)
    at = np.quantile(values, [0.001, 0.5, 0.999])
    assert np.abs(ranks((kept, weights), at) - [0.001, 0.5, 0.999]).max() < 0.004


@given(st.lists(st.lists(st.integers(0, 2000).map(str), max_size=1200), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_frequent_values_are_too_low_by_at_most_their_error(parts: list[list[str]]) -> None:
    parts = [[*part, *["often"] * 40, *map(str, range(KEPT + 50))] for part in parts]
    found = merge(profile(pa.table({"x": part})) for part in parts).columns["x"].frequent
    rows = [value for part in parts for value in part]
    assert found.error <= len(rows) / (KEPT + 1)
    assert len(found.counts) <= KEPT
    for name in {*found.counts, "often"}:
        assert rows.count(name) - found.error <= found.counts.get(name, 0) <= rows.count(name)


@settings(deadline=None)
@given(numbers, texts)
def test_decoding_gives_what_was_encoded(some: list[float | None], others: list[str | None]) -> None:
    for one in (
        profile(pa.table({"x": pa.array(some, pa.float64())})),
        profile(pa.table({"x": pa.array(others, pa.string())})),
    ):
        assert decode(encode(one)) == one


@settings(deadline=None)
@given(st.data())
def test_other_bytes_are_refused(data: st.DataObject) -> None:
    whole = bytearray(encode(profile(pa.table({"x": [1.0, 2.0, None], "y": ["a", "b", "a"]}))))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        decode(bytes(whole))
    with pytest.raises(Corrupt):
        decode(bytes(whole[:at]))


def test_every_kind_of_column_is_read_and_nested_ones_are_left_out() -> None:
    moment = datetime(2013, 6, 3, tzinfo=UTC)
    table = pa.table(
        {
            "whole": pa.array([1, 2, None], pa.int16()),
            "missing": pa.array([1.0, float("nan"), None]),
            "truth": [True, False, True],
            "time": pa.array([moment, moment, None], pa.timestamp("us", "UTC")),
            "category": pa.array(["a", "b", "a"]).dictionary_encode(),
            "nothing": pa.array([None, None, None], pa.float64()),
            "list": [[1], [2], []],
        }
    )
    found = profile(table).columns
    assert {name: column.kind for name, column in found.items()} == {
        "whole": "number",
        "missing": "number",
        "truth": "truth",
        "time": "time",
        "category": "text",
        "nothing": "number",
    }
    assert [found[name].nulls for name in ("whole", "missing", "nothing")] == [1, 2, 3]
    assert found["truth"].frequent.counts == {"true": 2, "false": 1}
    assert found["time"].low == moment.timestamp()
    assert profile(table.to_reader(2)).columns["category"] == found["category"]


def test_a_column_takes_some_kilobytes() -> None:
    random = np.random.default_rng(1)
    one = profile(pa.table({"x": random.normal(size=50_000), "hour": random.integers(0, 24, 50_000)}))
    assert len(encode(one)) < 6_000


def test_a_column_of_two_kinds_does_not_merge() -> None:
    with pytest.raises(BadInput, match="x is number and text in different parts"):
        merge([profile(pa.table({"x": [1.0]})), profile(pa.table({"x": ["1"]}))])
