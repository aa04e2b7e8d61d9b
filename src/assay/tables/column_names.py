"""Names of columns that can't be told apart."""

from collections.abc import Iterable

from assay.errors import BadInput, shown


def refuse_alike(table: str, names: Iterable[str]) -> None:
    """Raise `BadInput` for two columns of one name, or of names that differ in case only: SQL takes them for one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.lower()) if name else None
        if other is not None:
            what = f"{table} has two columns called {shown(name)}"
            if other != name:
                what = f"{table} has columns called {shown(other)} and {shown(name)}, which differ in case only"
            raise BadInput(what, do="Give each column a name of its own.")
        seen[name.lower()] = name
