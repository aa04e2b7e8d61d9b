"""A published model in Python: the same answer for a row, for many, and for a frame of each library."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import assay
from assay.contract import Invalid
from assay.errors import AssayError, BadInput, NotFound
from assay.model import LoadedModel
from assay.serve.answer import answer, open_served
from assay.store import Store
from assay.track import By, aliases

ROW = {"trip": "t", "start": "2013-01-20T23:00:00Z", "zone": None, "miles": 40.0, "seats": 3}


def test_one_row_is_answered_as_a_server_answers_it(champion: LoadedModel, opened: Store) -> None:
    import msgspec

    said = champion.predict(ROW)
    served = open_served(opened, champion.version, rotate_s=600)
    body = msgspec.json.decode(answer(served, msgspec.json.encode(ROW), "r"))
    assert said == body["prediction"]
    assert said["length"] == "long"
    assert sum(said["probability"].values()) == pytest.approx(1)
    assert champion.predict([ROW, ROW]) == [said, said]
    assert champion.predict([]) == []
    assert champion.predict(ROW | {"start": datetime(2013, 1, 20, 23, tzinfo=UTC)}) == said
    record: Any = champion.bundle.model.takes
    assert champion.predict(record(**ROW | {"start": datetime(2013, 1, 20, 23, tzinfo=UTC)})) == said
    served.log.close()


def test_a_frame_gives_a_frame_of_its_library(champion: LoadedModel, trips: pa.Table) -> None:
    inputs = trips.drop_columns(["length"])
    whole = champion.predict(inputs)
    assert whole.column_names == ["length", "probability_short", "probability_long"]
    by_pandas, by_polars = champion.predict(inputs.to_pandas()), champion.predict(pl.from_arrow(inputs))
    assert isinstance(by_pandas, pd.DataFrame)
    assert isinstance(by_polars, pl.DataFrame)
    assert isinstance(champion.predict(pl.from_arrow(inputs).lazy()), pl.DataFrame)
    for name in whole.column_names:
        assert by_pandas[name].tolist() == by_polars[name].to_list() == whole[name].to_pylist()
    rows = champion.predict([row | {"start": row["start"].isoformat()} for row in inputs.slice(0, 40).to_pylist()])
    assert [row["length"] for row in rows] == whole["length"].to_pylist()[:40]
    assert [row["probability"]["long"] for row in rows] == whole["probability_long"].to_pylist()[:40]


def test_what_a_server_would_refuse_is_refused_with_its_row(champion: LoadedModel, trips: pa.Table) -> None:
    with pytest.raises(Invalid, match="miles: 300"):
        champion.predict(ROW | {"miles": 300.0})
    far = trips.set_column(3, "miles", pa.array([5.0, 300.0, *[5.0] * 598]))
    with pytest.raises(
        BadInput, match=r"no prediction for 1 of 600 rows\n  row 1: miles: 300.0, expected a number, 0 to 100 mi"
    ):
        champion.predict(far)
    with pytest.raises(BadInput, match="miles is missing"):
        champion.predict(trips.drop_columns(["miles"]))


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("miles", pa.array([float("nan"), None, float("inf"), -1.0, 0.0, 100.0]), [1, 1, 1, 1, 0, 0]),
        ("zone", pa.array(["north", "nord", None, "", "south", "North"]), [0, 1, 0, 1, 0, 1]),
        ("seats", pa.array([1, None, -5, 2**60, 0, 1]), [0, 0, 0, 1, 0, 0]),
        ("trip", pa.array(["a", None, "", "b", "c", "d"]), [0, 1, 0, 0, 0, 0]),
        (
            "start",
            pa.array([None, *[datetime(2013, 1, 1, tzinfo=UTC)] * 5], pa.timestamp("us", "UTC")),
            [1, 0, 0, 0, 0, 0],
        ),
    ],
)
def test_each_kind_of_a_bad_value_is_known_in_its_row(
    champion: LoadedModel, trips: pa.Table, column: str, values: pa.Array, reason: list[int]
) -> None:
    some = trips.slice(0, 6)
    scored = champion.score(some.set_column(some.column_names.index(column), column, values))
    assert [int(error is not None) for error in scored["error"].to_pylist()] == reason
    for error, length in zip(scored["error"].to_pylist(), scored["length"].to_pylist(), strict=True):
        assert (error is None) is (length is not None)
        assert error is None or error.startswith(f"{column}: ")


def test_an_empty_frame_and_one_without_a_good_row_are_scored(champion: LoadedModel, trips: pa.Table) -> None:
    assert len(champion.score(trips.slice(0, 0))) == 0
    none = champion.score(trips.slice(0, 3).set_column(3, "miles", pa.array([-1.0] * 3)))
    assert none["length"].to_pylist() == [None] * 3
    assert none["error"].null_count == 0


def test_a_version_is_named_by_number_and_alias(champion: LoadedModel, opened: Store) -> None:
    with opened.database.begin() as connection:
        aliases.move(connection, "trips", 1, By("me"), name="old")
    for name in ("trips", "trips@champion", "trips@old", "trips/1"):
        assert assay.load_model(name).version == champion.version
    assert str(champion) == "trips/1: Trip -> Says"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("trip", NotFound, "did you mean trips"),
        ("trips/2", NotFound, "trips has no version 2"),
        ("trips@new", NotFound, "trips has no alias 'new'"),
        ("trips/one", BadInput, "names no version of a model"),
        ("trips/1@old", BadInput, "names no version of a model"),
    ],
)
def test_what_is_not_there_is_said(champion: LoadedModel, name: str, error: type[AssayError], words: str) -> None:
    with pytest.raises(error, match=words):
        assay.load_model(name)


def test_a_dictionary_of_texts_is_a_text(champion: LoadedModel, trips: pa.Table) -> None:
    coded = trips.set_column(2, "zone", pc.call_function("dictionary_encode", [trips["zone"]]))
    assert champion.score(coded).equals(champion.score(trips))
