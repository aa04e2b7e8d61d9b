import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.profiles import distances, profile
from assay.profiles.distance import (
    jensen_shannon,
    kolmogorov_smirnov,
    l_infinity,
    psi,
    wasserstein,
)
from assay.profiles.table import ColumnProfile

counts = st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any)
pairs = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 1000), min_size=n, max_size=n).filter(any)] * 2)
)
samples = st.lists(st.integers(-50, 50), min_size=1, max_size=40)


def sample(values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    at, weights = np.unique(np.array(values, float), return_counts=True)
    return at, weights.astype(float)


@settings(deadline=None)
@given(pairs)
def test_binned_distances_are_symmetric_and_bounded(pair: tuple[list[int], list[int]]) -> None:
    a, b = pair
    for distance, most in ((jensen_shannon, 1.0), (l_infinity, 1.0), (psi, math.inf)):
        assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-9)
        assert 0 <= distance(a, b) <= most


@settings(deadline=None)
@given(counts, st.integers(1, 5))
def test_equal_shares_are_no_distance_apart(a: list[int], times: int) -> None:
    b = [times * count for count in a]
    assert jensen_shannon(a, b) == pytest.approx(0, abs=1e-6)
    assert l_infinity(a, b) == pytest.approx(0, abs=1e-9)
    assert psi(a, a) == 0


@settings(deadline=None)
@given(samples, samples)
def test_distances_of_samples_are_their_definitions(a: list[int], b: list[int]) -> None:
    at = range(-51, 51)
    f, g = ([sum(x <= t for x in side) / len(side) for t in at] for side in (a, b))
    assert kolmogorov_smirnov(sample(a), sample(b)) == pytest.approx(max(abs(x - y) for x, y in zip(f, g, strict=True)))
    area = sum(abs(x - y) for x, y in zip(f, g, strict=True))
    assert wasserstein(sample(a), sample(b), 2.0) == pytest.approx(area / 2)
    assert wasserstein(sample(a), sample(a), 2.0) == kolmogorov_smirnov(sample(b), sample(b)) == 0


def column(values: np.ndarray) -> ColumnProfile:
    return profile(pa.table({"x": values})).columns["x"]


@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
def test_chance_alone_hardly_ever_passes_the_limit(rows: int) -> None:
    random = np.random.default_rng(rows)
    alarms = 0
    for _ in range(40):
        for draw in (random.normal, random.exponential):
            found = distances(column(draw(size=rows)), column(draw(size=rows)))
            alarms += found.psi > max(0.1, found.noise)
    assert alarms <= 1


def test_distances_of_two_columns_are_close_to_those_of_their_values() -> None:
    random = np.random.default_rng(4)
    before, now = random.normal(size=20_000), random.normal(0.5, 1, 20_000)
    found = distances(column(before), column(now))
    assert found.wasserstein == pytest.approx(0.5, abs=0.05)
    assert found.kolmogorov_smirnov == pytest.approx(0.197, abs=0.03)
    assert found.psi == pytest.approx(0.25, abs=0.06)


def test_a_category_that_grew_is_the_largest_difference() -> None:
    before, now = (profile(pa.table({"x": ["a"] * n + ["b"] * (100 - n)})).columns["x"] for n in (50, 80))
    found = distances(before, now)
    assert found.l_infinity == pytest.approx(0.3)
    assert found.wasserstein is None
