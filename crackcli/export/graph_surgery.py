"""Operations on exported graphs: branches, half-precision weights, a form for QGIS.

Nothing here depends on networks or methods; functions change a model in place unless they say
otherwise.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnx import numpy_helper as arrays
from onnx.external_data_helper import set_external_data

Sizes = Sequence[str | int]  # of an array; names where they are open

IR_VERSION = 8  # of opset 18: what runtimes of the last years read
LARGE = 4096  # values; smaller constants keep their precision and place


def forget_origin(model: ModelProto) -> None:
    """Remove what an exporter writes about its own machine: source lines, paths, scopes."""
    del model.metadata_props[:]
    graph = model.graph
    for item in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.ClearField("doc_string")
    del graph.value_info[:]


def rename_values(graph: GraphProto, prefix: str) -> GraphProto:
    """Give unique names to all values of a graph except its inputs and outputs.

    Constants are named by their content, so that equal constants of several graphs become one.
    """
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    for tensor in graph.initializer:
        shape = repr((tensor.data_type, *tensor.dims)).encode()
        digest = hashlib.sha256(shape + arrays.to_array(tensor).tobytes())
        names[tensor.name] = f"constant_{digest.hexdigest()[:16]}"
        tensor.name = names[tensor.name]
    for node in graph.node:
        node.name = f"{prefix}_{node.name}"
        for side in (node.input, node.output):
            side[:] = [names.get(name, f"{prefix}_{name}") if name else "" for name in side]
    return graph


def split_constant_nodes(graph: GraphProto) -> tuple[list[NodeProto], list[NodeProto]]:
    """Split the nodes of a graph into those that depend on constants only, and the others.

    Runtimes compute the former once, when they load a graph, if they are outside of branches.
    """
    fed = {value.name for value in graph.input}
    fixed: list[NodeProto] = []
    fluid: list[NodeProto] = []
    for node in graph.node:
        if any(name in fed for name in node.input):
            fed.update(node.output)
            fluid.append(node)
        else:
            fixed.append(node)
    return fixed, fluid


class Assembly:
    """A graph under construction: constants and constant nodes once, parts inside branches."""

    def __init__(self) -> None:
        self.constants: dict[str, TensorProto] = {}
        self.fixed: list[NodeProto] = []
        self.nodes: list[NodeProto] = []

    def add(self, *nodes: NodeProto) -> None:
        """Add nodes to the main graph."""
        self.nodes.extend(nodes)

    def branch(
        self,
        condition: str,
        part: ModelProto,
        otherwise: GraphProto,
        outputs: Mapping[str, ValueInfoProto],
    ) -> None:
        """Add a branch: ``part`` if ``condition`` holds, else ``otherwise``.

        ``outputs`` maps each output of the part, in order, to its value in the main graph. The
        inputs of the part are values of the main graph of the same names.
        """
        graph, fluid = self.prepare(part, condition)
        then = helper.make_graph(fluid, f"{condition}_then", [], list(graph.output))
        names = [value.name for value in outputs.values()]
        self.add(
            helper.make_node("If", [condition], names, then_branch=then, else_branch=otherwise)
        )

    def repeat(
        self,
        condition: str,
        part: ModelProto,
        counter: str,
        times: int,
        zeros: GraphProto,
        output: ValueInfoProto,
    ) -> None:
        """Add a loop: the sum of ``part`` over its input ``counter`` from 0 to ``times`` - 1 if
        ``condition`` holds, else ``zeros``."""
        graph, fluid = self.prepare(part, f"{condition}_each")
        (term,) = (value.name for value in graph.output)
        body = helper.make_graph(
            [
                *fluid,
                helper.make_node("Add", ["so_far", term], ["sum"]),
                helper.make_node("Identity", ["go"], ["go_on"]),
            ],
            f"{condition}_body",
            [
                scalar(counter, TensorProto.INT64),
                scalar("go", TensorProto.BOOL),
                named(output, "so_far"),
            ],
            [scalar("go_on", TensorProto.BOOL), named(output, "sum")],
        )
        (first,) = (value.name for value in zeros.output)
        then = helper.make_graph(
            [
                *zeros.node,
                constant("times", np.array(times)),
                constant("yes", np.array(True)),
                helper.make_node("Loop", ["times", "yes", first], ["all"], body=body),
            ],
            f"{condition}_then",
            [],
            [named(output, "all")],
        )
        self.add(
            helper.make_node("If", [condition], [output.name], then_branch=then, else_branch=zeros)
        )

    def take(self, part: ModelProto) -> None:
        """Add all of a part to the main graph."""
        _, fluid = self.prepare(part, "main")
        self.add(*fluid)

    def prepare(self, part: ModelProto, prefix: str) -> tuple[GraphProto, list[NodeProto]]:
        """Return a part with unique names, and its nodes that depend on inputs.

        Move the other nodes and the constants into the main graph.
        """
        graph = rename_values(part.graph, prefix)
        fixed, fluid = split_constant_nodes(graph)
        for tensor in graph.initializer:
            self.constants.setdefault(tensor.name, tensor)
        self.fixed.extend(fixed)
        return graph, fluid

    def model(
        self,
        inputs: Iterable[ValueInfoProto],
        outputs: Iterable[ValueInfoProto],
        defaults: Mapping[str, NDArray[Any]],
        opset: int,
    ) -> ModelProto:
        """Return the whole as a model; inputs with a default are optional."""
        given = [arrays.from_array(value, name) for name, value in defaults.items()]
        graph = helper.make_graph(
            [*self.fixed, *self.nodes],
            "crackcli",
            list(inputs),
            list(outputs),
            [*given, *self.constants.values()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION
        )


def store_in_half(model: ModelProto) -> None:
    """Store large float32 weights in half precision, and cast them at the start of the graph."""
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= LARGE:
            full = weight.name
            half = arrays.to_array(weight).astype(np.float16)
            weight.CopyFrom(arrays.from_array(half, f"{full}_half"))
            casts.append(helper.make_node("Cast", [weight.name], [full], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def refer_to_weights(model: ModelProto, safetensors: Path) -> None:
    """Replace large half-precision weights by references into a safetensors file.

    The file has to lie beside the graph. ONNX external data is a file, an offset and a length,
    and so is an entry of a safetensors file.
    """
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
        if place is not None and weight.data_type == TensorProto.FLOAT16:
            set_external_data(weight, safetensors.name, *place)
            weight.ClearField("raw_data")
            weight.data_location = TensorProto.EXTERNAL


def remove_branches(graph: GraphProto, conditions: Iterable[str]) -> None:
    """Remove the branches of ``conditions``, as if these never held."""
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "If" or node.input[0] not in conditions:
            nodes.append(node)
            continue
        (other,) = (each.g for each in node.attribute if each.name == "else_branch")
        nodes += other.node
        nodes += [
            helper.make_node("Identity", [inner.name], [outer])
            for inner, outer in zip(other.output, node.output, strict=True)
        ]
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def convert_for_qgis(
    model: ModelProto, map_name: str, side_px: int, top: float, parts: Iterable[str] = ()
) -> None:
    """Turn a model into the form that the QGIS plugin Deepness loads.

    Its input is one image of ``side_px``, its output one score (1, 1, H, W) from 0 to 1: the root
    of the positive values of ``map_name`` (B, H, W), divided by ``top``. The branches with the
    conditions ``parts``, for images of other sizes, are removed.
    """
    graph = model.graph
    remove_branches(graph, parts)
    dims = graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, (1, 3, side_px, side_px), strict=True):
        dim.ClearField("dim_param")
        dim.dim_value = size
    graph.node.extend(
        [
            constant("zero", np.array(0, np.float32)),
            constant("one", np.array(1, np.float32)),
            constant("scale", np.array(1 / top**2, np.float32)),
            constant("channel_axis", np.array([1])),
            helper.make_node("Mul", [map_name, "scale"], ["scaled"]),
            helper.make_node("Clip", ["scaled", "zero", "one"], ["clipped"]),
            helper.make_node("Sqrt", ["clipped"], ["root"]),
            helper.make_node("Unsqueeze", ["root", "channel_axis"], ["score"]),
        ]
    )
    del graph.output[:]
    graph.output.append(floats("score", (1, 1, side_px, side_px)))


def constant(name: str, value: NDArray[Any]) -> NodeProto:
    """Return a node with a constant value."""
    return helper.make_node("Constant", [], [name], value=arrays.from_array(value, name))


def scalar(name: str, kind: int) -> ValueInfoProto:
    """Return a value of one element of an ONNX type."""
    return helper.make_tensor_value_info(name, kind, [])


def named(value: ValueInfoProto, name: str) -> ValueInfoProto:
    """Return the description of a value under another name."""
    copy = ValueInfoProto()
    copy.CopyFrom(value)
    copy.name = name
    return copy


def floats(name: str, shape: Sizes) -> ValueInfoProto:
    """Return the description of a float32 array."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
