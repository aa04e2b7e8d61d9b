"""What is published carries its code and runs nothing else."""

import gc
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay import store
from assay.contract import Columns
from assay.errors import BadInput, Corrupt
from assay.model import open_bundle, train
from assay.model.bundle import pack_bundle
from assay.model.code import load
from assay.model.estimator import load as load_estimator
from assay.model.estimator import save
from assay.store import current
from assay.times import now

PROJECT = """
from typing import Annotated
import assay
from shared import SCALE

class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    x: float

class Out(assay.Record):
    y: float

def features(d):
    return {"x": d.x * SCALE}

def fit(x, y):
    raise NotImplementedError

model = assay.Model("m", takes=In, gives=Out, label="label", features=features, fit=fit, metrics=["mae"])
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with store.use(store.find_home(tmp_path / ".assay")):
        yield tmp_path
    for name in ("things", "shared"):
        sys.modules.pop(name, None)


def publish(home: Path, scale: int) -> str:
    """A bundle of the project as it is now, with features scaled by `scale`."""
    from sklearn.linear_model import LinearRegression

    for name in ("things", "shared"):
        sys.modules.pop(name, None)
    (home / "shared.py").write_text(f"SCALE = {scale}\n")
    (home / "things.py").write_text(PROJECT)
    importlib.invalidate_caches()
    model = importlib.import_module("things").model
    estimator = LinearRegression().fit(np.arange(5.0)[:, None], np.arange(5.0))
    moment = now().replace(year=2013)
    return current().artifacts.put(
        pack_bundle(model, save(estimator), {"x": "number"}, {}, learnt={}, rows=5, trained_until=moment)
    )


def predict(digest: str) -> float:
    bundle = open_bundle(current(), digest)
    columns = Columns({"key": np.array(["k"]), "at": np.array([0], "datetime64[us]"), "x": np.array([1.0])})
    return float(bundle.predict(bundle.features(columns))["y"][0])


def test_versions_with_other_code_live_side_by_side_whatever_lies_in_the_folder(home: Path) -> None:
    one, seven = publish(home, 1), publish(home, 7)
    (home / "shared.py").write_text("SCALE = 'broken'\n")
    (home / "things.py").write_text("raise RuntimeError\n")
    assert [predict(digest) for digest in (one, seven, one)] == pytest.approx([1.0, 7.0, 1.0])
    assert sys.modules["things"].features.__globals__["SCALE"] == 7  # what the user imported is still theirs


def test_a_damaged_bundle_is_not_opened(home: Path) -> None:
    digest = publish(home, 2)
    path = current().artifacts.path(digest)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(Corrupt, match="is damaged"):
        open_bundle(current(), digest)


def test_code_that_would_leave_its_folder_is_refused(home: Path) -> None:
    with pytest.raises(Corrupt, match="names a file outside of itself"):
        load({"../evil.py": b"x = 1"}, home / "code", "evil")
    assert not (home / "evil.py").exists()


def test_a_model_outside_of_a_module_is_refused_with_what_to_do(home: Path) -> None:
    publish(home, 1)
    model = sys.modules["things"].model
    del sys.modules["things"].model
    with pytest.raises(BadInput, match="is not a name of things"):
        pack_bundle(model, save(_regression()), {"x": "number"}, {}, learnt={}, rows=1, trained_until=now())


def _regression():
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(np.arange(5.0)[:, None], np.arange(5.0))


def test_estimators_come_back_and_predict_the_same() -> None:
    import lightgbm as lgb
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3))
    y = (x[:, 0] + random.normal(size=300) > 0).astype(float)
    quiet = {"verbose": -1, "num_threads": 1}
    booster = lgb.train({"objective": "binary", **quiet}, lgb.Dataset(x, y), num_boost_round=5)
    classifier = lgb.LGBMClassifier(n_estimators=5, **quiet).fit(x, y)
    trees = HistGradientBoostingClassifier(max_iter=5).fit(x, y)
    for estimator, expected in (
        (booster, booster.predict(x)),
        (classifier, classifier.booster_.predict(x)),
        (trees, trees.predict_proba(x)[:, 1]),
    ):
        np.testing.assert_array_equal(load_estimator(save(estimator))(x), expected)


def test_what_no_format_holds_is_refused() -> None:
    with pytest.raises(BadInput, match=r"fit\(\) gave a builtins.dict, which can't be stored"):
        save({"weights": 1})


def test_opening_a_bundle_unpickles_nothing(home: Path) -> None:
    digest = publish(home, 3)
    watched = (
        "import sys\n"
        "found = []\n"
        "sys.addaudithook(lambda event, args: found.append(args) if event == 'pickle.find_class' else None)\n"
        "from assay import store\n"
        "from assay.model import open_bundle\n"
        "with store.use(store.find_home('.assay')) as opened:\n"
        f"    open_bundle(opened, {digest!r})\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", watched], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_module_imported_while_features_are_computed_is_refused_by_training(project, opened, trips, source) -> None:
    late = source.replace("    return {", "    from late import twice\n    return {'twice': twice(d.miles), ", 1)
    module = project(trips=late, late="def twice(x):\n    return 2 * x\n")
    with pytest.raises(BadInput, match="imports late when it is called"):
        train(module.model, trips)
    assert "late" in sys.modules  # what was hidden is back


def test_modules_that_appear_while_the_loaded_ones_are_looked_through_do_no_harm(tmp_path: Path) -> None:
    appeared: list[str] = []

    def appear(*_: object) -> None:  # as by a finalizer that imports something
        appeared.append(f"appeared_{len(appeared)}")
        sys.modules[appeared[-1]] = pytest

    before = gc.get_threshold()
    gc.callbacks.append(appear)
    gc.set_threshold(1)
    try:
        module = load({"sudden.py": b"ONE = 1"}, tmp_path, "sudden")
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(appear)
        for name in appeared:
            sys.modules.pop(name, None)
    assert appeared
    assert module.ONE == 1
