"""Marks of a clean-up on what it is about to remove, in the database that every machine of a team asks.

The order makes it safe (docs/decisions/0018): a clean-up marks, then looks at ages and references, then removes, then
takes its marks away. Whoever keeps content first keeps it or commits the row that refers to it, then looks at the marks.
Either the clean-up sees what was kept, or the other sees the mark and waits.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import delete, insert, select

from assay.store.database import Database
from assay.store.schema import gc_marks
from assay.times import now

#: Marks so old belong to a clean-up that was killed.
STALE = timedelta(hours=1)
#: A clean-up stops removing so long after it has marked, well before its marks are stale for others.
REMOVE_WITHIN_S = 900.0
_AT_ONCE = 500


@contextmanager
def marked(database: Database, digests: Iterable[str]) -> Generator[None]:
    """Mark digests for the length of a block."""
    name, at = uuid4().hex, now()
    rows = [{"digest": digest, "gc": name, "at": at} for digest in sorted(digests)]
    with database.begin() as connection:
        connection.execute(delete(gc_marks).where(gc_marks.c.at < at - STALE))
        connection.execute(insert(gc_marks), rows)
    try:
        yield
    finally:
        with database.begin() as connection:
            connection.execute(delete(gc_marks).where(gc_marks.c.gc == name))


def going(database: Database, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that a clean-up has marked."""
    ordered, found = sorted(digests), set[str]()
    with database.read() as connection:
        for start in range(0, len(ordered), _AT_ONCE):
            some = ordered[start : start + _AT_ONCE]
            asked = select(gc_marks.c.digest).where(gc_marks.c.digest.in_(some), gc_marks.c.at > now() - STALE)
            found.update(connection.execute(asked).scalars())
    return found
