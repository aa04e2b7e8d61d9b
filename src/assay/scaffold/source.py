"""The file of a project: Python that a person goes on with."""

import json
import textwrap
from collections.abc import Iterator
from math import floor

from assay.errors import shown
from assay.scaffold.draft import Column, Draft, Label, Times
from assay.tables.csv_files import MISSING

#: A nullable column may be missing this much more often than now.
MORE_MISSING, LEAST_MISSING = 1.5, 0.01
#: A text of more values is hashed.
MANY_TEXTS = 200
BUCKETS = 256
#: The share of the time that is held out, and its bounds in days.
HELD, SHORTEST, LONGEST = 0.2, 7, 91
_WIDTH, _INLINE = 116, 88


def source(draft: Draft) -> str:
    """The text of the module."""
    return "\n".join(_lines(draft)) + "\n"


def _lines(draft: Draft) -> Iterator[str]:
    yield f'"""Predicts {_said(draft.label.name)} from {_said(draft.table)}. A first draft: `assay init` guessed what it says."""'
    yield ""
    has_dates = any(one.kind == "date" for one in draft.columns)
    yield f"from datetime import {'date, ' if has_dates else ''}datetime"
    if names := _typing(draft):
        yield f"from typing import {', '.join(names)}"
    yield ""
    yield "import lightgbm as lgb"
    yield "import numpy as np"
    if draft.time is None:
        yield "import pyarrow as pa"
    yield ""
    yield "import assay"
    yield ""
    if draft.missing:
        listed = ", ".join(map(_text, dict.fromkeys([*MISSING, *draft.missing])))
        yield f"TABLE = assay.csv({_text(draft.table)}, missing=[{listed}])"
    else:
        yield f"TABLE = {_text(draft.table)}"
    if draft.label.task != "number" and not draft.label.is_truth:
        yield f"{_class_name(draft)} = {_literal(draft.label.classes)}".replace("\n    ", "\n")
    yield ""
    yield ""
    yield from _contract(draft)
    yield ""
    yield ""
    yield from _output(draft)
    yield ""
    yield ""
    yield from _features(draft)
    yield ""
    yield ""
    yield from _fit(draft)
    yield ""
    yield ""
    yield from _model(draft)
    yield ""
    yield ""
    if draft.time is None:
        yield from _dealt()
        yield ""
        yield ""
    yield from _pipeline(draft)


def _typing(draft: Draft) -> list[str]:
    time = [_time(draft.time)] if draft.time else []
    annotations = "\n".join(
        [*time, *(_annotation(one) for one in draft.columns), *_output(draft), _literal_if_any(draft)]
    )
    return [name for name in ("Annotated", "Literal") if name + "[" in annotations]


def _literal_if_any(draft: Draft) -> str:
    return "Literal[" if draft.label.task != "number" and not draft.label.is_truth else ""


def _said(text: str) -> str:
    """A text of the table within a docstring or a comment, where it can't end it."""
    return shown(text, _INLINE).replace("\\", "/").replace('"', "'")


def _text(value: str | int) -> str:
    """A constant as Python writes it, in double quotes."""
    return json.dumps(value, ensure_ascii=not value.isprintable()) if isinstance(value, str) else repr(value)


def _literal(values: tuple[str | int, ...]) -> str:
    inline = f"Literal[{', '.join(map(_text, values))}]"
    if len(inline) <= _INLINE:
        return inline
    return "Literal[\n" + "".join(f"        {_text(value)},\n" for value in values) + "    ]"


def _class_name(draft: Draft) -> str:
    word = "".join(part.capitalize() for part in draft.module.split("_"))
    return f"{word}Class"


def _contract(draft: Draft) -> Iterator[str]:
    yield "class Row(assay.Record):"
    yield f'    """What is known when {_said(draft.label.name)} is predicted."""'
    yield ""
    if draft.time is None:
        yield "    seen_at: assay.EventTime"
    else:
        yield f"    {draft.time.attribute}: {_time(draft.time)}"
    for one in draft.columns:
        yield from _wrapped(f"    {one.attribute}: {_annotation(one)}")
    if draft.left_out:
        yield ""
        for name, why in draft.left_out.items():
            yield from textwrap.wrap(
                f"# {_said(name)} is left out: {_said(why)}.", _WIDTH, initial_indent="    ", subsequent_indent="    # "
            )


def _wrapped(line: str) -> Iterator[str]:
    """A line that declares a field, or three where it is long."""
    head, begins, rest = line.partition("Annotated[")
    if len(line) <= _WIDTH or not begins or "\n" in line:
        yield line
    else:
        yield from (head + begins, f"        {rest[:-1]}", "    ]")


def _time(time: Times) -> str:
    base = "assay.EventTime" if time.kind == "time" else f"assay.EventTime(zone={_text(time.zone)})"
    base = f"assay.Key[{base}]" if time.is_key else base
    return base if time.attribute == time.name else f"Annotated[{base}, assay.field(name={_text(time.name)})]"


def _annotation(one: Column) -> str:
    kinds = {"text": "str", "number": "float", "whole": "int", "truth": "bool", "time": "datetime", "date": "date"}
    base = _literal(one.values) if one.values else kinds[one.kind]
    base = f"assay.Key[{base}]" if one.is_key else base
    marks = _range(one)
    if one.missing:
        base += " | None"
        allowed = min(floor(100 * (MORE_MISSING * one.missing + LEAST_MISSING) + 1) / 100, 1)
        marks += [f"assay.nulls(max={allowed:g})"] if allowed < 1 else []
    marks += [f"assay.field(name={_text(one.name)})"] if one.attribute != one.name else []
    return f"Annotated[{', '.join([base, *marks])}]" if marks else base


def _range(one: Column) -> list[str]:
    if one.low is None and one.high is None:
        return []
    ends = [_number(end) if end is not None else "None" for end in (one.low, one.high)]
    unit = f", unit={_text(one.unit)}" if one.unit else ""
    return [f"assay.between({', '.join(ends)}{unit})"]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def _output(draft: Draft) -> Iterator[str]:
    label = draft.label
    yield "class Prediction(assay.Record):"
    yield f'    """What the model says of {_said(label.name)}."""'
    yield ""
    if label.task == "number":
        yield "    value: float"
    elif label.is_truth:
        yield "    probability: Annotated[float, assay.between(0, 1)]"
    elif label.task == "yes or no":
        yield f"    answer: {_class_name(draft)}"
        yield f"    probability: Annotated[float, assay.probability(of={_text(label.classes[-1])})]"
    else:
        yield f"    answer: {_class_name(draft)}"
        yield f"    probability: assay.Probabilities[{_class_name(draft)}]"


def _features(draft: Draft) -> Iterator[str]:
    yield "def features(d: assay.Columns[Row]) -> dict[str, np.ndarray]:"
    yield '    """The same code for the whole table in training and for one row in serving."""'
    yield "    return {"
    taken = {one.attribute for one in draft.columns}
    if time := draft.time:
        told = {"hour": time.has_hours, "weekday": time.days >= 14, "day_of_year": time.days >= 366}
        for name in (name for name, is_told in told.items() if is_told):
            feature = name if name not in taken else f"{time.attribute}_{name}"
            yield f'        "{feature}": assay.{name}(d.{time.attribute}, tz={_text(time.zone)}),'
    for one in draft.columns:
        if one.is_feature:
            yield f"        {_text(one.attribute)}: {_feature(one)},"
    yield "    }"


def _feature(one: Column) -> str:
    if one.kind == "date":
        return f"assay.day_of_year(d.{one.attribute})"
    if one.kind == "time":
        return f'assay.hour(d.{one.attribute}, tz="UTC")'
    if one.kind == "text" and not one.values and one.distinct > MANY_TEXTS:
        return f"assay.hashed(d.{one.attribute}, {BUCKETS})"
    return f"d.{one.attribute}"


_KINDS = {"yes or no": "LGBMClassifier", "classes": "LGBMClassifier", "number": "LGBMRegressor"}


def _fit(draft: Draft) -> Iterator[str]:
    made = _KINDS[draft.label.task]
    yield f"def fit(x: assay.Matrix, y: np.ndarray, *, trees: int = 100, leaves: int = 15) -> lgb.{made}:"
    yield '    """Gradient-boosted trees."""'
    yield f"    estimator = lgb.{made}(n_estimators=trees, num_leaves=leaves, learning_rate=0.05, random_state=7, verbose=-1)"
    yield "    return estimator.fit(x.values, y, feature_name=x.names, categorical_feature=x.categorical)"


def _model(draft: Draft) -> Iterator[str]:
    metrics, policy = _policy(draft.label)
    yield "model = assay.Model("
    yield f'    "{draft.module.replace("_", "-")}",'
    yield "    takes=Row,"
    yield "    gives=Prediction,"
    yield f"    label={_text(draft.label.name)},"
    yield "    features=features,"
    yield "    fit=fit,"
    yield f"    metrics=[{', '.join(map(_text, metrics))}],"
    if draft.time is not None:
        yield "    table=TABLE,"
    yield ")"
    yield from policy


def _policy(label: Label) -> tuple[list[str], list[str]]:
    if label.task == "number":
        worst = float(f"{label.baseline:.3g}")
        margin = float(f"{0.02 * label.baseline:.1g}")
        why = f"# Who always answers the median is off by {worst:g} on average: a model must be better."
        return ["mae", "rmse", "r2"], [why, f'policy = assay.Policy("mae", margin={margin:g}, within=(0, {worst:g}))']
    if label.task == "yes or no":
        metric = "auc" if label.is_truth else "probability.auc"
        others = ["auc", "log_loss"] if label.is_truth else ["probability.auc", "accuracy"]
        return others, [f'policy = assay.Policy("{metric}", margin=0.02, within=(0.5, 1.0))']
    least = floor(label.baseline * 1000) / 1000
    why = f"# The most frequent class has {label.baseline:.1%} of the rows: a model must know more."
    return ["accuracy", "log_loss"], [why, f'policy = assay.Policy("accuracy", margin=0.02, within=({least:g}, 1.0))']


def _dealt() -> Iterator[str]:
    yield "def deal(rows: pa.Table, until: datetime) -> pa.Table:"
    yield '    """The table has no times, so its rows get some by chance, one an hour. By real times Assay could tell more."""'
    yield "    hours = np.random.default_rng(7).permutation(len(rows)) + 1"
    yield '    times = np.datetime64(until.replace(tzinfo=None), "us") - hours * np.timedelta64(3_600_000_000, "us")'
    yield '    dealt = rows.append_column("seen_at", pa.array(times).cast(pa.timestamp("us", "UTC")))'
    yield '    return dealt.sort_by("seen_at")'


def _pipeline(draft: Draft) -> Iterator[str]:
    yield "@assay.pipeline()"
    yield "def train(asof: datetime, trees: int = 100):"
    yield '    """Check the table, train on the past, judge on the days after it, publish what is blessed."""'
    if draft.time is None:
        days = max(2, round(HELD * draft.rows / 24))
        yield "    rows = deal(assay.read(TABLE), asof)"
    else:
        days = int(min(max(HELD * draft.time.days, SHORTEST), LONGEST))
        yield "    rows = assay.read(TABLE, Row, until=asof)"
    yield "    report = assay.check(rows, Row)"
    yield "    if report.failed:"
    yield "        return report"
    yield f'    past, holdout = assay.split(rows, Row, holdout="{days}d")'
    yield "    candidate = assay.train(model, past, trees=trees)"
    yield "    verdict = assay.bless(candidate, holdout, policy)"
    yield "    if verdict.blessed:"
    yield "        assay.publish(candidate)"
    yield "    return verdict"
