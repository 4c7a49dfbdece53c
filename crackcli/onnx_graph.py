"""Surgery on an exported graph: a branch to skip, half-precision weights, a form for QGIS.

All functions change the model in place.  They know ONNX, and nothing of networks or files.
"""

import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LARGE = 4096  # values: smaller constants stay as they are


def defer(model: onnx.ModelProto, early: str, late: str, gate: str, default: float) -> None:
    """Compute output ``late`` only if ``early`` reaches ``gate`` anywhere; else it is zero.

    What ``late`` alone needs moves into one branch of an If, except what depends on constants
    only, so that runtimes still compute that once, when they load the graph.  The input ``gate``
    becomes optional, with a ``default``.
    """
    graph = model.graph
    needed_early = ancestors(graph, early)
    fed = {value.name for value in graph.input}
    outer, inner = [], []
    for node in graph.node:
        depends = any(name in fed for name in node.input)
        if depends:
            fed.update(node.output)
        (inner if depends and node.output[0] not in needed_early else outer).append(node)

    shape = output_shape(graph, late)
    branch = f"{late}_where_any"
    for node in inner:
        node.output[:] = [branch if name == late else name for name in node.output]
    explain = helper.make_graph(inner, "explain", [], [value_info(branch, shape)])
    nothing = [
        helper.make_node("Shape", [graph.input[0].name], ["all_sizes"]),
        constant("map_axes", np.array([0, 2, 3])),
        helper.make_node("Gather", ["all_sizes", "map_axes"], ["map_sizes"]),
        helper.make_node("ConstantOfShape", ["map_sizes"], ["nothing"]),
    ]
    skip = helper.make_graph(nothing, "skip", [], [value_info("nothing", shape)])
    choice = [
        helper.make_node("ReduceMax", [early], ["highest"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["highest", gate], ["any_gated"]),
        helper.make_node("If", ["any_gated"], [late], then_branch=explain, else_branch=skip),
    ]
    del graph.node[:]
    graph.node.extend([*outer, *choice])
    del graph.value_info[:]
    graph.initializer.append(numpy_helper.from_array(np.array(default, np.float32), gate))


def forget_origin(model: onnx.ModelProto) -> None:
    """Drop what an exporter notes of its own machine: source lines, paths, scopes."""
    del model.metadata_props[:]
    for graph in (model.graph, *subgraphs(model.graph)):
        for item in (*graph.node, *graph.value_info, *graph.initializer, *graph.input):
            del item.metadata_props[:]
            item.ClearField("doc_string")
        for output in graph.output:
            del output.metadata_props[:]


def subgraphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """The branches inside the nodes of a graph."""
    return [attribute.g for node in graph.node for attribute in node.attribute if attribute.g.node]


def ancestors(graph: onnx.GraphProto, name: str) -> set[str]:
    """The names of all values that ``name`` is computed from, itself among them."""
    producers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name in producers:
                waiting.extend(producers[name].input)
    return found


def halve(model: onnx.ModelProto) -> None:
    """Store large float32 weights in half precision and cast them where the graph begins."""
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= LARGE:
            full = weight.name
            half = numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(numpy_helper.from_array(half, f"{full}_half"))
            casts.append(helper.make_node("Cast", [weight.name], [full], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def point_into(model: onnx.ModelProto, safetensors: Path) -> None:
    """Let large half-precision weights lie in a safetensors file beside the graph: ONNX external
    data is a file, an offset and a length, and so is a safetensors entry."""
    with safetensors.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        header.pop("__metadata__", None)
        stored = {}
        for entry in header.values():
            begin, end = entry["data_offsets"]
            file.seek(8 + size + begin)
            stored[file.read(end - begin)] = (8 + size + begin, end - begin)
    for weight in model.graph.initializer:
        place = stored.get(weight.raw_data)
        if place is None or weight.data_type != TensorProto.FLOAT16:
            continue
        onnx.external_data_helper.set_external_data(weight, safetensors.name, *place)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL


def for_one_tile(model: onnx.ModelProto, early: str, late: str, side_px: int, top: float) -> None:
    """One image of ``side_px`` in, one score (1, 1, H, W) from 0 to 1 out: the root of what is
    positive, ``top`` becoming 1.  The form that the QGIS plugin Deepness loads."""
    graph = model.graph
    dims = graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, (1, 3, side_px, side_px), strict=True):
        dim.ClearField("dim_param")
        dim.dim_value = size
    zero, one, axis = "zero", "one", "channel_axis"
    graph.node.extend(
        [
            constant(zero, np.array(0, np.float32)),
            constant(one, np.array(1, np.float32)),
            constant("scale", np.array(1 / top**2, np.float32)),
            constant(axis, np.array([1])),
            helper.make_node("Mul", [late, "scale"], ["scaled"]),
            helper.make_node("Clip", ["scaled", zero, one], ["clipped"]),
            helper.make_node("Sqrt", ["clipped"], ["root"]),
            helper.make_node("Unsqueeze", ["root", axis], ["score"]),
        ]
    )
    del graph.output[:]
    graph.output.append(value_info("score", [1, 1, side_px, side_px]))


def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def value_info(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def output_shape(graph: onnx.GraphProto, name: str) -> list[str | int]:
    """The sizes of an output: numbers, or names where they are open."""
    (output,) = (value for value in graph.output if value.name == name)
    dims = output.type.tensor_type.shape.dim
    return [dim.dim_value or dim.dim_param for dim in dims]
