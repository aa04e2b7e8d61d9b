"""The language in which runs are asked for: MLflow's, and with it OR, NOT, parentheses and times as people write them.

    metrics.auc > 0.8 AND (params.leaves = '31' OR tags.team ILIKE 'air%') AND start_time >= '7d'

A text becomes a tree of comparisons here; `find.py` makes SQL of it. Names that are no identifiers stand in backticks
or double quotes: metrics.`val auc`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from assay.errors import BadInput, near_miss

Kind = Literal["attribute", "metric", "param", "tag", "dataset"]
Value = str | float | tuple[str, ...] | None
_WORDS: Mapping[Kind, tuple[str, ...]] = {
    "attribute": ("attribute", "attributes", "attr", "run"),
    "metric": ("metric", "metrics"),
    "param": ("param", "params", "parameter", "parameters"),
    "tag": ("tag", "tags"),
    "dataset": ("dataset", "datasets"),
}
KINDS: Mapping[str, Kind] = {word: kind for kind, words in _WORDS.items() for word in words}
ORDERED = frozenset({"<", "<=", ">", ">="})
EQUAL = frozenset({"=", "!="})
TEXTS = frozenset({"LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"})
# Quantifiers are possessive: nothing is tried twice, so that reading a filter takes time in proportion to its length.
_TOKEN = re.compile(
    r"""(?:(?P<op>!=|<>|>=|<=|==|=|<|>)|(?P<mark>[(),])|(?P<text>'(?:[^']|'')*+')|(?P<quoted>"[^"]*+")
    |(?P<number>[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+(?![\w.]))
    |(?P<word>[\w/:-]*+(?:\.[\w/:-]++)*+(?:\.?`[^`]*+`|\."[^"]*+")|[\w./:-]++))""",
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*+")
#: Bounds of what one search may ask: characters, comparisons, values of all lists, parentheses and NOTs inside each other.
LONGEST, COMPARISONS, LISTED, DEPTH = 65_536, 100, 1_000, 50
#: Fields to order by, and the characters of one.
ORDERS, LONGEST_ORDER = 10, 1_000
#: Characters of a pattern: databases refuse longer ones.
LONGEST_PATTERN = 5_000
_KEYWORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE"}
_BEFORE = 200
_EXAMPLE = "Write it like: metrics.auc > 0.8 AND params.leaves = '31'"


@dataclass(frozen=True)
class Predicate:
    """`kind.name operator value`."""

    kind: Kind
    name: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Not:
    """What does not hold."""

    part: "Tree"


@dataclass(frozen=True)
class Both:
    """What holds together, or any of it."""

    word: Literal["AND", "OR"]
    parts: tuple["Tree", ...]


Tree = Predicate | Not | Both


@dataclass(frozen=True)
class Order:
    """What to order by."""

    kind: Kind
    name: str
    descending: bool


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str, attributes: AbstractSet[str]) -> Tree | None:
    """The tree of a filter; None for an empty one. Raises `BadInput` that points to where it goes wrong."""
    tokens = _tokens(text)
    if not tokens:
        return None
    parser = _Parser(text, tokens, attributes)
    tree = parser.either()
    if parser.next:
        raise parser.wrong("expected AND, OR or the end")
    return tree


def parse_order(text: str, attributes: AbstractSet[str]) -> Order:
    """One field to order by, with ASC or DESC. Raises `BadInput` for what is none."""
    if len(text) > LONGEST_ORDER:
        raise BadInput(f"an order has {len(text):,} characters", do=f"Use at most {LONGEST_ORDER:,}.")
    words = _tokens(text)
    direction = words.pop().text.upper() if words and words[-1].text.upper() in ("ASC", "DESC") else "ASC"
    if len(words) != 1 or words[0].kind not in ("word", "quoted"):
        raise BadInput(f"can't order by {text!r}", do="Write it like: metrics.auc DESC")
    kind, name = _identifier(words[0].text, attributes)
    return Order(kind, name, direction == "DESC")


def parse_orders(texts: Sequence[str], attributes: AbstractSet[str]) -> list[Order]:
    """Fields to order by, the first counts most. Raises `BadInput` for too many, and for what is none."""
    if len(texts) > ORDERS:
        raise BadInput(f"the order names {len(texts)} fields", do=f"Order by at most {ORDERS}.")
    return [parse_order(text, attributes) for text in texts]


def _tokens(text: str) -> list[_Token]:
    if len(text) > LONGEST:
        raise BadInput(f"the filter has {len(text):,} characters", do=f"Use at most {LONGEST:,}.")
    found: list[_Token] = []
    at = _after_space(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match or match.end() == at:
            raise _wrong(text, at, "can't be read")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match.group(kind), match.start(kind)))
        at = _after_space(text, match.end())
    return found


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _wrong(text: str, at: int, why: str) -> BadInput:
    start = max(0, at - _BEFORE)  # a long filter is shown from shortly before the place
    return BadInput(f"the filter {why}", text[start : at + _BEFORE], " " * (at - start) + "^", do=_EXAMPLE)


class _Parser:
    def __init__(self, text: str, tokens: list[_Token], attributes: AbstractSet[str]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0
        self._attributes = attributes
        self._depth = 0
        self._comparisons = 0
        self._listed = 0

    @property
    def next(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def wrong(self, why: str) -> BadInput:
        return _wrong(self._text, self.next.at if self.next else len(self._text), why)

    def either(self) -> Tree:
        return self._several("OR", self._all)

    def _all(self) -> Tree:
        return self._several("AND", self._one)

    def _several(self, word: Literal["AND", "OR"], part: Callable[[], Tree]) -> Tree:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(word, tuple(parts))

    def _one(self) -> Tree:
        self._depth += 1
        if self._depth > DEPTH:
            raise self.wrong(f"has more than {DEPTH} parentheses and NOTs inside each other")
        try:
            return self._part()
        finally:
            self._depth -= 1

    def _part(self) -> Tree:
        if self._takes("NOT"):
            return Not(self._one())
        if self._takes("("):
            tree = self.either()
            if not self._takes(")"):
                raise self.wrong("misses a closing parenthesis")
            return tree
        return self._comparison()

    def _comparison(self) -> Predicate:
        token = self.next
        if token is None or token.kind not in ("word", "quoted") or token.text.upper() in _KEYWORDS:
            raise self.wrong("expected something like metrics.auc")
        self._comparisons += 1
        if self._comparisons > COMPARISONS:
            raise self.wrong(f"has more than {COMPARISONS} comparisons")
        self._at += 1
        kind, name = _identifier(token.text, self._attributes)
        operator = self._operator()
        return Predicate(kind, name, operator, self._value(operator))

    def _operator(self) -> str:
        token = self.next
        if token and token.kind == "op":
            self._at += 1
            return {"==": "=", "<>": "!="}.get(token.text, token.text)
        if self._takes("IS"):
            absent = not self._takes("NOT")
            if not self._takes("NULL"):
                raise self.wrong("expected NULL")
            return "IS NULL" if absent else "IS NOT NULL"
        negated = self._takes("NOT")
        for word in ("IN",) if negated else ("IN", "LIKE", "ILIKE"):
            if self._takes(word):
                return f"NOT {word}" if negated else word
        raise self.wrong("expected a comparison like =, >, LIKE or IN")

    def _value(self, operator: str) -> Value:
        if operator.startswith("IS"):
            return None
        if not operator.endswith("IN"):
            value = self._literal()
            if operator.endswith("LIKE") and len(str(value)) > LONGEST_PATTERN:
                raise self.wrong(f"has a pattern of more than {LONGEST_PATTERN:,} characters")
            return value
        if not self._takes("("):
            raise self.wrong("expected a list like ('a', 'b')")
        values: list[str] = []
        while not self._takes(")"):
            value = self._literal()
            if not isinstance(value, str):
                raise self.wrong("expected texts in the list")
            values.append(value)
            self._listed += 1
            if self._listed > LISTED:
                raise self.wrong(f"lists more than {LISTED:,} values")
            if not self._takes(",") and not (self.next and self.next.text == ")"):
                raise self.wrong("expected a comma or a closing parenthesis")
        if not values:
            raise self.wrong("has an empty list")
        return tuple(values)

    def _literal(self) -> str | float:
        token = self.next
        if token is None or token.kind not in ("text", "quoted", "number"):
            raise self.wrong("expected a number or a 'text'")
        self._at += 1
        if token.kind == "number":
            return float(token.text)
        return token.text[1:-1].replace("''", "'") if token.kind == "text" else token.text[1:-1]

    def _takes(self, text: str) -> bool:
        token = self.next
        found = token is not None and token.kind in ("word", "mark") and token.text.upper() == text
        self._at += found
        return found


def _identifier(text: str, attributes: AbstractSet[str]) -> tuple[Kind, str]:
    """What is compared.

    >>> _identifier("metrics.`val auc`", set())
    ('metric', 'val auc')
    """
    prefix, dot, rest = text.partition(".")
    if text[0] in '`"' or not dot:
        prefix, rest = "attribute", text
    name = rest[1:-1] if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in '`"' else rest
    if prefix not in KINDS:
        hint = near_miss(prefix, KINDS) or "attributes, metrics, params, tags, datasets"
        raise BadInput(f"the filter names {text!r}, and there is nothing called {prefix!r}", hint, do=_EXAMPLE)
    kind = KINDS[prefix]
    known = {"attribute": attributes, "dataset": {"name", "digest", "context"}}.get(kind)
    if known is not None and name not in known:
        hint = near_miss(name, known) or f"known: {', '.join(sorted(known))}"
        raise BadInput(
            f"a run has no {kind} {name!r}", hint, do="Metrics, parameters and tags have their prefix: metrics.auc"
        )
    return kind, name
