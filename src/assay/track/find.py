"""Runs, found again."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store
from assay.store.schema import (
    INDEXED,
    datasets,
    experiments,
    metric_series,
    params,
    run_datasets,
    runs,
    tags,
)
from assay.times import instant
from assay.track.filter import EQUAL, ORDERED, TEXTS, Both, Comparison, Not, Order, Tree, parse, parse_order
from assay.track.outbox import deliver_if_possible
from assay.track.points import Point, newest_points

#: Where the artifacts of a run are, as clients of MLflow name it.
ARTIFACTS = "mlflow-artifacts:/"
_MOMENTS = {"start_time": runs.c.started_at, "end_time": runs.c.ended_at, "asof": runs.c.asof}
_TEXTS: dict[str, ColumnElement[Any]] = {
    "run_id": runs.c.id,
    "run_name": runs.c.name,
    "status": func.upper(runs.c.status),
    "user_id": runs.c.user,
    "kind": runs.c.kind,
    "experiment": experiments.c.name,
    "experiment_id": runs.c.experiment_id,
    "parent_id": runs.c.parent_id,
    "code_version": runs.c.code_version,
    "error": runs.c.error,
    "artifact_uri": func.coalesce(
        runs.c.artifact_uri, literal(ARTIFACTS) + cast(runs.c.experiment_id, Text) + "/" + runs.c.id + "/artifacts"
    ),
}
_ALIASES = {
    "created": "start_time",
    "Created": "start_time",
    "started": "start_time",
    "started_at": "start_time",
    "ended": "end_time",
    "ended_at": "end_time",
    "name": "run_name",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
    "id": "run_id",
    "user": "user_id",
    "parent": "parent_id",
}
_ATTRIBUTES = frozenset(_MOMENTS) | frozenset(_TEXTS) | frozenset(_ALIASES)
_KEPT: dict[str, tuple[Table, Any]] = {"param": (params, params.c.text), "tag": (tags, tags.c.value)}


@dataclass(frozen=True)
class RunRow:
    """One run as it stands in the store."""

    id: str
    experiment: str
    name: str
    kind: str
    status: str
    parent_id: str | None
    asof: datetime | None
    started_at: datetime
    ended_at: datetime | None
    deleted_at: datetime | None
    user: str | None
    code_version: str | None
    data_identity: dict[str, Any] | None
    error: str | None
    experiment_id: int
    artifact_uri: str | None
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    #: The newest value of each metric.
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    #: The newest point of each metric, with its step and time.
    points: list[Point] = field(default_factory=list[Point])


@dataclass(frozen=True)
class Page:
    """Some of the runs that were asked for."""

    runs: list[RunRow]
    #: Gives the next page; None on the last.
    token: str | None


def search(
    store: Store,
    filter: str = "",  # noqa: A002
    *,
    order_by: Sequence[str] = (),
    experiment_ids: Sequence[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    deleted: bool | None = False,
    limit: int = 100,
    token: str | None = None,
) -> Page:
    """A page of the runs that a filter (`filter.py` says how it is written) finds.

    In the order of `order_by` ("metrics.auc DESC"), then the newest first; runs without the value come last. `since`
    and `until` bound when they started; `deleted` None finds those deleted too, True only those.
    Raises `BadInput` for a filter, an order or a token that can't be read.
    """
    offset = offset_of(token)
    tree = parse(filter, _ATTRIBUTES)
    asked = _asked(tree, [parse_order(one, _ATTRIBUTES) for one in order_by])
    if experiment_ids is not None:
        asked = asked.where(runs.c.experiment_id.in_(experiment_ids))
    asked = asked.where(runs.c.started_at >= since) if since else asked
    asked = asked.where(runs.c.started_at < until) if until else asked
    if deleted is not None:
        asked = asked.where(runs.c.deleted_at.is_not(None) if deleted else runs.c.deleted_at.is_(None))
    with store.database.read() as connection:
        ids = list(connection.execute(asked.offset(offset).limit(limit + 1)).scalars())
        found = load(connection, ids[:limit])
    return Page(found, token_of(offset + limit) if len(ids) > limit else None)


def find_runs(
    store: Store,
    filter: str = "",  # noqa: A002
    *,
    name: str | None = None,
    run_id: str | None = None,
    order_by: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 20,
) -> list[RunRow]:
    """Runs that a filter finds, the newest first unless ordered; `name` is that of their experiment."""
    deliver_if_possible(store)
    named = {"experiment": name, "run_id": run_id}
    both = [f"({filter})"] if filter.strip() else []
    both += [f"{key} = {_quoted(value)}" for key, value in named.items() if value is not None]
    return search(store, " AND ".join(both), order_by=order_by, since=since, until=until, limit=limit).runs


def get_run(store: Store, run_id: str) -> RunRow:
    """One run, deleted or not; raises `NotFound`, with the near miss, when there is none of that id."""
    deliver_if_possible(store)
    with store.database.read() as connection:
        found = load(connection, [run_id])
        if not found:
            known = connection.execute(select(runs.c.id).order_by(runs.c.started_at.desc()).limit(1000)).scalars()
            hint = near_miss(run_id, list(known))
            raise NotFound(f"there is no run {run_id!r}", *filter(None, [hint]), do="See them: assay runs")
    return found[0]


def load(connection: Connection, ids: Sequence[str]) -> list[RunRow]:
    """Runs with what was logged, in the order of their ids; ids that nobody has are left out."""
    if not ids:
        return []
    asked = select(runs, experiments.c.name.label("experiment")).join(experiments).where(runs.c.id.in_(ids))
    rows = {row["id"]: row for row in connection.execute(asked).mappings()}
    kept = {table: _by_run(connection, table, ids) for table in (params, tags)}
    points = newest_points(connection, ids)
    return [_row(rows[one], kept[params], kept[tags], points.get(one, [])) for one in ids if one in rows]


def _row(row: Any, kept: dict[str, dict[str, Any]], tagged: dict[str, dict[str, Any]], points: list[Point]) -> RunRow:
    columns = {name: row[name] for name in _COLUMNS}
    of = row["id"]
    metrics = {point.name: point.value for point in points}
    return RunRow(**columns, params=kept.get(of, {}), metrics=metrics, tags=tagged.get(of, {}), points=points)


_COLUMNS = [name for name in RunRow.__dataclass_fields__ if name not in ("params", "metrics", "tags", "points")]


def _by_run(connection: Connection, table: Table, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    asked = select(table.c.run_id, table.c.name, table.c.value).where(table.c.run_id.in_(ids)).order_by(table.c.name)
    found: dict[str, dict[str, Any]] = {}
    for run_id, name, value in connection.execute(asked):
        found.setdefault(run_id, {})[name] = value
    return found


def last_metrics(store: Store, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """The newest value of each metric, by run."""
    with store.database.read() as connection:
        found = newest_points(connection, run_ids)
    return {run_id: {point.name: point.value for point in points} for run_id, points in found.items()}


def _asked(tree: Tree | None, orders: list[Order]) -> Select[Any]:
    asked: Any = select(runs.c.id).select_from(runs)
    if _names_experiment(tree) or any(order.name == "experiment" for order in orders):
        asked = asked.join(experiments)
    clauses: list[Any] = []
    seen: set[tuple[str, str]] = set()
    for number, order in enumerate(orders):
        name = _ALIASES.get(order.name, order.name) if order.kind == "attribute" else order.name
        if (order.kind, name) in seen:
            raise BadInput(f"the order names {order.kind} {name} twice", do="Name it once.")
        seen.add((order.kind, name))
        bounds, tree = _bounds(tree, order)
        asked, value, is_nan = _joined(asked, order.kind, name, f"o{number}", inner=bool(bounds))
        if bounds:  # so the database may walk the index of the values, and stop at the end of the page
            asked = asked.where(~is_nan, *(_compared(value, one.operator, one.value) for one in bounds))
        else:
            clauses.append(case((is_nan, 1), (value.is_(None), 2), else_=0))
        clauses.append(value.desc() if order.descending else value)
    if ("attribute", "start_time") not in seen:
        clauses.append(runs.c.started_at.desc())
    asked = asked.where(_where(tree)) if tree is not None else asked
    return asked.order_by(*clauses, runs.c.id)


def _bounds(tree: Tree | None, order: Order) -> tuple[list[Comparison], Tree | None]:
    """What a filter demands of the metric that is ordered by, and what else it demands."""
    parts = tree.parts if isinstance(tree, Both) and tree.word == "AND" else (tree,) if tree else ()
    bounds = [
        part
        for part in parts
        if isinstance(part, Comparison)
        and (part.kind, part.name) == (order.kind, order.name)
        and (order.kind == "metric" and part.operator in ORDERED and isinstance(part.value, float))
    ]
    rest = tuple(part for part in parts if part not in bounds)
    return bounds, Both("AND", rest) if len(rest) > 1 else rest[0] if rest else None


def _joined(asked: Any, kind: str, name: str, alias: str, *, inner: bool) -> tuple[Any, Any, Any]:
    """The query with the table in which the value to order by is, that value, and whether it is not a number."""
    never = runs.c.id.is_(None)
    if kind == "attribute":
        return asked, _MOMENTS[name] if name in _MOMENTS else _TEXTS[name], never
    if kind == "dataset":
        raise BadInput("runs can't be ordered by datasets", do="Order by metrics, params, tags or attributes.")
    table, column = (metric_series, "value") if kind == "metric" else (_KEPT[kind][0], _KEPT[kind][1].name)
    made = table.alias(alias)
    on = and_(made.c.run_id == runs.c.id, made.c.name == name)
    asked = asked.join(made, on) if inner else asked.outerjoin(made, on)
    return asked, made.c[column], made.c.is_nan.is_(true()) if kind == "metric" else never


def _names_experiment(tree: Tree | None) -> bool:
    match tree:
        case Comparison(kind, name, _, _):
            return kind == "attribute" and name == "experiment"
        case Not(part):
            return _names_experiment(part)
        case Both(_, parts):
            return any(map(_names_experiment, parts))
        case None:
            return False


def _where(tree: Tree) -> ColumnElement[bool]:
    match tree:
        case Not(part):
            return not_(_where(part))
        case Both(word, parts):
            return (and_ if word == "AND" else or_)(*map(_where, parts))
        case Comparison():
            return _BY_KIND[tree.kind](tree)


def _attribute(one: Comparison) -> ColumnElement[bool]:
    name = _ALIASES.get(one.name, one.name)
    if name in _MOMENTS:
        _check(one, ORDERED | EQUAL | {"IS NULL", "IS NOT NULL"})
        value = None if one.value is None else _moment(one)
        return _compared(_MOMENTS[name], one.operator, value)
    _check(one, EQUAL | TEXTS, text=True)
    value = one.value
    if name == "status":
        value = (
            value.upper()
            if isinstance(value, str)
            else tuple(map(str.upper, value))
            if isinstance(value, tuple)
            else value
        )
    if name == "experiment_id" and value is not None:
        value = [int(v) for v in ([value] if isinstance(value, str) else value) if v.isdigit()]  # pyright: ignore[reportGeneralTypeIssues]
        return _compared(_TEXTS[name], "NOT IN" if one.operator in ("!=", "NOT IN") else "IN", value)
    return _compared(_TEXTS[name], one.operator, value)


def _moment(one: Comparison) -> datetime:
    """The time that is compared with: milliseconds since 1970, as MLflow has it, or as people write it."""
    if isinstance(one.value, str):
        return instant(one.value)
    try:
        return datetime.fromtimestamp(float(one.value) / 1000, UTC)  # pyright: ignore[reportArgumentType]
    except (OverflowError, ValueError, OSError):
        raise BadInput(f"{one.value} milliseconds since 1970 is no time that can be kept") from None


def _metric(one: Comparison) -> ColumnElement[bool]:
    s = metric_series.c
    of_run = select(s.id).where(s.run_id == runs.c.id, s.name == one.name)
    if one.operator.startswith("IS"):
        return exists(of_run) if one.operator == "IS NOT NULL" else ~exists(of_run)
    _check(one, ORDERED | EQUAL)
    if not isinstance(one.value, float):
        raise BadInput(f"metrics.{one.name} is compared with {one.value!r}", do="Compare metrics with numbers.")
    compared = _compared(s.value, one.operator, one.value)
    odd = s.is_nan.is_(true())  # not a number differs from every number, and is neither more nor less
    return exists(of_run.where(or_(compared, odd) if one.operator == "!=" else and_(compared, ~odd)))


def _kept(one: Comparison) -> ColumnElement[bool]:
    table, text = _KEPT[one.kind]
    of_run = select(table.c.name).where(table.c.run_id == runs.c.id, table.c.name == one.name)
    if one.operator.startswith("IS"):
        return exists(of_run) if one.operator == "IS NOT NULL" else ~exists(of_run)
    _check(one, EQUAL | TEXTS, text=True)
    if one.operator == "=":
        of_run = of_run.where(func.substr(text, 1, INDEXED) == str(one.value)[:INDEXED])
    return exists(of_run.where(_compared(text, one.operator, one.value)))


def _dataset(one: Comparison) -> ColumnElement[bool]:
    _check(one, EQUAL | TEXTS, text=True)
    column = run_datasets.c.context if one.name == "context" else datasets.c[one.name]
    of_run = select(datasets.c.id).join_from(datasets, run_datasets).where(run_datasets.c.run_id == runs.c.id)
    if one.operator.startswith("IS"):
        raise BadInput("datasets are compared with texts", do="Write it like: datasets.name = 'flights'")
    return exists(of_run.where(_compared(column, one.operator, one.value)))


_BY_KIND: dict[str, Callable[[Comparison], ColumnElement[bool]]] = {
    "attribute": _attribute,
    "metric": _metric,
    "param": _kept,
    "tag": _kept,
    "dataset": _dataset,
}


def _check(one: Comparison, operators: frozenset[str], *, text: bool = False) -> None:
    if one.operator not in operators:
        raise BadInput(
            f"{one.kind} {one.name} can't be compared by {one.operator}", f"can be: {', '.join(sorted(operators))}"
        )
    if text and isinstance(one.value, float):
        raise BadInput(
            f"{one.kind} {one.name} is a text and is compared with the number {one.value:g}",
            do=f"Quote it: '{one.value:g}'",
        )


def _compared(column: Any, operator: str, value: Any) -> ColumnElement[bool]:
    return _OPERATORS[operator](column, value)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "LIKE": lambda column, value: column.like(value),
    "ILIKE": lambda column, value: column.ilike(value),
    "IN": lambda column, value: column.in_(value),
    "NOT IN": lambda column, value: column.not_in(value),
    "IS NULL": lambda column, _: column.is_(None),
    "IS NOT NULL": lambda column, _: column.is_not(None),
}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def token_of(offset: int) -> str:
    """The token of the page that begins there."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of(token: str | None) -> int:
    """Where the page of a token begins. Raises `BadInput` for what is none."""
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
        if not isinstance(offset, int) or offset < 0:
            raise ValueError
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise BadInput("the page token can't be read", do="Give the token of the page before, unchanged.") from None
    return offset
