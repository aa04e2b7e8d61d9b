"""Results print as the command line prints them, in 80 columns, and show themselves in a notebook."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import assay
from assay.blessing.parity import Parity
from assay.blessing.verdict import Verdict
from assay.drift import table_drift
from assay.quality import quality
from assay.skew.report import ColumnSkew, Example, FeatureDrift, Named, SkewReport


class Row(assay.Record):
    at: assay.EventTime
    x: float
    plan: str


HOSTILE = "<script>alert(1)</script>\x1b[31m"


def rows(days: int = 90) -> pa.Table:
    random = np.random.default_rng(1)
    count = days * 40
    first = datetime(2013, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "at": pa.array([first + timedelta(minutes=36 * i) for i in range(count)], pa.timestamp("us", "UTC")),
            "x": random.normal(0, 1, count) + np.where(np.arange(count) > count - 400, 4, 0),
            "plan": random.choice(["a", HOSTILE], count),
            "late": random.random(count) > 0.5,
        }
    )


def results() -> Iterator[tuple[str, Any, str]]:
    table = rows()
    yield "check", assay.check(table, assay.Checks(assay.col("x").between(0, 9), assay.col("plan").isin("a"))), "x"
    yield "quality", quality(table, "late"), "rows, 4 columns"
    yield "split", assay.split(table, Row, holdout="7d"), "holdout: "
    yield "drift", table_drift(table, "at", every="7d")[0], "DRIFT"
    verdict = Verdict(
        model="ride", bundle="0" * 64, run_id="r", blessed=False, outcome="worse", metric="auc", score=0.7, margin=0.01,
        within=None, rows=100, holdout_from="2013-01-01", holdout_until="2013-01-08", scores={"auc": 0.7}, comparison=None,
        parity=Parity(10, 0), reasons=[f"worse: {HOSTILE}"], warnings=["few rows"],
    )  # fmt: skip
    yield "verdict", verdict, "REFUSED ride"
    example = Example("r1", 0, HOSTILE, 1.0, 1.609)
    column = ColumnSkew(
        place="input", column="miles", rows=3, compared=10, shapes=[Named("ratio 1.609", 3)], examples=[example],
        where=[("r1", 0)],
    )  # fmt: skip
    skew = SkewReport(
        model="ride", rows=10, versions=[1], since=None, table=None, unknown_keys=0, findings=[column],
        shifts=[FeatureDrift("hour", 0.3, 0.1)],
    )  # fmt: skip
    yield "skew", skew, "SKEW  ride"


RESULTS = list(results())


@pytest.mark.parametrize(("result", "words"), [one[1:] for one in RESULTS], ids=[one[0] for one in RESULTS])
def test_a_result_prints_for_people(result: Any, words: str) -> None:
    text = str(result)
    assert words in text
    assert "\x1b" not in text
    assert "Struct" not in text
    assert "object at" not in text
    if not isinstance(result, Verdict):  # one line, whatever its reason
        assert max(map(len, text.splitlines())) <= 80, text


class Parsed(HTMLParser):
    """The tags that are open and were met."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.met.add(tag)
        if tag not in ("path", "rect", "circle", "br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("result", [one[1] for one in RESULTS], ids=[one[0] for one in RESULTS])
def test_a_result_shows_itself_in_a_notebook_and_runs_nothing(result: Any) -> None:
    shown = result._repr_html_()
    parsed = Parsed()
    parsed.feed(shown)
    assert not parsed.open
    assert "h2" in parsed.met
    assert not parsed.met & {"script", "iframe", "img", "link", "body", "html"}
    assert "\x1b" not in shown
    assert "@scope{:scope{" in shown.replace("\n", "")
