"""How old a source may be: four levels of declarations merged as dbt merges them.

Source, its config, table, its config: see `merge_source_freshness` of dbt-core's `parser/sources.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from assay.dbt.declared import Thresholds, Tree, Unreadable

_PERIODS = {"minute": "minutes", "hour": "hours", "day": "days"}
_UNSET = object()


@dataclass(frozen=True)
class _Limit:
    """A count and a period, either of which may stand on another level."""

    count: int | None = None
    period: str | None = None

    def __bool__(self) -> bool:
        return self.count is not None and self.period is not None

    def length(self) -> timedelta | None:
        """As a length of time; None when a part is missing."""
        if self.count is None or self.period is None:
            return None
        return timedelta(**{_PERIODS[self.period]: self.count})


@dataclass(frozen=True)
class _Level:
    """What one level says; a limit of None is one that was written as null."""

    warn_after: _Limit | None = _Limit()
    error_after: _Limit | None = _Limit()
    filter: str | None = None

    def __bool__(self) -> bool:
        return bool(self.warn_after) or bool(self.error_after)


def merge(levels: Sequence[object], otherwise: object = None) -> Thresholds:
    """The thresholds of a table from its levels, outermost first.

    A level is what stands under `freshness`, `ABSENT` when nothing does, None when null does.
    `otherwise` is used when no level sets a limit: what dbt_project.yml says.
    Raises `Unreadable` for what is no threshold.
    """
    read = [_level(each) for each in levels]
    merged = read[0]
    for update in read[1:]:
        if merged is not None and update is not None:
            merged = _both(merged, update)
        else:
            merged = update if merged is None and update else None
    if merged is None:
        return Thresholds()
    merged = merged or _level(otherwise) or _Level()
    return Thresholds(
        merged.warn_after.length() if merged.warn_after else None,
        merged.error_after.length() if merged.error_after else None,
        merged.filter,
    )


#: Of a level that says nothing.
ABSENT: Tree = {}


def freshness_of(tree: Tree) -> object:
    """What a level says under `freshness`."""
    found: object = tree.get("freshness", _UNSET)
    return ABSENT if found is _UNSET else found


def _both(base: _Level, update: _Level) -> _Level:
    return _Level(
        _limit_of_both(base.warn_after, update.warn_after),
        _limit_of_both(base.error_after, update.error_after),
        base.filter if update.filter is None else update.filter,
    )


def _limit_of_both(base: _Limit | None, update: _Limit | None) -> _Limit | None:
    if base and update:
        return update  # both are whole: the later one wins
    return None if update is None else update or base


def _level(value: Any) -> _Level | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Unreadable(f"freshness: {value!r} is not a mapping")
    tree: Tree = value
    condition = tree.get("filter")
    return _Level(
        _limit(tree, "warn_after"), _limit(tree, "error_after"), None if condition is None else str(condition)
    )


def _limit(tree: Tree, name: Literal["warn_after", "error_after"]) -> _Limit | None:
    found: Any = tree.get(name, ABSENT)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise Unreadable(f"{name}: {found!r} is not a mapping of count and period")
    limit: Tree = found
    count, period = limit.get("count"), limit.get("period")
    try:
        count = None if count is None else int(count)
    except (TypeError, ValueError):
        raise Unreadable(f"{name}: count {count!r} is not a whole number") from None
    if period is not None and period not in _PERIODS:
        raise Unreadable(f"{name}: period {period!r} is none of {', '.join(_PERIODS)}")
    return _Limit(count, period)
