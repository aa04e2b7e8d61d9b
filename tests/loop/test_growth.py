"""The benchmark of growth in a small form: weeks instead of years."""

from pathlib import Path

import pytest

from assay import store

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_publishing_and_looking_up_do_not_open_more_as_history_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delenv("ASSAY_HOME", raising=False)
    import growth

    with store.use(store.find_home(tmp_path / ".assay")):
        grown = growth.play(tmp_path, weekly_days=42, daily_days=5, rows_a_day=400, warm=7)
    assert grown.publications == 11
    assert grown.rows == 47 * 400
    assert grown.most_files_of_a_day == 4  # today's segments; each day before is one file
    assert grown.served_files == 46 + 4
    assert grown.trained_files <= 2 * (5 + 1 + 5)  # the five newest versions, and what came after the last cleaning
    assert set(grown.first) == set(grown.last) == {"a publication", "`skew --since 1d`", "`sql` over one day"}
