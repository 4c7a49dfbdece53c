"""Exports classifier and attribution as one plain ONNX graph, and checks it against torch.

The graph takes ``images`` (B, 3, H, W), RGB in [0, 1], with sides that are multiples of the
stride. It returns ``probability`` (B, h, w) of every tile position and ``relevance`` (B, H, W).
Other inputs have defaults. ``gate`` is 0.5: tiles with a lower P(crack) get no attribution, and
if all are lower the backward pass is skipped. ``stage`` and ``cells`` let a scan run the parts of
`Propagation` one by one on windows, which extend beyond their cells, with the result of another
part as ``cells``: 0 everything, 1 features (to ``features``), 2 head (to ``probability`` and
``value``), 3 back.

The graph computes the weights that a rule modifies; runtimes do this once, when they load it.
Each weight is stored once, in half precision, in the file itself or in the checkpoint beside it.

The graph of a method of several passes also takes ``number`` and ``place``, and its stage 3 is one
pass. That of a method without a gate has ``images`` and ``relevance`` only. See
`crackcli.export.method_graphs`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper

from crackcli import __version__
from crackcli.arrays import Float32
from crackcli.engines.engine import EngineFacts
from crackcli.engines.onnx import CONTRACT, FACTS, METADATA, OnnxEngine
from crackcli.engines.torch import TorchEngine
from crackcli.errors import ModelError, OutputError
from crackcli.export.graph_surgery import convert_for_qgis, refer_to_weights, store_in_half
from crackcli.export.method_graphs import WINDOWED, export_graph
from crackcli.files import atomic_write, refuse_existing

TOLERANCE = 0.02  # of the norm
ATTEMPTS = 3
GATED = 0.5  # fraction of tiles above the gate in the check of a pass
QGIS_TILE_PX = 512
QGIS_TOP = 0.1  # root of the relevance that becomes a score of 1
QGIS_OVERLAP = 50  # percent; a map depends on half a tile of surroundings on each side


@dataclass(frozen=True)
class ExportTask:
    """A checkpoint, a method, and the file to write."""

    model: Path
    output: Path
    method: str | None = None  # None: that of the network
    start: str | None = None  # None: margin
    baseline: str | None = None  # None: the default of the method
    weights_beside: bool = False  # leave the weights in the checkpoint, in the same folder
    qgis: bool = False  # fixed tile size and one output, for Deepness; not for scan
    gsd_mm: float | None = None  # pixel size of the photographs that it is for
    overwrite: bool = False


def export(task: ExportTask) -> Path:
    """Write ``task.output`` and return it; it exists afterwards only if it agrees with torch.

    Raises a `ModelError` if it does not, an `OutputError` if the file cannot be written.
    """
    refuse_existing(task.output, overwrite=task.overwrite)
    if task.weights_beside and task.model.resolve().parent != task.output.resolve().parent:
        raise OutputError(
            f"--weights-beside: {task.output} must be in the folder of {task.model}; choose "
            "another output, or leave it out"
        )
    engine = TorchEngine(task.model, task.method, task.start, "cpu", task.baseline)
    model = export_graph(engine.attribution)
    store_in_half(model)
    if task.weights_beside:
        refer_to_weights(model, task.model)
    describe(model, engine.facts, task)
    with atomic_write(task.output) as aside:
        onnx.save(model, aside)
        onnx.checker.check_model(aside)
        check_graph(OnnxEngine(aside, device="cpu"), engine, task)
        if task.qgis:
            convert_for_qgis(
                *(model, "relevance", qgis_tile_px(engine.facts), qgis_top(engine.facts)),
                WINDOWED,
            )
            onnx.save(model, aside)
            onnx.checker.check_model(aside)
    return task.output


def describe(
    model: ModelProto, facts: EngineFacts, task: ExportTask, precision: str = "float32"
) -> None:
    """Write our own facts into ``model``, and into a graph for QGIS the metadata of the plugin
    Deepness.

    It stores results as bytes, so a score from 0 to 1 is multiplied by 255.
    """
    ours: dict[str, object] = {
        **{name: getattr(facts, name) for name in FACTS},
        "licence": asdict(facts.licence),
        "calibration": facts.calibration,
        "precision": precision,
        "version": __version__,
        "contract": CONTRACT,
        "checkpoint_sha256": facts.model_sha256,
        "weights": task.model.name if task.weights_beside else None,
    }
    values: dict[str, object] = {METADATA: ours}
    if task.qgis:
        values |= deepness_metadata(facts, task)
    helper.set_model_props(model, {key: json.dumps(value) for key, value in values.items()})
    model.producer_name, model.producer_version = "crackcli", __version__


def deepness_metadata(facts: EngineFacts, task: ExportTask) -> dict[str, object]:
    """Return the metadata that Deepness 0.6.5 reads; of older versions ``tiles_size``."""
    metadata: dict[str, object] = {
        "model_type": "Regressor",
        "class_names": {"0": "crack"},
        "tile_size": qgis_tile_px(facts),
        "tiles_size": qgis_tile_px(facts),
        "tiles_overlap": QGIS_OVERLAP,
        "standardization_mean": [0.0, 0.0, 0.0],
        "standardization_std": [1.0, 1.0, 1.0],
        "reg_output_scaling": 255.0,  # to bytes
    }
    if task.gsd_mm:
        metadata["resolution"] = task.gsd_mm / 10  # cm per px
    return metadata


def qgis_tile_px(facts: EngineFacts) -> int:
    """Return the side of the one tile that a graph for QGIS takes."""
    return facts.tile_px if facts.kind == "tiles" else QGIS_TILE_PX


def qgis_top(facts: EngineFacts) -> float:
    """Return the root of the score that QGIS shows as 1: relevance is small, P(crack) is not."""
    return 1.0 if facts.direct else QGIS_TOP


def check_graph(ours: OnnxEngine, theirs: TorchEngine, task: ExportTask) -> None:
    """Compare the graph with torch, up to `ATTEMPTS` times.

    A single difference may be a near tie of a pool that is broken the other way; one in every
    attempt is an error.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            compare(ours, theirs, task)
            return
        except ModelError:
            if not left:
                raise


def compare(ours: OnnxEngine, theirs: TorchEngine, task: ExportTask) -> None:
    """Compare the graph with torch, as a whole and by parts, on new images of other sizes than it
    was traced with."""
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
        compare_pass(ours, theirs, task)


def compare_pass(ours: OnnxEngine, theirs: TorchEngine, task: ExportTask) -> None:
    """Compare the last pass of a window somewhere in a raster."""
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
    expected = theirs.pass_map(images, gated, last, place)
    agree(task, "pass", ours.pass_map(images, gated, last, place), expected)


def agree(task: ExportTask, what: str, actual: Float32, expected: Float32) -> None:
    """Raise a `ModelError` unless two arrays are equal up to rounding."""
    error = float(np.linalg.norm(actual - expected)) / max(float(np.linalg.norm(expected)), 1e-12)
    if actual.shape != expected.shape or not error <= TOLERANCE:
        raise ModelError(
            f"{task.output}: not written, since its {what} differs from torch by {error:.1e}; "
            "please report this with your versions of torch and onnxruntime"
        )
