"""What an estimator or a table may not be for the record that a model gives: one sentence each, and nothing published."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pytest

import assay
from assay.blessing import Policy, bless, publish
from assay.contract import Field, Probabilities, fields
from assay.contract.columns import TEXT
from assay.errors import BadInput
from assay.metrics import find
from assay.model import open_bundle, train
from assay.model.bundle import FACTS
from assay.model.estimator import Opened
from assay.model.libraries import refuse_older
from assay.model.outputs import Outputs
from assay.model.settled import settle
from assay.store import Store
from assay.store.artifacts import pack, unpack

Species = Literal["gentoo", "adelie", "chinstrap"]
Made = Callable[..., ModuleType]


class In(assay.Record):
    """One number."""

    key: assay.Key[str]
    at: assay.EventTime
    a: float


class Kind(assay.Record):
    """A class and its probabilities."""

    species: Species
    probability: assay.Probabilities[Species]


def declared(gives: Any, **more: Any) -> assay.Model:
    options: dict[str, Any] = {"label": "y", "metrics": []} | more
    return assay.Model("thing", takes=In, gives=gives, features=lambda d: {"a": d.a}, fit=lambda x, y: None, **options)


def answers(gives: Any, opened: Opened, *, rows: int = 2, coded: bool = False, **more: Any) -> dict[str, np.ndarray]:
    return Outputs(declared(gives, **more), opened, coded=coded)(None, rows)


HALF = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])


def classifier(classes: list[Any] | None, said: np.ndarray = HALF, chosen: Any = None) -> Opened:
    return Opened(None if chosen is None else lambda _: np.array(chosen), lambda _: said, classes)


def test_probabilities_go_to_their_class_whatever_the_order() -> None:
    said = answers(Kind, classifier(["adelie", "chinstrap", "gentoo"], chosen=["adelie", "gentoo"]))
    assert said["probability_adelie"].tolist() == [0.5, 0.1]
    assert said["probability_gentoo"].tolist() == [0.2, 0.7]
    assert said["species"].tolist() == ["adelie", "gentoo"]
    coded = answers(Kind, classifier([0, 1, 2]), coded=True)
    assert coded["probability_gentoo"].tolist() == [0.5, 0.1]
    assert coded["species"].tolist() == ["gentoo", "chinstrap"]
    some = answers(Kind, classifier([2, 0], HALF[:, :2]), coded=True)
    assert (some["probability_chinstrap"].tolist(), some["probability_adelie"].tolist()) == ([0.5, 0.1], [0, 0])


@pytest.mark.parametrize(
    ("gives", "opened", "words"),
    [
        (Kind, classifier(["a", "b", "c"]), "it knows 'a', 'b', 'c'; of these 'a' is not declared"),
        (Kind, classifier([0, 1, 2]), "it knows 0, 1, 2; of these 0 is not declared"),
        (Kind, classifier(None), "it knows 0, 1, 2; of these 0 is not declared"),
        (Kind, classifier(["adelie", "gentoo"]), "it gives 3 probabilities, and knows 2 classes"),
        (Kind, classifier(["adelie", "chinstrap", "gentoo"], HALF[:1]), "an array of shape (1, 3) for 2 rows"),
        (Kind, Opened(lambda _: np.array([1.0, 2.0])), "gives no probabilities, and the contract wants them"),
    ],
)
def test_classes_that_are_not_those_of_the_contract(gives: Any, opened: Opened, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        answers(gives, opened)
    assert words in str(refused.value)


class One(assay.Record):
    """A number."""

    y: float


class Two(assay.Record):
    """Two numbers."""

    low: float
    high: float


@pytest.mark.parametrize(
    ("gives", "said", "words"),
    [
        (One, np.zeros((2, 2)), "predicts an array of shape (2, 2) for 2 rows\nReturn one number for each row."),
        (One, np.zeros(3), "predicts an array of shape (3,) for 2 rows"),
        (
            Two,
            np.zeros((2, 3)),
            "predicts an array of shape (2, 3) for 2 rows\nReturn 2 numbers for each row: low, high.",
        ),
        (Two, np.zeros(2), "Return 2 numbers for each row: low, high."),
        (One, np.array(["a", "b"]), "predicts something else than numbers"),
    ],
)
def test_numbers_of_another_shape(gives: Any, said: np.ndarray, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        answers(gives, Opened(lambda _: said))
    assert words in str(refused.value)


def test_a_number_of_a_classifier_is_the_probability_of_what_is_true() -> None:
    halves = np.array([[0.9, 0.1], [0.2, 0.8]])
    for classes in ([0, 1], [-1, 1], None):
        assert answers(One, classifier(classes, halves))["y"].tolist() == [0.1, 0.8]
    assert answers(One, classifier([1, 0], halves))["y"].tolist() == [0.9, 0.2]
    for classes in (["no", "yes"], [1, 2], [0, 2]):
        with pytest.raises(BadInput, match=r"knows the classes .*, and One.y is one number\n"):
            answers(One, classifier(classes, halves))


def settled(gives: Any, **columns: Any) -> Any:
    kinds = {str: TEXT}
    arrays = {
        name: np.array(columns[name], kinds.get(field.type, np.float64) if not field.parts else np.float64)
        for field in fields(gives)
        for name in field.columns
    }
    return settle(fields(gives), arrays)


def test_rows_that_are_no_record_are_refused_alone_and_named() -> None:
    said = settled(
        Kind,
        species=["gentoo", "adelie", "dodo", "gentoo", np.nan],
        probability_gentoo=[0.5, 0.5, 0.5, np.nan, 0.2],
        probability_adelie=[0.25, 0.25, 0.25, 0.5, 0.4],
        probability_chinstrap=[0.25, 0.35, 0.25, 0.5, 0.4],
    )
    assert said.refused.tolist() == [False, True, True, True, True]
    assert "probability is {'gentoo': 0.5, 'adelie': 0.25, 'chinstrap': 0.35}, and sums to 1.1" in said.why(1)
    assert said.why(2) == "the prediction species is dodo, and is not one of gentoo, adelie, chinstrap"
    assert said.rows()[0] == {
        "species": "gentoo",
        "probability": {"gentoo": 0.5, "adelie": 0.25, "chinstrap": 0.25},
    }


def test_what_may_be_missing_is_null_and_what_is_whole_is_whole() -> None:
    class Some(assay.Record):
        count: int | None
        share: Annotated[float | None, assay.between(0, 1, outside="clip")]
        yes: bool | None
        text: str | None

    said = settled(Some, count=[3, np.nan, 2.5], share=[2, np.nan, 0.5], yes=[1, np.nan, 0.5], text=["a", np.nan, "b"])
    assert said.refused.tolist() == [False, False, True]
    assert said.clipped.tolist() == [True, False, False]
    assert said.rows()[:2] == [
        {"count": 3, "share": 1.0, "yes": True, "text": "a"},
        {"count": None, "share": None, "yes": None, "text": None},
    ]
    assert [type(value) for value in said.records()[0]] == [int, float, bool, str]


@pytest.mark.parametrize(
    ("annotations", "more", "words"),
    [
        ({"at": assay.EventTime}, {}, "Out.at can't be predicted"),
        ({"x": float, "x_a": float, "x_": Probabilities[Literal["a", "b"]]}, {}, None),
        ({"p_a": float, "p": Probabilities[Literal["a", "b"]]}, {}, "two fields of Out would be the column p_a"),
        ({"x": float, "y": float}, {"label": ["b"]}, "1 labels for 2 fields of Out"),
        ({"x": float}, {"label": {"z": "b"}}, "label= names 'z', which Out has not"),
        ({"x": float, "y": float}, {"label": {"x": "b"}}, "label= names no column for y"),
        ({"k": Literal["a", "b"], "p": Probabilities[Literal["a", "c"]]}, {}, "the fields of 'y' have different classes"),
        ({"k": Literal["a", "b"], "p": Annotated[float, assay.probability(of="z")]}, {}, "the classes of 'y' are a, b"),
        ({"k": Literal["a", "b"]}, {"metrics": ["log_loss"]}, "log_loss judges the probability of an outcome"),
        ({"x": float, "y": float}, {"metrics": ["mae"]}, "mae could judge x or y\nWrite x.mae or y.mae."),
        ({"x": float}, {"metrics": ["z.mae"]}, "z.mae: the prediction has no field 'z'"),
        ({"k": str, "x": float}, {"metrics": ["k.mae"]}, "k.mae judges a number"),
        ({"x": float}, {"metrics": ["ndcg"]}, "ndcg judges an order within groups, and the model has none"),
        ({"x": Annotated[float, assay.quantile(0.1)]}, {"metrics": ["pinball@0.9"]}, "judges a number, and the prediction has none"),
    ],
)  # fmt: skip
def test_a_declaration_that_can_not_work(annotations: dict[str, Any], more: dict[str, Any], words: str | None) -> None:
    out = type(assay.Record)("Out", (assay.Record,), {"__annotations__": annotations, "__module__": __name__})
    if words is None:
        declared(out, **more)
        return
    with pytest.raises(BadInput) as refused:
        declared(out, **more)
    assert words in str(refused.value)


def test_lists_and_probabilities_are_no_input() -> None:
    class Wide(assay.Record):
        key: assay.Key[str]
        at: assay.EventTime
        curve: Annotated[list[float], assay.length(3)]

    with pytest.raises(BadInput, match=r"Wide.curve is an input, and 3 times a number is for the output"):
        assay.Model("m", takes=Wide, gives=One, label="y", features=lambda d: {}, fit=lambda x, y: None, metrics=[])


def test_a_library_that_is_older_than_the_one_that_saved_the_model() -> None:
    pytest.importorskip("sklearn")
    refuse_older("thing", {"scikit-learn": "1.0.1", "no-such-library": "2.0"})
    with pytest.raises(
        BadInput, match=r'was saved with scikit-learn 99.1, and .*(.|\n)*pip install "scikit-learn>=99.1"'
    ):
        refuse_older("thing", {"scikit-learn": "99.1"})


PROJECT = """
from typing import Annotated, Literal
import numpy as np
import assay
Species = Literal["gentoo", "adelie", "chinstrap"]
class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    a: float
class Out(assay.Record):
    GIVES
def features(d):
    return {"a": d.a}
def fit(x, y, **_):
    from sklearn.ensemble import HistGradientBoostingClassifier
    return HistGradientBoostingClassifier(max_iter=5).fit(x.values, y)
model = assay.Model("thing", takes=In, gives=Out, label=LABEL, features=features, fit=fit, metrics=METRICS)
"""


def source(gives: str, label: str, metrics: str = "[]") -> str:
    return PROJECT.replace("GIVES", gives).replace("LABEL", label).replace("METRICS", metrics)


@pytest.fixture
def rows() -> pa.Table:
    """Twenty days of two species."""
    pytest.importorskip("sklearn")
    a = np.random.default_rng(1).uniform(0, 1, 600)
    at = np.datetime64("2013-01-01", "us") + np.arange(600) * np.timedelta64(48, "m")
    return pa.table(
        {
            "key": [f"k{i}" for i in range(600)],
            "at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "a": a,
            "species": np.where(a > 0.5, "gentoo", "adelie"),
            "dodo": np.where(a > 0.99, "dodo", np.where(a > 0.5, "gentoo", "adelie")),
            "late": a > 0.5,
            "nothing": pa.nulls(600, pa.float64()),
        }
    )


@pytest.mark.parametrize(
    ("gives", "label", "words"),
    [
        ("species: Species", "'dodo'", "the label 'dodo' has 1 value that Out does not have\n  'dodo' in "),
        ("species: Species", "'spieces'", "the label 'spieces' is not a column of the table\n  did you mean species?"),
        ("y: float", "'nothing'", "none of 600 rows has a label 'nothing'"),
        ("y: float", "'species'", "the label 'species' is string\n  of Out, y is a number"),
        ("species: Species", "'late'", "the label 'late' is bool\n  of Out, species is one of gentoo"),
        ("y: Annotated[list[float], assay.length(3)]", "'late'", "the label 'late' is bool\nMake it a list of 3 numbers."),
    ],
)  # fmt: skip
def test_a_label_that_is_missing_new_or_of_another_type(
    gives: str, label: str, words: str, project: Made, opened: Store, rows: pa.Table
) -> None:
    with pytest.raises(BadInput) as refused:
        train(project(things=source(gives, label)).model, rows)
    assert words in str(refused.value)


def test_a_class_that_no_row_had_is_reported(project: Made, opened: Store, rows: pa.Table) -> None:
    module = project(
        things=source("species: Species\n    p: assay.Probabilities[Species]", "'species'", "['log_loss']")
    )
    candidate = train(module.model, rows.slice(0, 420))
    verdict = bless(candidate, rows.slice(420), Policy("log_loss", margin=0.1, within=(0, 1)))
    assert verdict.blessed
    assert "no row of training had species chinstrap" in verdict.warnings
    assert open_bundle(opened, candidate.bundle).facts.unseen == {"species": ["chinstrap"]}


def test_a_bundle_of_before_is_opened_and_says_the_same(project: Made, opened: Store, rows: pa.Table) -> None:
    candidate = train(project(things=source("probability: float", "'late'")).model, rows)
    files = unpack(opened.artifacts.get(candidate.bundle))
    facts = msgspec.json.decode(files[FACTS])
    new = {"form", "coded", "classes", "parts", "unseen", "libraries", "gives", "learnt"}
    old = {name: value for name, value in facts.items() if name not in new}
    assert len(old) == len(facts) - len(new)
    before = open_bundle(opened, opened.artifacts.put(pack(files | {FACTS: msgspec.json.encode(old)})))
    features = {"a": np.array([0.1, 0.9])}
    said = open_bundle(opened, candidate.bundle).predict(features)["probability"]
    assert before.predict(features)["probability"].tolist() == said.tolist()
    assert said[0] < 0.5 < said[1]


def test_a_bundle_of_many_classes_for_one_number_no_longer_gives_the_last(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from assay.model.bundle import pack_bundle
    from assay.model.estimator import save
    from assay.times import now

    module = project(things=source("probability: float", "'late'"))
    three = HistGradientBoostingClassifier(max_iter=2).fit(np.arange(90.0)[:, None], np.arange(90) % 3)
    content = pack_bundle(module.model, save(three), {"a": "number"}, {}, learnt={}, rows=90, trained_until=now())
    bundle = open_bundle(opened, opened.artifacts.put(content))
    with pytest.raises(BadInput, match=r"the estimator knows the classes 0, 1, 2, and Out.probability is one number"):
        bundle.predict({"a": np.array([1.0])})


def test_an_incumbent_of_another_record_is_judged_by_the_same_labels(
    project: Made, opened: Store, rows: pa.Table
) -> None:
    first = project(things=source("probability: float", "'late'", "['auc']"))
    candidate = train(first.model, rows.slice(0, 300))
    policy = Policy("auc", margin=0.1, within=(0.9, 1))
    assert bless(candidate, rows.slice(420), policy).blessed
    publish(candidate)
    second = project(thangs=source("late: bool\n    chance: float", "'late'", "['auc', 'accuracy']"))
    again = bless(train(second.model, rows.slice(0, 420)), rows.slice(420), policy)
    assert again.comparison is not None
    assert again.comparison.incumbent_score == pytest.approx(1, abs=0.05)
    third = project(thongs=source("a: bool\n    b: bool", "['late', 'late2']", "['accuracy']"))
    both = rows.append_column("late2", rows.column("late"))
    module = third.model
    with pytest.raises(BadInput, match=re.escape("the incumbent thing/1 can't be scored on this holdout")) as refused:
        object.__setattr__(module, "fit", _two)
        bless(train(module, both.slice(0, 420)), both.slice(420), Policy("accuracy", margin=0.1))
    assert "it predicts probability, of which the candidate has no label" in str(refused.value)


def _two(x: Any, y: np.ndarray) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(5).fit(x.values, y)


def test_a_metric_of_a_field_is_found_by_its_name() -> None:
    assert find("probability.log_loss").greater_is_better is False
    assert Field("p", float, classes=("a", "b")).columns == ("p_a", "p_b")
