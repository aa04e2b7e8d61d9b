"""Looks at an ONNX model before ONNX Runtime does: nothing outside of the file is read, no library is loaded."""

from collections.abc import Iterator
from typing import Any

from assay.errors import BadInput
from assay.model import onnx_trees

#: Operators of the standard, and of ONNX Runtime itself.
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
#: They name files, or code of others.
_REFUSED_OPERATORS = {"EPContext", "PyOp", "PythonOp", "ATen"}
#: Where classifiers of the standard name their classes.
_CLASSES = {"classlabels_strings", "classlabels_int64s", "classlabels_ints"}
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}


def check_onnx(model: Any) -> None:
    """Raise `BadInput` for a model that refers to other files, or whose tensors or trees are not as they say.

    `model` is an `onnx.ModelProto`, with its graphs, their subgraphs and its functions.
    """
    domains = {one.domain for one in model.opset_import} | {node.domain for node in _nodes(model)}
    strange = sorted(domains - DOMAINS)
    operators = sorted({node.op_type for node in _nodes(model)} & _REFUSED_OPERATORS)
    if strange or operators or (len(model.functions) > 0 and any(one.domain in DOMAINS for one in model.functions)):
        raise _refused(f"it needs operators that are not ONNX's own: {', '.join([*strange, *operators])[:200]}")
    for tensor in _tensors(model):
        if tensor.data_location == 1 or tensor.external_data:
            where = next((one.value for one in tensor.external_data if one.key == "location"), "")
            raise _refused(f"{tensor.name[:100]!r} is in another file: {where[:200]!r}")
        _check_size(tensor)
    for graph in _graphs(model):
        for why in onnx_trees.faults(graph):
            raise _refused(why)


def classes_in(model: Any) -> list[Any] | None:
    """The classes of the one classifier of a model, in the order of its probabilities; None where that is not plain."""
    attributes = [one for node in _nodes(model) for one in node.attribute if one.name in _CLASSES]
    named = ([text.decode() for text in one.strings] or list(one.ints) for one in attributes)
    found = [classes for classes in named if classes]
    return found[0] if len(found) == 1 else None


def _refused(why: str) -> BadInput:
    return BadInput(
        "the file is not an ONNX model that can be opened", why, do="Save it whole, with its weights inside."
    )


def _check_size(tensor: Any) -> None:
    count = 1
    for length in tensor.dims:
        count *= length
    typed = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
    held = max(len(getattr(tensor, name)) for name in typed)
    size = _SIZES.get(tensor.data_type, 1)
    room = len(tensor.raw_data) // size if tensor.raw_data else held
    packed = tensor.data_type not in _SIZES  # several values in a byte
    if min(tensor.dims, default=0) < 0 or count > (room * 4 if packed else room):
        raise _refused(f"{tensor.name[:100]!r} declares {count:,} values, and holds {room:,}")


def _graphs(model: Any) -> Iterator[Any]:
    waiting = [model.graph, *model.functions]
    waiting += [one for info in model.training_info for one in (info.initialization, info.algorithm)]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        sparse = list(getattr(graph, "sparse_initializer", ()))
        yield from getattr(graph, "initializer", ())
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                sparse += [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
                sparse += attribute.sparse_tensors
        for one in sparse:
            yield from (one.values, one.indices)
