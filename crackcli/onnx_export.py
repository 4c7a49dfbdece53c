"""Classifier and explanation as one plain ONNX graph: export, check against torch, rename.

The graph takes ``images`` (B, 3, H, W), RGB in [0, 1], sides multiples of the stride, and ``gate``
(), which defaults to 0.5; it gives ``probability`` (B, h, w) of every tile position and
``relevance`` (B, H, W).  The way back stands in one branch of an If, so that images without a
gated tile cost the forward pass only.  Weights that a rule modifies are computed in the graph,
which runtimes do once when they load it; each weight is stored once, in half precision, in the
file itself or in the checkpoint beside it.
"""

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper

from crackcli import __version__
from crackcli.attribution import DEFAULT_METHOD, DEFAULT_START
from crackcli.attribution.propagation import Propagation
from crackcli.engines.onnx import METADATA, OnnxEngine
from crackcli.engines.torch import TorchEngine
from crackcli.errors import ModelError, OutputError
from crackcli.files import sha256, written_aside
from crackcli.networks import Checkpoint
from crackcli.onnx_graph import defer, for_one_tile, forget_origin, halve, point_into
from crackcli.registry import METHODS, load

OPSET = 18
GATE = 0.5
TOLERANCE = 1e-3  # of the norm: float32 sums in another order, now and then another arg-max
QGIS_TILE_PX = 512
QGIS_TOP = 0.1  # root of relevance that is shown as a score of 1
QGIS_OVERLAP = 50  # percent: half a tile on each side, as far as a map depends on its surroundings


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
    explainer = load(METHODS, task.method)(checkpoint.build(), task.start).eval()
    model = traced(explainer)
    defer(model, early="probability", late="relevance", gate="gate", default=GATE)
    halve(model)
    if task.weights_beside:
        point_into(model, task.model)
    describe(model, checkpoint, explainer, task)
    with written_aside(task.output) as aside:
        onnx.save(model, aside)
        onnx.checker.check_model(aside)
        check(aside, task)
        if task.qgis:
            for_one_tile(model, "probability", "relevance", QGIS_TILE_PX, QGIS_TOP)
            onnx.save(model, aside)
            onnx.checker.check_model(aside)
    return task.output


def traced(explainer: Propagation) -> onnx.ModelProto:
    """The explainer as torch exports it, sizes left open."""
    side = explainer.chain.tile_px + 2 * explainer.chain.stride_px
    free = torch.export.Dim.DYNAMIC
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            explainer,
            (torch.rand(2, 3, side, side), torch.tensor(GATE)),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["images", "gate"],
            output_names=["probability", "relevance"],
            dynamic_shapes=({0: free, 2: free, 3: free}, {}),
        )
    model = program.model_proto
    forget_origin(model)
    return model


def describe(
    model: onnx.ModelProto, checkpoint: Checkpoint, explainer: Propagation, task: ExportTask
) -> None:
    """Our own facts, and those that the QGIS plugin Deepness looks for, as metadata."""
    facts = {
        "version": __version__,
        "network": checkpoint.network,
        "method": task.method,
        "start": task.start,
        "tile_px": explainer.chain.tile_px,
        "stride_px": explainer.chain.stride_px,
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


def check(graph: Path, task: ExportTask) -> None:
    """Compare the graph with torch on fresh images of other sizes than it was traced with."""
    onnx_engine = OnnxEngine(graph, device="cpu")
    torch_engine = TorchEngine(task.model, task.method, task.start, device="cpu")
    random = np.random.default_rng()
    tile_px, stride_px = torch_engine.facts.tile_px, torch_engine.facts.stride_px
    for count, rows, cols, gate in ((1, 0, 0, 0.0), (2, 1, 3, 0.0), (1, 1, 0, 1.1)):
        shape = (count, tile_px + rows * stride_px, tile_px + cols * stride_px, 3)
        images = random.integers(0, 256, shape, dtype=np.uint8)
        actual, expected = (e.explain(images, gate) for e in (onnx_engine, torch_engine))
        for name in ("maps", "probability"):
            a, b = getattr(actual, name), getattr(expected, name)
            error = float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-12))
            if not error <= TOLERANCE:
                raise ModelError(
                    f"{task.output} was not written: its {name} differ from torch by {error:.1e}; "
                    "please report this with your versions of torch and onnxruntime"
                )
