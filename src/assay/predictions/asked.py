"""What a query asks of the prediction log: which tables, and which of their days, so that no other files are opened.

DuckDB's parser gives the tree of a query. A table is cut to some days when each place that names it stands under a
WHERE with conditions on its `day` that drop every row of the other days.
"""

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import duckdb

Node = dict[str, Any]
#: The expressions of which a condition on days may consist.
_PURE = frozenset({"COMPARISON", "BETWEEN", "OPERATOR", "CONJUNCTION", "FUNCTION", "CAST", "CASE", "CONSTANT", "TYPE"})
#: Functions that may say another thing the next time.
VOLATILE = frozenset(
    {
        "currval",
        "current_connection_id",
        "current_query",
        "current_query_id",
        "current_transaction_id",
        "error",
        "gen_random_uuid",
        "getvariable",
        "nextval",
        "random",
        "setseed",
        "setval",
        "sleep_ms",
        "stats",
        "uuid",
        "uuidv4",
        "uuidv7",
        "vector_type",
        "write_log",
    }
)
#: Names that are written like a column, and are none here: each column of the log but these four has a prefix.
_TODAY = frozenset({"current_date", "current_timestamp", "localtimestamp", "today"})
#: Of which sides of a join a WHERE may be asked before the join.
_LEFT, _RIGHT = frozenset({"INNER", "LEFT", "SEMI", "ANTI"}), frozenset({"INNER", "RIGHT"})
_LOG = ("served", "trained")
#: Functions that look at no table, and tables that are the catalog's.
_MAKES_ROWS, _CATALOG = frozenset({"unnest", "range", "generate_series"}), ("duckdb_", "sqlite_", "pragma_", "pg_")


@dataclass
class NamedTables:
    """The tables of the log that a query names, in small letters like `served.flight_delay`."""

    #: With what SQL says of the days of its rows; at each place that names it another may hold. None: any day.
    days: dict[str, list[str] | None] = field(default_factory=dict[str, "list[str] | None"])
    #: Whether it may also look at tables that it does not name so: at the catalog, or by a function.
    others: bool = False


def asked(connection: duckdb.DuckDBPyConnection, query: str) -> NamedTables:
    """What a query asks; of one that the parser does not tell, everything."""
    tree = json.loads(_value(connection, "SELECT json_serialize_sql(?)", query))
    if tree["error"]:
        return NamedTables(others=True)
    found = NamedTables()
    bounded: dict[int, str] = {}
    for node in _walk(tree):
        if node.get("type") == "SELECT_NODE" and node.get("where_clause"):
            bounded |= _bounded(connection, node)
        elif _may_look_further(node):
            found.others = True
        elif _is_log(node):
            _add(found, node, bounded.get(id(node), ""))
    return found


def choose_days(connection: duckdb.DuckDBPyConnection, conditions: list[str], days: Iterable[str]) -> set[str]:
    """The days for which one of the conditions holds. Raises `duckdb.Error` for one that does not run."""
    query = f"SELECT day FROM (SELECT unnest(?) AS day) WHERE ({') OR ('.join(conditions)})"
    return {day for (day,) in connection.execute(query, [list(days)]).fetchall()}


def _walk(node: Any) -> Iterator[Node]:
    """Every node of a tree, those above first."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _is_log(node: Node) -> bool:
    return node.get("type") == "BASE_TABLE" and node["schema_name"].lower() in _LOG


def _may_look_further(node: Node) -> bool:
    """Whether it may show tables that the query does not name: the catalog, a function that is told their names."""
    if node.get("type") == "TABLE_FUNCTION":
        return node["function"]["function_name"].lower() not in _MAKES_ROWS
    if node.get("type") == "BASE_TABLE":
        foreign = bool(node["schema_name"]) and not _is_log(node)
        return foreign or node["table_name"].lower().startswith(_CATALOG)
    return node.get("type") == "SHOW_REF"


def _add(found: NamedTables, node: Node, condition: str) -> None:
    name = f"{node['schema_name']}.{node['table_name']}".lower()
    known = found.days.setdefault(name, [])
    found.days[name] = [*known, condition] if condition and known is not None else None


def _bounded(connection: duckdb.DuckDBPyConnection, select: Node) -> dict[int, str]:
    """The tables that stand in the FROM of a SELECT, by identity, with what its WHERE says of their days."""
    tables = list(_tables(select["from_table"]))
    alone = select["from_table"].get("type") == "BASE_TABLE"
    found: dict[int, str] = {}
    for table in tables:
        conditions = [one for one in _conditions(select["where_clause"]) if _is_of_days(one, table, alone=alone)]
        if conditions:
            found[id(table)] = _sql(connection, conditions)
    return found


def _tables(source: Node) -> Iterator[Node]:
    """The tables of the log of which rows may be dropped before a join instead of after it."""
    if _is_log(source) and not (source["sample"] or source["at_clause"] or source["column_name_alias"]):
        yield source
    elif source.get("type") == "JOIN" and source["ref_type"] in ("REGULAR", "CROSS", "NATURAL"):
        if source["join_type"] in _LEFT:
            yield from _tables(source["left"])
        if source["join_type"] in _RIGHT:
            yield from _tables(source["right"])


def _conditions(where: Node) -> Iterator[Node]:
    if where["type"] == "CONJUNCTION_AND":
        for child in where["children"]:
            yield from _conditions(child)
    else:
        yield where


def _is_of_days(condition: Node, table: Node, *, alone: bool) -> bool:
    """Whether a condition speaks of nothing but the days of a table."""
    day = False
    for node in _walk(condition):
        if node.get("class") == "COLUMN_REF":
            names = [name.lower() for name in node["column_names"]]
            if _is_day(names, table, alone=alone):
                day = True
            elif not (alone and len(names) == 1 and names[0] in _TODAY):
                return False
        elif node.get("class", "TYPE") not in _PURE or str(node.get("function_name")).lower() in VOLATILE:
            return False
    return day


def _is_day(names: list[str], table: Node, *, alone: bool) -> bool:
    alias = table["alias"].lower()
    path = [table["schema_name"].lower(), table["table_name"].lower()]
    known = [[alias]] if alias else [path[1:], path]
    return names[-1:] == ["day"] and (names[:-1] in known or (alone and len(names) == 1))


def _sql(connection: duckdb.DuckDBPyConnection, conditions: list[Node]) -> str:
    """Conditions as SQL over a column `day`."""
    plain = deepcopy(conditions)
    for node in _walk(plain):
        if node.get("class") == "COLUMN_REF" and node["column_names"][-1].lower() == "day":
            node["column_names"] = ["day"]
    tree = json.loads(_value(connection, "SELECT json_serialize_sql(?)", "SELECT day FROM days WHERE true"))
    found: list[str] = []
    for one in plain:
        tree["statements"][0]["node"]["where_clause"] = one
        said = _value(connection, "SELECT json_deserialize_sql(?)", json.dumps(tree))
        found.append(said.partition(" WHERE ")[2].rstrip("; "))
    return " AND ".join(found)


def _value(connection: duckdb.DuckDBPyConnection, query: str, given: str) -> str:
    return connection.execute(query, [given]).fetchall()[0][0]
