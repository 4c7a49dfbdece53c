"""Fixing an input is the same as giving it always; the rest of the graph does not change."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper
from onnx import numpy_helper as arrays

from crackcli.engines.onnx_constants import fix_input, read_varint, varint


def model(default=0):
    """Return a graph of: x if n is 0, else x times the weights."""
    values = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B"])]
    then = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "then", [], values)
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "other", [], values)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["n"], ["nonzero"], to=TensorProto.BOOL),
            helper.make_node("If", ["nonzero"], ["z"], then_branch=then, else_branch=other),
        ],
        "graph",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["B"])],
        [arrays.from_array(np.array(default), "n"), arrays.from_array(np.float32([2.5]), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(made, {"key": "value"})
    return made


@pytest.mark.parametrize(("value", "factor"), [(0, 1), (1, 2.5), (300, 2.5), (-1, 2.5)])
def test_the_graph_gives_what_it_gave_with_that_input(value, factor):
    fixed = fix_input(model().SerializeToString(), "n", value)

    session = onnxruntime.InferenceSession(fixed, providers=["CPUExecutionProvider"])
    (z,) = session.run(None, {"x": np.float32([1, 2, 3])})

    assert [given.name for given in session.get_inputs()] == ["x"]
    assert not session.get_overridable_initializers()
    np.testing.assert_allclose(z, factor * np.float32([1, 2, 3]))


def test_the_rest_of_the_graph_does_not_change():
    before = model(default=7)
    after = onnx.load_from_string(fix_input(before.SerializeToString(), "n", 7))

    (given,) = [value for value in before.graph.input if value.name == "n"]
    before.graph.input.remove(given)
    for one in (before, after):  # a tensor can store its number in several ways
        for tensor in one.graph.initializer:
            tensor.CopyFrom(arrays.from_array(arrays.to_array(tensor), tensor.name))
    assert after == before


def test_a_graph_without_such_an_input_is_refused():
    with pytest.raises(ValueError, match="has no input k with a default"):
        fix_input(model().SerializeToString(), "k", 1)
    with pytest.raises(ValueError, match="not a serialised ONNX graph"):
        fix_input(b"\xff\xff\xff", "n", 1)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63])
def test_a_number_survives_writing_and_reading(value):
    assert read_varint(varint(value) + b"\x01", 0) == (value, len(varint(value)))
