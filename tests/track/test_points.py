"""The newest point of a metric is that of the highest step, then time, then value, in whatever order points arrive."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations
from math import inf, isnan, nan
from pathlib import Path

import pytest

from assay.store import Store, find_home
from assay.track import begin_run, get_run
from assay.track.points import Point, add_points, history, microseconds, newest_points


@pytest.mark.parametrize(
    ("points", "newest"),
    [
        ([(0.1, 1, 9), (0.2, 2, 5)], (0.2, 2, 5)),  # the step counts more than the time
        ([(0.1, 2, 5), (0.2, 2, 9), (0.3, 1, 10)], (0.2, 2, 9)),
        ([(0.5, 2, 9), (0.7, 2, 9), (0.9, 2, 8)], (0.7, 2, 9)),
        ([(-1.0, -5, 9), (-2.0, -4, 1)], (-2.0, -4, 1)),
    ],
)
def test_the_newest_is_that_of_the_highest_step_then_time_then_value(
    points: list[tuple[float, int, int]], newest: tuple[float, int, int], opened: Store
) -> None:
    for together in (False, True):
        for order in permutations(points):
            run = begin_run(opened, "newest")
            batches = [order] if together else [[one] for one in order]
            with opened.database.begin() as connection:
                for batch in batches:
                    add_points(connection, run.id, [Point("m", *one) for one in batch])
            run.finish("finished")
            assert get_run(opened, run.id).points == [Point("m", *newest)]


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store on a database of each kind."""
    if request.param == "postgresql":
        monkeypatch.setenv("ASSAY_DATABASE", request.getfixturevalue("new_postgres"))
    store = Store(find_home(home))
    yield store
    store.database.dispose()


def add(store: Store, run: str, *points: Point) -> None:
    with store.database.begin() as connection:
        add_points(connection, run, points)


def newest(store: Store, *runs: str) -> dict[str, list[Point]]:
    with store.database.read() as connection:
        return newest_points(connection, runs)


def test_points_of_many_metrics_are_kept_once_and_read_by_time(kept: Store) -> None:
    first, second = (begin_run(kept, "points").id for _ in range(2))
    points = [Point("a", 1.0, 2, 5), Point("b", -2.5, 0, 7), Point("a", 3.0, 1, 9), Point("a", 0.5, 1, 9)]
    points.append(Point("a", 9.0, 0, 9))
    add(kept, first)
    add(kept, first, *points)
    add(kept, first, *points[::-1])  # told again, in another order
    add(kept, first, Point("a", 1.0, 2, 5))
    add(kept, second, Point("a", 7.0, 0, 1), Point("a", 8.0, 0, 2))
    by_time = [Point("a", 1.0, 2, 5), Point("a", 9.0, 0, 9), Point("a", 0.5, 1, 9), Point("a", 3.0, 1, 9)]
    assert history(kept, first, "a") == by_time
    assert history(kept, first, "b") == [Point("b", -2.5, 0, 7)]
    assert history(kept, second, "a") == [Point("a", 7.0, 0, 1), Point("a", 8.0, 0, 2)]
    assert history(kept, second, "b") == history(kept, "nobody", "a") == []
    assert [history(kept, first, "a", offset=n, limit=1) for n in range(5)] == [[one] for one in by_time] + [[]]
    assert history(kept, first, "a", offset=1) == by_time[1:]
    assert history(kept, first, "a", limit=2) == by_time[:2]
    assert newest(kept, first, second, "nobody") == {
        first: [Point("a", 1.0, 2, 5), Point("b", -2.5, 0, 7)],
        second: [Point("a", 8.0, 0, 2)],
    }
    assert newest(kept, second) == {second: [Point("a", 8.0, 0, 2)]}


def test_what_is_no_number_is_kept_as_it_is(kept: Store) -> None:
    run = begin_run(kept, "odd").id
    add(kept, run, Point("a", nan, 1, 1), Point("a", inf, 2, 2), Point("a", -inf, 3, 3), Point("b", 1.0, 0, 0))
    add(kept, run, Point("b", nan, 1, 0))
    first, *others = history(kept, run, "a")
    assert isnan(first.value)
    assert others == [Point("a", inf, 2, 2), Point("a", -inf, 3, 3)]
    (a, b) = newest(kept, run)[run]
    assert (a, isnan(b.value), b[2:]) == (Point("a", -inf, 3, 3), True, (1, 0))


def test_of_two_points_at_one_step_and_time_what_is_no_number_counts_as_zero(kept: Store) -> None:
    for value, wins in ((-1.0, True), (1.0, False)):
        run = begin_run(kept, "tie").id
        add(kept, run, Point("a", nan, 1, 1))
        add(kept, run, Point("a", value, 1, 1))
        assert isnan(newest(kept, run)[run][0].value) is wins


def test_a_thousand_metrics_of_one_run_are_kept_at_once(kept: Store) -> None:
    run = begin_run(kept, "wide").id
    points = [Point(f"m{n:04}", n / 8, 0, n) for n in range(1003)]
    add(kept, run, *points[::-1])
    assert newest(kept, run) == {run: points}
    for n in (0, 499, 500, 501, 999, 1000, 1002):
        assert history(kept, run, f"m{n:04}") == [points[n]]


def test_times_are_whole_microseconds_of_utc() -> None:
    at = datetime(2013, 6, 3, 10, 0, 0, 123457, UTC)
    assert microseconds(at) == 1_370_253_600_123_457
    assert type(microseconds(at)) is int
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)) == -1
    assert Point("m", 0.0, 0, microseconds(at)).at == at
