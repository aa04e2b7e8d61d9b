"""What a publication and a look-up cost after two years of weekly and one of daily retraining, beside the first month.

Rows are served, drained, compacted and trained on by our own code, day after day, under a clock of its own; only the
making of the rows is cheap: a segment's rows are handed to the table as the drainer would, without having been spools.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from measure import Row

PROJECT = """
from typing import Annotated
import lightgbm as lgb
import assay


class Asked(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    miles: Annotated[float, assay.between(0, 100)]
    zone: str


class Said(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]


def features(d):
    return {"miles": d.miles, "zone": d.zone, "hour": assay.hour(d.at, tz="UTC")}


def fit(x, y, *, seed):
    data = lgb.Dataset(x.values, y, feature_name=x.names, categorical_feature=x.categorical)
    return lgb.train({"objective": "binary", "verbose": -1, "num_leaves": 4, "num_threads": 1, "seed": seed}, data, num_boost_round=3)


model = assay.Model("grown", takes=Asked, gives=Said, label="late", features=features, fit=fit, metrics=["auc"])
policy = assay.Policy("auc", margin=0.5, within=(0.4, 1.0), resamples=200)
"""
DAY = timedelta(days=1)
BEGIN = datetime(2023, 11, 6, tzinfo=UTC)
TRAINED_ON, HELD_OUT = 600, 200


@dataclass
class Grown:
    """What the first and the last days cost, in seconds of the processor, and what lies there at the end."""

    rows: int = 0
    publications: int = 0
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    served_files: int = 0
    trained_files: int = 0
    most_files_of_a_day: int = 0

    def ratio(self, what: str) -> float:
        return self.last[what] / self.first[what]


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        grown = play(Path(folder), weekly_days=730, daily_days=365, rows_a_day=27_400)
    rows = [
        Row(
            f"{what}, after three years beside the first month",
            f"{grown.last[what]:.2f} s",
            f"{grown.first[what]:.2f} s",
            ratio=1 / grown.ratio(what),
        )
        for what in grown.first
    ]
    files = f"{grown.served_files:,} files of served rows (at most {grown.most_files_of_a_day} a day)"
    said = f"{files}, {grown.trained_files} of training rows"
    return [*rows, Row(f"{grown.rows:,} served rows, {grown.publications} publications", said)]


def play(
    folder: Path, *, weekly_days: int, daily_days: int, rows_a_day: int, segments_a_day: int = 4, warm: int = 28
) -> Grown:
    """Play days of serving with weekly and then daily retraining in an empty folder."""
    (folder / ".assay").mkdir()
    (folder / "grown.py").write_text(PROJECT)
    sys.path.insert(0, str(folder))
    before = Path.cwd()
    os.chdir(folder)
    try:
        return _play(folder, weekly_days, daily_days, rows_a_day, segments_a_day, warm)
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        sys.modules.pop("grown", None)


def _play(folder: Path, weekly: int, daily: int, rows_a_day: int, segments_a_day: int, warm: int) -> Grown:
    import grown as project

    import assay
    from assay.predictions import bound
    from assay.store import current
    from assay.store.compact import compact
    from assay.track import champion

    result, random, publish = Grown(), np.random.default_rng(1), list[float]()
    store = current()
    table = store.home.tables / "served.grown"
    for day in range(weekly + daily):
        today = BEGIN + day * DAY
        if day % 7 == 0 or day >= weekly:
            candidate = assay.train(project.model, _labelled(random, today - 40 * DAY, TRAINED_ON), seed=day)
            verdict = assay.bless(candidate, _labelled(random, today - 8 * DAY, HELD_OUT), project.policy)
            assert verdict.blessed, verdict
            publish.append(_cpu(lambda: assay.publish(candidate)))  # noqa: B023
            result.publications += 1
        version = champion(store, "grown")
        for part in range(segments_a_day):
            _serve(store, version, random, today, part, rows_a_day // segments_a_day)
            result.rows += rows_a_day // segments_a_day
        compact(table, at=today + DAY)
        if day % 7 == 6:
            bound(store, older_than=timedelta())
        if day == warm - 1:
            result.first = _costs(store, today, publish[:5])
    result.last = _costs(store, today, publish[-5:])
    _count(result, folder)
    return result


def _costs(store, today: datetime, publish: list[float]) -> dict[str, float]:
    from assay.predictions import open_sql
    from assay.skew import find_skew

    query = f"SELECT count(*), avg(prediction_probability) FROM served.grown WHERE day = '{today:%Y-%m-%d}'"
    return {
        "a publication": statistics.median(publish),
        "`skew --since 1d`": _median(lambda: find_skew(store, "grown", since=today)),
        "`sql` over one day": _median(lambda: open_sql(store, query)),
    }


def _median(work: Callable[[], object]) -> float:
    work()
    return statistics.median(_cpu(work) for _ in range(9))


def _cpu(work: Callable[[], object]) -> float:
    """The processor's time for it, of all threads: the machine has other things to do in these minutes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _values(random: np.random.Generator, first: datetime, count: int, days: int = 1) -> dict[str, pa.Array]:
    micros = np.int64(first.timestamp() * 1e6) + np.sort(random.integers(0, days * 86_400_000_000, count))
    return {
        "key": pa.array([f"{first:%Y%m%d}-{i}" for i in range(count)]),
        "at": pa.array(micros, pa.timestamp("us", "UTC")),
        "miles": pa.array(random.uniform(0, 50, count)),
        "zone": pa.array(random.choice(["north", "south", "east"], count).tolist()),
    }


def _labelled(random: np.random.Generator, first: datetime, count: int) -> pa.Table:
    values = _values(random, first, count, days=8)
    late = values["miles"].to_numpy() + random.normal(0, 8, count) > 25
    return pa.table(values | {"late": late})


def _serve(store, version, random: np.random.Generator, today: datetime, part: int, count: int) -> None:
    """The rows of one segment, filed as the drainer does it."""
    from assay.contract.formats.arrow import columns
    from assay.model import open_bundle
    from assay.predictions.layout import ORIGIN
    from assay.predictions.write import to_arrow
    from assay.store.tables import file_served

    bundle = open_bundle(store, version.bundle)
    inputs = columns(pa.table(_values(random, today, count)), bundle.model.takes)
    features = bundle.features(inputs)
    segment = f"{today + timedelta(hours=part):%Y%m%dT%H%M%S.%f}-1-{part:08x}"
    received = inputs["at"].astype(np.int64)
    moments = pa.array(received, pa.timestamp("us", "UTC"))
    origin = [
        pa.array(np.full(count, version.version)),
        pa.array([f"{segment}-{i}" for i in range(count)]),
        pa.array(np.zeros(count, np.int64)),
        pa.array(["served"] * count),
        moments,
        moments,
        pa.nulls(count, pa.float64()),
        pa.array([segment] * count),
        pa.array(np.arange(count)),
    ]
    layout = bundle.layout
    found = {f"input_{name}": column for name, column in inputs.items()}
    found |= {f"feature_{name}": column for name, column in features.items()}
    found["prediction_probability"] = bundle.predict(features)["probability"]
    values = [to_arrow(found[name], kind) for name, kind in layout.values.items()]
    rows = pa.table([*origin, *values], names=[*ORIGIN, *layout.values])
    file_served(store.home.tables, "served.grown", segment, rows, day=layout.day_column, at="received_at")


def _count(result: Grown, folder: Path) -> None:
    tables = folder / ".assay" / "tables"
    days = [len(list(day.glob("*.parquet"))) for day in (tables / "served.grown").glob("day=*")]
    result.served_files, result.most_files_of_a_day = sum(days), max(days)
    result.trained_files = len(list((tables / "trained.grown").rglob("*.parquet")))


def measure_sql(days: int = 1095, rows_a_day: int = 2_000) -> list[Row]:
    """Of the whole play only `sql` over one day: each day is one file, as it is once a day is over. A minute."""
    from assay.predictions import open_sql
    from assay.store import Home, use

    with tempfile.TemporaryDirectory() as folder, use(Home(Path(folder) / ".assay")) as store:

        def cost(day: int) -> float:
            query = f"SELECT count(*), avg(prediction_p) FROM served.grown WHERE day = '{BEGIN + day * DAY:%Y-%m-%d}'"
            return _median(lambda: open_sql(store, query))

        for day in range(28):
            _file_day(store, day, rows_a_day)
        first = cost(27)
        for day in range(28, days):
            _file_day(store, day, rows_a_day)
        last = cost(days - 1)
    return [
        Row(f"`sql` over one of {days:,} days beside one of 28", f"{last:.3f} s", f"{first:.3f} s", ratio=first / last)
    ]


def _file_day(store, day: int, count: int) -> None:
    from assay.predictions.layout import ORIGIN
    from assay.store.tables import file_served

    random, first, segment = np.random.default_rng(day), BEGIN + day * DAY, f"{day:08d}-1-x"
    at = pa.array(np.int64(first.timestamp() * 1e6) + np.sort(random.integers(0, 86_400_000_000, count)))
    at = at.cast(pa.timestamp("us", "UTC"))
    numbers = pa.array(np.arange(count))
    origin = [pa.array(np.full(count, 1)), numbers.cast(pa.string()), numbers, pa.array(["served"] * count), at, at]
    origin += [pa.nulls(count, pa.float64()), pa.array([segment] * count), numbers]
    values = {"input_at": at} | {name: pa.array(random.random(count)) for name in ("feature_a", "prediction_p")}
    rows = pa.table([*origin, *values.values()], names=[*ORIGIN, *values])
    file_served(store.home.tables, "served.grown", segment, rows, day="input_at", at="received_at")


if __name__ == "__main__":
    for row in measure_sql() if "sql" in sys.argv else measure():
        print(" | ".join(row.cells))
