"""Looks for drift in a table or in what a model served."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from assay.drift.report import Beside, DriftReport, WindowDrift
from assay.drift.windows import Window, day_windows, table_windows
from assay.errors import BadInput, near_miss
from assay.predictions import count_days, is_label, is_value, read_rows
from assay.profiles import HISTORY, Profile, distances, profile, replay
from assay.profiles.past import seasonal_columns
from assay.profiles.profile_rows import keep, kept, kept_rows
from assay.store import Store
from assay.store.database import retried
from assay.tables import Target, name_of
from assay.times import duration
from assay.track import champion

WEEK = timedelta(days=7)
#: Where rows without a time are filed: they are in no window.
_NO_DAY = "1970-01-01"


def table_drift(
    table: Target,
    time: str,
    *,
    every: str | timedelta = WEEK,
    since: datetime | None = None,
    seasonal: Collection[str] | None = None,
) -> tuple[DriftReport, list[Window]]:
    """Windows of a table, of whatever `assay.check` takes, by its column `time`, each beside those before it.

    `seasonal` names the columns that go with the season, else they are recognised. Returns also the windows' profiles.
    Raises `BadInput` for what is no such table, column or length of time.
    """
    windows = table_windows(table, time, duration(every), since=since)
    return _report(name_of(table), windows, seasonal), windows


def model_drift(
    store: Store,
    model: str,
    *,
    every: str | timedelta = WEEK,
    since: datetime | None = None,
    seasonal: Collection[str] | None = None,
) -> tuple[DriftReport, list[Window]]:
    """Windows of a model's served rows by event time, each beside those before it.

    The profiles of days whose rows changed are made first, and kept. Raises `NotFound` for an unknown model.
    """
    version = champion(store, model).version
    profile_days(store, model)
    days: defaultdict[datetime, list[Profile]] = defaultdict(list)
    for (_, day), one in kept(store, model, "served").items():
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
        if day != _NO_DAY and (since is None or moment >= since):
            days[moment].append(one)
    windows = day_windows(days, duration(every))
    report = _report(model, windows, seasonal, kept(store, model, "trained", version=version).get((version, "")))
    return report, windows


def profile_days(store: Store, model: str) -> int:
    """Make and keep the profile of each day whose served rows changed in number; returns how many were made."""
    known = kept_rows(store, model, "served")
    changed = [key for key, rows in count_days(store.home, model).items() if known.get(key) != rows]
    for version, day in changed:
        rows = read_rows(store.home, model, day=(version, day))
        if rows is not None:
            made = profile(rows.select([name for name in rows.column_names if is_value(name) and not is_label(name)]))
            _keep_day(store, model, version, day, made)
    return len(changed)


@retried
def _keep_day(store: Store, model: str, version: int, day: str, made: Profile) -> None:
    with store.database.begin() as connection:
        keep(connection, model, "served", version, made, day=day)


def _report(
    name: str, windows: Sequence[Window], seasonal: Collection[str] | None, trained: Profile | None = None
) -> DriftReport:
    profiles = [window.profile for window in windows]
    columns = dict.fromkeys(column for one in profiles for column in one.columns)
    for column in seasonal or ():
        if profiles and column not in columns:
            raise BadInput(f"{name} has no column {column!r}", near_miss(column, columns), do="Correct --seasonal.")
    said = replay(profiles, seasonal)
    return DriftReport(
        name=name,
        windows=[
            WindowDrift(window.start, window.end, window.profile.rows, shifts)
            for window, shifts in zip(windows, said, strict=True)
        ],
        needed=HISTORY,
        seasonal=sorted(seasonal) if seasonal is not None else seasonal_columns(profiles),
        beside_training=_beside(trained, profiles[-1]) if trained and profiles else [],
    )


def _beside(trained: Profile, newest: Profile) -> list[Beside]:
    found: list[Beside] = []
    for name, column in newest.columns.items():
        before = trained.columns.get(name)
        if before and before.kind == column.kind and column.kind != "time":
            apart = distances(before, column)
            found.append(Beside(name, apart.psi, apart.noise))
    return sorted(found, key=lambda one: -one.psi)
