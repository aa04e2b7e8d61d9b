"""Random tables and rules, made from a seed: small tables of edge values, and rules whose bounds lie among them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, Literal, Optional

import numpy as np
import pyarrow as pa

from assay import Calendar, EventTime, Key, Record, between
from assay.checks import Checks, col, fresh, rows, sql, unique
from assay.checks.declare import from_contract
from assay.checks.rules import Rule
from assay.contract.fields import nulls
from assay.contract.formats.sql import quoted
from assay.contract.record import RecordType

Row = dict[str, Any]
NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
NEW_YORK = "America/New_York"
NAN, INF = float("nan"), float("inf")
TYPES = {
    "whole": pa.int64(),
    "small": pa.int8(),
    "unsigned": pa.uint32(),
    "real": pa.float64(),
    "short": pa.float32(),
    "money": pa.decimal128(12, 2),
    "digits": pa.decimal128(38, 5),
    "text": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "written": pa.string(),  # times as text
    "epoch": pa.int64(),  # seconds since 1970
    "truth": pa.bool_(),
    "date": pa.date32(),
    "time": pa.timestamp("us", "UTC"),
    "naive": pa.timestamp("us"),
}
NUMBERS = ("whole", "small", "unsigned", "real", "short", "money", "digits")
TEXTS = ("text", "category")
FORMAT = "%d/%m/%Y %H:%M"
_MOMENTS = [NOW + timedelta(hours=hours) for hours in (-9000, -200, -27, -26, -3.25, -1, 0, 0.05, 1, 30)]
_NAIVE = [one.replace(tzinfo=None) for one in _MOMENTS] + [datetime(2023, 11, 5, 1, 30), datetime(2024, 3, 10, 2, 30)]
POOLS: dict[str, list[Any]] = {
    "whole": [0, 1, 2, 3, -1, 7, 12, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)],
    "small": [0, 1, 2, -1, 5, 127, -128],
    "unsigned": [0, 1, 2, 3, 2**32 - 1],
    "real": [0.0, -0.0, 0.1, 0.3, 1.0, 1.5, 2.0, -2.5, 1e300, 5e-324, 2.0**53, NAN, INF, -INF],
    "short": [0.0, 0.1, 0.5, 1.0, -2.5, 16777216.0, NAN, INF],
    "money": [Decimal(one) for one in ("0.00", "0.10", "1.00", "1.50", "-2.50", "9999999999.99")],
    "digits": [Decimal(one) for one in ("0", "0.1", "1.5", "-2.50001", "9007199254740992", "9007199254740993", "9007199254740992.00001")],
    "text": ["a", "b", "A", "ab", "Łódź", 'the "big" one', "it's", "x,y;z", "NULL", "", "NA", " a ", "two\nlines", "😀", "z" * 70, "0012", "%s {j} :p"],
    "category": ["low", "mid", "high", "Low"],
    "written": [f"{one:%d/%m/%Y %H:%M}" for one in _NAIVE] + ["soon", "31/02/2024 10:00"],
    "epoch": [int(one.timestamp()) for one in _MOMENTS],
    "truth": [True, False],
    "date": [date(1969, 12, 31), date(2024, 2, 29), date(2024, 6, 28), date(2024, 6, 30), date(2024, 7, 1), date(2024, 7, 2), date(2100, 1, 1)],
    "time": _MOMENTS,
    "naive": _NAIVE,
}  # fmt: skip
_PLAIN = ("id", "price", "wind_speed", "n1", "Name", "select_", "städte", "x2")
_ODD = ("two words", "select", 'a "b"', "100%", "a.b", "naïve", "%s", ":p", "{j}", "w" * 60, "tab\tname", "order;--")
_CONTRACT = {"whole": int, "small": int, "real": float, "money": float, "text": str, "truth": bool, "date": date}


@dataclass(frozen=True)
class Case:
    """A table, and the rules to which it is held."""

    seed: int
    #: Column to a kind of `TYPES`.
    kinds: dict[str, str]
    rows: list[Row]
    rules: tuple[Rule, ...]
    #: Also as a contract, where the rules come from one.
    contract: type[Record] | None = None

    @property
    def declared(self) -> Any:
        """What is given to `assay.check`."""
        return self.contract or Checks(*self.rules)


def arrow(kinds: dict[str, str], records: list[Row]) -> pa.Table:
    """The rows as Arrow; NaN stays NaN."""
    made = {}
    for name, kind in kinds.items():
        values = [record[name] for record in records]
        if kind == "short":
            array = pa.array(np.array([NAN if one is None else one for one in values], np.float32), pa.float32())
            made[name] = pa.array(
                [None if one is None else known for one, known in zip(values, array.to_pylist(), strict=True)],
                TYPES[kind],
            )
        elif kind == "category":
            made[name] = pa.array(values, pa.string()).dictionary_encode().cast(TYPES[kind])
        else:
            made[name] = pa.array(values, TYPES[kind])
    return pa.table(made)


def case(seed: int) -> Case:
    """The case of a seed, the same on every machine."""
    dice = Random(seed)
    by_contract = dice.random() < 0.3
    kinds = _columns(dice, by_contract)
    size = dice.choice([1, 2, 3, 5, 8, 13, 40, 200] if by_contract or dice.random() < 0.97 else [0])
    missing = {name: dice.choice([0, 0, 0.1, 0.5, 1]) for name in kinds}
    pools = {name: dice.sample(POOLS[kind], min(len(POOLS[kind]), dice.randint(1, 9))) for name, kind in kinds.items()}
    records = [
        {
            name: None if dice.random() < missing[name] else _short(kind, dice.choice(pools[name]))
            for name, kind in kinds.items()
        }
        for _ in range(size)
    ]
    if by_contract:
        record = _contract(dice, kinds, pools)
        return Case(seed, kinds, records, from_contract(record).rules, record)
    rules = [rule for _ in range(dice.randint(3, 9)) for rule in _rule(dice, kinds, pools)]
    return Case(seed, kinds, records, tuple(dict.fromkeys(rules)))


def _short(kind: str, value: Any) -> Any:
    """A float32 as the float64 that it equals."""
    return float(np.float32(value)) if kind == "short" else value


def _columns(dice: Random, by_contract: bool) -> dict[str, str]:
    names = dice.sample(_PLAIN, dice.randint(2, 6))
    if not by_contract:
        names = dice.sample([*names, *dice.sample(_ODD, 2)], dice.randint(2, len(names)))
    known = [*_CONTRACT, "time"] if by_contract else list(TYPES)
    found = {name: dice.choice(known) for name in names}
    if by_contract:  # one event time at most
        for name in [name for name, kind in found.items() if kind == "time"][1:]:
            found[name] = "real"
    return found


def _contract(dice: Random, kinds: dict[str, str], pools: dict[str, list[Any]]) -> type[Record]:
    annotations: dict[str, Any] = {}
    keyed = False
    for name, kind in kinds.items():
        if kind == "time":
            annotations[name] = EventTime
            continue
        declared: Any = _CONTRACT[kind]
        if kind in ("whole", "small", "real", "money") and dice.random() < 0.6:
            low, high = _ends(
                dice, [float(one) for one in pools[name] if float(one) == float(one) and abs(one) < 1e15] or [0.0]
            )
            if low is not None or high is not None:
                declared = _annotated(declared, between(low, high))
        elif kind == "text" and dice.random() < 0.4:
            declared = Literal[tuple(dict.fromkeys(dice.choices([*pools[name], "a"], k=3)))]
        elif not keyed and kind in ("whole", "text") and dice.random() < 0.3:
            keyed, declared = True, Key[declared]
        if not keyed and dice.random() < 0.5:
            declared = Optional[declared]  # noqa: UP045 - a Literal from a tuple
            if dice.random() < 0.4:
                declared = _annotated(
                    declared, nulls(max=dice.choice([0.0, 0.1, 0.5]), severity=dice.choice(["error", "warn"]))
                )
        annotations[name] = declared
    return RecordType("Random", (Record,), {"__annotations__": annotations, "__module__": __name__})  # type: ignore[return-value]


def _annotated(declared: Any, more: Any) -> Any:
    from typing import Annotated

    return Annotated[declared, more]


def _ends(dice: Random, pool: list[Any]) -> tuple[Any, Any]:
    low, high = sorted([dice.choice(pool), dice.choice(pool)])
    shape = dice.random()
    return (None if shape < 0.25 else low), (None if shape > 0.75 else high)


def _rule(dice: Random, kinds: dict[str, str], pools: dict[str, list[Any]]) -> list[Rule]:
    name = dice.choice(list(kinds))
    kind, pool = kinds[name], pools[name]
    more: dict[str, Any] = {"severity": dice.choice(["error", "error", "warn"])}
    if dice.random() < 0.3:
        more["where"] = dice.choice(list(conditions(kinds)))
    tolerant = more | ({"tolerance": dice.choice([0.1, 0.4])} if dice.random() < 0.3 else {})
    known = [lambda: rows(min=dice.choice([None, 1, 3]), max=dice.choice([3, 50]), **more),
             lambda: col(name).nulls(max=dice.choice([0.0, 0.1, 0.5]), **more),
             lambda: col(name).unique(**tolerant),
             lambda: unique(*dice.sample(list(kinds), min(2, len(kinds))), **tolerant)]  # fmt: skip
    if kind in NUMBERS:
        known += [
            lambda: _between(dice, name, kind, pool, tolerant),
            lambda: _isin(dice, name, kind, pool, tolerant),
        ] * 3
    if kind in TEXTS:
        known += [
            lambda: col(name).isin(*dice.choices([*pool, "a", "it's"], k=3), **tolerant),
            lambda: col(name).length(dice.choice([None, 1, 2]), dice.choice([3, 70]), **tolerant),
            lambda: col(name).matches(dice.choice(["[a-z]+", "[A-Z].*", ".", "a|b", r"\d{4}", '[^"]*']), **tolerant),
        ] * 2
    if kind == "truth":
        known += [lambda: col(name).isin(*dice.choice([[True], [False], [True, False]]), **tolerant)] * 2
    if kind in ("date", "time", "naive"):
        known += [lambda: _within(dice, name, kind, tolerant), lambda: _fresh(dice, name, kind, more)] * 3
    if kind in ("written", "epoch"):
        known += [lambda: _fresh(dice, name, kind, more)] * 5
    compared = list(predicates(kinds))
    if compared:
        known.append(lambda: sql(dice.choice(compared), **tolerant))
    made = dice.choice(known)()
    return list(made.rules) if not isinstance(made, Rule) else [made]


def _between(dice: Random, name: str, kind: str, pool: list[Any], more: dict[str, Any]) -> Any:
    ends = [
        float(one) if isinstance(one, Decimal | float) else one
        for one in pool
        if float(one) == float(one) and abs(float(one)) != INF
    ]
    low, high = _ends(dice, [*ends, 0, 1, dice.choice([0.1, 0.5, 2**53, 1e39, -1e39])])
    return col(name).between(low, high, **more)


def _isin(dice: Random, name: str, kind: str, pool: list[Any], more: dict[str, Any]) -> Any:
    finite = [one for one in pool if float(one) == float(one) and abs(float(one)) < 1e15]
    if kind in ("real", "short", "money", "digits"):
        return col(name).isin(*dice.choices([0, 1, 0.1, *map(float, finite)], k=3), **more)
    return col(name).isin(*dice.choices([0, 1, *finite], k=3), **more)


def _within(dice: Random, name: str, kind: str, more: dict[str, Any]) -> Any:
    days = [date(2024, 6, 30), date(2024, 2, 29), date(2024, 7, 1)]
    moments = {"time": _MOMENTS, "naive": _NAIVE, "date": days}[kind]
    low, high = _ends(dice, days if dice.random() < 0.5 else moments)
    return col(name).between(low, high, **more)


def _fresh(dice: Random, name: str, kind: str, more: dict[str, Any]) -> Rule:
    warn, error = dice.choice([("1h", "26h"), (None, "26h"), ("3h", None), ("5m", "400d")])
    said: dict[str, Any] = {"warn": warn, "error": error, "where": more.get("where", "")}
    if kind in ("date", "naive"):
        said["zone"] = dice.choice([NEW_YORK, "UTC", "Asia/Tokyo"])
    if kind == "epoch":
        said["unit"] = "s"
    if kind == "written":
        said |= {"format": FORMAT, "zone": dice.choice([NEW_YORK, "UTC"])}
    if dice.random() < 0.2:
        said["calendar"] = Calendar(closed=["SAT", "SUN"], tz=NEW_YORK)
    return fresh(name, **said)


def conditions(kinds: dict[str, str]) -> dict[str, Any]:
    """SQL conditions on a row, and the same in Python."""
    found: dict[str, Any] = {}
    for name, kind in kinds.items():
        shown = quoted(name)
        found[f"{shown} IS NOT NULL"] = lambda row, name=name: not is_missing(row[name])
        if kind in ("whole", "small", "unsigned", "real", "money"):
            found[f"{shown} > 1"] = lambda row, name=name: None if is_missing(row[name]) else row[name] > 1
        if kind in TEXTS:
            found[f"{shown} <> 'a'"] = lambda row, name=name: None if row[name] is None else row[name] != "a"
        if kind == "truth":
            found[shown] = lambda row, name=name: row[name]
    return found


def predicates(kinds: dict[str, str]) -> dict[str, Any]:
    """Conditions that every row must keep, and the same in Python; None where they are unknown."""
    found = conditions(kinds)
    wholes = [name for name, kind in kinds.items() if kind in ("whole", "small")]
    for first, second in pairwise(wholes):
        found[f"{quoted(first)} >= {quoted(second)}"] = lambda row, a=first, b=second: (
            None if row[a] is None or row[b] is None else row[a] >= row[b]
        )
    return found


def is_missing(value: Any) -> bool:
    """None and NaN."""
    return value is None or value != value
