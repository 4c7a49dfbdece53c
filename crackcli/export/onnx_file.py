"""Classifier and explanation as one plain ONNX graph: export, check against torch, rename.

The graph takes ``images`` (B, 3, H, W), RGB in [0, 1], sides multiples of the stride, and gives
``probability`` (B, h, w) of every tile position and ``relevance`` (B, H, W).  More inputs have
defaults: ``gate``, 0.5, below which a tile is not explained; if none reaches it, the way back is
skipped.  ``stage`` and ``cells`` let a scan run the parts of `Propagation` one by one, on windows
that reach further than their cells, with what another part gave as ``cells``: 0 all, 1 features
(to ``features``), 2 head (to ``probability`` and ``value``), 3 back.

Weights that a rule modifies are computed in the graph, which runtimes do once when they load it;
each weight is stored once, in half precision, in the file itself or in the checkpoint beside it.

A method of several passes reads ``number`` and ``place`` too, and its third stage is one pass; a
method without a gate has ``images`` and ``relevance`` only: see `crackcli.export.method_graphs`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper

from crackcli import __version__
from crackcli.engines.engine import EngineFacts
from crackcli.engines.onnx import CONTRACT, FACTS, METADATA, OnnxEngine
from crackcli.engines.torch import TorchEngine
from crackcli.errors import ModelError, OutputError
from crackcli.export.graph_surgery import for_one_tile, halve, point_into
from crackcli.export.method_graphs import WINDOWED, graph_of
from crackcli.files import refuse_existing, written_aside
from crackcli.registry import DEFAULT_METHOD, DEFAULT_START

TOLERANCE = 0.02  # of the norm
TRIES = 3
GATED = 0.5  # share of the tiles that are explained where a pass is checked
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
    baseline: str | None = None  # None: that of the method
    weights_beside: bool = False  # leave the weights in the checkpoint, in the same folder
    qgis: bool = False  # fixed tile and one output, as Deepness demands; not for scan
    gsd_mm: float | None = None  # pixel size of the photographs it is meant for
    overwrite: bool = False


def export(task: ExportTask) -> Path:
    """Write ``task.output``; it exists afterwards only if it agrees with torch."""
    refuse_existing(task.output, overwrite=task.overwrite)
    if task.weights_beside and task.model.resolve().parent != task.output.resolve().parent:
        raise OutputError(f"{task.output} must lie in the folder of {task.model} to share weights")
    engine = TorchEngine(task.model, task.method, task.start, "cpu", task.baseline)
    model = graph_of(engine.explainer)
    halve(model)
    if task.weights_beside:
        point_into(model, task.model)
    describe(model, engine.facts, task)
    with written_aside(task.output) as aside:
        onnx.save(model, aside)
        onnx.checker.check_model(aside)
        check(OnnxEngine(aside, device="cpu"), engine, task)
        if task.qgis:
            for_one_tile(
                *(model, "relevance", qgis_tile_px(engine.facts), qgis_top(engine.facts)),
                WINDOWED,
            )
            onnx.save(model, aside)
            onnx.checker.check_model(aside)
    return task.output


def describe(model: ModelProto, facts: EngineFacts, task: ExportTask) -> None:
    """Our own facts, and those that the QGIS plugin Deepness looks for, as metadata."""
    ours = {
        **{name: getattr(facts, name) for name in FACTS},
        "version": __version__,
        "contract": CONTRACT,
        "checkpoint_sha256": facts.model_sha256,
        "weights": task.model.name if task.weights_beside else None,
    }
    deepness = {
        "model_type": "Regressor",
        "class_names": {"0": "crack"},
        "tile_size": qgis_tile_px(facts),
        "tiles_size": qgis_tile_px(facts),
        "tiles_overlap": QGIS_OVERLAP,
        "standardization_mean": [0.0, 0.0, 0.0],
        "standardization_std": [1.0, 1.0, 1.0],
        "reg_output_scaling": 1.0,
    }
    if task.gsd_mm:
        deepness["resolution"] = task.gsd_mm / 10  # cm per px
    values = {METADATA: ours} | deepness
    helper.set_model_props(model, {key: json.dumps(value) for key, value in values.items()})
    model.producer_name, model.producer_version = "crackcli", __version__


def qgis_tile_px(facts: EngineFacts) -> int:
    """The side of the one tile that a graph for QGIS takes."""
    return facts.tile_px if facts.kind == "tiles" else QGIS_TILE_PX


def qgis_top(facts: EngineFacts) -> float:
    """The root of a score that QGIS shows as 1: relevance is small, probabilities are not."""
    return 1.0 if facts.direct else QGIS_TOP


def check(ours: OnnxEngine, theirs: TorchEngine, task: ExportTask) -> None:
    """Compare the graph with torch; what differs once may be a near tie of a pool that went the
    other way, what differs every time is wrong."""
    for left in reversed(range(TRIES)):
        try:
            compare(ours, theirs, task)
            return
        except ModelError:
            if not left:
                raise


def compare(ours: OnnxEngine, theirs: TorchEngine, task: ExportTask) -> None:
    """Compare a graph with torch, whole and by parts, on fresh images of other sizes than it was
    traced with."""
    facts = theirs.facts
    random = np.random.default_rng()
    for count, rows, cols in ((1, 0, 0), (2, 1, 2)):
        more = (0, 0) if facts.kind == "tiles" else (rows * facts.stride_px, cols * facts.stride_px)
        shape = (count, facts.tile_px + more[0], facts.tile_px + more[1], 3)
        images = random.integers(0, 256, shape, dtype=np.uint8)
        expected = theirs.explain(images, 0.0).maps
        agree(task, "whole", ours.explain(images, 0.0).maps, expected)
        if facts.direct:
            continue
        agree(task, "closed gate", ours.explain(images, 1.1).maps, 0 * expected)
        window = np.pad(images, [(0, 0), *2 * [2 * (facts.reach_px,)], (0, 0)], mode="reflect")
        cells = theirs.features(window)
        agree(task, "features", ours.features(window), cells)
        probability, value = theirs.head(cells, 0.0)
        for actual, wanted in zip(ours.head(cells, 0.0), (probability, value), strict=True):
            agree(task, "head", actual, wanted)
        if facts.kind == "propagation":
            agree(task, "back", ours.back(window, value), theirs.back(window, value))
    if facts.kind == "passes":
        compare_share(ours, theirs, task)


def compare_share(ours: OnnxEngine, theirs: TorchEngine, task: ExportTask) -> None:
    """Compare the share of the last pass of a window somewhere in a raster."""
    facts = theirs.facts
    random = np.random.default_rng()
    tile, reach = facts.tile_px // facts.stride_px, -(-facts.reach_px // facts.stride_px)
    cells = 2 * (tile - 1) + 4 * reach + 2  # of the window, two of them in its core
    side = cells * facts.stride_px
    images = random.integers(0, 256, (1, side, side + facts.stride_px, 3), dtype=np.uint8)
    tiles = cells - 2 * reach - tile + 1
    gated = (random.random((1, tiles, tiles + 1)) < GATED).astype(np.float32)
    place = (-facts.stride_px, 3 * facts.tile_px)
    last = facts.passes - 1
    expected = theirs.share(images, gated, last, place)
    agree(task, "share", ours.share(images, gated, last, place), expected)


def agree(task: ExportTask, what: str, actual: np.ndarray, expected: np.ndarray) -> None:
    """Raise a `ModelError` unless two arrays are the same but for rounding."""
    error = float(np.linalg.norm(actual - expected)) / max(float(np.linalg.norm(expected)), 1e-12)
    if actual.shape != expected.shape or not error <= TOLERANCE:
        raise ModelError(
            f"{task.output} was not written: its {what} differs from torch by {error:.1e}; please "
            "report this with your versions of torch and onnxruntime"
        )
