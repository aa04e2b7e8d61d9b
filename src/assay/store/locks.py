"""Row locks: who decides by what a row says holds it until the end of the transaction.

PostgreSQL lets transactions run beside each other, so a decision by a row that was only read can be wrong when it is
written. SQLite has one writer at a time: there the lock of the whole database is the lock, and nothing more is asked.

Rows are locked in the order of `ORDER`, and rows of one table in the order of their keys, so no two transactions can
wait for each other. What belongs to a row (tags, parameters, versions, aliases) is guarded by the lock of that row and
has none of its own. A transaction that locks against the order is refused at once, on SQLite too.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Column, Connection, Row, Select, String, Table, bindparam, select

from assay.store.connect import UNANSWERED
from assay.store.plain import Prepared
from assay.store.schema import experiments, leases, ledger, logged_models, registered_models, runs, tokens

#: A transaction that locks rows of several of these tables begins with the first.
ORDER: tuple[Table, ...] = (experiments, runs, logged_models, registered_models, ledger, tokens, leases)
#: What a lock keeps others from: `change` from changing or deleting the row, and from locking it; `delete` also from
#: adding what refers to it; `keep` only from changing or deleting it.
Purpose = Literal["change", "delete", "keep"]
_LOCKED, _HELD = "assay_locked", "assay_held"
_AT_ONCE = 500
_MODES: dict[Purpose, dict[str, bool]] = {"change": {"key_share": True}, "delete": {}, "keep": {"read": True}}


def lock(
    connection: Connection,
    table: Table,
    keys: Iterable[Any],
    *columns: Column[Any],
    purpose: Purpose = "change",
) -> Sequence[Row[Any]]:
    """Lock the rows of these primary keys until the end of the transaction; returns them as they are now.

    Returned are `columns`, or the whole rows, in the order of the keys; a key that no row has is left out, and nothing
    holds its place: make rows by `insert_new`.
    """
    wanted = sorted(set(keys))
    _check_order(connection, table, wanted)
    if len(wanted) == 1:
        return _of_one(table, columns, purpose).rows(connection, keys=wanted[0])
    asked, found = _select(table, columns, purpose, connection.dialect.name), list[Row[Any]]()
    for start in range(0, len(wanted), _AT_ONCE):
        found += connection.execute(asked, {"keys": wanted[start : start + _AT_ONCE]})
    return found


def lock_one(
    connection: Connection, table: Table, key: Any, *columns: Column[Any], purpose: Purpose = "change"
) -> Row[Any] | None:
    """Lock one row by its primary key; None when there is none."""
    found = lock(connection, table, [key], *columns, purpose=purpose)
    return found[0] if found else None


def hold(connection: Connection, table: Table, key: Any) -> None:
    """Lock one row by its primary key, if it is there, without looking at it; once in a transaction."""
    held: set[tuple[Table, Any]] = connection.info.setdefault(_HELD, set())
    if (table, key) not in held:
        _check_order(connection, table, [key])
        held.add((table, key))
        (column,) = table.primary_key
        connection.execute(_select(table, (column,), "change", "="), {"keys": key}, execution_options=UNANSWERED)


@lru_cache(maxsize=256)
def _of_one(table: Table, columns: tuple[Column[Any], ...], purpose: Purpose) -> Prepared:
    return Prepared(_select(table, columns, purpose, "="))


@lru_cache(maxsize=256)
def _select(table: Table, columns: tuple[Column[Any], ...], purpose: Purpose, how: str) -> Select[Any]:
    (key,) = table.primary_key
    asked = select(*(columns or table.c)).with_for_update(**_MODES[purpose])
    if how == "=":
        return asked.where(key == bindparam("keys"))
    # The order of code points, which is Python's: in another one, two lists could be locked in opposite orders.
    exact = how == "postgresql" and isinstance(key.type, String)
    return asked.where(key.in_(bindparam("keys", expanding=True))).order_by(key.collate("C") if exact else key)


def _check_order(connection: Connection, table: Table, wanted: list[Any]) -> None:
    """Refuse to lock what comes before something that the transaction holds."""
    held: dict[Table, set[Any]] = connection.info.setdefault(_LOCKED, {})
    mine = held.get(table, set())
    new = [key for key in wanted if key not in mine]
    later = [other.name for other in held if ORDER.index(other) > ORDER.index(table)]
    if new and (later or (mine and min(new) < max(mine))):
        raise RuntimeError(f"rows of {table.name} {new[:5]} are locked after rows of {', '.join(later) or 'it'}")
    held.setdefault(table, set()).update(new)


def forget(connection: Connection) -> None:
    """A transaction begins: it holds nothing."""
    connection.info.pop(_LOCKED, None)
    connection.info.pop(_HELD, None)
