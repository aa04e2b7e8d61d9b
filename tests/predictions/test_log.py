"""The prediction log: what is written is read back, once, with its types, whether drained or not."""

import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from running import ROW

from assay import store
from assay.contract.columns import TEXT
from assay.contract.decode import to_json
from assay.doctor import examine
from assay.errors import BadInput
from assay.predictions import PredictionLog, drain_predictions, open_sql, read_rows
from assay.serve.answer import Served, answer, open_served
from assay.store import Home
from assay.store.drain import Drained
from assay.track import find_version

AT = datetime(2013, 1, 20, 12, tzinfo=UTC)


@pytest.fixture
def opened(home: Path):
    with store.use(Home(home)) as found:
        yield found


def served(opened: store.Store, version: int = 1) -> Served:
    return open_served(opened, find_version(opened, "long-trip", version), rotate_s=600)


def rows_of(opened: store.Store) -> pa.Table:
    rows = read_rows(opened.home, "long-trip")
    assert rows is not None
    return rows


def test_nothing_served_is_none_and_not_an_error(opened: store.Store) -> None:
    assert read_rows(opened.home, "long-trip") is None
    assert drain_predictions(opened.home) == Drained()


def test_rows_are_the_same_before_and_after_draining_and_draining_again_changes_nothing(opened: store.Store) -> None:
    one = served(opened)
    for number in range(5):
        answer(one, to_json(ROW | {"miles": number}), f"r{number}")
    before = rows_of(opened)
    one.log.close()
    assert rows_of(opened).equals(before)
    assert drain_predictions(opened.home) == Drained(segments=1, records=5)
    after = rows_of(opened)
    assert after.select(before.column_names).equals(before)
    assert set(after.column_names) == set(before.column_names)
    assert drain_predictions(opened.home) == Drained()
    assert rows_of(opened).equals(after)


def test_served_and_trained_rows_have_the_same_columns_and_types(opened: store.Store) -> None:
    one = served(opened)
    answer(one, to_json(ROW | {"zone": None, "seats": None}), "r")
    expected = {
        "model_version": "int64",
        "request_id": "string",
        "row": "int64",
        "part": "string",
        "received_at": "timestamp[us, tz=UTC]",
        "answered_at": "timestamp[us, tz=UTC]",
        "label": "double",
        "segment": "string",
        "record": "int64",
        "input_trip": "string",
        "input_start": "timestamp[us, tz=UTC]",
        "input_zone": "string",
        "input_miles": "double",
        "input_seats": "int64",
        "input_year": "int64",
        "input_night": "bool",
        "feature_hour": "double",
        "feature_zone": "string",
        "feature_miles": "double",
        "feature_seats": "double",
        "feature_year": "double",
        "prediction_probability": "double",
        "day": "string",
    }

    def types(rows: pa.Table) -> dict[str, str]:
        return {field.name: str(field.type) for field in rows.schema}

    assert types(rows_of(opened)) == expected
    one.log.close()
    drain_predictions(opened.home)
    assert types(rows_of(opened)) == expected
    trained = read_rows(opened.home, "long-trip", "trained", request_id=find_version(opened, "long-trip", 1).run_id)
    assert trained is not None
    own = {name: kind for name, kind in types(trained).items() if name != "feature_weekday" and name != "feature_night"}
    assert own == expected
    (row,) = rows_of(opened).to_pylist()
    missing = ("input_zone", "input_seats", "input_year", "feature_zone", "feature_seats", "feature_year")
    assert [row[name] for name in missing] == [None] * 6
    assert trained.column("feature_year").null_count == len(trained)  # NaN is null in both


def test_two_versions_with_other_features_are_in_one_table(opened: store.Store) -> None:
    first, second = served(opened, 1), served(opened, 2)
    answer(first, to_json(ROW), "first")
    answer(second, to_json(ROW), "second")
    for drained in (False, True):
        if drained:
            first.log.close()
            second.log.close()
            drain_predictions(opened.home)
        rows = rows_of(opened).to_pylist()
        assert [(row["model_version"], row["feature_hour"], row["feature_weekday"]) for row in rows] == [
            (1, 12, None),
            (2, None, 6),
        ]


def test_a_day_is_known_before_the_rows_are_drained(opened: store.Store) -> None:
    answer(served(opened), to_json(ROW), "r")
    assert open_sql(opened, "SELECT day, count(*) AS n FROM served.long_trip GROUP BY day").to_pylist() == [
        {"day": "2013-01-20", "n": 1}
    ]


def test_rows_can_be_asked_for_by_time_and_by_request(opened: store.Store) -> None:
    one = served(opened)
    answer(one, to_json(ROW), "it's one")
    between = datetime.now(UTC)
    answer(one, to_json(ROW), "two")
    found = read_rows(opened.home, "long-trip", since=between)
    assert found is not None
    assert found.column("request_id").to_pylist() == ["two"]
    found = read_rows(opened.home, "long-trip", request_id="it's one")
    assert found is not None
    assert len(found) == 1


def test_each_row_is_seen_once_while_it_is_drained(opened: store.Store) -> None:
    stop, said = threading.Event(), []

    def serve() -> None:
        while not stop.is_set():
            one = served(opened)
            for _ in range(3):
                said.append(f"r{len(said)}")
                answer(one, to_json(ROW), said[-1])
            one.log.close()

    def drain() -> None:
        while not stop.is_set():
            drain_predictions(opened.home)

    threads = [threading.Thread(target=serve), threading.Thread(target=drain)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        answered = said[:-1]
        seen = Counter(rows_of(opened).column("request_id").to_pylist()) if answered else Counter()
        assert set(seen.values()) <= {1}
        assert set(answered) <= set(seen)
    stop.set()
    for thread in threads:
        thread.join()
    drain_predictions(opened.home)
    assert Counter(rows_of(opened).column("request_id").to_pylist()) == Counter(said)


def test_a_value_that_its_column_does_not_hold_is_refused(opened: store.Store) -> None:
    one = served(opened)
    rows = one.decoder.decode(to_json(ROW)).rows
    features = one.bundle.features(_columns(one, rows))
    with pytest.raises(BadInput, match="does not fit its column"):
        one.log.append("r", AT, AT, rows, features, [[2**70]])
    assert read_rows(opened.home, "long-trip") is None


def test_a_segment_with_a_value_that_its_column_does_not_hold_is_kept_and_reported(opened: store.Store) -> None:
    one = served(opened)
    rows = one.decoder.decode(to_json(ROW)).rows
    features = one.bundle.features(_columns(one, rows))
    wrong = type("Row", (), {**{name: getattr(rows[0], name) for name in one.bundle.layout.attributes}, "year": 2**63})
    assert one.log.append("wrong", AT, AT, [wrong()], features, [[0.5]])
    one.log.rotate()
    assert one.log.append("right", AT, AT, rows, features, [[0.5]])
    assert rows_of(opened).column("request_id").to_pylist() == ["right"]  # nothing asked meanwhile fails
    one.log.close()
    done = drain_predictions(opened.home)
    assert done.records == 1
    (said,) = done.damaged
    assert "the values of input_year do not fit its column of type int64" in said
    assert len(list((opened.home.spool / "quarantine").iterdir())) == 1
    assert [(row["request_id"], row["input_year"]) for row in rows_of(opened).to_pylist()] == [("right", None)]
    (finding,) = [one for one in examine(opened) if one.what == "damaged"]
    assert (finding.state, finding.said.split(" in ")[0]) == ("look", "1 segments")


def _columns(one: Served, rows: list):
    from assay.contract.columns import from_rows

    return from_rows(rows, one.bundle.model.takes)


def test_a_contract_of_one_field_is_logged_too(tmp_path: Path) -> None:
    from assay.contract import Record
    from assay.predictions import Layout

    class Word(Record):
        text: str

    class Score(Record):
        value: float

    home = Home(tmp_path / ".assay")
    log = PredictionLog(home, Layout("one-word", Word, Score, {"text": "text"}), 3)
    words = [Word(text="wörd"), Word(text="")]
    assert log.append("r", AT, AT, words, {"text": np.array(["wörd", np.nan], TEXT)}, [[0.5], [0.25]])
    log.close()
    drain_predictions(home)
    rows = read_rows(home, "one-word")
    assert rows is not None
    columns = ["model_version", "row", "input_text", "feature_text", "prediction_value", "day"]
    assert [tuple(row.values()) for row in rows.select(columns).to_pylist()] == [
        (3, 0, "wörd", "wörd", 0.5, "2013-01-20"),
        (3, 1, "", None, 0.25, "2013-01-20"),
    ]


def test_what_the_disk_does_not_take_is_counted_and_never_raised(tmp_path: Path) -> None:
    from assay.contract import Record
    from assay.predictions import Layout

    class Word(Record):
        text: str

    (tmp_path / ".assay").mkdir()
    (tmp_path / ".assay" / "spool").write_text("a file where the folder should be")
    log = PredictionLog(Home(tmp_path / ".assay"), Layout("one-word", Word, Word, {"text": "text"}), 1)
    assert not log.append("r", AT, AT, [Word(text="a")], {"text": np.array(["a"], TEXT)}, [["b"]])
    assert log.dropped == 1
