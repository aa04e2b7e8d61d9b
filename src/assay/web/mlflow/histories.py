"""Points of one metric of one run or of many, and the data sets of experiments: what pages with plots ask for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, func, select

from assay.store import Store
from assay.store.schema import datasets, metric_points, metric_series, run_datasets
from assay.track import keyset
from assay.track.keyset import Term
from assay.track.points import Point
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask
from assay.web.mlflow.errors import invalid
from assay.web.mlflow.experiments import experiment_numbers

MOST_RUNS, MOST_EXPERIMENTS, MOST_POINTS, MOST_STEPS, MOST_DATASETS = 100, 20, 25_000, 2_500, 1_000
MOST_LIMIT = 2**31
_P, _S = metric_points.c, metric_series.c
#: Any two points of a series differ in one of these.
_BY_TIME = [Term(_P.at_us), Term(_P.step), Term(_P.value), Term(case((_P.is_nan, 1), else_=0))]


def one(store: Store, ask: Ask) -> dict[str, Any]:
    """The points of one metric of a run by time, all of them or a page: it begins after the last point of the one before."""
    run_id, key = ask.text("run_id", "run_uuid"), ask.text("metric_key")
    limit, token = ask.number_or_none("max_results"), ask.text_or_none("page_token")
    if limit is not None and limit <= 0:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.")
    searched = ["history", run_id, key]
    asked = _asked([run_id], key).order_by(*(term.clause for term in _BY_TIME))
    if token:
        asked = asked.where(keyset.after(_BY_TIME, keyset.row_of(token, searched, _BY_TIME)))
    asked = asked.add_columns(*(term.value for term in _BY_TIME))
    with store.database.read() as connection:
        rows: Any = connection.execute(asked if limit is None else asked.limit(min(limit, MOST_LIMIT) + 1)).all()
    more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    next_token = keyset.token_of(searched, rows[-1][-len(_BY_TIME) :]) if more else None
    return shape.without_none(metrics=[_point(*row[1:6]) for row in rows], next_page_token=next_token)


def bulk(store: Store, ask: Ask) -> dict[str, Any]:
    """The points of a metric, run by run."""
    run_ids, key = _runs(ask.texts("run_id"), "run_id"), ask.text("metric_key")
    limit = min(ask.limit(MOST_POINTS, 2**31), MOST_POINTS)
    with store.database.read() as connection:
        asked = _asked(run_ids, key).order_by(_S.run_id, _P.at_us, _P.step, _P.value).limit(limit)
        return {"metrics": _shown(connection, asked)}


def interval(store: Store, ask: Ask) -> dict[str, Any]:
    """The points of a metric at some steps between two, spread evenly, and at the first and last step of each run."""
    run_ids, key = _runs(ask.texts("run_ids"), "run_ids"), ask.text("metric_key")
    start, end = ask.number_or_none("start_step"), ask.number_or_none("end_step")
    if (start is None) is not (end is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if start is not None and end is not None and start > end:
        raise invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    limit = ask.limit(320, MOST_STEPS)
    with store.database.read() as connection:
        steps = _sampled(connection, run_ids, key, (start, end), limit)
        asked = _asked(run_ids, key).where(_P.step.in_(steps))
        asked = asked.order_by(_S.run_id, _P.step, _P.at_us, _P.value).limit(MOST_POINTS)
        return {"metrics": _shown(connection, asked)}


def _runs(run_ids: Sequence[str], name: str) -> Sequence[str]:
    if not 1 <= len(run_ids) <= MOST_RUNS:
        raise invalid(f"The request must name 1 to {MOST_RUNS} runs in '{name}'. Got {len(run_ids)}.")
    return run_ids


def _asked(run_ids: Sequence[str], key: str) -> Any:
    asked = select(_S.run_id, _S.name, _P.value, _P.is_nan, _P.step, _P.at_us)
    return asked.join_from(metric_series, metric_points, _P.series_id == _S.id).where(
        _S.run_id.in_(run_ids), _S.name == key
    )


def _shown(connection: Connection, asked: Any) -> list[dict[str, Any]]:
    rows: Any = connection.execute(asked)
    return [_point(*point) | {"run_id": run_id} for run_id, *point in rows]


def _point(name: str, value: float, is_nan: bool, step: int, at_us: int) -> dict[str, Any]:
    return shape.metric(Point(name, float("nan") if is_nan else value, step, at_us))


def _sampled(
    connection: Connection, run_ids: Sequence[str], key: str, between: tuple[int | None, int | None], limit: int
) -> list[int]:
    """The steps whose points are shown: at most `limit` of them, and the ends of each run."""
    of = select(_P.step).join_from(metric_series, metric_points, _P.series_id == _S.id)
    of = of.where(_S.run_id.in_(run_ids), _S.name == key)
    start, end = between
    within = of.where(_P.step >= (0 if start is None else start))
    within = within if end is None else within.where(_P.step <= end)
    every = list(connection.execute(within.distinct().order_by(_P.step)).scalars())
    if len(every) <= limit:
        return every
    some = {every[int(at * len(every) / limit)] for at in range(limit)} | {every[-1]}
    ends = within.with_only_columns(func.min(_P.step), func.max(_P.step)).group_by(_S.run_id)
    return sorted(some.union(*(tuple(row) for row in connection.execute(ends))))


def search_datasets(store: Store, ask: Ask) -> dict[str, Any]:
    """The data sets that runs of experiments used, each once for what it was used for."""
    numbers = experiment_numbers(ask.texts("experiment_ids"))
    if not 1 <= len(numbers) <= MOST_EXPERIMENTS:
        raise invalid(f"The request must name 1 to {MOST_EXPERIMENTS} experiments. Got {len(numbers)}.")
    d = datasets.c
    asked = (
        select(d.experiment_id, d.name, d.digest, run_datasets.c.context)
        .join_from(datasets, run_datasets)
        .where(d.experiment_id.in_(numbers))
        .distinct()
        .order_by(d.experiment_id, d.name, d.digest, run_datasets.c.context)
        .limit(MOST_DATASETS)
    )
    with store.database.read() as connection:
        rows: Any = connection.execute(asked)
        return {"dataset_summaries": [_summary(*row) for row in rows]}


def _summary(number: int, name: str, digest: str, context: str) -> dict[str, Any]:
    found = {"experiment_id": str(number), "name": name, "digest": digest}
    return found | ({"context": context} if context else {})
