"""What a skops file may hold: a closed list of kinds of node, and for each a closed list of classes.

skops resolves names that a file gives it, imports their modules and calls some of what it finds, so trust by name or by
the beginning of a name is trust in everything that scikit-learn can import. Here the names of a file are only looked up in
tables made from resolved classes of scikit-learn, numpy and scipy; whatever is not in them is refused before skops sees
the file. Of the kinds of node those are known that fitted estimators need: none that calls what a file names (methods,
operators, constructors of `__reduce__`), and partial functions of one function only.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from assay.errors import BadInput, first_few

SCHEMA = "schema.json"
#: What stands for a booster of another library.
KEPT = "assay.model.kept.Kept"
MAX_FILES, MAX_SCHEMA_BYTES, MAX_DEPTH = 100_000, 256 << 20, 400
#: What a file may grow to when it is unpacked: models that skops writes are not compressed.
MAX_GROWTH, SPARE_BYTES = 20, 16 << 20
_NAME = re.compile(r"[\w-][\w.-]*")
_ANSWERS = "Use estimators of scikit-learn itself."

#: Modules and the class whose subclasses in there are trusted.
_FAMILIES = {
    "sklearn._loss.link": "BaseLink",
    "sklearn._loss.loss": "BaseLoss",
    "sklearn.gaussian_process.kernels": "Kernel",
    "sklearn.model_selection._split": "BaseCrossValidator",
    "sklearn.neural_network._stochastic_optimizers": "BaseOptimizer",
}
#: Parts of fitted estimators that are no estimators.
_PARTS = (
    "scipy.interpolate._bsplines.BSpline",
    "sklearn._loss.link.Interval",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)
_LOSSES = (
    *(f"sklearn.linear_model._sgd_fast.{name}" for name in ("EpsilonInsensitive", "Hinge", "ModifiedHuber")),
    *(f"sklearn.linear_model._sgd_fast.{name}" for name in ("SquaredEpsilonInsensitive", "SquaredHinge")),
    *(f"sklearn.linear_model._sgd_fast.{name}" for name in ("Huber", "Log", "SquaredLoss")),
    *(f"sklearn._loss._loss.Cy{name}" for name in ("AbsoluteError", "ExponentialLoss", "HalfBinomialLoss")),
    *(f"sklearn._loss._loss.Cy{name}" for name in ("HalfGammaLoss", "HalfMultinomialLoss", "HalfPoissonLoss")),
    *(f"sklearn._loss._loss.Cy{name}" for name in ("HalfSquaredError", "HalfTweedieLoss", "HalfTweedieLossIdentity")),
    *(f"sklearn._loss._loss.Cy{name}" for name in ("HuberLoss", "PinballLoss")),
)
#: Functions are data here: kept as a parameter of an estimator, never called while a file is read. These compute with
#: arrays and do nothing else.
_FUNCTIONS = (
    "numpy.asarray",
    "numpy.max",
    "numpy.mean",
    "numpy.median",
    "numpy.min",
    "numpy.sum",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.feature_selection._univariate_selection.r_regression",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.f1_score",
    "sklearn.metrics._classification.log_loss",
    "sklearn.metrics._ranking.average_precision_score",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._regression.mean_absolute_error",
    "sklearn.metrics._regression.mean_squared_error",
    "sklearn.metrics._regression.r2_score",
    "sklearn.metrics._regression.root_mean_squared_error",
    "sklearn.utils.validation.check_array",
)
#: The function of which there may be partial ones: histogram gradient boosting of categories keeps some.
_PARTIAL = ("FunctionNode", "sklearn.utils.validation", "check_array")
_BIT_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
_SCALARS = {f"builtins.{kind}" for kind in ("bool", "float", "int", "str")}


def check_skops(data: bytes, modules: frozenset[str] = frozenset(), *, with_boosters: bool = False) -> list[str]:
    """The names that skops must be told to trust for this file, each resolved and on a closed list.

    Classes and functions of `modules` are trusted too: they are the code that comes with the file. So is what stands for a
    booster, `with_boosters`.

    Raises `BadInput` for a file that holds anything else, that would unpack to far more than its size, or whose arrays are
    not as long as they claim.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_files(archive, len(data))
            root = json.loads(archive.read(SCHEMA))
            found = sorted(set(_names(root, modules, KEPT if with_boosters else "")))
            for entry in archive.infolist():
                _check_array(archive, entry)
    except _BROKEN as error:
        raise _refused(f"{type(error).__name__}: {error}") from None
    return found


_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError,
    OverflowError, NotImplementedError, OSError, RuntimeError, SyntaxError, MemoryError,
)  # fmt: skip


def _refused(*values: str) -> BadInput:
    return BadInput("the file is not a skops file that can be opened", *(value[:200] for value in values), do=_ANSWERS)


def _check_files(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    strange = [name for name in names if not _NAME.fullmatch(name) or ".." in name]
    if strange or len(set(names)) != len(names) or len(names) > MAX_FILES:
        why = f"a file called {strange[0]!r}" if strange else "a repeated name, or too many names"
        raise _refused(f"its zip archive holds {why}")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise _refused("its zip archive is packed in another way than deflate")
    whole = sum(entry.file_size for entry in entries)
    if whole > MAX_GROWTH * size + SPARE_BYTES or archive.getinfo(SCHEMA).file_size > MAX_SCHEMA_BYTES:
        raise _refused(f"its {size:,} bytes would unpack to {whole:,}")


def _names(root: Any, modules: frozenset[str], kept: str) -> Iterator[str]:
    """The name of each node that skops does not trust of itself. Raises `BadInput` for what is not on the lists."""
    seen: dict[Any, tuple[str, str]] = {}
    unknown: dict[str, None] = {}
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _refused("it is nested too deep")
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value or "__module__" in value:
                loader, name = str(value["__loader__"]), f"{value['__module__']}.{value['__class__']}"
                known = _is_known(loader, name, value) or (loader, name) == ("ObjectNode", kept)
                if not (known or _is_own(loader, value, modules)) or seen.setdefault(
                    _identity(value), (loader, name)
                ) != (
                    loader,
                    name,
                ):
                    unknown[f"{name} as {loader}"] = None
                elif loader in _TO_TRUST:
                    yield name
            waiting += [(below, depth + 1) for below in value.values()]
        elif isinstance(value, list):
            waiting += [(below, depth + 1) for below in value]
    if unknown:
        raise BadInput(
            "the model holds types that are not trusted",
            *first_few((one[:200] for one in unknown), len(unknown)),
            do=_ANSWERS,
        )


#: Nodes for which skops trusts nothing, or less than fitted estimators need.
_TO_TRUST = {
    "ObjectNode",
    "TypeNode",
    "TreeNode",
    "FunctionNode",
    "PartialNode",
    "DTypeNode",
    "LossNode",
    "SparseMatrixNode",
    "DictNode",
}


def _identity(value: dict[str, Any]) -> Any:
    """Skops builds a node that has the identity of an earlier one as that one, so both must be of one kind."""
    return value.get("__id__") or id(value)


def _is_known(loader: str, name: str, state: dict[str, Any]) -> bool:
    names = _known().get(loader)
    return names is not None and (loader == "JsonNode" or name in names) and _SHAPES.get(loader, _any_shape)(state)


def _is_own(loader: str, state: dict[str, Any], modules: frozenset[str]) -> bool:
    return loader in ("ObjectNode", "FunctionNode", "TypeNode") and state["__module__"] in modules


def _any_shape(_: dict[str, Any]) -> bool:
    return True


def _is_text(state: dict[str, Any]) -> bool:
    return isinstance(state["content"], str)


def _is_slice(state: dict[str, Any]) -> bool:
    return all(end is None or isinstance(end, int | float | str) for end in state["content"].values())


def _has_plain_keys(state: dict[str, Any]) -> bool:
    """The types of a dict's keys are called with the keys."""
    types = state["key_types"]
    return types["__loader__"] == "ListNode" and all(
        kind["__loader__"] == "TypeNode" and f"{kind['__module__']}.{kind['__class__']}" in _scalar_types()
        for kind in types["content"]
    )


def _has_known_generator(state: dict[str, Any]) -> bool:
    kept = state["content"]["bit_generator"]["content"]["bit_generator"]
    return kept["__loader__"] == "JsonNode" and json.loads(kept["content"]) in _BIT_GENERATORS


def _is_plain_partial(state: dict[str, Any]) -> bool:
    content = state["content"]
    func = content["func"]
    return (
        (func["__loader__"], func["__module__"], func["__class__"]) == _PARTIAL
        and content["args"]["__loader__"] == "TupleNode"
        and not content["args"]["content"]
        and content["kwds"]["__loader__"] == "DictNode"
        and content["namespace"]["__loader__"] == "JsonNode"
        and content["namespace"]["content"] == "null"
    )


def _is_whole_tree(state: dict[str, Any]) -> bool:
    """A tree is made from the numbers of its features, classes and outputs before anything can be looked at."""
    features, classes, outputs = state["__reduce__"]["args"]["content"]
    numbers = [features, outputs]
    return (
        state["__reduce__"]["args"]["__loader__"] == "TupleNode"
        and all(one["__loader__"] == "JsonNode" and 0 < int(one["content"]) < 1 << 24 for one in numbers)
        and classes["__loader__"] == "NdArrayNode"
        and classes["type"] == "numpy"
    )


_SHAPES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "JsonNode": _is_text,
    "SliceNode": _is_slice,
    "DictNode": _has_plain_keys,
    "RandomGeneratorNode": _has_known_generator,
    "TreeNode": _is_whole_tree,
    "PartialNode": _is_plain_partial,
}


@lru_cache(maxsize=1)
def _known() -> Mapping[str, frozenset[str]]:
    """The names that each kind of node may have, made from resolved classes."""
    from sklearn.utils.discovery import all_estimators

    objects = {kind for _, kind in all_estimators() if kind.__module__.startswith("sklearn.")}
    for module, base in _FAMILIES.items():
        members = vars(import_module(module))
        objects |= {
            kind
            for kind in members.values()
            if isinstance(kind, type) and base in members and issubclass(kind, members[base])
        }
    sparse = [f"scipy.sparse._{form}.{form}_{kind}" for form in ("csr", "csc", "coo") for kind in ("matrix", "array")]
    return {
        "JsonNode": frozenset(),
        "DictNode": frozenset({"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"}),
        "ListNode": frozenset({"builtins.list"}),
        "SetNode": frozenset({"builtins.set"}),
        "TupleNode": frozenset({"builtins.tuple"}),
        "SliceNode": frozenset({"builtins.slice"}),
        "TypeNode": frozenset(_scalar_types()),
        "NdArrayNode": frozenset({"numpy.ndarray", *_numpy_scalars()}),
        "MaskedArrayNode": frozenset({"numpy.ma.MaskedArray"}),
        "DTypeNode": frozenset({"numpy.dtype"}),
        "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
        "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
        "SparseMatrixNode": frozenset(sparse),
        "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
        "PartialNode": frozenset({"functools.partial"}),
        "LossNode": _resolved(_LOSSES, type),
        "FunctionNode": _resolved(_FUNCTIONS, object) | _ufuncs(),
        "ObjectNode": frozenset(map(_name, objects)) | _resolved(_PARTS, type),
    }


def _resolved(names: tuple[str, ...], kind: type) -> frozenset[str]:
    """Those of our own names that this version of the libraries has, under the name that the object gives itself."""
    found: set[str] = set()
    for name in names:
        module, _, attribute = name.rpartition(".")
        try:
            thing = getattr(import_module(module), attribute)
        except (ImportError, AttributeError):
            continue
        if isinstance(thing, kind) and callable(thing):
            found.add(name)
    return frozenset(found)


def _ufuncs() -> frozenset[str]:
    return frozenset(f"{module}.{name}" for module in ("numpy", "scipy.special") for name in _ufuncs_of(module))


def _ufuncs_of(module: str) -> list[str]:
    return [name for name, value in vars(import_module(module)).items() if isinstance(value, np.ufunc)]


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _scalar_types() -> set[str]:
    return _SCALARS | _numpy_scalars()


@lru_cache(maxsize=1)
def _numpy_scalars() -> set[str]:
    return {_name(kind) for kind in set(np.sctypeDict.values()) - {np.object_, np.void}}


def _check_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Numpy makes an array as large as its head says before it looks whether the values are there."""
    if entry.filename.endswith(".npz"):
        inner = archive.read(entry)
        with zipfile.ZipFile(io.BytesIO(inner)) as arrays:
            if sum(one.file_size for one in arrays.infolist()) > MAX_GROWTH * len(inner) + SPARE_BYTES:
                raise _refused(f"{entry.filename} would unpack to far more than its size")
            for one in arrays.infolist():
                _check_array(arrays, one)
    elif entry.filename.endswith(".npy"):
        with archive.open(entry) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            size = entry.file_size - file.tell()
        count = 1
        for length in shape:
            count *= length
        if dtype.hasobject or min(shape, default=0) < 0 or count * max(dtype.itemsize, 1) > size:
            raise _refused(f"{entry.filename} declares {count:,} values of {dtype}, in {size:,} bytes")
