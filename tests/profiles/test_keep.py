"""One suite over SQLite; the schema and its migrations are held on both databases by tests/store/test_backends.py."""

from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import text

from assay.errors import Corrupt
from assay.profiles import profile
from assay.profiles.profile_rows import keep, kept, kept_rows
from assay.store import Store, find_home


def test_a_profile_is_kept_under_its_key_and_replaced(tmp_path: Path) -> None:
    store = Store(find_home(tmp_path / ".assay"))
    one, two = (profile(pa.table({"x": [1.0] * rows})) for rows in (3, 4))
    for made in (one, two):
        with store.database.begin() as connection:
            keep(connection, "m", "served", 1, made, day="2013-06-03")
            keep(connection, "m", "trained", 1, one)
    assert kept(store, "m", "served") == {(1, "2013-06-03"): two}
    assert kept(store, "m", "trained", version=1) == {(1, ""): one}
    assert kept(store, "m", "trained", version=2) == {}
    assert kept_rows(store, "m", "served") == {(1, "2013-06-03"): 4}
    with store.database.begin() as connection:
        connection.execute(text("UPDATE profiles SET body = :body"), {"body": b"APF1 nonsense"})
    with pytest.raises(Corrupt):
        kept(store, "m", "served")
    store.database.dispose()
