"""Guesses what a table means: its label, times, key and the columns that a model may get. Says each guess."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from assay.checks.infer import rules_of
from assay.checks.rules import Between
from assay.contract.formats.sql import quoted
from assay.errors import BadInput, near_miss
from assay.quality import Quality
from assay.quality.summary import look_at
from assay.scaffold.draft import Column, Draft, Label, Task, Times
from assay.scaffold.keys import IDS, key_of
from assay.scaffold.marks import marks
from assay.scaffold.names import is_name, python_names, unit_of
from assay.tables import Table, files, using
from assay.tables.csv_files import with_missing
from assay.tables.view import TIMES, VIEW, Kind
from assay.times import zone

#: Columns that are asked about in one query.
TOGETHER = 50
#: Names under which tables have their label.
LABELS = ("label", "target", "y", "class", "outcome", "churn", "default", "survived", "species", "price")
#: More different texts than that are no set.
SET, SET_OF_NUMBERS = 20, 5
#: A column that is missing more often, or a text that repeats less often, is left out.
MOSTLY_MISSING, MOSTLY_UNIQUE = 0.95, 0.5
MOST_CLASSES = 50
#: A column that alone reaches this AUC is the label in other words, or written after it.
TELLS = 0.98
#: A part of a key with more different values is named like an id to name rows, not to tell what they are like.
MANY_IDS = 200
#: Of values that look like missing ones, so many are said.
SAID = 5
_LEAST_ROWS = 50
#: What an event time can be; a date is none.
_MOMENTS: tuple[Kind, ...] = ("time", "naive")


def guess(
    target: str,
    *,
    module: str,
    reads: str,
    label: str | None = None,
    time: str | None = None,
    tz: str | None = None,
    key: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> Draft:
    """A draft for the table `target`, which the project will read as `reads`.

    `key` are columns that tell rows apart together, `missing` texts of CSV that stand for a missing value. What is not given
    is guessed, and each guess is a sentence of the draft. Raises `BadInput` for a column that is not there, a label that
    can't be guessed or predicted, and a table of less than 50 rows; as `using` does besides.
    """
    if tz:
        zone(tz)
    said: list[str] = []
    with ExitStack() as opened:
        table = opened.enter_context(using(with_missing(target, missing)))
        if not missing and (found := _marks(target, table, said)):
            missing = found
            opened.close()
            table = opened.enter_context(using(with_missing(target, missing)))  # of other types now
        draft = _draft(table, reads, module, label, time, tz, key, said)
    if not any(one.is_feature for one in draft.columns):
        what = f"{target} has no column from which {draft.label.name} could be predicted"
        raise BadInput(what, *[f"{name}: {why}" for name, why in list(draft.left_out.items())[:SAID]])
    return replace(draft, missing=tuple(missing))


def _marks(target: str, table: Table, said: list[str]) -> list[str]:
    if not table.files or files.find(target)[0] != "csv":
        return []
    found = marks(table)
    for text, names in found.items():
        where = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        said.append(f'"{text}" means missing, as in {where}; give --missing if it does not')
    return list(found)


def _draft(
    table: Table,
    reads: str,
    module: str,
    label: str | None,
    time: str | None,
    tz: str | None,
    key: Sequence[str],
    said: list[str],
) -> Draft:
    _need(table, [name for name in (label, time, *key) if name])
    facts = _facts(table)
    rows: int = facts["rows"]
    if rows < _LEAST_ROWS:
        raise BadInput(f"{table.name} has {rows} rows", do=f"Give a table of {_LEAST_ROWS} at least.")
    wanted = _label(table, facts, label, said)
    times = _times(table, facts, wanted.name, time, tz, said)
    left_out = dict(_useless(table, facts, wanted.name))
    left_out |= dict(_other_words(table, facts, wanted, left_out))
    left_out |= _leaks(table, wanted, left_out, said)
    known = tuple(key) or _key(table, facts, (wanted.name, *left_out), times, said)
    attributes = python_names(filter(is_name, table.kinds), () if times else ("seen_at",))
    columns = _columns(table, facts, wanted.name, times, left_out, known, attributes)
    if times:
        times = replace(times, attribute=attributes[times.name], is_key=times.name in known)
    return Draft(reads, module, rows, wanted, times, columns, left_out=left_out, guesses=said)


def _need(table: Table, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.kinds:
            raise BadInput(f"{table.name} has no column {name!r}", near_miss(name, table.kinds), do="Correct the name.")


def _facts(table: Table) -> dict[str, Any]:
    names = list(table.kinds.items())
    found: dict[str, Any] = table.rows(f"SELECT count(*) AS rows FROM {VIEW}")[0]
    for first in range(0, len(names), TOGETHER):
        told = list(_told(names[first : first + TOGETHER]))
        found |= table.rows(f"SELECT {', '.join(told)} FROM {VIEW}")[0] if told else {}
    return found


def _told(columns: Sequence[tuple[str, Kind]]) -> Iterator[str]:
    for name, kind in columns:
        if kind == "other":
            continue
        yield f"count({quoted(name)}) AS {quoted(f'values.{name}')}"
        yield f"count(DISTINCT {quoted(name)}) AS {quoted(f'distinct.{name}')}"
        if kind in TIMES:
            yield f"min({quoted(name)}) AS {quoted(f'low.{name}')}"
            yield f"max({quoted(name)}) AS {quoted(f'high.{name}')}"


def _label(table: Table, facts: Mapping[str, Any], given: str | None, said: list[str]) -> Label:
    name = given or next((one for one in table.kinds if one.lower() in LABELS), None)
    if name is None:
        raise BadInput(
            "which column shall be predicted?",
            f"the table has {', '.join(list(table.kinds)[:20])}",
            do="Name it: --label COLUMN.",
        )
    if not given:
        said.append(f"{name} is the label, by its name")
    kind, distinct = table.kinds[name], facts.get(f"distinct.{name}", 0)
    if distinct < 2:
        raise BadInput(f"the label {name} has {'one value' if distinct else 'no value'}", do="Name another column.")
    task = _task(table, name, kind, distinct)
    if task == "number":
        said.append(f"{name} is predicted as a number")
        return Label(name, task, kind, baseline=_distance_to_median(table, name))
    counted = table.rows(
        f"SELECT {quoted(name)} AS one, count(*) AS n FROM {VIEW} WHERE {quoted(name)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    classes = tuple(_plain(row["one"]) for row in counted)
    said.append(f"{name} is one of {', '.join(map(str, classes[:6]))}{', ...' if len(classes) > 6 else ''}")
    return Label(name, task, kind, classes, counted[0]["n"] / sum(row["n"] for row in counted))


def _task(table: Table, name: str, kind: Kind, distinct: int) -> Task:
    if kind == "truth" or (kind in ("text", "whole") and distinct == 2):
        return "yes or no"
    if kind == "number" and distinct == 2:
        return "yes or no" if _values(table, name) == [0, 1] else "number"
    if kind == "text" and distinct <= MOST_CLASSES:
        return "classes"
    if kind == "text":
        what = f"the label {name} has {distinct:,} different texts"
        raise BadInput(what, do=f"Name one of at most {MOST_CLASSES}, or a number.")
    if kind == "whole" and distinct <= SET_OF_NUMBERS:
        return "classes"
    if kind in ("whole", "number"):
        return "number"
    raise BadInput(f"the label {name} holds {kind} values", do="Name a column of numbers, texts, or true and false.")


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _values(table: Table, name: str) -> list[Any]:
    found = table.rows(f"SELECT DISTINCT {quoted(name)} AS one FROM {VIEW} WHERE {quoted(name)} IS NOT NULL")
    return sorted(row["one"] for row in found)


def _distance_to_median(table: Table, name: str) -> float:
    column = quoted(name)
    middle = f"(SELECT median({column}) FROM {VIEW})"
    return float(table.rows(f"SELECT avg(abs({column} - {middle})) AS far FROM {VIEW}")[0]["far"])


def _times(
    table: Table, facts: Mapping[str, Any], label: str, given: str | None, tz: str | None, said: list[str]
) -> Times | None:
    full = [
        name
        for name, kind in table.kinds.items()
        if kind in _MOMENTS and name != label and is_name(name) and facts[f"values.{name}"] == facts["rows"]
    ]
    if given and given not in full:
        held = "is not a column of times" if table.kinds[given] not in _MOMENTS else "is missing in some rows"
        raise BadInput(f"{given} {held}", f"these are whole: {', '.join(full) or 'none'}", do="Name another column.")
    name = given or max(full, key=lambda one: facts[f"distinct.{one}"], default=None)
    if name is None:
        said.append(
            "there is no column of times, so rows are dealt out by chance; a split by time would be more honest"
        )
        return None
    if not given:
        said.append(f"{name} is when it happened")
    kind = table.kinds[name]
    if kind != "time" and not tz:
        said.append(f"the times of {name} are UTC; name another zone with --zone")
    low, high = facts[f"low.{name}"], facts[f"high.{name}"]
    days = (high - low).total_seconds() / 86_400
    return Times(name, name, kind, days, _has_hours(table, name), tz or "UTC")


def _has_hours(table: Table, name: str) -> bool:
    at = f"60 * EXTRACT(hour FROM {quoted(name)}) + EXTRACT(minute FROM {quoted(name)})"
    return table.rows(f"SELECT count(DISTINCT {at}) AS n FROM {VIEW}")[0]["n"] > 1


def _useless(table: Table, facts: Mapping[str, Any], label: str) -> Iterator[tuple[str, str]]:
    rows = facts["rows"]
    for name, kind in table.kinds.items():
        if name == label:
            continue
        distinct, known = facts.get(f"distinct.{name}", 0), facts.get(f"values.{name}", 0)
        if not is_name(name):
            yield name, "its name has a character that no request can hold: rename it in the table"
        elif kind == "other":
            yield name, "its values are no numbers, texts or times"
        elif known < (1 - MOSTLY_MISSING) * rows:
            yield name, f"it is missing in {1 - known / rows:.0%} of the rows"
        elif distinct == 1 and known == rows:
            yield name, "it is the same in every row"


def _leaks(table: Table, label: Label, left_out: Mapping[str, str], said: list[str]) -> dict[str, str]:
    """Columns that tell the label, and may be written after it."""
    try:
        found = look_at(table, label.name)
    except BadInput:  # a label of which nobody can say what tells it
        return {}
    said += _like_missing(found, left_out)
    suspects = [name for one in found.findings if one.kind == "leakage" for name in one.columns if name not in left_out]
    several = len(label.classes) > 2  # a number may tell many classes well; `_other_words` finds their codes
    certain = (
        []
        if several
        else [name for name in suspects if found.alone.get(name, 0) >= TELLS and table.kinds[name] not in TIMES]
    )
    said += [
        f"{name} tells much of {label.name}: leave it out if it is written afterwards"
        for name in suspects
        if name not in certain
    ]
    return dict.fromkeys(certain, f"alone it tells {label.name}; put it back if it is known before")


def _other_words(
    table: Table, facts: Mapping[str, Any], label: Label, left_out: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Columns of which each value goes with one class: the label in other words."""
    for name, kind in table.kinds.items():
        distinct = facts.get(f"distinct.{name}", 0)
        if (
            label.task == "number"
            or name in (label.name, *left_out)
            or kind in TIMES
            or not 1 < distinct <= MOST_CLASSES
        ):
            continue
        classes = f"SELECT count(DISTINCT {quoted(label.name)}) AS n FROM {VIEW} GROUP BY {quoted(name)}"
        if table.rows(f"SELECT max(n) AS n FROM ({classes})")[0]["n"] == 1:
            yield name, f"each of its values goes with one {label.name}"


def _key(
    table: Table, facts: Mapping[str, Any], without: Sequence[str], times: Times | None, said: list[str]
) -> tuple[str, ...]:
    """The columns that tell rows apart, if there are any."""
    found = key_of(table, facts, without, times.name if times else None)
    if len(found) == 1:
        said.append(f"{found[0]} is the key: it differs in every row")
    elif found:
        said.append(f"{' and '.join(found)} are the key: together they differ in every row")
    else:
        said.append("no column tells the rows apart, so served rows can't be found in the table again")
    return found


def _like_missing(found: Quality, left_out: Mapping[str, str]) -> list[str]:
    """Values that look like missing ones and stay as they are."""
    odd = [one for one in found.findings if one.kind == "coded missing" and not left_out.keys() & set(one.columns)]
    return [f"{one.sentence}; it stays a value, so replace it in the table if it is one" for one in odd[:SAID]]


def _ranges(table: Table) -> dict[str, tuple[float, float]]:
    """The range of each column of numbers, with some room at its ends."""
    return {
        rule.columns[0]: (rule.low, rule.high)
        for rule in rules_of(table)[0]
        if isinstance(rule, Between) and isinstance(rule.low, int | float) and isinstance(rule.high, int | float)
    }


def _columns(
    table: Table,
    facts: Mapping[str, Any],
    label: str,
    times: Times | None,
    left_out: dict[str, str],
    key: Sequence[str],
    attributes: Mapping[str, str],
) -> tuple[Column, ...]:
    ranges = _ranges(table)
    found: list[Column] = []
    rows = facts["rows"]
    for name, kind in table.kinds.items():
        if name == label or name in left_out or (times and name == times.name):
            continue
        distinct, known = facts[f"distinct.{name}"], facts[f"values.{name}"]
        is_key = name in key
        names_rows = is_key and (len(key) == 1 or (IDS.search(name) is not None and distinct > MANY_IDS))
        if kind == "naive":
            left_out[name] = "its times have no zone"
        elif (
            not is_key
            and kind in ("text", "whole")
            and distinct > MOSTLY_UNIQUE * known
            and (kind == "text" or (distinct == known and IDS.search(name)))
        ):
            left_out[name] = "it differs in nearly every row"
        else:
            few = SET if kind == "text" else SET_OF_NUMBERS
            values = _values(table, name) if kind in ("text", "whole") and distinct <= few else []
            low, high = ranges.get(name, (None, None)) if not values else (None, None)
            found.append(
                Column(
                    name,
                    attributes[name],
                    kind,
                    1 - known / rows,
                    distinct,
                    tuple(values),
                    low,
                    high,
                    unit_of(name),
                    is_key,
                    is_feature=not names_rows,
                )
            )
    return tuple(found)
