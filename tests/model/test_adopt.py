"""Folders that MLflow wrote: what is read of them, what is refused, and what becomes of texts and outputs."""

import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from assay.errors import AssayError, BadInput
from assay.model import open_bundle
from assay.model.adopt import adopt, adoptable, declaration, file_name
from assay.model.estimator import save
from assay.model.loaded import LoadedModel
from assay.model.mlmodel import read_mlmodel
from assay.store import Store
from assay.times import now
from assay.track import ModelVersion

yaml = pytest.importorskip("yaml")
pd = pytest.importorskip("pandas")
SHOP = """
from typing import Literal
import assay

class Basket(assay.Record):
    basket: assay.Key[str]
    at: assay.EventTime
    colour: Literal["blue", "red"]
    size: float

class Open(assay.Record):
    colour: str
    size: float
"""
RNG = np.random.default_rng(2)
X = pd.DataFrame({"colour": np.array(["red", "blue"])[RNG.integers(0, 2, 200)], "size": RNG.normal(size=200)})
Y = 10.0 * (X.colour == "red") + X["size"]
COLUMNS = [{"type": "string", "name": "colour"}, {"type": "double", "name": "size"}]
ROW = {"basket": "b", "at": "2030-01-01T00:00:00Z", "colour": "red", "size": 0.5}


def folder(flavor: str, data: bytes, columns: Any = COLUMNS, **said: Any) -> dict[str, bytes]:
    """The files of a model as MLflow writes them."""
    file = "pickled_model" if flavor == "sklearn" else "data"
    facts = {"flavors": {"python_function": {}, flavor: {file: "model.bin", "code": None, **said}}}
    facts |= {"signature": {"inputs": json.dumps(columns)}} if columns else {}
    return {"MLmodel": yaml.safe_dump(facts).encode(), "model.bin": data}


def piped(y: Any = Y, last: Any = None) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = ColumnTransformer([("colour", OneHotEncoder(), ["colour"])], remainder="passthrough")
    return make_pipeline(columns, last or LinearRegression()).fit(X, y)


def trees() -> Any:
    catboost = pytest.importorskip("catboost")
    options = {"iterations": 50, "learning_rate": 0.5, "verbose": 0, "allow_writing_files": False}
    return catboost.CatBoostRegressor(cat_features=["colour"], **options).fit(X, Y)


def chosen(y: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return piped(y, LogisticRegression())


def vectors() -> Any:
    from sklearn.svm import LinearSVC

    return piped(np.where(Y > 5, "much", "little"), LinearSVC())


#: A model, what MLflow calls its flavour, and the field and rule of its output.
MADE: dict[str, tuple[Callable[[], Any], str, str]] = {
    "number": (piped, "sklearn", "prediction: float"),
    "catboost": (trees, "catboost", "prediction: float"),
    "two": (lambda: chosen((Y > 5).astype(int)), "sklearn", "probability: Annotated[float, assay.between(0, 1)]"),
    "texts": (lambda: chosen(np.where(Y > 5, "much", "little")), "sklearn", "probability: assay.Probabilities[Literal['little', 'much']]"),
    "chosen": (vectors, "sklearn", "prediction: Literal['little', 'much']"),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_texts_and_outputs_become_a_contract(name: str, project: Callable[..., ModuleType], opened: Store) -> None:
    make, flavor, rule = MADE[name]
    fitted, takes = make(), project(shop=SHOP).Basket
    more = {"serialization_format": "skops"} if flavor == "sklearn" else {}
    files = folder(flavor, save(fitted).data, **more)
    found = adoptable(opened, "models:/m/1", read_mlmodel("models:/m/1", files.__getitem__), takes)
    source = declaration("basket", "models:/m/1", found, takes, None, "label", [])
    assert f"    {rule}\n" in source
    module = project(**{file_name("basket"): source})
    candidate = adopt(opened, module.model, "models:/m/1", found, datetime(2020, 1, 1, tzinfo=UTC))
    version = ModelVersion("basket", 1, candidate.bundle, candidate.run_id, None, now())
    said = LoadedModel(version, open_bundle(opened, candidate.bundle)).predict(ROW)
    row = pd.DataFrame([{"colour": "red", "size": 0.5}])
    if rule.startswith("probability"):
        wanted = fitted.predict_proba(row)[0]
        given = said["probability"]
        assert (list(given.values()) if isinstance(given, dict) else [1 - given, given]) == pytest.approx(list(wanted))
    else:
        assert said["prediction"] == (
            pytest.approx(fitted.predict(row)[0]) if rule.endswith("float") else fitted.predict(row)[0]
        )


def refusal(files: dict[str, bytes], store: Store, takes: Any) -> str:
    with pytest.raises(AssayError) as refused:
        adoptable(store, "models:/m/1", read_mlmodel("models:/m/1", files.__getitem__), takes)
    return str(refused.value)


def test_what_can_not_be_adopted_is_refused_with_a_sentence(
    project: Callable[..., ModuleType], opened: Store, tmp_path: Any
) -> None:
    import pickle

    shop = project(shop=SHOP)
    data, skops = save(piped()).data, {"serialization_format": "skops"}
    touched = tmp_path / "touched"

    class Evil:
        def __reduce__(self) -> Any:
            return type(touched).touch, (touched,)

    evil = pickle.dumps(Evil())
    cases = [
        (folder("sklearn", evil, serialization_format="cloudpickle"), "a pickle, which can run any code"),
        (folder("sklearn", evil, **skops), "a pickle, which can run any code"),
        (folder("xgboost", evil), "a pickle, which can run any code"),
        (folder("lightgbm", evil, model_class="lightgbm.sklearn.LGBMClassifier"), "log_model(model.booster_, ...)"),
        (folder("prophet", b""), "no flavour that can be adopted: prophet, python_function"),
        (folder("lightgbm", data), "not a LightGBM model"),
        (folder("sklearn", data, None, **skops) | {"MLmodel": b"]"}, "can't be read"),
        (folder("sklearn", data, None, **skops) | {"MLmodel": b"- 1"}, "is no mapping"),
        (folder("sklearn", data, None, **skops) | {"MLmodel": b"a: " + b"x" * (1 << 21)}, "has more than"),
        (folder("sklearn", data, [{"type": "binary", "name": "colour"}], **skops), "neither a number nor a text"),
        (folder("sklearn", data, [{"type": "double", "name": "colour"}], **skops), "wants a number"),
    ]
    for files, words in cases:
        assert words in refusal(files, opened, shop.Basket)
    assert "does not declare which there are" in refusal(folder("sklearn", data, **skops), opened, shop.Open)
    assert not touched.exists()


def test_a_declaration_that_no_longer_fits_is_refused(project: Callable[..., ModuleType], opened: Store) -> None:
    takes = project(shop=SHOP).Basket
    files = folder("sklearn", save(piped()).data, serialization_format="skops")
    found = adoptable(opened, "models:/m/1", read_mlmodel("models:/m/1", files.__getitem__), takes)
    source = declaration("basket", "models:/m/1", found, takes, None, "label", ["mae"])
    importlib.invalidate_caches()
    module = project(adopted_basket=source.replace("'size': d['size']", "'other': d['size']"))
    candidate = adopt(opened, module.model, "models:/m/1", found, datetime(2020, 1, 1, tzinfo=UTC))
    version = ModelVersion("basket", 1, candidate.bundle, candidate.run_id, None, now())
    with pytest.raises(BadInput, match="features\\(\\) gives colour, other\n  it was trained on colour, size"):
        LoadedModel(version, open_bundle(opened, candidate.bundle)).predict(ROW)
