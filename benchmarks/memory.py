"""The memory that the twenty checks need of 1, 10 and 100 million rows."""

import sys
import tempfile
from pathlib import Path

from flights_rows import write
from measure import Row

from checks import checked, shown

COPIES = (3, 30)
LINKS = 10


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        tables = {name: Path(folder) / name for name in ("told", "silent")}
        sizes = [_small(tables, copies) for copies in COPIES]
        sizes.append(_linked(tables, sizes[-1]))
        return [*_rows("", tables["told"], sizes), *_rows(", no statistics in the file", tables["silent"], sizes)]


def _small(tables: dict[str, Path], copies: int) -> int:
    """A file of that many years in a folder of its own for each kind of table; returns its rows."""
    folders = [table / str(copies) for table in tables.values()]
    for folder in folders:
        folder.mkdir(parents=True)
    rows = write(copies, *(folder / "part-0.parquet" for folder in folders))
    for folder in folders:
        folder.rename(folder.with_name(str(rows)))
    return rows


def _linked(tables: dict[str, Path], rows: int) -> int:
    """The same file under several names, which takes no room on the disk and is read as often."""
    for table in tables.values():
        many = table / str(rows * LINKS)
        many.mkdir()
        for i in range(LINKS):
            (many / f"part-{i}.parquet").hardlink_to(table / str(rows) / "part-0.parquet")
    return rows * LINKS


def _rows(how: str, table: Path, sizes: list[int]) -> list[Row]:
    found = {size: checked(sys.executable, "assay", table / str(size), times=1) for size in sizes}
    least, *others = sizes
    return [
        Row(
            f"memory of 20 checks, {size / 1e6:.0f} M rows{how}",
            shown(found[size]),
            f"Assay, {least / 1e6:.0f} M rows",
            shown(found[least]),
            None if isinstance(found[size], str) else found[least][1] / found[size][1],
        )
        for size in others
    ]
