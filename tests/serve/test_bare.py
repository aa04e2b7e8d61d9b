"""A model file answers without being published, and nothing is read from a pickle."""

import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Annotated, Any, Literal

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

import assay
from assay.contract import fields
from assay.errors import BadInput, NotFound
from assay.model.bare import Bare, is_model_file, open_bare

ROWS = 400


def frame() -> pd.DataFrame:
    dice = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "Body Mass (g)": dice.normal(4000, 800, ROWS),
            "island": pd.Categorical(dice.choice(["Biscoe", "Dream"], ROWS)),
            "age": dice.integers(0, 9, ROWS),
        }
    )


def classes(count: int) -> Any:
    known = frame()
    return ((known["Body Mass (g)"] > 4000).astype(int) + (known["age"] > 6)).clip(0, count - 1).to_numpy()


def lightgbm_file(folder: Path, of: int = 3) -> tuple[Path, Any]:
    fitted = lgb.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(frame(), classes(of))
    fitted.booster_.save_model(folder / "penguins.txt")
    return folder / "penguins.txt", fitted


def onnx_file(folder: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    weights = onnx.numpy_helper.from_array(np.array([[1.0], [2.0], [0.5]]), "w")
    ends = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [None, width])]
        for name, width in (("x", 3), ("y", 1))
    ]
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", *ends, [weights])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    (folder / "line.onnx").write_bytes(made.SerializeToString())
    return folder / "line.onnx"


def predict(bare: Bare, **row: Any) -> Any:
    from assay.model.loaded import LoadedModel
    from assay.track import ModelVersion

    version = ModelVersion(bare.bundle.model.name, 0, bare.bundle.digest, None, None, bare.bundle.facts.trained_until)
    return LoadedModel(version, bare.bundle).predict(row)


class Penguin(assay.Record):
    """As the project declares it: in another order, with a key, and without nulls."""

    ring: assay.Key[str]
    age: int
    island: Literal["Dream", "Biscoe"]
    body_mass: float | None
    Body_Mass__g_: Annotated[float, assay.between(1000, 9000, unit="g")]


class Species(assay.Record):
    """What is given."""

    species: Literal["adelie", "gentoo", "chinstrap"]
    probability: assay.Probabilities[Literal["adelie", "gentoo", "chinstrap"]]


@pytest.mark.parametrize("form", ["lightgbm", "onnx"])
def test_the_command_answers_from_a_file_and_prints_a_line_that_asks_it(tmp_path: Path, form: str) -> None:
    path = lightgbm_file(tmp_path)[0] if form == "lightgbm" else onnx_file(tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    command = [sys.executable, "-m", "assay", "serve", path.name, "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = next(said for said in server.stdout if said.startswith("curl "))
            if curl := shutil.which("curl"):
                asked = subprocess.run(
                    [curl, "-sS", *shlex.split(line)[1:]], check=True, capture_output=True, text=True
                )
                said = json.loads(asked.stdout)
            else:
                _, url, _, header, _, body = shlex.split(line)
                name, _, value = header.partition(": ")
                with urllib.request.urlopen(urllib.request.Request(url, body.encode(), {name: value})) as answer:
                    said = json.loads(answer.read())
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
    if form == "lightgbm":
        assert said["model"] == "penguins"
        assert list(said["prediction"]["probability"]) == ["0", "1", "2"]
    else:
        assert said["prediction"] == {"prediction": 3.5}


def test_a_file_of_lightgbm_gives_what_the_library_gives(tmp_path: Path) -> None:
    path, fitted = lightgbm_file(tmp_path)
    bare = open_bare(path, tmp_path)
    assert [field.rule for field in fields(bare.bundle.model.takes)] == [
        "a number, or null", "one of Biscoe, Dream, or null", "a number, or null",
    ]  # fmt: skip
    expected = fitted.predict_proba(frame())
    for row in range(0, ROWS, 57):
        mass, island, age = frame().iloc[row]
        said = predict(bare, Body_Mass__g_=mass, island=island, age=float(age))["probability"]
        assert list(said.values()) == pytest.approx(expected[row].tolist(), abs=1e-12)
    assert any("Body_Mass_(g) is sent as Body_Mass__g_" in one for one in bare.said)


def test_a_contract_of_the_project_names_the_features_and_the_classes(tmp_path: Path) -> None:
    path, fitted = lightgbm_file(tmp_path)
    bare = open_bare(path, tmp_path, takes=Penguin, gives=Species)
    mass, island, age = frame().iloc[3]
    said = predict(bare, ring="r1", age=int(age), island=island, body_mass=None, Body_Mass__g_=mass)
    expected = fitted.predict_proba(frame().iloc[[3]])[0]
    assert list(said["probability"].values()) == pytest.approx(expected.tolist(), abs=1e-12)
    assert said["species"] == ["adelie", "gentoo", "chinstrap"][int(expected.argmax())]
    assert predict(bare, **bare.example)
    assert bare.said == ()


def test_of_two_classes_one_number_is_the_probability_of_the_second(tmp_path: Path) -> None:
    path, fitted = lightgbm_file(tmp_path, of=2)
    mass, island, age = frame().iloc[0]
    said = predict(open_bare(path, tmp_path), Body_Mass__g_=mass, island=island, age=float(age))
    assert said == {"probability": pytest.approx(fitted.predict_proba(frame().iloc[[0]])[0, 1], abs=1e-12)}


@pytest.mark.parametrize("ending", ["ubj", "json"])
def test_a_file_of_xgboost_gives_what_the_library_gives(tmp_path: Path, ending: str) -> None:
    xgboost = pytest.importorskip("xgboost")
    known = frame()[["age", "Body Mass (g)"]]
    fitted = xgboost.XGBRegressor(n_estimators=4, n_jobs=1).fit(known, classes(3))
    fitted.save_model(tmp_path / f"m.{ending}")
    bare = open_bare(tmp_path / f"m.{ending}", tmp_path)
    said = predict(bare, age=float(known["age"][5]), Body_Mass__g_=float(known["Body Mass (g)"][5]))
    assert said["prediction"] == pytest.approx(float(fitted.predict(known.iloc[[5]])[0]))


def test_features_without_names_are_the_fields_in_order(tmp_path: Path) -> None:
    class Line(assay.Record):
        at: assay.EventTime
        a: float
        b: int
        c: bool

    class Few(assay.Record):
        a: float

    path = onnx_file(tmp_path)
    bare = open_bare(path, tmp_path, takes=Line)
    assert predict(bare, at="2024-01-01T00:00:00Z", a=1.0, b=10, c=True) == {"prediction": 21.5}
    assert predict(bare, **bare.example) == {"prediction": 3.5}
    with pytest.raises(BadInput, match="takes 3 features without names, and Few has 1 fields"):
        open_bare(path, tmp_path, takes=Few)


def test_a_contract_that_is_not_the_file_s_is_refused(tmp_path: Path) -> None:
    class Other(assay.Record):
        age: int
        island: Literal["Biscoe", "Torgersen"]
        Body_Mass__g_: float

    class Lacking(assay.Record):
        age: int

    class Text(assay.Record):
        age: str
        island: Literal["Biscoe", "Dream"]
        Body_Mass__g_: float

    path, _ = lightgbm_file(tmp_path)
    with pytest.raises(BadInput, match=r"may be Torgersen, which .*penguins\.txt does not know"):
        open_bare(path, tmp_path, takes=Other)
    with pytest.raises(BadInput, match=r"wants features that Lacking does not have\n  Body_Mass_\(g\)"):
        open_bare(path, tmp_path, takes=Lacking)
    with pytest.raises(BadInput, match=r"age is a text, and .* wants a number"):
        open_bare(path, tmp_path, takes=Text)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.txt", "m.json", "m.ubj", "m.onnx"])
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_nothing_is_read_from_a_pickle(tmp_path: Path, name: str, protocol: int) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol))
    assert is_model_file(str(tmp_path / name))
    with pytest.raises(BadInput):
        open_bare(tmp_path / name, tmp_path)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_model_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("tree\n")
    (tmp_path / "notes.txt").write_text("tree\n")
    assert not is_model_file("flight-delay")
    with pytest.raises(NotFound, match="there is no file"):
        open_bare(tmp_path / "gone.txt", tmp_path)
    with pytest.raises(BadInput, match="no model file by its name"):
        open_bare(tmp_path / "notes.md", tmp_path)
    with pytest.raises(BadInput, match="not a LightGBM model"):
        open_bare(tmp_path / "notes.txt", tmp_path)
    known = frame()
    numbered = known.assign(island=pd.Categorical(known["age"] % 3))
    lgb.LGBMClassifier(n_estimators=2, verbose=-1).fit(numbered, classes(2)).booster_.save_model(tmp_path / "codes.txt")
    with pytest.raises(BadInput, match="does not say which category each number of island is"):
        open_bare(tmp_path / "codes.txt", tmp_path)
