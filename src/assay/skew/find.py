"""Compares what serving saw, computed and said with training, in four places.

Input: the served row against the row of the same key in the user's table. Feature: the served features against the
training code on the served inputs. Prediction: the served prediction against the version's own model on the served
features. World: distributions, which only warn.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from os import PathLike, fspath
from typing import Any

import numpy as np
import pyarrow as pa

from assay.contract import Columns, Record, fields
from assay.contract.columns import TEXT, Array, dtype_of
from assay.contract.formats.arrow import columns, to_numpy
from assay.contract.record import key_fields, need_event_time
from assay.errors import NotFound
from assay.model import Bundle, open_bundle
from assay.predictions import read_rows
from assay.profiles import Profile, distances, profile
from assay.profiles.past import SMALL
from assay.profiles.profile_rows import kept
from assay.skew.compare import FLOAT32, differs, rounded
from assay.skew.faults import Evidence, History, name_shapes
from assay.skew.report import ColumnSkew, Example, FeatureDrift, Named, NotCompared, Place, SkewReport
from assay.store import Store
from assay.tables import read
from assay.track import ModelVersion, champion, find_version

EXAMPLES = 5
#: How far back a stale look-up is looked for.
BACK = timedelta(days=8)
#: What leaves room for the days before and after.
_USABLE = (np.datetime64("0003-01-01", "us"), np.datetime64("9997-12-31", "us"))
#: Too few rows, or less than a week of them, say nothing of a distribution.
ENOUGH_ROWS, ENOUGH_TIME = 200, np.timedelta64(7, "D")


@dataclass
class _Search:
    """What is compared, and what was found so far."""

    served: pa.Table
    tolerance: float
    findings: list[ColumnSkew] = field(default_factory=list[ColumnSkew])
    rounded: set[int] = field(default_factory=set[int])

    def compare(
        self,
        place: Place,
        column: str,
        expected: Array,
        served: Array,
        rows: Array,
        keys: Sequence[Array],
        *,
        unit: str | None = None,
        history: Any = None,
    ) -> None:
        """Compare one column; `rows` are the positions in `self.served` that it stands for, `keys` what tells them apart."""
        wrong = np.flatnonzero(differs(expected, served, tolerance=self.tolerance))
        if self.tolerance:
            self.rounded.update(rows[rounded(expected, served, tolerance=self.tolerance)].tolist())
        if len(wrong) == 0:
            return
        evidence = Evidence(column, expected[wrong], served[wrong], unit, history(wrong) if history else None)
        ids = self.served.column("request_id").take(pa.array(rows[wrong])).to_pylist()
        positions = self.served.column("row").take(pa.array(rows[wrong])).to_pylist()
        where, records = list(zip(ids, positions, strict=True)), self._records(rows[wrong])
        examples = [
            Example(
                *where[i],
                ", ".join(str(column[wrong[i]]) for column in keys),
                _plain(expected[wrong[i]]),
                _plain(served[wrong[i]]),
                records[i],
                repeated=where[i] in self._repeated,
            )
            for i in range(min(EXAMPLES, len(wrong)))
        ]
        shapes = [Named(shape.sentence, int(shape.explained.sum())) for shape in name_shapes(evidence)]
        self.findings.append(
            ColumnSkew(
                place=place,
                column=column,
                rows=len(wrong),
                compared=len(expected),
                shapes=shapes,
                examples=examples,
                where=where,
                records=records,
            )
        )

    def _records(self, rows: Array) -> list[str]:
        """Where each row stands in the prediction log."""
        some = self.served.select(["segment", "record"]).take(pa.array(rows)).to_pylist()
        return [f"{row['segment']}#{row['record']}" for row in some]

    @cached_property
    def _repeated(self) -> set[tuple[str, int]]:
        """Request ids and positions that more than one row has."""
        ids = zip(self.served.column("request_id").to_pylist(), self.served.column("row").to_pylist(), strict=True)
        return {place for place, count in Counter(ids).items() if count > 1}


def find_skew(
    store: Store,
    model: str,
    *,
    since: datetime | None = None,
    table: str | None = None,
    tolerance: float = FLOAT32,
) -> SkewReport:
    """Compare the served rows of a model with training.

    `table` is the user's table, the model's own when omitted. `tolerance` is the relative difference that is no
    finding. Raises `NotFound` for an unknown model and when nothing was served.
    """
    bundle = open_bundle(store, champion(store, model).bundle)
    away: list[str] = []
    served = read_rows(store.home, model, since=since, away=away)
    if served is None or len(served) == 0:
        raise NotFound(
            f"{model} has served no rows{f' since {since:%Y-%m-%d %H:%MZ}' if since else ''}",
            *[f"known to this machine: {why}" for why in away],
            do="Choose an earlier --since.",
        )
    search = _Search(served, tolerance)
    source = table or bundle.model.table
    numbers, unknown = served.column("model_version").unique().to_pylist(), 0
    for number in sorted(numbers):
        version = open_bundle(store, find_version(store, model, number).bundle)  # each with a contract of its own
        rows = np.flatnonzero(served.column("model_version").to_numpy() == number)
        unknown += _compare_inputs(search, version.model.takes, source, rows) if source else 0
        _compare_computed(search, version, rows)
    shifts, skipped = _shifts(store, bundle, model, served)
    return SkewReport(
        model=model,
        rows=len(served),
        versions=sorted(numbers),
        since=since.isoformat() if since else None,
        table=None if source is None else fspath(source),
        unknown_keys=unknown,
        findings=_merged(search.findings),
        shifts=shifts,
        rounded=len(search.rounded),
        skipped=[*(NotCompared("rows", f"those of other machines: {why}", absent=True) for why in away), *skipped],
    )


def _compare_inputs(search: _Search, takes: type[Record], source: str | PathLike[str], of: Array) -> int:
    """Compare the inputs of some served rows with the table's of the same key; returns how many have none there."""
    keys, time = key_fields(takes), need_event_time(takes)
    if not keys:
        return len(of)
    served = _inputs(search.served.take(pa.array(of)), takes)
    warehouse = _warehouse(takes, source, served[time])
    there, wanted = ([side[one.name] for one in keys] for side in (warehouse, served))
    found = _same_key(there, warehouse[time], wanted, served[time])
    rows = np.flatnonzero(found >= 0)
    expected, compared = warehouse.take(found[rows]), served.take(rows)
    # Of several fields that are the key, each may be a place, like a station.
    groups = [one.name for one in fields(takes) if one.type is str and not (one.is_key and len(keys) == 1)]
    for one in fields(takes):
        if one.is_key:
            continue
        search.compare(
            "input",
            one.name,
            expected[one.name],
            compared[one.name],
            of[rows],
            [compared[key.name] for key in keys],
            unit=one.unit,
            history=_history(one.name, warehouse, expected, time, groups),
        )
    return len(found) - len(rows)


def _same_key(keys: Sequence[Array], times: Array, wanted: Sequence[Array], moments: Array) -> Array:
    """The position of each wanted key among `keys`, that of the nearest time when it is there twice; -1 for none.

    Both are the columns that are the key together.
    """
    places: dict[Any, list[int]] = {}
    for position, value in enumerate(_values(keys)):
        places.setdefault(value, []).append(position)
    some = [places.get(value, [-1]) for value in _values(wanted)]
    nearest = (
        found[0] if len(found) == 1 else min(found, key=lambda i: abs(times[i] - moment))
        for found, moment in zip(some, moments, strict=True)
    )
    return np.fromiter(nearest, np.int64, len(some))


def _values(keys: Sequence[Array]) -> Iterable[Any]:
    """The key of each row, as a value that can be looked up."""
    columns = [column.tolist() for column in keys]
    return columns[0] if len(columns) == 1 else zip(*columns, strict=True)


def _history(name: str, warehouse: Columns[Any], expected: Columns[Any], time: str, groups: list[str]):
    """The column's past, made only when a row differs."""

    def made(rows: Array) -> History | None:
        if name == time:
            return None
        return History(
            values=warehouse[name],
            times=warehouse[time],
            keys={group: warehouse[group] for group in groups if group != name},
            row_times=expected[time][rows],
            row_keys={group: expected[group][rows] for group in groups if group != name},
        )

    return made


def _warehouse(takes: type[Record], source: str | PathLike[str], times: Array) -> Columns[Any]:
    """The table's rows around the served ones, with the days before, for stale look-ups.

    A wrong clock moves event times by hours, so a day is read on both sides. Times more than a year from the middle one
    are left out: someone sends the year 1, or 9999, for "unknown".
    """
    middle = np.clip(np.sort(times)[len(times) // 2], *_USABLE)
    usable = np.append(times[np.abs(times - middle) <= np.timedelta64(366, "D")], middle)
    first, last = (moment.item() for moment in (usable.min(), usable.max()))
    start, end = first.replace(tzinfo=UTC) - BACK, last.replace(tzinfo=UTC) + timedelta(days=1, seconds=1)
    return columns(read(source, takes, until=end, last=end - start), takes)


def _compare_computed(search: _Search, bundle: Bundle, rows: Array) -> None:
    """Compare features and predictions of one version's rows with its own code and model."""
    served = search.served.take(pa.array(rows))
    inputs = _inputs(served, bundle.model.takes)
    keys = [inputs[one.name] for one in key_fields(bundle.model.takes)] or [np.arange(len(rows))]
    logged = {
        name: _logged(served, f"feature_{name}", bundle, TEXT if kind == "text" else np.dtype(np.float64))
        for name, kind in bundle.facts.features.items()
    }
    for name, expected in bundle.features(inputs).items():
        search.compare("feature", name, expected, logged[name], rows, keys)
    expected = bundle.settle(bundle.predict(logged)).values
    for one in fields(bundle.model.gives):
        for name in one.columns:
            said = _logged(served, f"prediction_{name}", bundle, dtype_of(one))
            again = expected[name] if one.type is str else expected[name].astype(said.dtype)
            search.compare("prediction", name, again, said, rows, keys)


def _logged(served: pa.Table, name: str, bundle: Bundle, dtype: np.dtype[Any]) -> Array:
    """A logged column of one version; in a table of several versions it may have the type that holds all of theirs."""
    return to_numpy(served.column(name).cast(bundle.layout.values[name]), dtype)


def _inputs(served: pa.Table, takes: type[Record]) -> Columns[Any]:
    """The served inputs as the contract's columns."""
    return columns(pa.table({one.name: served.column(f"input_{one.name}") for one in fields(takes)}), takes)


def _merged(findings: list[ColumnSkew]) -> list[ColumnSkew]:
    """One finding a place and column, whatever the number of versions that served."""
    found: dict[tuple[str, str], ColumnSkew] = {}
    for one in findings:
        same = found.get((one.place, one.column))
        if same is None:
            found[one.place, one.column] = one
            continue
        shapes = {shape.sentence: shape.rows for shape in same.shapes}
        for shape in one.shapes:
            shapes[shape.sentence] = shapes.get(shape.sentence, 0) + shape.rows
        found[one.place, one.column] = ColumnSkew(
            place=one.place,
            column=one.column,
            rows=same.rows + one.rows,
            compared=same.compared + one.compared,
            shapes=[Named(sentence, rows) for sentence, rows in sorted(shapes.items(), key=lambda item: -item[1])],
            examples=(same.examples + one.examples)[:EXAMPLES],
            where=same.where + one.where,
            records=same.records + one.records,
        )
    return list(found.values())


def _shifts(store: Store, bundle: Bundle, model: str, served: pa.Table) -> tuple[list[FeatureDrift], list[NotCompared]]:
    """Features whose distribution among the served rows is not that of the champion's training rows; or why not."""
    version = champion(store, model)
    served = served.filter(pa.array(served.column("model_version").to_numpy() == version.version))
    few = f"{version} served {len(served):,} of these rows; distributions need {ENOUGH_ROWS} from a week"
    if len(served) < ENOUGH_ROWS:
        return [], [NotCompared("world", few, absent=False)]
    times = _inputs(served, bundle.model.takes)[need_event_time(bundle.model.takes)]
    if times.max() - times.min() < ENOUGH_TIME:
        return [], [NotCompared("world", f"{few}, and these span less", absent=False)]
    trained = _trained(store, version)
    if trained is None:
        why = f"neither the profile nor the rows that {version} was trained on are on this machine"
        return [], [NotCompared("world", why, absent=True)]
    names = [f"feature_{name}" for name in bundle.facts.features if f"feature_{name}" in served.column_names]
    return world(trained, profile(served.select(names))), []


def _trained(store: Store, version: ModelVersion) -> Profile | None:
    """The profile of what a version was trained on: the kept one, or for older versions that of the rows."""
    known = kept(store, version.model, "trained", version=version.version).get((version.version, ""))
    if known and known.rows:
        return known
    rows = read_rows(store.home, version.model, "trained", request_id=version.run_id, away=[])
    return profile(rows) if rows is not None and len(rows) else None


def world(trained: Profile, served: Profile) -> list[FeatureDrift]:
    """The features whose PSI is larger than small and than chance, largest first."""
    found: list[FeatureDrift] = []
    for name, column in served.columns.items():
        before = trained.columns.get(name)
        if before is None or before.kind != column.kind:  # nothing was trained, or nothing served
            continue
        apart = distances(before, column)
        if apart.psi > max(SMALL, apart.noise):
            found.append(FeatureDrift(name.removeprefix("feature_"), float(apart.psi), float(apart.noise)))
    return sorted(found, key=lambda shift: -shift.psi)


def _plain(value: Any) -> Any:
    """A numpy value as JSON knows it."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else f"{value}Z"
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain != plain else plain  # NaN
