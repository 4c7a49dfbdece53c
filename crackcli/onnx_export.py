"""Classifier and explanation as one plain ONNX graph: export, check against torch, rename.

The graph takes ``images`` (B, 3, H, W), RGB in [0, 1], sides multiples of the stride, and gives
``probability`` (B, h, w) of every tile position and ``relevance`` (B, H, W).  More inputs have
defaults: ``gate``, 0.5, below which a tile is not explained; if none reaches it, the way back is
skipped.  ``stage`` and ``cells`` let a scan run the parts of `Propagation` one by one, with what
another part gave as ``cells``: 0 all, 1 features (to ``features``), 2 head (to ``probability`` and
``value``), 3 back.

Weights that a rule modifies are computed in the graph, which runtimes do once when they load it;
each weight is stored once, in half precision, in the file itself or in the checkpoint beside it.
"""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, TensorProto, helper
from torch import Tensor, nn

from crackcli import __version__
from crackcli.attribution import DEFAULT_METHOD, DEFAULT_START
from crackcli.attribution.propagation import Propagation
from crackcli.engines.onnx import METADATA, OnnxEngine
from crackcli.engines.torch import TorchEngine
from crackcli.errors import ModelError, OutputError
from crackcli.files import sha256, written_aside
from crackcli.networks import Checkpoint
from crackcli.onnx_graph import (
    Assembly,
    constant,
    floats,
    for_one_tile,
    forget_origin,
    halve,
    point_into,
)
from crackcli.registry import METHODS, load

OPSET = 18
GATE = 0.5
TOLERANCE = 0.02  # of the norm: in float32 a near tie of a pool may go the other way
QGIS_TILE_PX = 512
QGIS_TOP = 0.1  # root of relevance that is shown as a score of 1
QGIS_OVERLAP = 50  # percent: half a tile on each side, as far as a map depends on its surroundings

IMAGES, CELLS, MAPS = ["B", 3, "H", "W"], ["N", "C", "F", "G"], ["B", "H", "W"]
TILES = ["T", "h", "w"]


@dataclass(frozen=True)
class ExportTask:
    """A checkpoint, a method and where the graph goes."""

    model: Path
    output: Path
    method: str = DEFAULT_METHOD
    start: str = DEFAULT_START
    weights_beside: bool = False  # leave the weights in the checkpoint, in the same folder
    qgis: bool = False  # fixed tile and one output, as Deepness demands; not for scan
    gsd_mm: float | None = None  # pixel size of the photographs it is meant for
    overwrite: bool = False


def export(task: ExportTask) -> Path:
    """Write ``task.output``; it exists afterwards only if it agrees with torch."""
    if task.output.exists() and not task.overwrite:
        raise OutputError(f"{task.output} exists; choose another output or add --overwrite")
    if task.weights_beside and task.model.resolve().parent != task.output.resolve().parent:
        raise OutputError(f"{task.output} must lie in the folder of {task.model} to share weights")
    checkpoint = Checkpoint.read(task.model)
    explainer = load(METHODS, task.method)(checkpoint.build(), task.start)
    model = whole_graph(explainer)
    halve(model)
    if task.weights_beside:
        point_into(model, task.model)
    describe(model, checkpoint, explainer, task)
    with written_aside(task.output) as aside:
        onnx.save(model, aside)
        onnx.checker.check_model(aside)
        check(aside, task)
        if task.qgis:
            for_one_tile(model, "relevance", QGIS_TILE_PX, QGIS_TOP)
            onnx.save(model, aside)
            onnx.checker.check_model(aside)
    return task.output


def whole_graph(explainer: Propagation) -> ModelProto:
    """The three parts behind branches on ``stage``."""
    side = explainer.chain.tile_px
    images = torch.rand(2, 3, side + 64, side + 96)
    features = explainer.features(images)
    parts = (
        part(explainer.features, {"images": images}, ["cells_seen"]),
        part(
            explainer.head, {"features": features, "gate": torch.tensor(GATE)}, ["seen", "passed"]
        ),
        part(explainer.back, {"images": images, "value": features}, ["map"]),
    )
    channels = features.shape[1]
    whole = Assembly()
    whole.add(
        constant("two", np.array(2)),
        constant("three", np.array(3)),
        constant("even", np.array(0)),
        helper.make_node("Less", ["stage", "two"], ["from_images"]),
        helper.make_node("Mod", ["stage", "two"], ["parity"]),
        helper.make_node("Equal", ["parity", "even"], ["through_head"]),
        helper.make_node("Equal", ["stage", "three"], ["from_value"]),
    )
    whole.branch(
        "from_images",
        parts[0],
        graph("given", [("Identity", ["cells"], "given_cells")], CELLS),
        {"cells_seen": floats("features", CELLS)},
    )
    nothing_seen = [constant("no_tiles", np.zeros((1, 1, 1), np.float32))]
    nothing_seen.append(helper.make_node("Identity", ["cells"], ["given_value"]))
    otherwise = helper.make_graph(
        nothing_seen, "no_head", [], [floats("no_tiles", TILES), floats("given_value", CELLS)]
    )
    whole.branch(
        "through_head",
        parts[1],
        otherwise,
        {"seen": floats("probability", TILES), "passed": floats("value", CELLS)},
    )
    whole.add(
        helper.make_node("ReduceMax", ["probability"], ["highest"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["highest", "gate"], ["any_gated"]),
        constant("whole", np.array(0)),
        helper.make_node("Equal", ["stage", "whole"], ["is_whole"]),
        helper.make_node("And", ["is_whole", "any_gated"], ["whole_and_gated"]),
        helper.make_node("Or", ["whole_and_gated", "from_value"], ["explained"]),
    )
    no_map = graph(
        "no_map",
        [
            ("Shape", ["images"], "sizes"),
            constant("map_axes", np.array([0, 2, 3])),
            ("Gather", ["sizes", "map_axes"], "map_sizes"),
            ("ConstantOfShape", ["map_sizes"], "nothing"),
        ],
        MAPS,
    )
    whole.branch("explained", parts[2], no_map, {"map": floats("relevance", MAPS)})
    return whole.model(
        inputs=[
            floats("images", IMAGES),
            floats("gate", []),
            helper.make_tensor_value_info("stage", TensorProto.INT64, []),
            floats("cells", CELLS),
        ],
        outputs=[
            floats("probability", TILES),
            floats("relevance", MAPS),
            floats("features", CELLS),
            floats("value", CELLS),
        ],
        defaults={
            "gate": np.array(GATE, np.float32),
            "stage": np.array(0),
            "cells": np.zeros((1, channels, 1, 1), np.float32),
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
) -> ModelProto:
    """A method of an explainer as torch exports it, sizes left open."""
    free = torch.export.Dim.DYNAMIC
    shapes = tuple({0: free, 2: free, 3: free} if x.ndim == 4 else {} for x in inputs.values())
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


def describe(
    model: ModelProto, checkpoint: Checkpoint, explainer: Propagation, task: ExportTask
) -> None:
    """Our own facts, and those that the QGIS plugin Deepness looks for, as metadata."""
    chain = explainer.chain
    facts = {
        "version": __version__,
        "network": checkpoint.network,
        "method": task.method,
        "start": task.start,
        "tile_px": chain.tile_px,
        "stride_px": chain.stride_px,
        "reach_px": chain.reach_px,
        "margin": checkpoint.margin,
        "checkpoint_sha256": sha256(task.model),
        "weights": task.model.name if task.weights_beside else None,
    }
    deepness = {
        "model_type": "Regressor",
        "class_names": {"0": "crack"},
        "tile_size": QGIS_TILE_PX,
        "tiles_size": QGIS_TILE_PX,
        "tiles_overlap": QGIS_OVERLAP,
        "standardization_mean": [0.0, 0.0, 0.0],
        "standardization_std": [1.0, 1.0, 1.0],
        "reg_output_scaling": 1.0,
    }
    if task.gsd_mm:
        deepness["resolution"] = task.gsd_mm / 10  # cm per px
    values = {METADATA: facts} | deepness
    helper.set_model_props(model, {key: json.dumps(value) for key, value in values.items()})
    model.producer_name, model.producer_version = "crackcli", __version__


def check(path: Path, task: ExportTask) -> None:
    """Compare the graph with torch, whole and by parts, on fresh images of other sizes than it was
    traced with."""
    ours = OnnxEngine(path, device="cpu")
    theirs = TorchEngine(task.model, task.method, task.start, device="cpu")
    random = np.random.default_rng()
    tile_px, stride_px = theirs.facts.tile_px, theirs.facts.stride_px
    for count, rows, cols in ((1, 0, 0), (2, 1, 2)):
        shape = (count, tile_px + rows * stride_px, tile_px + cols * stride_px, 3)
        images = random.integers(0, 256, shape, dtype=np.uint8)
        cells = theirs.features(images)
        probability, value = theirs.head(cells, 0.0)
        maps = theirs.back(images, value)
        agree(task, "features", ours.features(images), cells)
        for actual, expected in zip(ours.head(cells, 0.0), (probability, value), strict=True):
            agree(task, "head", actual, expected)
        agree(task, "back", ours.back(images, value), maps)
        agree(task, "whole", ours.explain(images, 0.0).maps, maps)
        agree(task, "closed gate", ours.explain(images, 1.1).maps, 0 * maps)


def agree(task: ExportTask, what: str, actual: np.ndarray, expected: np.ndarray) -> None:
    """Raise a `ModelError` unless two arrays are the same but for rounding."""
    error = float(np.linalg.norm(actual - expected)) / max(float(np.linalg.norm(expected)), 1e-12)
    if actual.shape != expected.shape or not error <= TOLERANCE:
        raise ModelError(
            f"{task.output} was not written: its {what} differs from torch by {error:.1e}; please "
            "report this with your versions of torch and onnxruntime"
        )
