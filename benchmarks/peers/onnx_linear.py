"""A fitted logistic regression of scikit-learn as ONNX, written by hand: one Gemm and one Sigmoid."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def linear(fitted):
    weights = numpy_helper.from_array(fitted.coef_.T.astype(np.float32), "w")
    bias = numpy_helper.from_array(fitted.intercept_.astype(np.float32), "b")
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["s"]),
        helper.make_node("Squeeze", ["s", "axis"], ["p"]),
    ]
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", fitted.coef_.shape[1]])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n"])],
        [weights, bias, axis],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
