"""The graphs that methods become, one for each kind of them; see `crackcli.engines.engine.Engine`.

propagation  inputs ``images`` (B, 3, H, W), ``gate`` (), ``stage`` () and ``cells``: the parts of
             `Propagation` behind branches on ``stage``, as `crackcli.export.onnx_file` tells
passes       the same, and ``number`` () and ``place`` (2,): stage 3 is then the share of one pass,
             its ``cells`` are 1 for tiles that are explained, and stage 0 loops over the passes
window       ``images`` to ``relevance``, sizes open
tiles        the same, for images of one tile
"""

import logging
import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from onnx import GraphProto, ModelProto, TensorProto, helper
from torch import Tensor, nn

from crackcli.attribution.dense import Residual
from crackcli.attribution.passes import Passes
from crackcli.attribution.propagation import Method, Propagation
from crackcli.engines.onnx import BACK, FEATURES, WHOLE
from crackcli.export.graph_surgery import Assembly, constant, floats, forget_origin, scalar
from crackcli.registry import DEFAULT_GATE

OPSET = 18
IMAGES, CELLS, MAPS = ["B", 3, "H", "W"], ["N", "C", "F", "G"], ["B", "H", "W"]
WINDOWED = ("from_window", "from_value")  # conditions of the parts that take windows
TILES = ["T", "h", "w"]


def graph_of(explainer: nn.Module) -> ModelProto:
    """The graph of a method, whatever its kind."""
    if isinstance(explainer, Passes):
        return passes_graph(explainer)
    if isinstance(explainer, Propagation):
        return propagation_graph(explainer)
    return direct_graph(explainer)


def propagation_graph(explainer: Propagation) -> ModelProto:
    """The three parts behind branches on ``stage``."""
    images, features = samples(explainer)
    whole = Assembly()
    add_seeing(whole, explainer, images, features)
    back = part(explainer.back, {"images": images, "value": features}, ["map"])
    whole.branch("whole_and_gated", back, no_map(), {"map": floats("whole_map", MAPS)})
    given = {"images": window_of(images, explainer), "value": features}
    inside = part(explainer.back_inside, given, ["inside"])
    otherwise = graph("all_of_it", [("Identity", ["whole_map"], "all_maps")], MAPS)
    whole.branch("from_value", inside, otherwise, {"inside": floats("relevance", MAPS)})
    return assembled(whole, features.shape[1])


def passes_graph(explainer: Passes) -> ModelProto:
    """The same of a method of several passes, which come one after the other."""
    images, features = samples(explainer)
    whole = Assembly()
    add_seeing(whole, explainer, images, features)
    count, tile = len(images), explainer.chain.tile_cells
    sizes = [side - tile + 1 for side in features.shape[2:]]
    number, place = torch.tensor(0), torch.tensor((0, 0))
    given = {"images": images, "tiles": torch.ones(count, 1, *sizes)}
    share = part(explainer.share, given | {"pass": number, "origin": place}, ["share"])
    whole.add(
        constant("origin", np.zeros(2, np.int64)),
        constant("channel", np.array([1])),
        helper.make_node("GreaterOrEqual", ["probability", "gate"], ["are_gated"]),
        helper.make_node("Cast", ["are_gated"], ["gated_tiles"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["gated_tiles", "channel"], ["tiles"]),
    )
    whole.repeat(
        "whole_and_gated", share, "pass", explainer.passes, no_map(), floats("all_shares", MAPS)
    )
    inner = [side - 2 * explainer.reach for side in sizes]
    given = {"images": images, "value": torch.ones(count, 1, *inner)}
    core = part(explainer.share_of_core, given | {"number": number, "place": place}, ["core"])
    otherwise = graph("all_of_it", [("Identity", ["all_shares"], "whole_map")], MAPS)
    whole.branch("from_value", core, otherwise, {"core": floats("relevance", MAPS)})
    whole_numbers = {"number": np.array(0), "place": np.zeros(2, np.int64)}
    return assembled(whole, features.shape[1], whole_numbers)


def direct_graph(explainer: nn.Module) -> ModelProto:
    """``images`` to ``relevance`` of a method that needs no gate."""
    side = explainer.network.tile_px
    fixed = isinstance(explainer, Residual)
    images = torch.rand(2, 3, side, side if fixed else side + 64)
    model = part(explainer.forward, {"images": images}, ["relevance"], fixed=fixed)
    whole = Assembly()
    whole.take(model)
    sizes = ["B", 3, side, side] if fixed else IMAGES
    return whole.model(
        inputs=[floats("images", sizes)],
        outputs=[floats("relevance", [sizes[0], *sizes[2:]])],
        defaults={},
        opset=OPSET,
    )


def samples(explainer: Method) -> tuple[Tensor, Tensor]:
    """Images, and their cells, to trace the parts with."""
    chain = explainer.chain
    cells = -(-chain.reach_px // chain.stride_px)
    side = 3 * chain.tile_px + 4 * cells * chain.stride_px  # a pass of it has a core
    images = torch.rand(2, 3, side, side + chain.stride_px)
    return images, explainer.features(images)


def window_of(images: Tensor, explainer: Method) -> Tensor:
    """A window with as many cells as ``images`` have, and what these see around them."""
    return F.pad(images, [explainer.chain.reach_px] * 4)


def add_seeing(whole: Assembly, explainer: Method, images: Tensor, features: Tensor) -> None:
    """The parts before the way back: ``features``, ``probability``, ``value``, and whether all of
    it is asked for and some tile is explained."""
    gate = torch.tensor(DEFAULT_GATE)
    judging = part(explainer.head, {"features": features, "gate": gate}, ["seen", "passed"])
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
        part(explainer.features, {"images": images}, ["cells_seen"]),
        graph("given", [("Identity", ["cells"], "given_cells")], CELLS),
        {"cells_seen": floats("seen_or_given", CELLS)},
    )
    window = {"images": window_of(images, explainer)}
    whole.branch(
        "from_window",
        part(explainer.features_inside, window, ["cells_inside"]),
        graph("not_inside", [("Identity", ["seen_or_given"], "same_cells")], CELLS),
        {"cells_inside": floats("features", CELLS)},
    )
    nothing_seen = [constant("no_tiles", np.zeros((1, 1, 1), np.float32))]
    nothing_seen.append(helper.make_node("Identity", ["cells"], ["given_value"]))
    otherwise = helper.make_graph(
        nothing_seen, "no_head", [], [floats("no_tiles", TILES), floats("given_value", CELLS)]
    )
    whole.branch(
        "through_head",
        judging,
        otherwise,
        {"seen": floats("probability", TILES), "passed": floats("value", CELLS)},
    )
    whole.add(
        helper.make_node("ReduceMax", ["probability"], ["highest"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["highest", "gate"], ["any_gated"]),
        helper.make_node("And", ["is_whole", "any_gated"], ["whole_and_gated"]),
    )


def no_map() -> GraphProto:
    """Zeros as large as the images."""
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


def assembled(
    whole: Assembly, channels: int, more: dict[str, np.ndarray] | None = None
) -> ModelProto:
    """The graph of a classifier and its explanation; ``more`` are inputs of whole numbers with
    their defaults."""
    more = more or {}
    return whole.model(
        inputs=[
            floats("images", IMAGES),
            floats("gate", []),
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


def graph(name: str, steps: list, shape: list[str | int]) -> GraphProto:
    """A small graph of nodes, or (operator, inputs, output), that gives its last value."""
    nodes = [
        helper.make_node(step[0], step[1], [step[2]]) if isinstance(step, tuple) else step
        for step in steps
    ]
    return helper.make_graph(nodes, name, [], [floats(nodes[-1].output[0], shape)])


def part(
    function: Callable[..., Tensor | tuple[Tensor, ...]],
    inputs: dict[str, Tensor],
    outputs: list[str],
    *,
    fixed: bool = False,
) -> ModelProto:
    """A method of an explainer as torch exports it, sizes left open, or that of the batch only."""
    free = torch.export.Dim.AUTO
    sizes = {0: free} if fixed else {0: free, 2: free, 3: free}
    shapes = tuple(sizes if x.ndim == 4 else {} for x in inputs.values())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Called(function),
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=(shapes,),
        )
    model = program.model_proto
    forget_origin(model)
    return model


class Called(nn.Module):
    """A bound method of a module as a module of its own."""

    def __init__(self, function: Callable[..., Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.owner = function.__self__
        self.name = function.__name__

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return getattr(self.owner, self.name)(*inputs)
