"""What the language of filters takes, and what it refuses: whatever is asked, it answers at once."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.track.filter import (
    COMPARISONS,
    DEPTH,
    LISTED,
    LONGEST,
    LONGEST_ORDER,
    LONGEST_PATTERN,
    ORDERS,
    Both,
    Not,
    Order,
    Predicate,
    Tree,
    parse,
    parse_order,
    parse_orders,
)

NAMES = frozenset({"run_id", "start_time"})
_PIECES = ["metrics.a", "params.`b c`", 'tags."d"', "run_id", "(", ")", ",", "AND", "OR", "NOT", "IN", "IS", "NULL"]
_PIECES += ["LIKE", "=", "!=", ">", "'x'", "'", '"', "`", "1", "-2.5e3", "1.1.1", ".", "..", "\\", "\0", "²", "é", "%"]


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=5), max_size=30).map(" ".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse, parse_order):
        with suppress(BadInput):
            read(text, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a > " + "1" * (LONGEST - 20) + "x",
        "metrics.a > " + "1." * 30_000,
        "metrics.a > " + "1e" * 30_000,
        "'" * (LONGEST - 1),
        "`" * (LONGEST - 1),
        "a." * 30_000 + '"',
        " " * (LONGEST - 1) + "(",
        "a " * 30_000,
        "( " * 30_000,
        "NOT " * 16_000,
        "(" * 60_000 + ")" * 5_000,
    ],
    ids=range(11),
)
def test_reading_takes_time_in_proportion_to_the_length(text: str) -> None:
    with pytest.raises(BadInput):  # each of them took minutes, or ended in a RecursionError
        parse(text, NAMES)


@pytest.mark.parametrize(
    ("inside", "beyond"),
    [
        (" AND ".join(["metrics.a > 1"] * COMPARISONS), " AND metrics.a > 1"),
        (" OR ".join(["run_id = 'a'"] * COMPARISONS), " OR run_id = 'a'"),
        ("(" * (DEPTH - 1) + "run_id = 'a'" + ")" * (DEPTH - 1), None),
        ("run_id IN (" + ", ".join(["'a'"] * LISTED) + ")", " OR run_id IN ('a')"),
        (f"run_id LIKE '{'a' * LONGEST_PATTERN}'", None),
        ("run_id = 'a'" + " " * (LONGEST - 12), " "),
    ],
    ids=["AND", "OR", "depth", "list", "pattern", "length"],
)
def test_what_is_within_the_bounds_is_taken_and_one_more_is_refused(inside: str, beyond: str | None) -> None:
    assert parse(inside, NAMES)
    more = inside + beyond if beyond else inside.replace("run_id", "(run_id").replace("'a'", "'a')")
    if "LIKE" in inside:
        more = inside.replace("LIKE 'a", "LIKE 'aa")
    with pytest.raises(BadInput, match=r"more than|[Aa]t most"):
        parse(more, NAMES)


def test_orders_are_bounded_in_number_and_length() -> None:
    assert len(parse_orders([f"metrics.m{n} DESC" for n in range(ORDERS)], NAMES)) == ORDERS
    with pytest.raises(BadInput, match="a run has no attribute 'q'"):
        parse_orders(["run_id", "q"], NAMES)
    with pytest.raises(BadInput, match=r"the order names 11 fields\nOrder by at most 10\."):
        parse_orders([f"metrics.m{n}" for n in range(ORDERS + 1)], NAMES)
    longest = "metrics." + "m" * (LONGEST_ORDER - 8)
    assert parse_order(longest, NAMES).name == longest[8:]
    with pytest.raises(BadInput, match=r"an order has 1,001 characters\nUse at most 1,000\."):
        parse_order(longest + "m", NAMES)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("metrics.`val auc` > 1", "val auc"),
        ('metrics."val auc" > 1', "val auc"),
        ("metrics.a.b/c-d:e > 1", "a.b/c-d:e"),
        ("metrics.XaX > 1", "XaX"),
        ("metrics.1st > 1", "1st"),
        ("metrics.a > +1.", "a"),
        ("metrics.a > .1e1", "a"),
    ],
)
def test_names_and_numbers_are_read_as_they_are_written(text: str, name: str) -> None:
    tree = parse(text, NAMES)
    assert isinstance(tree, Predicate)
    assert (tree.kind, tree.name, tree.value) == ("metric", name, 1.0)


def test_a_refusal_points_to_the_place_in_a_long_filter() -> None:
    with pytest.raises(BadInput) as refused:
        parse(" OR ".join(["metrics.accuracy > 1"] * 50) + " OR ?", NAMES)
    shown, mark = (line[2:] for line in str(refused.value).splitlines()[1:3])
    assert shown[mark.index("^")] == "?"


def compared(operator: str, value: object = 1.0) -> Predicate:
    return Predicate("metric", "a", operator, value)  # type: ignore[arg-type]


A, B, C = (Predicate("param", name, "=", "1") for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        (" \n", None),
        ("metrics.a > 1", compared(">")),
        ("metrics.a<1", compared("<")),
        ("metrics.a >= 1", compared(">=")),
        ("metrics.a <= -2.5e3", compared("<=", -2500.0)),
        ("metrics.a == 1", compared("=")),
        ("metrics.a <> 1", compared("!=")),
        ("metrics.a != 1", compared("!=")),
        ("metrics.a = 'it''s'", compared("=", "it's")),
        ("metrics.a = \"it''s\"", compared("=", "it''s")),
        ("metrics.a LIKE '%x'", compared("LIKE", "%x")),
        ("metrics.a ilike 'X%'", compared("ILIKE", "X%")),
        ("metrics.a IS NULL", compared("IS NULL", None)),
        ("metrics.a is not null", compared("IS NOT NULL", None)),
        ("metrics.a IN ('x')", compared("IN", ("x",))),
        ("metrics.a in ('x', \"y\" ,'z''s')", compared("IN", ("x", "y", "z's"))),
        ("metrics.a NOT IN ('x','y')", compared("NOT IN", ("x", "y"))),
        ("params.a = '1' AND params.b = '1' and params.c = '1'", Both("AND", (A, B, C))),
        ("params.a = '1' OR params.b = '1' AND params.c = '1'", Both("OR", (A, Both("AND", (B, C))))),
        ("(params.a = '1' or params.b = '1') AND params.c = '1'", Both("AND", (Both("OR", (A, B)), C))),
        ("NOT params.a = '1' AND not (params.b = '1')", Both("AND", (Not(A), Not(B)))),
        ("NOT NOT params.a = '1'", Not(Not(A))),
    ],
)
def test_a_filter_is_read_as_the_tree_that_it_means(text: str, tree: Tree | None) -> None:
    assert parse(text, NAMES) == tree


@pytest.mark.parametrize(
    ("name", "kind", "plain"),
    [
        ("run_id", "attribute", "run_id"),
        ("`run_id`", "attribute", "run_id"),
        ('"run_id"', "attribute", "run_id"),
        ("attribute.run_id", "attribute", "run_id"),
        ("attributes.run_id", "attribute", "run_id"),
        ("attr.start_time", "attribute", "start_time"),
        ("run.run_id", "attribute", "run_id"),
        ("metric.run_id", "metric", "run_id"),
        ("metrics.`a.b c`", "metric", "a.b c"),
        ("param.x", "param", "x"),
        ("params.x", "param", "x"),
        ("parameter.x", "param", "x"),
        ("parameters.`x`", "param", "x"),
        ("params.``", "param", ""),
        ("tag.t", "tag", "t"),
        ('tags."a b"', "tag", "a b"),
        ("tags.mlflow.user", "tag", "mlflow.user"),
        ("dataset.name", "dataset", "name"),
        ("datasets.digest", "dataset", "digest"),
        ("datasets.context", "dataset", "context"),
    ],
)
def test_a_name_says_of_which_kind_it_is(name: str, kind: str, plain: str) -> None:
    tree = parse(f"{name} = 'x'", NAMES)
    assert isinstance(tree, Predicate)
    assert (tree.kind, tree.name) == (kind, plain)
    assert parse_orders([f"{name} DESC", f"{name} asc", name, f"{name} desc", f"{name} ASC"], NAMES) == [
        Order(tree.kind, plain, descending) for descending in (True, False, False, True, False)
    ]


HOW = "Write it like: metrics.auc > 0.8 AND params.leaves = '31'"


@pytest.mark.parametrize(
    ("text", "why", "at"),
    [
        ("?", "can't be read", 0),
        ("metrics.a > 1 ;", "can't be read", 14),
        ("metrics.a > 1 metrics.b > 1", "expected AND, OR or the end", 14),
        ("metrics.a > 1)", "expected AND, OR or the end", 13),
        ("metrics.a", "expected a comparison like =, >, LIKE or IN", 9),
        ("metrics.a NOT LIKE 'x'", "expected a comparison like =, >, LIKE or IN", 14),
        ("metrics.a IS 1", "expected NULL", 13),
        ("metrics.a IS NOT 1", "expected NULL", 17),
        ("metrics.a = b", "expected a number or a 'text'", 12),
        ("metrics.a =", "expected a number or a 'text'", 11),
        ("metrics.a IN 'x'", "expected a list like ('a', 'b')", 13),
        ("metrics.a IN (1)", "expected texts in the list", 15),
        ("metrics.a IN ()", "has an empty list", 15),
        ("metrics.a IN ('x' 'y')", "expected a comma or a closing parenthesis", 18),
        ("metrics.a IN ('x'", "expected a comma or a closing parenthesis", 17),
        ("(metrics.a = 1", "misses a closing parenthesis", 14),
        ("AND", "expected something like metrics.auc", 0),
        ("NOT", "expected something like metrics.auc", 3),
        ("metrics.a = 1 and like = 1", "expected something like metrics.auc", 18),
        ("'a' = 1", "expected something like metrics.auc", 0),
        ("1 = 1", "expected something like metrics.auc", 0),
    ],
)
def test_a_refusal_says_why_and_where(text: str, why: str, at: int) -> None:
    with pytest.raises(BadInput) as refused:
        parse(text, NAMES)
    assert str(refused.value).splitlines() == [f"the filter {why}", f"  {text}", f"  {' ' * at}^", HOW]


PREFIXED = "Metrics, parameters and tags have their prefix: metrics.auc"
UNKNOWN = ["  attributes, metrics, params, tags, datasets", HOW]
MEANT = ["  did you mean metrics?", HOW]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "metrcs.a",
            ["the filter names 'metrcs.a', and there is nothing called 'metrcs'", *MEANT],
        ),
        (
            "x.a",
            ["the filter names 'x.a', and there is nothing called 'x'", *UNKNOWN],
        ),
        ("start_tim", ["a run has no attribute 'start_tim'", "  did you mean start_time?", PREFIXED]),
        ("XX.a", ["the filter names 'XX.a', and there is nothing called 'XX'", *UNKNOWN]),
        ("metrics`.a`", ["the filter names 'metrics`.a`', and there is nothing called 'metrics`'", *MEANT]),
        ("q", ["a run has no attribute 'q'", "  known: run_id, start_time", PREFIXED]),
        ("dataset.q", ["a run has no dataset 'q'", "  known: context, digest, name", PREFIXED]),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str, lines: list[str]) -> None:
    for read in (lambda: parse(f"{name} = 1", NAMES), lambda: parse_order(name, NAMES)):
        with pytest.raises(BadInput) as refused:
            read()
        assert str(refused.value).splitlines() == lines


@pytest.mark.parametrize("text", ["", "DESC", "metrics.a metrics.b", "metrics.a DESC DESC", "'a'", "1", "("])
def test_what_is_no_order_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_order(text, NAMES)
    assert str(refused.value) == f"can't order by {text!r}\nWrite it like: metrics.auc DESC"


def test_parentheses_and_nots_count_by_how_deep_they_are_and_not_by_their_number() -> None:
    one = "(" * (DEPTH - 1) + "metrics.a = 1" + ")" * (DEPTH - 1)
    tree = parse(" OR ".join([one] * 3), NAMES)
    assert isinstance(tree, Both)
    assert tree.parts == (compared("="),) * 3
    for parts in ((one, f"({one})"), ("metrics.a = 1",) * 2 + (f"({one})",)):
        with pytest.raises(BadInput, match=f"more than {DEPTH} parentheses and NOTs inside each other"):
            parse(" OR ".join(parts), NAMES)
