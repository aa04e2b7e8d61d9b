"""Model files that somebody crafted: each is refused with a sentence, and nothing that they name is run."""

import io
import json
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import assay
from assay.errors import AssayError, BadInput
from assay.model.catboost_file import _core, _Table, check_catboost
from assay.model.estimator import Saved, open_file, save
from assay.model.lightgbm_text import check_lightgbm
from assay.model.probe import vouch
from assay.model.skops_file import check_skops
from assay.model.xgboost_file import check_xgboost
from assay.store import Store

RNG = np.random.default_rng(7)
X = RNG.normal(size=(300, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def kept(format_name: str, data: bytes) -> str:
    """The run of a client that put the file there as an artifact."""
    endings = {"skops": ".skops", "lightgbm": ".lgb.txt", "xgboost": ".ubj", "catboost": ".cbm", "onnx": ".onnx"}
    with assay.start_run(system_metrics=False) as run:
        run.log_artifact(f"model{endings[format_name]}", data)
    return run.id


# --- skops ---------------------------------------------------------------------------------------------------------


def skops_of(value: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The schema of a value as skops writes it, and its other files."""
    sio = pytest.importorskip("skops.io")
    with zipfile.ZipFile(io.BytesIO(sio.dumps(value))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("schema.json")), files


def packed(schema: dict[str, Any], files: dict[str, bytes] | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("schema.json", json.dumps(schema))
        for name, content in (files or {}).items():
            archive.writestr(name, content)
    return buffer.getvalue()


def bare(value: Any) -> dict[str, Any]:
    schema, _ = skops_of(value)
    return {name: part for name, part in schema.items() if name not in ("protocol", "_skops_version")}


def crafted(node: dict[str, Any], **inside: Any) -> bytes:
    """A file of one node; or an honest scaler that has it as an attribute."""
    top, _ = skops_of({})
    head = {name: top[name] for name in ("protocol", "_skops_version")}
    return packed(node | head | inside)


CALLABLES = [
    ("sklearn.utils._testing", "check_output"),
    ("subprocess", "check_output"),
    ("sklearn.datasets._base", "load_files"),
    ("sklearn.utils._testing", "SkipTest"),
    ("sklearn.externals.array_api_compat.common._helpers", "sys"),
    ("os", "system"),
    ("builtins", "exec"),
    ("numpy", "load"),
    ("sklearn.metrics._dist_metrics", "PyFuncDistance64"),
    ("joblib.memory", "Memory"),
    ("canary_module", "anything"),
]


def nodes(module: str, name: str, command: list[str]) -> dict[str, dict[str, Any]]:
    """The node of every kind that names, calls or makes something, with an argument of the file's choice."""
    named = {"__class__": name, "__module__": module, "__id__": 999_999}
    arguments, empty = bare((command,)), bare({})
    function = named | {"__loader__": "FunctionNode"}
    return {
        "LossNode": named | {"__loader__": "LossNode", "__reduce__": {"args": arguments}, "content": empty},
        "TreeNode": named | {"__loader__": "TreeNode", "__reduce__": {"args": arguments}, "content": empty},
        "QuantileForestNode": named
        | {"__loader__": "QuantileForestNode", "__reduce__": {"args": arguments}, "content": empty},
        "ConstructorFromReduceNode": named | {"__loader__": "ConstructorFromReduceNode", "content": arguments},
        "ObjectNode": named | {"__loader__": "ObjectNode", "content": bare({"args": command})},
        "FunctionNode": function,
        "TypeNode": named | {"__loader__": "TypeNode"},
        "MethodNode": named | {"__loader__": "MethodNode", "content": {"func": "__call__", "obj": function}},
        "PartialNode": {"__class__": "partial", "__module__": "functools", "__loader__": "PartialNode", "__id__": 1}
        | {"content": {"func": function, "args": arguments, "kwds": empty, "namespace": empty}},
        "OperatorFuncNode": {"__class__": "methodcaller", "__module__": "operator", "__id__": 1}
        | {"__loader__": "OperatorFuncNode", "attrs": bare((name, command))},
        "ListNode": named | {"__loader__": "ListNode", "content": [bare(one) for one in command]},
        "TupleNode": named | {"__loader__": "TupleNode", "content": [bare(one) for one in command]},
        "SetNode": named | {"__loader__": "SetNode", "content": [bare(one) for one in command]},
        "DictNode": named | {"__loader__": "DictNode", "key_types": bare([]), "content": {}},
        "keys": bare({"touch": 1}) | {"key_types": bare([]) | {"content": [function | {"__loader__": "TypeNode"}]}},
        "DefaultDictNode": {"__class__": "defaultdict", "__module__": "collections", "__loader__": "DefaultDictNode"}
        | {"__id__": 1, "content": {"main": empty, "default_factory": function}},
        "RandomStateNode": named | {"__loader__": "RandomStateNode", "content": empty},
        "NdArrayNode": named | {"__loader__": "NdArrayNode", "type": "json", "content": [], "shape": bare((0,))},
        "NoSuchNode": named | {"__loader__": "NoSuchNode"},
    }


KINDS = sorted(nodes("a", "b", [])) if __import__("importlib.util").util.find_spec("skops") else []


@pytest.mark.parametrize("kind", KINDS)
def test_no_node_of_a_skops_file_runs_or_imports_what_it_names(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Store
) -> None:
    pwned = tmp_path / "PWNED"
    (tmp_path / "canary_module.py").write_text(f"open({str(pwned)!r}, 'w')\ndef anything(*_): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    scaler = bare(__import__("sklearn.preprocessing").preprocessing.StandardScaler().fit(X))
    for module, name in CALLABLES:
        node = nodes(module, name, ["touch", str(pwned)])[kind]
        for data in (crafted(node), crafted(scaler | {"content": node}), crafted(bare([1]) | {"content": [node]})):
            with pytest.raises(BadInput, match=r"not trusted|not a skops file"):
                open_file(Saved("skops", data))
    with pytest.raises(BadInput):
        assay.load_model(kept("skops", crafted(nodes(*CALLABLES[0], ["touch", str(pwned)])[kind])), "model")
    assert not pwned.exists()


def test_only_one_function_may_be_partial_and_only_with_keywords() -> None:
    pytest.importorskip("skops")
    from functools import partial

    from sklearn.preprocessing import FunctionTransformer
    from sklearn.utils.validation import check_array

    def opened_with(func: Any) -> Any:
        return open_file(Saved("skops", packed(*skops_of(Pipeline([("f", FunctionTransformer(func)), ("m", fitted)])))))

    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import Pipeline

    fitted = LinearRegression().fit(X, Y)
    assert opened_with(partial(check_array, ensure_all_finite=False)).features is None
    for func in (partial(np.sum, axis=0), partial(check_array, 1), partial(np.load, file="/etc/passwd")):
        with pytest.raises(BadInput, match="not trusted"):
            opened_with(func)


def test_a_node_that_takes_the_place_of_another_is_refused() -> None:
    """skops builds a node with a known identity as the one before, whatever it says of itself."""
    first = bare([1]) | {"__id__": 5}
    second = bare({"a": 1}) | {"__id__": 5}
    with pytest.raises(BadInput, match="types that are not trusted"):
        check_skops(crafted(bare([1, 2]) | {"content": [first, second]}))


def test_the_generator_of_random_numbers_is_one_of_numpys() -> None:
    state = bare(np.random.default_rng(1))
    check_skops(crafted(state))
    state["content"]["bit_generator"]["content"]["bit_generator"]["content"] = '"set_bit_generator"'
    with pytest.raises(BadInput, match="Generator as RandomGeneratorNode"):
        check_skops(crafted(state))


def _deep(depth: int) -> bytes:
    head, tail = json.dumps(bare([]) | {"content": ["HERE"]}).split('"HERE"')
    return zipfile_of({"schema.json": (head * depth + tail * depth).encode()})


def _twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps(bare([])))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("schema.json", json.dumps(bare({})))
    return buffer.getvalue()


def _huge_array() -> bytes:
    schema, files = skops_of(X)
    (name,) = files
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    return packed(schema, {name: b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head})


def _pickled_array() -> bytes:
    schema, files = skops_of(X)
    (name,) = files
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    return packed(schema, {name: b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"cos\nsystem\n."})


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: packed(bare({}), {"1.npy": bytes(1 << 28)}, compression=zipfile.ZIP_DEFLATED),
    "bzip2": lambda: packed(bare({}), {"1.npy": bytes(1 << 20)}, compression=zipfile.ZIP_BZIP2),
    "above": lambda: packed(bare({}), {"../1.npy": b""}),
    "absolute": lambda: packed(bare({}), {"/etc/passwd": b""}),
    "backslash": lambda: packed(bare({}), {"..\\1.npy": b""}),
    "no schema": lambda: zipfile_of({"a": b""}),
    "schema of numbers": lambda: zipfile_of({"schema.json": b"[1, 2]"}),
    "no zip": lambda: b"PK\x03\x04" + bytes(100),
    "empty": lambda: b"",
    "cut": lambda: packed(*skops_of(X))[:-30],
    "twice": _twice,
    "deep": lambda: _deep(20_000),
    "less deep": lambda: _deep(900),
    "huge array": _huge_array,
    "pickled array": _pickled_array,
    "a file that is not there": lambda: packed(skops_of(X)[0]),
}


def zipfile_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_an_archive_that_skops_would_not_write_is_refused(name: str) -> None:
    pytest.importorskip("skops")
    data, began = ARCHIVES[name](), time.process_time()
    with pytest.raises(BadInput, match=r"not a skops file that can be opened|the skops model can't be opened"):
        open_file(Saved("skops", data))
    assert time.process_time() - began < 20


def _changed(estimator: Any, change: Callable[[Any], None]) -> bytes:
    sio = pytest.importorskip("skops.io")
    change(estimator)
    return sio.dumps(estimator)


def _set_state(thing: Any, **changed: Any) -> None:
    state = thing.__getstate__()
    for name, (at, field, value) in changed.items():
        state[name][field][at] = value
    thing.__setstate__(state)


def _tree(at: int, field: str, value: int) -> bytes:
    from sklearn.tree import DecisionTreeClassifier

    return _changed(
        DecisionTreeClassifier(max_depth=3).fit(X, Y), lambda one: _set_state(one.tree_, nodes=(at, field, value))
    )


def _forest() -> bytes:
    from sklearn.ensemble import RandomForestClassifier

    wide = RandomForestClassifier(3).fit(np.hstack([X, X]), Y)
    return _changed(
        RandomForestClassifier(3).fit(X, Y), lambda one: one.estimators_.__setitem__(1, wide.estimators_[1])
    )


def _boosting() -> bytes:
    from sklearn.ensemble import GradientBoostingRegressor

    def widen(one: Any) -> None:
        one.estimators_ = np.hstack([one.estimators_] * 50)

    return _changed(GradientBoostingRegressor(n_estimators=3).fit(X, X[:, 0]), widen)


def _histogram(field: str, value: int) -> bytes:
    from sklearn.ensemble import HistGradientBoostingRegressor

    def change(one: Any) -> None:
        one._predictors[0][0].nodes[field][0] = value

    return _changed(HistGradientBoostingRegressor(max_iter=3).fit(X, X[:, 0]), change)


def _neighbours(position: int, change: Callable[[np.ndarray], None]) -> bytes:
    from sklearn.neighbors import KNeighborsClassifier

    def changed(one: Any) -> None:
        state = list(one._tree.__getstate__())
        state[position] = np.array(state[position])
        change(state[position])
        one._tree.__setstate__(tuple(state))

    return _changed(KNeighborsClassifier(algorithm="kd_tree").fit(X, Y), changed)


def _svm() -> bytes:
    from sklearn.svm import SVC

    def change(one: Any) -> None:
        one._dual_coef_ = one._dual_coef_[:, :1]

    return _changed(SVC().fit(X, Y), change)


def _clusters() -> bytes:
    from sklearn.cluster import KMeans

    def change(one: Any) -> None:
        one.cluster_centers_ = one.cluster_centers_[:, :1].copy()

    return _changed(KMeans(3, n_init=1).fit(X), change)


def _sparse() -> bytes:
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import KNeighborsClassifier

    def change(one: Any) -> None:
        one._fit_X = csr_matrix(X)
        one._fit_X.indices[0] = 10**6

    return _changed(KNeighborsClassifier(algorithm="brute").fit(X, Y), change)


def _reader_of_files() -> bytes:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["good day", "bad day", "good night", "bad night"]
    pipe = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    return _changed(pipe, lambda one: one[0].set_params(input="filename"))


DAMAGED: dict[str, Callable[[], bytes]] = {
    "child far away": lambda: _tree(0, "left_child", 1 << 40),
    "child below zero": lambda: _tree(0, "right_child", -5),
    "circle": lambda: _tree(1, "left_child", 0),
    "feature far away": lambda: _tree(0, "feature", 1 << 40),
    "feature below zero": lambda: _tree(0, "feature", -3),
    "a tree of other rows": _forest,
    "more outputs than room": _boosting,
    "histogram: child": lambda: _histogram("left", 1 << 30),
    "histogram: feature": lambda: _histogram("feature_idx", 1 << 40),
    "histogram: categories": lambda: _histogram("is_categorical", 1),
    "neighbours: rows": lambda: _neighbours(1, lambda rows: rows.__setitem__(0, 1 << 40)),
    "neighbours: nodes": lambda: _neighbours(2, lambda nodes: nodes["idx_end"].__setitem__(1, 1 << 40)),
    "neighbours: no leaf": lambda: _neighbours(2, lambda nodes: nodes["is_leaf"].fill(0)),
    "support vectors": _svm,
    "clusters": _clusters,
    "sparse": _sparse,
    "reads files": _reader_of_files,
}


@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_indices_that_compiled_code_would_follow_are_looked_at(name: str) -> None:
    with pytest.raises(BadInput, match=r"in the model is damaged|the skops model can't be opened"):
        open_file(Saved("skops", DAMAGED[name]()))


# --- LightGBM ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text() -> str:
    lightgbm = pytest.importorskip("lightgbm")
    values = X.copy()
    values[:, 2] = np.arange(300) % 40
    options = {"objective": "regression", "verbose": -1, "num_leaves": 6, "min_data_in_leaf": 5, "num_threads": 1}
    options |= {"min_data_per_group": 5, "cat_smooth": 1}
    data = lightgbm.Dataset(values, values[:, 0] + 5 * (values[:, 2] % 3), categorical_feature=[2])
    text = lightgbm.train(options, data, num_boost_round=3).model_to_string()
    assert "cat_boundaries=0 " in text
    return text


def in_first_tree(text: str, old: str, new: str) -> bytes:
    """The text with a change in its first tree, whose size in the head is right again."""
    first, rest = text.split("tree_sizes=")[1].split(" ", 1)
    head = text.split("tree_sizes=", maxsplit=1)[0]
    return f"{head}tree_sizes={int(first) + len(new) - len(old)} {rest.replace(old, new, 1)}".encode()


def test_a_number_that_is_none_is_refused_before_lightgbm_reads_it(text: str) -> None:
    # LightGBM itself ends the process: "Unknown token =-09 in data file", in a thread.
    check_lightgbm(in_first_tree(text, "\nleaf_value=", "\nshrinkage_=1e-09\nleaf_value="))
    for wrong in ("1e=-09", "0x1p3", "1_000", "--1", "1e", "nanny", "infx", "."):
        with pytest.raises(BadInput, match="not a number"):
            check_lightgbm(in_first_tree(text, "\nleaf_value=", f"\nshrinkage_={wrong}\nleaf_value="))


def test_a_line_that_ends_a_tree_early_is_refused(text: str) -> None:
    for line in ("92", "=1", " ", "thresholds"):
        with pytest.raises(BadInput, match="not NAME=VALUE"):
            check_lightgbm(in_first_tree(text, "threshold=", f"{line}\nthreshold="))


CHANGES = [
    ("max_feature_idx=3", "max_feature_idx=0"),
    ("max_feature_idx=3", "max_feature_idx=99999999999999999999"),
    ("num_class=1", "num_class=1000000"),
    ("num_tree_per_iteration=1", "num_tree_per_iteration=7"),
    ("objective=regression", "objective=multiclass num_class:9"),
    ("num_leaves=6", "num_leaves=6000000"),
    ("num_leaves=6", "num_leaves=-1"),
    ("num_leaves=6", "num_leaves=0"),
    ("left_child=", "left_child=99999 "),
    ("right_child=", "right_child=-99999 "),
    ("split_feature=", "split_feature=77 "),
    ("split_feature=", "split_feature=-1 "),
    ("num_cat=", "num_cat=9"),
    ("cat_boundaries=0", "cat_boundaries=5"),
    ("cat_threshold=", "cat_threshold=1 2 3 "),
    ("leaf_value=", "leaf_value= "),
    ("tree_sizes=", "tree_sizes=99999999 "),
    ("tree_sizes=", "tree_sizes=-1 "),
    ("Tree=1", "Tree=8"),
    ("end of trees", "and so on"),
    ("tree\n", "forest\n"),
    ("version=", "num_class=1\nversion="),
    ("feature_names=", "feature_names=a "),
    ("is_linear=0", "is_linear=1"),
    ("split_feature=", "split_feature=\0"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_changed_lightgbm_text_is_refused(text: str, old: str, new: str) -> None:
    assert old in text
    changed = text.replace(old, new, 1)
    if old in ("left_child=", "right_child=", "split_feature=") and not new.endswith("\0"):  # the same number of values
        at = changed.index(new) + len(new)
        changed = changed[:at] + changed[at:].split(" ", 1)[1]
        grown = len(changed) - len(text)
        first = text.split("tree_sizes=")[1].split(" ", maxsplit=1)[0]
        changed = changed.replace(f"tree_sizes={first}", f"tree_sizes={int(first) + grown}", 1)
    with pytest.raises(BadInput, match="not a LightGBM model that can be opened"):
        open_file(Saved("lightgbm", changed.encode()))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_lightgbm_text_that_was_cut_is_refused(text: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, text.index("end of trees")))
    with pytest.raises(BadInput):
        check_lightgbm(text[:end].encode())


FUZZ = """
import random, sys
import numpy as np
from assay.errors import AssayError
from assay.model.catboost_file import _core, _Table, check_catboost
from assay.model.estimator import Saved, open_file, save
form, data, width = sys.argv[1], open(sys.argv[2], "rb").read(), 4
rows = np.vstack([np.zeros((1, width)), np.random.default_rng(1).normal(size=(50, width)) * 20, np.full((1, width), np.nan)])
random.seed(int(sys.argv[3]))
opened = 0
for _ in range(int(sys.argv[4])):
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed))
        how = random.random()
        if how < .5: changed[at] = random.choice(b"0123456789-. \\n=") if form == "lightgbm" else random.randrange(256)
        elif how < .7: del changed[at : at + random.randint(1, 9)]
        else: changed[at:at] = random.choice([b"9" * 9, b"-1 ", b"0", bytes(4), b"\\xff" * 4])
    try:
        model = open_file(Saved(form, bytes(changed)))
        opened += 1
        ask = model.probabilities or model.predict
        for row in rows: ask(row[None])
        ask(rows)
    except AssayError: pass
    except Exception as error: print(type(error).__name__, str(error)[:80], file=sys.stderr)
print("done", opened)
"""


def fuzzed(form: str, data: bytes, folder: Path, times: int, seed: int = 1) -> str:
    (folder / "model").write_bytes(data)
    command = [sys.executable, "-c", FUZZ, form, str(folder / "model"), str(seed), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    return done.stdout


def test_no_changed_lightgbm_text_ends_the_process(text: str, tmp_path: Path) -> None:
    assert "done" in fuzzed("lightgbm", text.split("\nparameters:", maxsplit=1)[0].encode(), tmp_path, 600)


# --- XGBoost -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ubj() -> bytes:
    xgboost = pytest.importorskip("xgboost")
    return bytes(xgboost.XGBClassifier(n_estimators=3, max_depth=3).fit(X, Y).get_booster().save_raw("ubj"))


def _ints(name: bytes, data: bytes, at: int, value: int) -> bytes:
    """Change one number of an array of int32 in the first tree."""
    start = data.index(name + b"[$l#L") + len(name) + 5 + 8
    return data[: start + 4 * at] + value.to_bytes(4, "big", signed=True) + data[start + 4 * at + 4 :]


def _nested(depth: int) -> bytes:
    return b"{L" + (1).to_bytes(8, "big") + b"a" + b"[" * depth


UBJ: dict[str, Callable[[bytes], bytes]] = {
    "child far away": lambda data: _ints(b"left_children", data, 0, 1 << 30),
    "circle": lambda data: _ints(b"left_children", data, 1, 0),
    "child below zero": lambda data: _ints(b"right_children", data, 0, -7),
    "feature far away": lambda data: _ints(b"split_indices", data, 0, 1 << 30),
    "another output": lambda data: data.replace(
        b"tree_info[#L" + (3).to_bytes(8, "big") + b"i\0", b"tree_info[#L" + (3).to_bytes(8, "big") + b"i\x09", 1
    ),
    "huge count": lambda data: data.replace(b"left_children[$l#L" + bytes(7), b"left_children[$l#L\x7f" + bytes(6), 1),
    "negative count": lambda data: data.replace(b"left_children[$l#L\0", b"left_children[$l#L\xff", 1),
    "nested": lambda data: _nested(1_000_000),
    "many values": lambda data: b"{L" + (1).to_bytes(8, "big") + b"a[#L" + (1 << 40).to_bytes(8, "big") + b"Z" * 1000,
    "cut": lambda data: data[:-5],
    "more": lambda data: data + b"Z",
    "JSON": lambda data: b'{"learner": {}}',
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("name", sorted(UBJ))
def test_a_changed_ubj_is_refused(ubj: bytes, name: str) -> None:
    check_xgboost(ubj)
    with pytest.raises(BadInput, match="not an XGBoost model that can be opened"):
        open_file(Saved("xgboost", UBJ[name](ubj)))


def test_no_changed_ubj_ends_the_process(ubj: bytes, tmp_path: Path) -> None:
    assert "done" in fuzzed("xgboost", ubj, tmp_path, 600)


# --- CatBoost ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cbm() -> bytes:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=5, depth=3, verbose=0, allow_writing_files=False)
    return save(model.fit(X, Y)).data


@pytest.fixture(scope="module")
def with_categories() -> bytes:
    catboost = pytest.importorskip("catboost")
    given = np.array([[a, f"v{i % 9}"] for i, a in enumerate(X[:, 0])], object)
    model = catboost.CatBoostClassifier(iterations=5, depth=3, cat_features=[1], verbose=0, allow_writing_files=False)
    return save(model.fit(given, Y)).data


def _field(data: bytes, number: int, at: int, form: str, value: Any) -> bytes:
    """Change one number of a vector of the trees."""
    trees = _core(data)[0].table(1)
    start = trees._far(trees._field(number)) + 4 + at * struct.calcsize(form) + 8
    return data[:start] + struct.pack(form, value) + data[start + struct.calcsize(form) :]


def _table_changed(data: bytes, field: int, at: int, value: bytes) -> bytes:
    """Change bytes of a vector of the first table of categories."""
    _, tables = _core(data)
    table = _Table.root(tables[8 : 8 + int.from_bytes(tables[4:8], "little")])
    start = len(data) - len(tables) + 8 + table._far(table._field(field)) + 4 + at
    return data[:start] + value + data[start + len(value) :]


def _full(data: bytes) -> bytes:
    """Fill every empty place of the tables, so that a search for what is not there never ends."""
    _, tables = _core(data)
    return data.removesuffix(tables) + tables.replace(b"\xff" * 8, bytes(8))


CBM: dict[str, Callable[[bytes], bytes]] = {
    "split far away": lambda data: _field(data, 1, 0, "<i", 1 << 20),
    "split below zero": lambda data: _field(data, 1, 0, "<i", -1),
    "deep": lambda data: _field(data, 2, 0, "<i", 30),
    "depth below zero": lambda data: _field(data, 2, 0, "<i", -3),
    "another start": lambda data: _field(data, 3, 1, "<i", 1),
    "huge length": lambda data: _field(data, 8, -1, "<Q", 1 << 62),
    "cut": lambda data: data[:-5],
    "more": lambda data: data + b"\0\0\0\0",
    "head": lambda data: b"CBM2" + data[4:],
    "size": lambda data: data[:4] + b"\xff\xff\xff\xff" + data[8:],
    "version": lambda data: data.replace(b"FlabuffersModel_v1", b"FlabuffersModel_v2"),
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("name", sorted(CBM))
def test_a_changed_cbm_is_refused(cbm: bytes, name: str) -> None:
    check_catboost(cbm)
    with pytest.raises(BadInput, match="not a CatBoost model that can be opened"):
        open_file(Saved("catboost", CBM[name](cbm)))


def test_tables_of_categories_that_lead_to_nowhere_are_refused(with_categories: bytes) -> None:
    check_catboost(with_categories)
    with pytest.raises(BadInput, match="no place that ends a search"):
        check_catboost(_full(with_categories))
    _, tables = _core(with_categories)
    table = _Table.root(tables[8 : 8 + int.from_bytes(tables[4:8], "little")])
    index = np.frombuffer(bytes(table.array(1, "u1")), [("hash", "<u8"), ("value", "<u4")])
    used = int(np.flatnonzero(index["hash"] != 0xFFFFFFFFFFFFFFFF)[0])
    with pytest.raises(BadInput, match="leads to numbers that it does not have"):
        check_catboost(_table_changed(with_categories, 1, used * 12 + 8, b"\xff\xff\xff\x7f"))
    with pytest.raises(BadInput, match="a table was cut"):
        check_catboost(with_categories.removesuffix(tables) + tables[:4] + b"\xff\xff\xff\x7f" + tables[8:])
    with pytest.raises(BadInput, match="not a CatBoost model"):
        check_catboost(_table_changed(with_categories, 1, -4, (1 << 30).to_bytes(4, "little")))


def test_no_changed_cbm_ends_the_process(cbm: bytes, tmp_path: Path) -> None:
    assert "done" in fuzzed("catboost", cbm, tmp_path, 300)


# --- ONNX ----------------------------------------------------------------------------------------------------------


def linear() -> Any:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    weights = onnx.numpy_helper.from_array(np.array([[1.0], [2.0], [0.0], [0.0]]), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [None, 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, [None, 1])],
        [weights],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def outside(place: str) -> bytes:
    model = linear()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = 1
    for name, value in (("location", place), ("offset", "0"), ("length", "32")):
        entry = weights.external_data.add()
        entry.key, entry.value = name, value
    return model.SerializeToString()


@pytest.mark.parametrize("place", ["../../etc/passwd", "/etc/passwd", "link", "weights", ""])
def test_weights_in_another_file_are_never_read(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Store
) -> None:
    (tmp_path / "weights").write_bytes(bytes(32))
    (tmp_path / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(tmp_path)
    data = outside(place)
    with pytest.raises(BadInput, match="'w' is in another file"):
        open_file(Saved("onnx", data))
    with pytest.raises(BadInput, match="'w' is in another file"):
        assay.load_model(kept("onnx", data), "model")


def _with(change: Callable[[Any], None]) -> bytes:
    model = linear()
    change(model)
    return model.SerializeToString()


def _set_dims(model: Any, *dims: int) -> None:
    weights = model.graph.initializer[0]
    del weights.dims[:]
    weights.dims.extend(dims)


def _in_a_branch(model: Any) -> None:
    import onnx

    other = onnx.load_model_from_string(outside("../../etc/passwd")).graph
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", other))


ONNX: dict[str, Callable[[], bytes]] = {
    "giant": lambda: _with(lambda model: _set_dims(model, 1 << 40, 1 << 20)),
    "below zero": lambda: _with(lambda model: _set_dims(model, -4, -1)),
    "own operator": lambda: _with(lambda model: setattr(model.graph.node[0], "domain", "evil.example")),
    "cached context": lambda: _with(lambda model: setattr(model.graph.node[0], "op_type", "EPContext")),
    "in a branch": lambda: _with(_in_a_branch),
    "cut": lambda: linear().SerializeToString()[:-20],
    "ORT format": lambda: b"\x18\x00\x00\x00ORTM" + bytes(200),
    "text": lambda: b"{}",
    "empty": lambda: b"",
}


@pytest.mark.parametrize("name", sorted(ONNX))
def test_a_crafted_onnx_is_refused(name: str) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(BadInput, match=r"not an ONNX model that can be opened|the onnx model can't be opened"):
        open_file(Saved("onnx", ONNX[name]()))


def forest(depth: int = 3, count: int = 4) -> dict[str, Any]:
    """The attributes of `TreeEnsembleRegressor` for whole trees: children of node i are 2i + 1 and 2i + 2."""
    inner, size = 2**depth - 1, 2 ** (depth + 1) - 1
    leaves = list(range(inner, size))
    return {
        "nodes_treeids": [tree for tree in range(count) for _ in range(size)],
        "nodes_nodeids": list(range(size)) * count,
        "nodes_featureids": [i % 4 for i in range(size)] * count,
        "nodes_values": [0.1 * i for i in range(size)] * count,
        "nodes_modes": (["BRANCH_LEQ"] * inner + ["LEAF"] * len(leaves)) * count,
        "nodes_truenodeids": ([2 * i + 2 for i in range(inner)] + [0] * len(leaves)) * count,
        "nodes_falsenodeids": ([2 * i + 1 for i in range(inner)] + [0] * len(leaves)) * count,
        "target_treeids": [tree for tree in range(count) for _ in leaves],
        "target_nodeids": leaves * count,
        "target_ids": [0] * len(leaves) * count,
        "target_weights": [float(i) for i in leaves] * count,
        "n_targets": 1,
    }


def classifier(**changed: Any) -> dict[str, Any]:
    named = {name.replace("target_", "class_"): value for name, value in forest().items() if name != "n_targets"}
    return named | {"classlabels_int64s": [0, 1, 2]} | changed


def leaf_form(**changed: Any) -> dict[str, Any]:
    """The attributes of `TreeEnsemble`: two nodes, three leaves."""
    from onnx import TensorProto
    from onnx.helper import make_tensor

    members = changed.pop("members", None)
    attributes: dict[str, Any] = {
        "tree_roots": [0],
        "nodes_featureids": [0, 3],
        "nodes_splits": make_tensor("splits", TensorProto.FLOAT, [2], [0.5, 0.1]),
        "nodes_modes": make_tensor("modes", TensorProto.UINT8, [2], [6 if members else 0, 0]),
        "nodes_truenodeids": [1, 0],
        "nodes_trueleafs": [0, 1],
        "nodes_falsenodeids": [2, 1],
        "nodes_falseleafs": [1, 1],
        "leaf_targetids": [0, 0, 0],
        "leaf_weights": make_tensor("weights", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
        "n_targets": 1,
    }
    if members:
        attributes["membership_values"] = make_tensor("members", TensorProto.FLOAT, [len(members)], members)
    return attributes | changed


def trees(attributes: dict[str, Any], width: int | None = 4) -> bytes:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    operator, version = ("TreeEnsemble", 5) if "tree_roots" in attributes else ("TreeEnsembleRegressor", 3)
    operator = "TreeEnsembleClassifier" if "classlabels_int64s" in attributes else operator
    gives = ["label", "y"] if operator == "TreeEnsembleClassifier" else ["y"]
    cast = onnx.helper.make_node("Cast", ["x"], ["floats"], to=onnx.TensorProto.FLOAT)
    node = onnx.helper.make_node(operator, ["floats"], gives, domain="ai.onnx.ml", **attributes)
    graph = onnx.helper.make_graph(
        [cast, node],
        "trees",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [None, width])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, None])],
    )
    sets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("ai.onnx.ml", version)]
    return onnx.helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString()


def _put(name: str, at: int, value: Any, **more: Any) -> dict[str, Any]:
    attributes = forest() | more
    attributes[name] = [*attributes[name][:at], value, *attributes[name][at + 1 :]]
    return attributes


def _chain(depth: int) -> dict[str, Any]:
    """A tree whose nodes have a leaf on one side each."""
    size = 2 * depth + 1
    return forest(0, 1) | {
        "nodes_treeids": [0] * size,
        "nodes_nodeids": list(range(size)),
        "nodes_featureids": [0] * size,
        "nodes_values": [0.5] * size,
        "nodes_modes": ["BRANCH_LEQ"] * depth + ["LEAF"] * (depth + 1),
        "nodes_truenodeids": [depth + i for i in range(depth)] + [0] * (depth + 1),
        "nodes_falsenodeids": [*range(1, depth), 2 * depth] + [0] * (depth + 1),
        "target_nodeids": [depth],
        "target_weights": [5.0],
    }


def test_true_trees_predict() -> None:
    rows = np.zeros((3, 4))
    assert open_file(Saved("onnx", trees(forest()))).predict(rows).tolist() == [14 * 4, 14 * 4, 14 * 4]
    assert open_file(Saved("onnx", trees(forest(0, 2)))).predict(rows).tolist() == [0, 0, 0]
    assert open_file(Saved("onnx", trees(forest(), width=None))).predict(rows).tolist() == [56, 56, 56]
    assert open_file(Saved("onnx", trees(classifier()))).predict(rows)[:, -1].tolist() == [0, 0, 0]
    assert open_file(Saved("onnx", trees(_chain(3_000)))).predict(rows).tolist() == [5, 5, 5]
    assert open_file(Saved("onnx", trees(leaf_form()))).predict(rows).tolist() == [1, 1, 1]
    members = leaf_form(members=[0.0, 4.0, float("nan")])
    assert open_file(Saved("onnx", trees(members))).predict(rows).tolist() == [1, 1, 1]


def test_a_set_of_categories_as_comparisons_that_lead_to_one_child_is_a_true_tree() -> None:
    shared = _chain(2) | {"nodes_modes": ["BRANCH_EQ"] * 2 + ["LEAF"] * 3, "nodes_truenodeids": [2, 2, 0, 0, 0]}
    last = shared | {"nodes_falsenodeids": [1, 3, 0, 0, 0], "target_nodeids": [2, 3], "target_treeids": [0, 0]}
    named = last | {"target_ids": [0, 0], "target_weights": [5.0, 7.0]}
    unused = {name: values[:4] for name, values in named.items() if name.startswith("nodes_")}
    rows = np.array([[0.5, 0, 0, 0], [0, 0, 0, 0]])
    assert open_file(Saved("onnx", trees(named | unused))).predict(rows).tolist() == [5, 7]


TREES: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "short array": (lambda: forest() | {"nodes_values": [0.5]}, "differ in length"),
    "more ids": (lambda: forest() | {"nodes_truenodeids": [1] * 100}, "differ in length"),
    "one weight too few": (lambda: forest() | {"target_weights": [1.0]}, "weights differ in length"),
    "no node": (lambda: {"n_targets": 1}, "it has 0 nodes"),
    "feature far away": (lambda: _put("nodes_featureids", 0, 4), "a column beyond the 4"),
    "feature below zero": (lambda: _put("nodes_featureids", 0, -1), "a column beyond the 4"),
    "child far away": (lambda: _put("nodes_truenodeids", 0, 1 << 40), "one that its tree does not have"),
    "child below zero": (lambda: _put("nodes_falsenodeids", 1, -1), "one that its tree does not have"),
    "child of another tree": (lambda: _put("nodes_treeids", 1, 2), "stands twice"),
    "itself": (lambda: _put("nodes_truenodeids", 2, 2), "leads back"),
    "circle": (lambda: _put("nodes_truenodeids", 2, 0), "leads back"),
    "node twice": (lambda: _put("nodes_nodeids", 1, 0), "stands twice"),
    "node id out of range": (lambda: _put("nodes_nodeids", 14, 1 << 62), "out of range"),
    "strange mode": (lambda: _put("nodes_modes", 0, "BRANCH_OTHER"), "a mode that ONNX does not know"),
    "target far away": (lambda: _put("target_ids", 0, 1), "a target that it does not have"),
    "target below zero": (lambda: _put("target_ids", 0, -1), "a target that it does not have"),
    "weight of no node": (lambda: _put("target_nodeids", 0, 99), "a node that it does not have"),
    "weight of no tree": (lambda: _put("target_treeids", 0, 99), "a node that it does not have"),
    "very many targets": (lambda: forest() | {"n_targets": 1 << 40}, "it has 1,099,511,627,776 outputs"),
    "no target": (lambda: forest() | {"n_targets": 0}, "it has 0 outputs"),
    "base values": (lambda: forest() | {"base_values": [0.0] * 9}, "more base values"),
    "class far away": (lambda: classifier(class_ids=[3] * 32), "a class that it does not have"),
    "no class": (lambda: classifier(classlabels_int64s=[7]) | {"class_ids": [1] * 32}, "a class that it does not"),
    "deep": (lambda: _chain(60_000), "deeper than 4,000"),
    "leaf far away": (lambda: leaf_form(nodes_falsenodeids=[2, 3]), "leads to one that it does not have"),
    "node far away": (lambda: leaf_form(nodes_truenodeids=[2, 0]), "leads to one that it does not have"),
    "root far away": (lambda: leaf_form(tree_roots=[2]), "leads to one that it does not have"),
    "circle of two": (
        lambda: leaf_form(nodes_trueleafs=[0, 0], nodes_truenodeids=[1, 0], tree_roots=[1]),
        "several parents",
    ),
    "loose circle": (
        lambda: leaf_form(nodes_trueleafs=[1, 0], nodes_truenodeids=[0, 1], tree_roots=[0]),
        "leads back",
    ),
    "shared node": (lambda: leaf_form(tree_roots=[0, 1]), "several parents"),
    "leaf's target": (lambda: leaf_form(leaf_targetids=[0, 0, 1]), "a target that it does not have"),
    "feature of a leaf form": (lambda: leaf_form(nodes_featureids=[0, 4]), "a column beyond the 4"),
    "short leaf form": (lambda: leaf_form(nodes_falseleafs=[1]), "differ in length"),
    "endless set": (lambda: leaf_form(members=[1.0, 2.0]), "sets of values"),
    "set of no node": (lambda: leaf_form(members=[1.0, float("nan"), 2.0, float("nan")]), "sets of values"),
}


@pytest.mark.parametrize("name", sorted(TREES))
def test_trees_that_lead_to_nowhere_are_refused(name: str) -> None:
    pytest.importorskip("onnx")
    make, why = TREES[name]
    with pytest.raises(BadInput, match=f"(?s)not an ONNX model that can be opened.*{why}"):
        open_file(Saved("onnx", trees(make())))


def test_trees_in_a_branch_are_looked_at_too() -> None:
    onnx = pytest.importorskip("onnx")
    model, inner = linear(), onnx.load_model_from_string(trees(_put("nodes_truenodeids", 2, 0))).graph
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", inner))
    with pytest.raises(BadInput, match="leads back"):
        open_file(Saved("onnx", model.SerializeToString()))


def test_no_changed_onnx_trees_end_the_process(tmp_path: Path) -> None:
    assert "done" in fuzzed("onnx", trees(forest()), tmp_path, 600)


# --- the process that tries ----------------------------------------------------------------------------------------


def growing() -> bytes:
    """A whole model of few bytes that asks for a terabyte when it predicts."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    size = onnx.numpy_helper.from_array(np.array([1 << 37], np.int64), "size")
    nodes = [
        onnx.helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        onnx.helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        onnx.helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "growing", values[:1], values[1:], [size])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def test_a_model_that_outgrows_the_limits_ends_the_child_alone(opened: Store) -> None:
    with pytest.raises(BadInput, match="can't be opened"):
        vouch(opened.home.path, Saved("onnx", growing()))


def test_what_passed_is_not_tried_again_and_what_this_home_saved_not_at_all(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = kept("onnx", linear().SerializeToString())
    assert assay.load_model(run, "model")(X).shape == (300,)
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    assert assay.load_model(run, "model")(X).shape == (300,)
    with assay.start_run(system_metrics=False) as own:
        other = linear()
        other.graph.name = "another"
        assay.log_model("own", other)
    assert assay.load_model(own.id, "own")(X).shape == (300,)


def test_every_refusal_is_one_of_ours_and_short(opened: Store) -> None:
    for form in ("skops", "lightgbm", "xgboost", "catboost", "onnx"):
        for data in (b"", b"\0" * 1000, b"\xff" * 100_000, b"{" * 100_000):
            with pytest.raises(AssayError) as caught:
                open_file(Saved(form, data))
            assert len(str(caught.value)) < 1_000
