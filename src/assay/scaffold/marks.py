"""Texts of CSV files that stand for a missing value."""

from assay.contract.formats.sql import literal, quoted
from assay.tables import Table
from assay.tables.csv_files import MARKERS
from assay.tables.view import VIEW

#: These are missing in any column; the others where all other values of a column are numbers.
CLEAR = ("?", "#n/a", "n/a", "null", "nan")
TOGETHER = 50


def marks(table: Table) -> dict[str, list[str]]:
    """Each text that stands for a missing value, and the columns that tell so."""
    texts = [name for name, kind in table.kinds.items() if kind == "text"]
    found: dict[str, list[str]] = {}
    for first in range(0, len(texts), TOGETHER):
        names = texts[first : first + TOGETHER]
        row = table.rows(f"SELECT {', '.join(map(_asked, names))} FROM {VIEW}")[0]
        for name in names:
            known, numbers, marked, seen = (row[f"{what}.{name}"] for what in ("known", "numbers", "marked", "seen"))
            among_numbers = numbers and numbers + marked == known
            for text in sorted(seen or ()):
                if among_numbers or text.strip().lower() in CLEAR:
                    found.setdefault(text, []).append(name)
    return found


def _asked(name: str) -> str:
    column = quoted(name)
    words = ", ".join(map(literal, dict.fromkeys(one.lower() for one in (*MARKERS, *CLEAR))))
    is_mark = f"lower(trim({column})) IN ({words})"
    number = f"TRY_CAST({column} AS DOUBLE) IS NOT NULL AND NOT ({is_mark})"
    return ", ".join(
        [
            f"count({column}) AS {quoted(f'known.{name}')}",
            f"count(*) FILTER ({number}) AS {quoted(f'numbers.{name}')}",
            f"count(*) FILTER ({is_mark}) AS {quoted(f'marked.{name}')}",
            f"list(DISTINCT {column}) FILTER ({is_mark}) AS {quoted(f'seen.{name}')}",
        ]
    )
