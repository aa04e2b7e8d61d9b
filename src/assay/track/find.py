"""Runs, found again."""

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

from assay.draw import Shown
from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store
from assay.store.among import among
from assay.store.plain import plain_rows
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
from assay.track import keyset
from assay.track.compare import compared
from assay.track.died import silent_since
from assay.track.filter import EQUAL, ORDERED, TEXTS, Both, Not, Order, Predicate, Tree, Value, parse, parse_orders
from assay.track.keyset import Term
from assay.track.outbox import deliver_if_possible
from assay.track.points import Point, newest_points, points_by_run
from assay.track.whole import whole_number

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
class RunRow(Shown):
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
    #: Since when a client of MLflow that is said to be running has written nothing, if that is long: `died.SILENT_AFTER`.
    silent_since: datetime | None = None
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
    texts: bool = False,
) -> Page:
    """A page of the runs that a filter (`filter.py` says how it is written) finds.

    In the order of `order_by` ("metrics.auc DESC"), then the newest first; runs without the value come last. `since`
    and `until` bound when they started; `deleted` None finds those deleted too, True only those. `texts` gives
    parameters as texts, which is faster.
    Raises `BadInput` for a filter, an order or a token that can't be read.
    """
    tree = parse(filter, _ATTRIBUTES)
    asked, terms = _asked(tree, parse_orders(order_by, _ATTRIBUTES))
    # Without `since` and `until`: people write them as "2h", which is another moment with every page.
    searched = [filter.strip(), [*order_by], sorted({*experiment_ids}) if experiment_ids is not None else None, deleted]
    asked = asked.where(keyset.after(terms, keyset.row_of(token, searched, terms))) if token else asked
    if experiment_ids is not None:
        asked = asked.where(among(runs.c.experiment_id, experiment_ids))
    asked = asked.where(runs.c.started_at >= since) if since else asked
    asked = asked.where(runs.c.started_at < until) if until else asked
    if deleted is not None:
        asked = asked.where(runs.c.deleted_at.is_not(None) if deleted else runs.c.deleted_at.is_(None))
    with store.database.read() as connection:
        rows = connection.execute(asked.limit(limit + 1)).all()
        found = load(connection, [row[0] for row in rows[:limit]], texts=texts)
    more = 0 < limit < len(rows)
    return Page(found, keyset.token_of(searched, rows[limit - 1][1:]) if more else None)


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
    return get_runs(store, [run_id])[0]


def get_runs(store: Store, run_ids: Sequence[str]) -> list[RunRow]:
    """Some runs, as `get_run` gives one."""
    deliver_if_possible(store)
    with store.database.read() as connection:
        found = {run.id: run for run in load(connection, run_ids)}
        for run_id in run_ids:
            if run_id not in found:
                known = connection.execute(select(runs.c.id).order_by(runs.c.started_at.desc()).limit(1000)).scalars()
                hint = near_miss(run_id, list(known))
                raise NotFound(f"there is no run {run_id!r}", *filter(None, [hint]), do="List them: assay runs")
    return [found[run_id] for run_id in run_ids]


def load(connection: Connection, ids: Sequence[str], *, texts: bool = False) -> list[RunRow]:
    """Runs with what was logged, in the order of their ids; ids that nobody has are left out.

    Parameters have their values, or with `texts` the texts of these, so that no JSON is read.
    """
    if not ids:
        return []
    asked = select(*_COLUMNS, runs.c.owner, runs.c.written_at).join_from(runs, experiments).where(among(runs.c.id, ids))
    rows: dict[str, Any] = {row[0]: row for row in connection.execute(asked).all()}
    given, tagged, points = _kept_of(connection, ids, texts=texts)
    return [
        RunRow(
            *rows[one][: len(_COLUMNS)],
            silent_since=silent_since(rows[one]),
            params=given.get(one, {}),
            metrics=_values(points.get(one, [])),
            tags=tagged.get(one, {}),
            points=points.get(one, []),
        )
        for one in ids
        if one in rows
    ]


def _values(points: list[Point]) -> dict[str, float]:
    return {point.name: point.value for point in points}


#: In the order of `RunRow`.
_COLUMNS = [
    experiments.c.name if name == "experiment" else runs.c[name]
    for name in RunRow.__dataclass_fields__
    if name not in ("silent_since", "params", "metrics", "tags", "points")
]


_PARAM_TEXTS = "SELECT run_id, name, text FROM params WHERE run_id IN :keys ORDER BY run_id, name"
_TAGS = "SELECT run_id, name, value FROM tags WHERE run_id IN :keys ORDER BY run_id, name"


#: All of it in one turn, for a database may be far away.
_EVERYTHING = """
SELECT 0, run_id, name, CAST({} AS text), NULL::float8, NULL::boolean, NULL::bigint, NULL::bigint
FROM params WHERE run_id IN :keys
UNION ALL SELECT 1, run_id, name, value, NULL, NULL, NULL, NULL FROM tags WHERE run_id IN :keys
UNION ALL SELECT 2, run_id, name, NULL, value, is_nan, step, at_us FROM metric_series WHERE run_id IN :keys
ORDER BY 1, 2, 3
"""
_Given = dict[str, dict[str, Any]]


def _kept_of(
    connection: Connection, ids: Sequence[str], *, texts: bool
) -> tuple[_Given, _Given, dict[str, list[Point]]]:
    """The parameters, tags and newest points of runs."""
    if connection.dialect.name == "sqlite":
        given = plain_rows(connection, _PARAM_TEXTS, ids) if texts else _param_values(connection, ids)
        return _by_run(given), _by_run(plain_rows(connection, _TAGS, ids)), newest_points(connection, ids)
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for kind, run_id, name, text, *point in plain_rows(
        connection, _EVERYTHING.format("text" if texts else "value"), ids
    ):
        parts[kind].append((run_id, name, *(point if kind == 2 else [text])))
    given = parts[0] if texts else [(run_id, name, json.loads(value)) for run_id, name, value in parts[0]]
    return _by_run(given), _by_run(parts[1]), points_by_run(parts[2])


def _param_values(connection: Connection, ids: Sequence[str]) -> Sequence[Any]:
    p = params.c
    return connection.execute(select(p.run_id, p.name, p.value).where(among(p.run_id, ids)).order_by(p.name)).all()


def _by_run(rows: Sequence[Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for run_id, name, one in rows:
        found.setdefault(run_id, {})[name] = one
    return found


def last_metrics(store: Store, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """The newest value of each metric, by run."""
    with store.database.read() as connection:
        found = newest_points(connection, run_ids)
    return {run_id: _values(points) for run_id, points in found.items()}


def _asked(tree: Tree | None, orders: list[Order]) -> tuple[Select[Any], list[Term]]:
    """The query for ids and the values that they are sorted by, and what these are."""
    asked: Any = select(runs.c.id).select_from(runs)
    if _names_experiment(tree) or any(order.name == "experiment" for order in orders):
        asked = asked.join(experiments)
    terms: list[Term] = []
    seen: set[tuple[str, str]] = set()
    for number, order in enumerate(orders):
        name = _ALIASES.get(order.name, order.name) if order.kind == "attribute" else order.name
        if (order.kind, name) in seen:
            raise BadInput(f"the order names {order.kind} {name} twice", do="Name it once.")
        seen.add((order.kind, name))
        bounds, tree = _bounds(tree, order)
        asked, value, is_nan = _joined(asked, order.kind, name, f"o{number}", inner=bool(bounds))
        if bounds:  # so the database may walk the index of the values, and stop at the end of the page
            asked = asked.where(~is_nan, *(compared(value, one.operator, one.value) for one in bounds))
        else:
            terms.append(Term(case((is_nan, 1), (value.is_(None), 2), else_=0)))
        terms.append(Term(value, order.descending, nullable=not bounds))
    if ("attribute", "start_time") not in seen:
        terms.append(Term(runs.c.started_at, descending=True))
    terms.append(Term(runs.c.id))
    asked = asked.where(_where(tree)) if tree is not None else asked
    sorted_by = [term.value.label(f"s{number}") for number, term in enumerate(terms)]
    return asked.add_columns(*sorted_by).order_by(*(term.clause for term in terms)), terms


def _bounds(tree: Tree | None, order: Order) -> tuple[list[Predicate], Tree | None]:
    """What a filter demands of the metric that is ordered by, and what else it demands."""
    parts = tree.parts if isinstance(tree, Both) and tree.word == "AND" else (tree,) if tree else ()
    bounds = [
        part
        for part in parts
        if isinstance(part, Predicate)
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
        case Predicate(kind, name, _, _):
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
        case Predicate():
            return _BY_KIND[tree.kind](tree)


def _attribute(one: Predicate) -> ColumnElement[bool]:
    name = _ALIASES.get(one.name, one.name)
    if name in _MOMENTS:
        _check(one, ORDERED | EQUAL | {"IS NULL", "IS NOT NULL"})
        value = None if one.value is None else _moment(one)
        return compared(_MOMENTS[name], one.operator, value)
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
        numbers = map(whole_number, (value,) if isinstance(value, str) else _listed(value))
        value = [number for number in numbers if number is not None]
        return compared(_TEXTS[name], "NOT IN" if one.operator in ("!=", "NOT IN") else "IN", value)
    return compared(_TEXTS[name], one.operator, value)


def _listed(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _moment(one: Predicate) -> datetime:
    """The time that is compared with: milliseconds since 1970, as MLflow has it, or as people write it."""
    if isinstance(one.value, str):
        return instant(one.value)
    try:
        return datetime.fromtimestamp(float(one.value) / 1000, UTC)  # pyright: ignore[reportArgumentType]
    except (OverflowError, ValueError, OSError):
        raise BadInput(f"{one.value} milliseconds since 1970 is not a time that can be stored") from None


def _metric(one: Predicate) -> ColumnElement[bool]:
    s = metric_series.c
    of_run = select(s.id).where(s.run_id == runs.c.id, s.name == one.name)
    if one.operator.startswith("IS"):
        return exists(of_run) if one.operator == "IS NOT NULL" else ~exists(of_run)
    _check(one, ORDERED | EQUAL)
    if not isinstance(one.value, float):
        raise BadInput(f"metrics.{one.name} is compared with {one.value!r}", do="Compare metrics with numbers.")
    holds = compared(s.value, one.operator, one.value)
    odd = s.is_nan.is_(true())  # not a number differs from every number, and is neither more nor less
    return exists(of_run.where(or_(holds, odd) if one.operator == "!=" else and_(holds, ~odd)))


def _kept(one: Predicate) -> ColumnElement[bool]:
    table, text = _KEPT[one.kind]
    of_run = select(table.c.name).where(table.c.run_id == runs.c.id, table.c.name == one.name)
    if one.operator.startswith("IS"):
        return exists(of_run) if one.operator == "IS NOT NULL" else ~exists(of_run)
    _check(one, EQUAL | TEXTS, text=True)
    if one.operator == "=":
        of_run = of_run.where(func.substr(text, 1, INDEXED) == str(one.value)[:INDEXED])
    return exists(of_run.where(compared(text, one.operator, one.value)))


def _dataset(one: Predicate) -> ColumnElement[bool]:
    _check(one, EQUAL | TEXTS, text=True)
    column = run_datasets.c.context if one.name == "context" else datasets.c[one.name]
    of_run = select(datasets.c.id).join_from(datasets, run_datasets).where(run_datasets.c.run_id == runs.c.id)
    if one.operator.startswith("IS"):
        raise BadInput("datasets are compared with texts", do="Write it like: datasets.name = 'flights'")
    return exists(of_run.where(compared(column, one.operator, one.value)))


_BY_KIND: dict[str, Callable[[Predicate], ColumnElement[bool]]] = {
    "attribute": _attribute,
    "metric": _metric,
    "param": _kept,
    "tag": _kept,
    "dataset": _dataset,
}


def _check(one: Predicate, operators: frozenset[str], *, text: bool = False) -> None:
    if one.operator not in operators:
        raise BadInput(
            f"{one.kind} {one.name} can't be compared by {one.operator}", f"can be: {', '.join(sorted(operators))}"
        )
    if text and isinstance(one.value, float):
        raise BadInput(
            f"{one.kind} {one.name} is a text and is compared with the number {one.value:g}",
            do=f"Quote it: '{one.value:g}'",
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
