"""ONNX graphs of methods, one form for each kind; see `crackcli.engines.engine.Engine`.

propagation  inputs ``images`` (B, 3, H, W), ``gate`` (), ``stage`` () and ``cells``: the parts of
             `Propagation` in branches on ``stage``; see `crackcli.export.onnx_file`
passes       also ``number`` () and ``place`` (2,): stage 3 is one pass, its ``cells`` are 1 for
             tiles above the gate, and stage 0 loops over the passes
window       ``images`` to ``relevance``, of any size
stages       the same, in three parts in branches on ``stage``: 0 everything, 1 `Student.encode` of
             ``images`` (to ``halves``, ``quarters``, ``eighths``), 2 `Student.context` of
             ``given_eighths`` (to ``context``), 3 `Student.decode` of ``images``, ``given_halves``,
             ``given_quarters`` and ``given_context`` (to ``relevance``)
tiles        the same, for images of one tile
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper
from torch import Tensor, nn

from crackcli.arrays import Int64
from crackcli.attribution.dense import Probability, Residual
from crackcli.attribution.passes import Passes
from crackcli.attribution.propagation import ClassifierMethod, Propagation
from crackcli.engines.onnx import BACK, CONTEXT, DECODE, ENCODE, FEATURES, WHOLE
from crackcli.engines.torch import AttributionModule
from crackcli.export.graph_surgery import Assembly, Sizes, constant, floats, forget_origin, scalar
from crackcli.networks.student import Student
from crackcli.registry import DEFAULT_GATE

OPSET = 18
IMAGES: Sizes = ("B", 3, "H", "W")
CELLS: Sizes = ("N", "C", "F", "G")
MAPS: Sizes = ("B", "H", "W")
TILES: Sizes = ("T", "h", "w")
WINDOWED = ("from_window", "from_value")  # conditions of the parts that take windows

Outputs = Tensor | tuple[Tensor, ...]
Step = NodeProto | tuple[str, list[str], str]  # a node, or (operator, inputs, output)


def export_graph(attribution: AttributionModule) -> ModelProto:
    """Export a method of any kind as one graph."""
    if isinstance(attribution, Passes):
        return passes_graph(attribution)
    if isinstance(attribution, Propagation):
        return propagation_graph(attribution)
    if isinstance(attribution, Probability) and isinstance(attribution.network, Student):
        return staged_graph(attribution.network)
    return direct_graph(attribution)


def propagation_graph(attribution: Propagation) -> ModelProto:
    """Export the three parts of a method of one pass, in branches on ``stage``."""
    images, features = samples(attribution)
    whole = Assembly()
    add_forward(whole, attribution, images, features)
    back = part(attribution, attribution.back, {"images": images, "value": features}, ["map"])
    whole.branch("whole_and_gated", back, no_map(), {"map": floats("whole_map", MAPS)})
    given = {"images": pad_window(images, attribution), "value": features}
    inside = part(attribution, attribution.window_back, given, ["inside"])
    otherwise = graph("all_of_it", [("Identity", ["whole_map"], "all_maps")], MAPS)
    whole.branch("from_value", inside, otherwise, {"inside": floats("relevance", MAPS)})
    return assemble(whole, features.shape[1], {})


def passes_graph(attribution: Passes) -> ModelProto:
    """Export the parts of a method of several passes, which run one after the other."""
    images, features = samples(attribution)
    whole = Assembly()
    add_forward(whole, attribution, images, features)
    count, tile = len(images), attribution.chain.tile_cells
    sizes = [side - tile + 1 for side in features.shape[2:]]
    number, place = torch.tensor(0), torch.tensor((0, 0))
    given = {"images": images, "tiles": torch.ones(count, 1, *sizes)}
    share = part(
        attribution, attribution.pass_map, given | {"pass": number, "origin": place}, ["share"]
    )
    whole.add(
        constant("origin", np.zeros(2, np.int64)),
        constant("channel", np.array([1])),
        helper.make_node("GreaterOrEqual", ["probability", "gate"], ["are_gated"]),
        helper.make_node("Cast", ["are_gated"], ["gated_tiles"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["gated_tiles", "channel"], ["tiles"]),
    )
    whole.repeat(
        "whole_and_gated", share, "pass", attribution.passes, no_map(), floats("all_shares", MAPS)
    )
    inner = [side - 2 * attribution.reach for side in sizes]
    given = {"images": images, "value": torch.ones(count, 1, *inner)}
    core = part(
        attribution,
        attribution.window_pass_map,
        given | {"number": number, "place": place},
        ["core"],
    )
    otherwise = graph("all_of_it", [("Identity", ["all_shares"], "whole_map")], MAPS)
    whole.branch("from_value", core, otherwise, {"core": floats("relevance", MAPS)})
    more = {"number": np.array(0), "place": np.zeros(2, np.int64)}
    return assemble(whole, features.shape[1], more)


def direct_graph(attribution: Residual | Probability) -> ModelProto:
    """Export a method without a gate: ``images`` to ``relevance``."""
    side = attribution.network.tile_px
    fixed = isinstance(attribution, Residual)
    images = torch.rand(2, 3, side, side if fixed else side + 64)
    model = part(attribution, attribution.forward, {"images": images}, ["relevance"], fixed=fixed)
    whole = Assembly()
    whole.take(model)
    sizes: Sizes = ("B", 3, side, side) if fixed else IMAGES
    return whole.model(
        inputs=[floats("images", sizes)],
        outputs=[floats("relevance", (sizes[0], *sizes[2:]))],
        defaults={},
        opset=OPSET,
    )


def staged_graph(
    network: Student, change: Callable[[str, ModelProto], ModelProto] = lambda _, part: part
) -> ModelProto:
    """Export a student as its three parts.

    ``change`` gets the name of each part and its graph, and returns the graph to use.
    """
    images = torch.rand(2, 3, 4 * network.stride_px, 6 * network.stride_px)
    with torch.inference_mode():
        halves, quarters, eighths = network.encode(images)
        context = network.context(eighths)
    features = {"halves": halves, "quarters": quarters, "eighths": eighths}
    whole = Assembly()
    whole.add(*(constant(f"stage_{n}", np.array(n)) for n in (WHOLE, ENCODE, CONTEXT, DECODE)))
    whole.add(helper.make_node("Equal", ["stage", f"stage_{WHOLE}"], ["is_whole"]))
    for name, number in (("encodes", ENCODE), ("adds_context", CONTEXT), ("decodes", DECODE)):
        whole.add(
            helper.make_node("Equal", ["stage", f"stage_{number}"], [f"only_{name}"]),
            helper.make_node("Or", ["is_whole", f"only_{name}"], [name]),
        )

    def add(
        condition: str, function: Callable[..., Outputs], given: dict[str, Tensor], made: list[str]
    ) -> None:
        model = part(network, function, given, [f"inner_{name}" for name in made])
        otherwise = helper.make_graph(
            [helper.make_node("Identity", [f"given_{name}"], [f"same_{name}"]) for name in made],
            f"not_{condition}",
            [],
            [floats(f"same_{name}", CELLS) for name in made],
        )
        outputs = {f"inner_{name}": floats(name, CELLS) for name in made}
        whole.branch(condition, change(function.__name__, model), otherwise, outputs)

    add("encodes", network.encode, {"images": images}, list(features))
    add("adds_context", network.context, {"eighths": eighths}, ["context"])
    decoded = part(
        network,
        network.decode,
        {"images": images, "halves": halves, "quarters": quarters, "context": context},
        ["map"],
    )
    nothing = helper.make_graph(
        [constant("no_map", np.zeros((1, 1, 1), np.float32))], "none", [], [floats("no_map", MAPS)]
    )
    whole.branch(
        "decodes",
        change(network.decode.__name__, decoded),
        nothing,
        {"map": floats("relevance", MAPS)},
    )
    made = features | {"context": context}
    return whole.model(
        inputs=[
            floats("images", IMAGES),
            scalar("stage", TensorProto.INT64),
            *(floats(f"given_{name}", CELLS) for name in made),
        ],
        outputs=[floats("relevance", MAPS), *(floats(name, CELLS) for name in made)],
        defaults={
            "stage": np.array(WHOLE),
            **{
                f"given_{name}": np.zeros((1, values.shape[1], 1, 1), np.float32)
                for name, values in made.items()
            },
        },
        opset=OPSET,
    )


def samples(attribution: ClassifierMethod) -> tuple[Tensor, Tensor]:
    """Return images, and their cells, to trace the parts with."""
    chain = attribution.chain
    cells = -(-chain.reach_px // chain.stride_px)
    side = 3 * chain.tile_px + 4 * cells * chain.stride_px  # large enough for the core of a pass
    images = torch.rand(2, 3, side, side + chain.stride_px)
    return images, attribution.features(images)


def pad_window(images: Tensor, attribution: ClassifierMethod) -> Tensor:
    """Pad ``images`` to a window that has as many cells as they have."""
    return F.pad(images, [attribution.chain.reach_px] * 4)


def add_forward(
    whole: Assembly, attribution: Propagation | Passes, images: Tensor, features: Tensor
) -> None:
    """Add the parts before the backward pass.

    They compute ``features``, ``probability`` and ``value``, and the condition ``whole_and_gated``:
    all parts are requested, and some tile is above the gate.

    The names of values are those of the shipped graphs, so that an export gives the same graph
    again. ``seen`` and ``passed`` are P(crack) and ``value`` inside the branch of the head,
    ``cells_seen`` the cells computed from images, ``seen_or_given`` those or the input ``cells``.
    The head runs in the even stages, `WHOLE` (0) and `HEAD` (2), not in `FEATURES` (1) and `BACK`
    (3); hence the ``parity``.
    """
    gate = torch.tensor(DEFAULT_GATE)
    given = {"features": features, "gate": gate}
    head_part = part(attribution, attribution.head, given, ["seen", "passed"])
    whole.add(
        *(constant(f"stage_{number}", np.array(number)) for number in (WHOLE, FEATURES, BACK)),
        constant("two", np.array(2)),
        helper.make_node("Equal", ["stage", f"stage_{WHOLE}"], ["is_whole"]),
        helper.make_node("Equal", ["stage", f"stage_{FEATURES}"], ["from_window"]),
        helper.make_node("Equal", ["stage", f"stage_{BACK}"], ["from_value"]),
        helper.make_node("Mod", ["stage", "two"], ["parity"]),
        helper.make_node("Equal", ["parity", f"stage_{WHOLE}"], ["through_head"]),
    )
    whole.branch(
        "is_whole",
        part(attribution, attribution.features, {"images": images}, ["cells_seen"]),
        graph("given", [("Identity", ["cells"], "given_cells")], CELLS),
        {"cells_seen": floats("seen_or_given", CELLS)},
    )
    window = {"images": pad_window(images, attribution)}
    whole.branch(
        "from_window",
        part(attribution, attribution.window_features, window, ["cells_inside"]),
        graph("not_inside", [("Identity", ["seen_or_given"], "same_cells")], CELLS),
        {"cells_inside": floats("features", CELLS)},
    )
    without_head = [constant("no_tiles", np.zeros((1, 1, 1), np.float32))]
    without_head.append(helper.make_node("Identity", ["cells"], ["given_value"]))
    otherwise = helper.make_graph(
        without_head, "no_head", [], [floats("no_tiles", TILES), floats("given_value", CELLS)]
    )
    whole.branch(
        "through_head",
        head_part,
        otherwise,
        {"seen": floats("probability", TILES), "passed": floats("value", CELLS)},
    )
    whole.add(
        helper.make_node("ReduceMax", ["probability"], ["highest"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["highest", "gate"], ["any_gated"]),
        helper.make_node("And", ["is_whole", "any_gated"], ["whole_and_gated"]),
    )


def no_map() -> GraphProto:
    """Return a graph of zeros as large as the images."""
    return graph(
        "no_map",
        [
            ("Shape", ["images"], "sizes"),
            constant("map_axes", np.array([0, 2, 3])),
            ("Gather", ["sizes", "map_axes"], "map_sizes"),
            ("ConstantOfShape", ["map_sizes"], "nothing"),
        ],
        MAPS,
    )


def assemble(whole: Assembly, channels: int, more: Mapping[str, Int64]) -> ModelProto:
    """Return the graph of a classifier method; ``more`` are int64 inputs with their defaults."""
    return whole.model(
        inputs=[
            floats("images", IMAGES),
            floats("gate", ()),
            scalar("stage", TensorProto.INT64),
            floats("cells", CELLS),
            *(
                helper.make_tensor_value_info(name, TensorProto.INT64, value.shape)
                for name, value in more.items()
            ),
        ],
        outputs=[
            floats("probability", TILES),
            floats("relevance", MAPS),
            floats("features", CELLS),
            floats("value", CELLS),
        ],
        defaults={
            "gate": np.array(DEFAULT_GATE, np.float32),
            "stage": np.array(0),
            "cells": np.zeros((1, channels, 1, 1), np.float32),
            **more,
        },
        opset=OPSET,
    )


def graph(name: str, steps: Sequence[Step], shape: Sizes) -> GraphProto:
    """Return a small graph of ``steps`` whose output is that of the last one."""
    nodes = [
        helper.make_node(step[0], step[1], [step[2]]) if isinstance(step, tuple) else step
        for step in steps
    ]
    return helper.make_graph(nodes, name, [], [floats(nodes[-1].output[0], shape)])


def part(
    owner: nn.Module,
    function: Callable[..., Outputs],
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    *,
    fixed: bool = False,
) -> ModelProto:
    """Export a method of ``owner`` by torch; sizes are open, if ``fixed`` only the batch's."""
    free = torch.export.Dim.AUTO
    sizes = {0: free} if fixed else {0: free, 2: free, 3: free}
    shapes = tuple(sizes if x.ndim == 4 else {} for x in inputs.values())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Call(owner, function.__name__),
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(shapes,),
        )
    assert program is not None  # it is, of dynamo
    model = program.model_proto
    forget_origin(model)
    return model


class Call(nn.Module):
    """A module that calls the method ``name`` of another, ``owner``."""

    def __init__(self, owner: nn.Module, name: str) -> None:
        super().__init__()
        self.owner, self.name = owner, name

    def forward(self, *inputs: Tensor) -> Outputs:
        outputs: Outputs = getattr(self.owner, self.name)(*inputs)
        return outputs
