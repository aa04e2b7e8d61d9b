"""Features on frames: the same values for a million rows and for one, in training and in serving."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import assay
from assay.blessing.parity import check_parity
from assay.contract import Columns
from assay.contract.columns import TEXT
from assay.errors import BadInput
from assay.model import open_bundle, train
from assay.model.features import compute, same_bits
from assay.model.frames import form_of, in_frame
from assay.predictions import open_sql
from assay.serve.answer import answer, open_served
from assay.track import champion

NUMPY = """def features(d):
    return {"hour": assay.hour(d.start, tz="UTC"), "zone": d.zone, "miles": d.miles * 2, "seats": d.seats}
"""
FORMS = {
    "columns": NUMPY,
    "pandas": """import pandas as pd


def features(d: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"hour": d["start"].dt.hour, "zone": d["zone"].astype("category"), "miles": d["miles"] * 2, "seats": d["seats"]}
    )
""",
    "polars": """import polars as pl


def features(d: pl.DataFrame) -> pl.LazyFrame:
    zone = pl.col("zone").cast(pl.Categorical)
    return d.lazy().select(hour=pl.col("start").dt.hour(), zone=zone, miles=pl.col("miles") * 2, seats="seats")
""",
    "arrow": """import pyarrow as pa
import pyarrow.compute as pc


def features(d: pa.Table) -> dict[str, pa.ChunkedArray]:
    twice = pc.multiply(d["miles"], 2)
    return {"hour": pc.hour(d["start"]), "zone": d["zone"].dictionary_encode(), "miles": twice, "seats": d["seats"]}
""",
    "narwhals": """import narwhals as nw


def features(d: nw.DataFrame) -> nw.DataFrame:
    return d.select(hour=nw.col("start").dt.hour(), zone=nw.col("zone"), miles=nw.col("miles") * 2, seats=nw.col("seats"))
""",
}
POLICY = assay.Policy("auc", margin=0.1, within=(0.5, 1))
ROW = {"trip": "t1", "start": "2013-01-02T13:10:00Z", "zone": None, "miles": 31.5, "seats": None}


def with_features(source: str, features: str) -> str:
    """The source of a project with another feature function."""
    before, _, rest = source.partition("def features(d):\n")
    return before + features + "\n\n" + rest.partition("\n\n\n")[2]


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_is_trained_blessed_and_served_as_columns_are(
    form: str, project: Callable[..., ModuleType], source: str, trips: pa.Table, opened: Any
) -> None:
    expected = project(plain=with_features(source, NUMPY))
    module = project(framed=with_features(source, FORMS[form]))
    past, holdout = assay.split(trips, module.Trip, holdout="5d")
    candidate, plain = train(module.model, past), train(expected.model, past)
    facts = candidate.open().facts
    assert facts.features == {"hour": "number", "zone": "text", "miles": "number", "seats": "number"}
    assert facts.categories == {"zone": ["north", "south"]}
    verdict = assay.bless(candidate, holdout, POLICY)
    assert verdict.blessed, verdict.reasons
    assert (verdict.parity.mismatches, verdict.parity.rows, verdict.parity.form) == ([], 150, form)
    assert verdict.scores == assay.bless(plain, holdout, POLICY).scores
    assay.publish(candidate)
    served = open_served(opened, champion(opened, "long-trip"), rotate_s=60)
    again = json.loads(answer(served, json.dumps([ROW, ROW | {"zone": "south"}]).encode(), "r1"))["predictions"]
    alone = json.loads(answer(served, json.dumps(ROW).encode(), "r2"))["prediction"]
    assert again[0] == alone == assay.load_model("long-trip").predict(ROW)
    logged = "SELECT columns('feature_.*') FROM trained.long_trip ORDER BY request_id, part, row"
    rows = open_sql(opened, logged).to_pylist()
    half = len(rows) // 2
    assert rows[:half] == rows[half:]


def test_the_libraries_that_compute_the_features_are_kept(
    project: Callable[..., ModuleType], source: str, trips: pa.Table, opened: Any
) -> None:
    libraries = train(project(framed=with_features(source, FORMS["polars"])).model, trips).open().facts.libraries
    assert libraries["polars"] == pl.__version__
    assert "polars" not in train(project(plain=source).model, trips).open().facts.libraries


@pytest.mark.parametrize(
    ("form", "body", "feature"),
    [
        ("polars", 'return d.select(miles=pl.col("miles") - pl.col("miles").mean())', "miles"),
        ("pandas", 'return d[["miles"]].assign(rank=d["miles"].rank())', "rank"),
        ("polars", 'return d.select("miles", zone=pl.col("zone").fill_null(strategy="forward"))', "zone"),
    ],
)
def test_a_feature_of_a_frame_that_depends_on_other_rows_is_refused_by_name(
    form: str, body: str, feature: str, project: Callable[..., ModuleType], source: str, trips: pa.Table, opened: Any
) -> None:
    head = FORMS[form].partition(":\n")[0] + ":\n"
    module = project(framed=with_features(source, f"{head}    {body}\n"))
    past, holdout = assay.split(trips, module.Trip, holdout="5d")
    verdict = assay.bless(train(module.model, past), holdout, POLICY)
    assert not verdict.blessed
    assert verdict.reasons[0].startswith(f"feature {feature}: ")


def test_what_learn_finds_on_a_frame_is_kept(
    project: Callable[..., ModuleType], source: str, trips: pa.Table, opened: Any
) -> None:
    learnt = """import polars as pl


def learn(d: pl.DataFrame):
    return {"seats": d["seats"].median()}


def features(d: pl.DataFrame, learnt):
    return d.select("miles", seats=pl.col("seats").fill_null(learnt["seats"]))
"""
    changed = with_features(source, learnt).replace('label="long",', 'label="long", learn=learn,')
    module = project(framed=changed)
    bundle = train(module.model, trips).open()
    assert bundle.facts.learnt == {"seats": 5.0}
    assert check_parity(bundle, trips).holds
    assert not np.isnan(bundle.features(Columns(COLUMNS))["seats"]).any()


COLUMNS = {
    "trip": np.array(["a", np.nan], TEXT),
    "start": np.array(["2013-01-01T05:00", "NaT"], "datetime64[us]"),
    "day": np.array(["2013-01-01", "NaT"], "datetime64[D]"),
    "miles": np.array([1.5, np.nan]),
    "seats": np.array([3, 4]),
    "paid": np.array([True, False]),
}


def test_columns_of_a_frame_have_the_same_types_whatever_they_hold() -> None:
    whole, missing = Columns[Any](COLUMNS), Columns[Any](COLUMNS).take(np.array([1]))
    frames = [in_frame(one, "polars") for one in (whole, missing)]
    assert frames[0].schema == frames[1].schema
    assert dict(frames[0].schema) == {
        "trip": pl.String, "start": pl.Datetime("us", "UTC"), "day": pl.Date, "miles": pl.Float64, "seats": pl.Int64,
        "paid": pl.Boolean,
    }  # fmt: skip
    assert frames[1].row(0) == (None, None, None, None, 4, False)
    frames = [in_frame(one, "pandas") for one in (whole, missing)]
    assert list(frames[0].dtypes) == list(frames[1].dtypes)
    assert str(frames[0]["start"].dtype) == "datetime64[us, UTC]"
    assert frames[1].isna().iloc[0].to_list() == [True, True, True, True, False, False]
    for form in ("arrow", "narwhals"):
        tables = [nw.to_native(in_frame(one, form), pass_through=True) for one in (whole, missing)]
        assert tables[0].schema == tables[1].schema
        assert tables[1].to_pylist() == [
            {"trip": None, "start": None, "day": None, "miles": None, "seats": 4, "paid": False}
        ]


def framed(give: Callable[[Any], Any], kind: Any) -> Any:
    """A model whose features ask for a frame."""

    def features(d: Any) -> Any:
        return give(d)

    features.__annotations__["d"] = kind
    return type("Model", (), {"name": "m", "learn": None, "features": staticmethod(features)})()


GIVEN = [
    (pl.DataFrame, lambda d: {"x": d["miles"], "y": d["trip"], "z": d["paid"]}),
    (pl.DataFrame, lambda d: d.select(x="miles", y=pl.col("trip").cast(pl.Enum(["a"])), z="paid")),
    (pl.DataFrame, lambda d: {"x": d["miles"].to_numpy(), "y": np.array(["a", np.nan], TEXT), "z": [1, 0]}),
    (pd.DataFrame, lambda d: d[["miles", "trip", "paid"]].set_axis(["x", "y", "z"], axis=1)),
    (pd.DataFrame, lambda d: {"x": d["miles"].astype("Float64"), "y": d["trip"].astype(object), "z": d["paid"]}),
    (pa.Table, lambda d: pa.table({"x": d["miles"], "y": d["trip"], "z": d["paid"].combine_chunks()})),
    (nw.DataFrame, lambda d: {"x": d["miles"], "y": d["trip"], "z": d["paid"]}),
    (nw.DataFrame, lambda d: pl.from_arrow(d.to_native()).select(x="miles", y="trip", z="paid")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "give"), GIVEN)
def test_frames_and_columns_of_any_library_become_the_same_features(kind: Any, give: Callable[[Any], Any]) -> None:
    found = compute(framed(give, kind), Columns(COLUMNS), {})
    wanted = {"x": COLUMNS["miles"], "y": COLUMNS["trip"], "z": np.array([1.0, 0.0])}
    assert list(found) == list(wanted)
    assert all(same_bits(found[name], wanted[name]) for name in wanted)


def wrong(kind: Any, words: str, give: Callable[[Any], Any]) -> Any:
    return pytest.param(kind, give, words, id=words[:30])


@pytest.mark.parametrize(
    ("kind", "give", "words"),
    [
        wrong(pl.DataFrame, "feature start is Datetime", lambda d: d.select("start")),
        wrong(pl.DataFrame, r"feature n has shape \(1,\) for 2 rows", lambda d: d.select(n=pl.len())),
        wrong(pl.DataFrame, "features\\(\\) gave no feature", lambda d: d.select()),
        wrong(pl.DataFrame, "features\\(\\) gave a Series", lambda d: d["miles"]),
        wrong(pd.DataFrame, "feature start is datetime64.us, UTC", lambda d: d[["start"]]),
        wrong(pd.DataFrame, "feature x is object", lambda d: d.assign(x=[{}, {}])[["x"]]),
        wrong(pd.DataFrame, "feature x has its rows in another order", lambda d: {"x": d["seats"].iloc[::-1]}),
        wrong(pd.DataFrame, "feature miles has its rows in another order",
              lambda d: d.sort_values("seats", ascending=False)[["miles"]]),
        wrong(pd.DataFrame, "gave two columns miles", lambda d: d[["miles", "miles"]]),
        wrong(pa.Table, "gave two columns x", lambda d: pa.table([d["miles"], d["miles"]], names=["x", "x"])),
        wrong(pa.Table, "feature day is date32", lambda d: d.select(["day"])),
        wrong(pd.Series, "asks for its columns as Series", lambda d: d),
        wrong(pl.LazyFrame, "asks for its columns as LazyFrame", lambda d: d),
        wrong("pl.DataFrame", "can't be read: name 'polars' is not defined".replace("polars", "plx"), lambda d: d),
    ],
)  # fmt: skip
def test_what_is_no_feature_of_a_frame_is_refused_by_name(kind: Any, give: Callable[[Any], Any], words: str) -> None:
    kind = "plx.DataFrame" if kind == "pl.DataFrame" else kind
    with pytest.raises(BadInput, match=words):
        compute(framed(give, kind), Columns(COLUMNS), {})


def test_an_annotation_that_is_no_frame_means_columns() -> None:
    def unread(d: "Columns[Trip]") -> None: ...  # noqa: F821 - only type checkers know it  # pyright: ignore

    assert form_of("m", unread, "features") == "columns"
    assert form_of("m", lambda d: d, "features") == "columns"
    assert form_of("m", dict, "features") == "columns"


def test_a_frame_of_the_users_can_be_changed_and_the_logged_input_stays() -> None:
    def change(d: Any) -> Any:
        d.loc[d["seats"] > 3, "miles"] = 9.0
        return d[["miles"]]

    given = Columns[Any]({name: column.copy() for name, column in COLUMNS.items()})
    assert compute(framed(change, pd.DataFrame), given, {})["miles"].tolist() == [1.5, 9.0]
    assert np.isnan(given["miles"][1])


def test_the_cost_of_one_row_is_shown_with_the_verdict(
    project: Callable[..., ModuleType],
    source: str,
    trips: pa.Table,
    opened: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from assay.cli.command import console
    from assay.draw import to_terminal

    module = project(framed=with_features(source, FORMS["polars"]))
    past, holdout = assay.split(trips, module.Trip, holdout="5d")
    verdict = assay.bless(train(module.model, past), holdout, POLICY)
    assert verdict.parity.row_us is not None
    assert verdict.parity.row_us > 0
    to_terminal(verdict, console())
    assert f"features: {verdict.parity.row_us:,.0f} us for one row, on a polars frame\n" in capsys.readouterr().out
    assert "us for one row, on a polars frame" in verdict._repr_html_()
    assert open_bundle(opened, verdict.bundle).form == "polars"
