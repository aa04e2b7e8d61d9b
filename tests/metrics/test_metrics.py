"""Metrics are scikit-learn's where it has one, weighted or not, and by block those of the repeated rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from assay import metrics
from assay.errors import BadInput
from assay.metrics import METRICS, direction, find, score, scorer

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def said(p: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    return p >= threshold if p.ndim == 1 else p.argmax(axis=1)


def of_decision(function, **options):
    def value(y, p, w):
        macro = {} if p.ndim == 1 or function is theirs.balanced_accuracy_score else {"average": "macro"}
        return function(y, said(p), sample_weight=w, **macro, **options)

    return value


OUTCOMES = {
    "auc": lambda y, p, w: theirs.roc_auc_score(y, p, sample_weight=w, multi_class="ovr"),
    "average_precision": lambda y, p, w: theirs.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, w: theirs.log_loss(y, p, sample_weight=w, labels=range(2 if p.ndim == 1 else 3)),
    "brier": lambda y, p, w: theirs.brier_score_loss(y, p, sample_weight=w, labels=range(2 if p.ndim == 1 else 3)),
    "accuracy": lambda y, p, w: theirs.accuracy_score(y, said(p), sample_weight=w),
    "balanced_accuracy": of_decision(theirs.balanced_accuracy_score),
    "precision": of_decision(theirs.precision_score, zero_division=0),
    "recall": of_decision(theirs.recall_score, zero_division=0),
    "f1": of_decision(theirs.f1_score, zero_division=0),
    "f0.5": of_decision(theirs.fbeta_score, beta=0.5, zero_division=0),
}
BINARY = {
    "accuracy@0.3": lambda y, p, w: theirs.accuracy_score(y, said(p, 0.3), sample_weight=w),
    "recall@0.7": lambda y, p, w: theirs.recall_score(y, said(p, 0.7), sample_weight=w, zero_division=0),
    "f2@0.2": lambda y, p, w: theirs.fbeta_score(y, said(p, 0.2), beta=2, sample_weight=w, zero_division=0),
    "cost@1:4": lambda y, p, w: np.average((said(p, 0.2) > y) + 4.0 * (said(p, 0.2) < y), weights=w),
}
NUMBERS = {
    "mae": theirs.mean_absolute_error,
    "rmse": theirs.root_mean_squared_error,
    "mape": theirs.mean_absolute_percentage_error,
    "r2": theirs.r2_score,
    "pinball@0.9": lambda y, p, sample_weight: theirs.mean_pinball_loss(y, p, sample_weight=sample_weight, alpha=0.9),
    "poisson_deviance": theirs.mean_poisson_deviance,
    "gamma_deviance": theirs.mean_gamma_deviance,
    "tweedie_deviance@1.5": lambda y, p, sample_weight: theirs.mean_tweedie_deviance(
        y, p, sample_weight=sample_weight, power=1.5
    ),
    "tweedie_deviance@3": lambda y, p, sample_weight: theirs.mean_tweedie_deviance(
        y, p, sample_weight=sample_weight, power=3
    ),
    "smape": lambda y, p, sample_weight: np.average(2 * np.abs(y - p) / (np.abs(y) + np.abs(p)), weights=sample_weight),
}
#: Tenths: many ties.
_ROW = st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9), st.integers(0, 3), st.integers(1, 5))
rows = st.lists(_ROW, min_size=5, max_size=60)


def binary(drawn: list[tuple[int, ...]]) -> Rows:
    label = np.array([row[0] > 0 for row in drawn], dtype=float)
    assume(0 < label.sum() < len(label))
    return label, np.array([row[1] / 10 for row in drawn]), *_blocks_and_weights(drawn)


def many(drawn: list[tuple[int, ...]]) -> Rows:
    label = np.array([row[0] for row in drawn], dtype=float)
    assume(len(np.unique(label)) == 3)
    odds = np.array([[row[1], row[2], 5] for row in drawn], dtype=float)
    return label, odds / odds.sum(axis=1, keepdims=True), *_blocks_and_weights(drawn)


def numbers(drawn: list[tuple[int, ...]]) -> Rows:
    label = np.array([row[1] + row[0] / 3 for row in drawn])
    return label, np.array([row[2] / 2 for row in drawn]), *_blocks_and_weights(drawn)


def _blocks_and_weights(drawn: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    _, blocks = np.unique([row[3] for row in drawn], return_inverse=True)
    return blocks, np.array([row[4] / 2 for row in drawn])


CASES = [
    *((binary, name, their) for name, their in (OUTCOMES | BINARY).items()),
    *((many, name, their) for name, their in OUTCOMES.items()),
    *((numbers, name, lambda y, p, w, their=their: their(y, p, sample_weight=w)) for name, their in NUMBERS.items()),
]


@pytest.mark.parametrize(("kind", "name", "their"), CASES, ids=[f"{kind.__name__}-{name}" for kind, name, _ in CASES])
@given(drawn=rows)
def test_a_value_is_scikit_learns(kind, name: str, their, drawn: list[tuple[int, ...]]) -> None:
    label, predicted, _, weight = kind(drawn)
    assert score(name, label, predicted) == pytest.approx(their(label, predicted, None), rel=1e-12, abs=1e-12)
    assert score(name, label, predicted, weight) == pytest.approx(their(label, predicted, weight), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("kind", "name"), [case[:2] for case in CASES] + [(binary, "calibration_error@5")])
@given(drawn=rows, times=st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_weighing_blocks_is_repeating_their_rows(
    kind, name: str, drawn: list[tuple[int, ...]], times: list[int]
) -> None:
    label, predicted, blocks, weight = kind(drawn)
    weights = np.array(times[: blocks.max() + 1], dtype=float)
    repeated = np.repeat(np.arange(len(label)), weights[blocks].astype(int))
    by_block = scorer(name, label, predicted, blocks, weight)(weights[None, :])[0]
    assert by_block == pytest.approx(score(name, label[repeated], predicted[repeated], weight[repeated]), abs=1e-9)


@given(rows, st.sampled_from([None, 1, 3, 10]))
def test_ndcg_is_scikit_learns_of_each_group(drawn: list[tuple[int, ...]], depth: int | None) -> None:
    label, predicted, _, weight = numbers(drawn)
    group = np.array([f"query {row[3]}" for row in drawn])
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    assume(sizes.min() > 1)
    values = [theirs.ndcg_score([label[group == g]], [predicted[group == g]], k=depth) for g in np.unique(group)]
    name = f"ndcg@{depth}" if depth else "ndcg"
    assert score(name, label, predicted, group=group) == pytest.approx(np.mean(values), abs=1e-12)
    weighted = score(name, label, predicted, weight, group)
    assert weighted == pytest.approx(np.average(values, weights=weight[first]), abs=1e-12)


def test_the_calibration_error_is_the_distance_of_belief_and_frequency() -> None:
    label = np.array([1, 0, 1, 1, 0, 0], dtype=float)
    predicted = np.array([0.9, 0.9, 0.9, 0.1, 0.1, 0.3])
    assert score("calibration_error@2", label, predicted) == pytest.approx((abs(2 - 2.7) + abs(1 - 0.5)) / 6)
    sure = np.array([[0.8, 0.2], [0.3, 0.7]])
    assert score("calibration_error@10", np.array([0.0, 0.0]), sure) == pytest.approx((0.2 + 0.7) / 2)


@given(st.integers(0, 2**32), st.integers(1, 60), st.booleans())
def test_pairs_are_counted_as_one_by_one(seed: int, size: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    label = (random.random(300) < 0.4).astype(float)
    predicted = random.integers(0, 9, 300) / 9 if ties else random.random(300)
    _, blocks = np.unique(random.integers(0, size, 300), return_inverse=True)
    weights = random.integers(0, 3, (4, blocks.max() + 1)).astype(float)
    got = scorer("auc", label, predicted, blocks)(weights)
    for row, value in zip(weights, got, strict=True):
        w = row[blocks]
        if w[label > 0].sum() > 0 and w[label == 0].sum() > 0:
            assert value == pytest.approx(theirs.roc_auc_score(label, predicted, sample_weight=w), abs=1e-12)
        else:
            assert np.isnan(value)


def test_a_large_holdout_has_its_pairs_counted_in_parts() -> None:
    random = np.random.default_rng(7)
    label, blocks = (random.random(60_000) < 0.3).astype(float), random.integers(0, 700, 60_000)
    predicted = label * 0.1 + random.random(60_000)
    (value,) = scorer("auc", label, predicted, blocks)(np.ones((1, 700)))
    assert value == pytest.approx(theirs.roc_auc_score(label, predicted), abs=1e-12)


def test_a_metric_of_ones_own_gets_weights_or_repeated_rows() -> None:
    def gained(label, predicted):
        return ((predicted > 0.5) * (2 * label - 1)).sum() / len(label)

    def weighed(label, predicted, weight):
        return np.average((predicted > 0.5) * (2 * label - 1), weights=weight)

    label, predicted, blocks = np.array([1.0, 0, 1, 1]), np.array([0.9, 0.8, 0.2, 0.7]), np.array([0, 0, 1, 1])
    weights = np.array([[1.0, 1.0], [0.0, 2.0], [3.0, 1.0]])
    for function in (gained, weighed):
        own = metrics.metric("gained", function, greater_is_better=True)
        assert scorer(own, label, predicted, blocks)(weights) == pytest.approx([0.25, 0.5, 0.125])
    with pytest.raises(BadInput, match="does not take weights"):
        score(metrics.metric("gained", gained, greater_is_better=True), label, predicted, weights[2][blocks])
    with pytest.raises(BadInput, match="takes 1 parameters"):
        metrics.metric("one", lambda label: 0, greater_is_better=True)
    with pytest.raises(BadInput, match="no name of a metric"):
        metrics.metric("my metric", gained, greater_is_better=True)
    with pytest.raises(BadInput, match="gave a str"):
        score(metrics.metric("words", lambda y, p: "good", greater_is_better=True), label, predicted)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("roc_auc", "it is auc here"),
        ("acuracy", "accuracy"),
        ("recall@1.5", "recall"),
        ("recall@x", "recall"),
        ("pinball", "pinball@LEVEL"),
        ("ndcg@0", "ndcg"),
        ("mae@3", "Write mae"),
        ("f0", "fBETA"),
        ("cost@1", "cost@FALSE_ALARM:MISS"),
        ("tweedie_deviance@0.5", "POWER"),
        ("f" * 5000, "there is no metric"),
        ("", "there is no metric"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_right_one(name: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        find(name)
    assert words in str(caught.value)


def test_every_name_that_is_listed_is_found_and_knows_its_direction() -> None:
    numbers = {"BINS": "10", "THRESHOLD": "0.4", "FALSE_ALARM": "1", "MISS": "5", "LEVEL": "0.9", "POWER": "1.2"}
    for family in METRICS.values():
        name = family.form.replace("[", "").replace("]", "").replace("fBETA", "f3").replace("DEPTH", "5")
        for word, number in numbers.items():
            name = name.replace(word, number)
        assert find(name).greater_is_better is family.greater_is_better is direction(f"holdout_{name}")
    assert direction("my_score") is None


@pytest.mark.parametrize(
    ("name", "label", "predicted", "words"),
    [
        ("auc", [1, 1, 1], [1, 1, 1], "needs both outcomes"),
        ("mae", [], [], "no rows to score"),
        ("accuracy", [0, 2], [0.1, 0.2], "1 of 2 are others, like 2"),
        ("accuracy@0.5", [0, 1], [[0.1, 0.9], [0.2, 0.8]], "have no threshold"),
        ("accuracy", [0, 3], [[0.1, 0.9], [0.2, 0.8]], "needs labels 0 and 1"),
        ("log_loss", [0, 1], [0.1, 1.2], "like 1.2"),
        ("brier", [0, 1], [[0.5, 0.9], [0.2, 0.8]], "sum to 1"),
        ("mae", [0, 1], [[0.5, 0.5], [0.2, 0.8]], "scores one number"),
        ("poisson_deviance", [0, 1], [0, 1], "predictions above 0"),
        ("gamma_deviance", [0, 1], [1, 1], "labels above 0"),
        ("ndcg", [0, 1], [1, 1], "needs groups"),
        ("auc", [0, 1, 1], [[1, 0, 0], [0, 1, 0], [0, 1, 0]], "auc of class 2 needs both"),
    ],
)
def test_rows_that_do_not_suit_are_refused(name: str, label: list, predicted: list, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        score(name, np.array(label, dtype=float), np.array(predicted, dtype=float))
    assert words in str(caught.value)


@pytest.mark.parametrize("weight", [[-1, 1], [0, 0], [np.nan, 1]])
def test_weights_that_can_not_weigh_are_refused(weight: list[float]) -> None:
    with pytest.raises(BadInput, match="weights must be"):
        score("mae", np.ones(2), np.ones(2), np.array(weight))


def test_the_page_lists_every_metric() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    for family in METRICS.values():
        better = "more" if family.greater_is_better else "less"
        assert f"| `{family.form}` | {better} | {family.means} |" in page


def test_a_curve_of_many_steps_is_exact_as_a_whole_and_close_in_draws() -> None:
    random = np.random.default_rng(3)
    label, blocks = (random.random(40_000) < 0.2).astype(float), random.integers(0, 20, 40_000)
    predicted = label * 0.2 + random.random(40_000)
    twice = np.full((1, 20), 2.0)
    of_blocks = scorer("average_precision", label, predicted, blocks)
    right = theirs.average_precision_score(label, predicted)
    assert of_blocks(np.ones((1, 20)))[0] == pytest.approx(right, abs=1e-12)
    assert of_blocks(twice)[0] == pytest.approx(right, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "field", "inner"),
    [
        ("rain.auc", "rain", "auc"),
        ("Body Mass (g).mae", "Body Mass (g)", "mae"),
        ("p. of (all).f0.5", "p. of (all)", "f0.5"),
        ("a.b.recall@0.3", "a.b", "recall@0.3"),
        ("f0.5.auc", "f0.5", "auc"),
    ],
)
def test_a_field_of_any_name_stands_before_its_metric(name: str, field: str, inner: str) -> None:
    assert (find(name).field, find(name).name) == (field, name)
    assert find(name).task == find(inner).task


@pytest.mark.parametrize("name", [".auc", "a.b", "a.", "x" * 100 + ".nothing"])
def test_what_has_no_metric_behind_its_dots_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="there is no metric"):
        find(name)
