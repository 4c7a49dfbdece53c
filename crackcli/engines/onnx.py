"""Score maps by ONNX Runtime, from a graph that ``crackcli export`` wrote; no torch needed.

The package for CUDA lists its CUDA provider on every machine; whether it works shows only in the
session that was made with it.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from crackcli.arrays import Float32, Int64, UInt8
from crackcli.engines.engine import (
    DEVICES,
    DIRECT_KINDS,
    Engine,
    EngineFacts,
    Place,
    ScoreMaps,
    ungated,
)
from crackcli.engines.onnx_constants import with_fixed
from crackcli.errors import DeviceError, ModelError, OutOfMemory
from crackcli.files import sha256
from crackcli.registry import check, find_baseline

METADATA = "crackcli"  # the key of our facts among the metadata of a graph
FACTS = (
    *("network", "method", "start", "tile_px", "stride_px", "reach_px", "margin"),
    *("kind", "passes", "baseline"),
)
CONTRACT = (
    2  # of graphs of a classifier: their parts take windows; see `crackcli.engines.engine.Engine`
)
NEEDED = {*FACTS, "checkpoint_sha256"}
OUTPUTS = {"relevance", "probability", "features", "value"}  # relevance alone without a classifier
WHOLE, FEATURES, HEAD, BACK = range(4)  # stages of the graph; back is the share of a pass, or all
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
SHRINKING = "memory.enable_memory_arena_shrinkage"
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
OUT_OF_MEMORY = ("failed to allocate memory", "out of memory")  # in what the runtime says
QUICK = "images"  # the input of a graph of features in whole numbers
REASON_LENGTH = 200  # letters of what the runtime says
SILENT = 4  # log only what is fatal: a missing CUDA library is our message, not theirs
onnxruntime.set_default_logger_severity(SILENT)


class OnnxEngine:
    """A graph of classifier and explanation; its method and start are fixed in the file."""

    def __init__(
        self,
        model: Path,
        method: str | None = None,
        start: str | None = None,
        device: str = "auto",
        baseline: str | None = None,
        precision: str = "float32",
    ) -> None:
        self.session, used = open_session(model, device)
        self.model, self.device = model, device
        self.stages: dict[int, onnxruntime.InferenceSession] = {}
        self.tidy = onnxruntime.RunOptions()  # each stage gives back what the next one needs
        self.tidy.add_run_config_entry(SHRINKING, "cpu:0" if used == "cpu" else "gpu:0")
        facts = read_facts(self.session, model)
        agree(model, facts, method, start, baseline)
        self.facts = EngineFacts(
            engine="onnx",
            device=used,
            model=model.name,
            model_sha256=sha256(model),
            precision="tf32" if used == "cuda" else "float32",
            **{name: facts[name] for name in FACTS},
        )

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        if self.facts.direct:
            return ungated(self.maps(images))
        probability, maps = self.run(
            ["probability", "relevance"], images=scaled(images), gate=gate, stage=WHOLE
        )
        return ScoreMaps(maps, probability)

    def features(self, images: UInt8) -> Float32:
        (cells,) = self.run(["features"], images=scaled(images), stage=FEATURES)
        return cells

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        no_images = np.zeros((1, 3, 0, 0), np.float32)
        probability, value = self.run(
            ["probability", "value"], images=no_images, cells=cells, gate=gate, stage=HEAD
        )
        return probability, value

    def back(self, images: UInt8, value: Float32) -> Float32:
        (maps,) = self.run(["relevance"], images=scaled(images), cells=value, stage=BACK)
        return maps

    def share(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        (maps,) = self.run(
            ["relevance"],
            images=scaled(images),
            cells=gated[:, None],
            stage=BACK,
            number=np.asarray(number),
            place=np.asarray(place),
        )
        return maps

    def maps(self, images: UInt8) -> Float32:
        (maps,) = self.session.run(["relevance"], {"images": scaled(images)})
        return maps

    def run(
        self,
        outputs: list[str],
        *,
        stage: int,
        gate: float = 0.0,
        **arrays: Float32 | Int64,
    ) -> list[Float32]:
        """Some outputs of a stage of the graph; see `crackcli.export.onnx_file`."""
        arrays = arrays | {"gate": np.asarray(gate, np.float32)}
        try:
            if stage == WHOLE:
                return self.session.run(outputs, arrays)
            return self.session_of(stage).run(outputs, arrays, self.tidy)
        except Exception as error:  # the runtime has no common class for its errors
            if not any(words in str(error).lower() for words in OUT_OF_MEMORY):
                raise
            raise OutOfMemory(
                f"{self.facts.device} has not enough free memory for {self.facts.model}; free some"
            ) from error

    def session_of(self, stage: int) -> onnxruntime.InferenceSession:
        """A session for one stage: what it knows to be fixed it lays out as suits the processor,
        which makes the features a fifth faster."""
        if stage not in self.stages:
            graph = with_fixed(self.model.read_bytes(), "stage", stage)
            self.stages[stage], _ = open_session(self.model, self.device, graph)
        return self.stages[stage]


class Quick:
    """Another engine whose cells are computed in whole numbers of 8 bits, by a graph of its
    network's features: about the same, in half the time of bfloat16."""

    def __init__(self, engine: Engine, graph: Path) -> None:
        self.engine, self.facts = engine, engine.facts
        self.session, _ = open_session(graph, "cpu")
        self.sha256 = sha256(graph)

    def features(self, images: UInt8) -> Float32:
        (cells,) = self.session.run(None, {QUICK: scaled(images)})
        return cells

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        return self.engine.head(cells, gate)


def agree(
    model: Path, facts: dict[str, Any], method: str | None, start: str | None, baseline: str | None
) -> None:
    """Raise a `ModelError` where a graph was not made for what is asked for."""
    asked = {"method": method, "start": start, "baseline": baseline}
    if baseline is not None:
        asked["baseline"] = find_baseline(method or facts["method"], baseline)
    if facts["start"] == "none":  # whatever is asked for, there is none
        del asked["start"]
    for name, wanted in asked.items():
        if wanted not in (None, facts[name]):
            wishes = " ".join(f"--{key} {value}" for key, value in asked.items() if value)
            raise ModelError(
                f"{model} is for {name} {facts[name]}, not {wanted}; write another with "
                f"crackcli export {wishes}"
            )


def scaled(images: UInt8) -> Float32:
    """Images as the network takes them: float32 in [0, 1], channels first."""
    batch = np.ascontiguousarray(np.moveaxis(images, -1, 1), dtype=np.float32)
    batch /= 255
    return batch


def open_session(
    model: Path, device: str, graph: bytes | None = None
) -> tuple[onnxruntime.InferenceSession, str]:
    """A session on ``device`` (auto, cpu, cuda) and the device that it really uses; ``graph`` is
    run in the place of the file, with the weights beside it."""
    check(DEVICES, device)
    if not model.is_file():
        raise ModelError(f"{model} is not a file; write one with crackcli export")
    available = onnxruntime.get_available_providers()
    wanted = ["cpu"] if device == "cpu" else ["cuda", "cpu"]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.enable_mem_pattern = False  # patterns reserve the sum of all shapes seen
    options.intra_op_num_threads = threads()
    options.add_session_config_entry(WEIGHTS_FOLDER, str(model.parent))
    try:
        session = onnxruntime.InferenceSession(
            *(model if graph is None else graph, options),
            providers=[PROVIDERS[d] for d in wanted if PROVIDERS[d] in available],
        )
    except Exception as error:  # the runtime has no common class for its errors
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise ModelError(
            f"{model} is not a usable ONNX graph, or the weights beside it are not there "
            f"({reason}); export it again"
        ) from error
    used = "cuda" if PROVIDERS["cuda"] in session.get_providers() else "cpu"
    if device == "cuda" and used == "cpu":
        raise DeviceError(
            "CUDA is not usable by ONNX Runtime here (the session fell back to the CPU); "
            "use --engine torch, or --device cpu"
        )
    return session, used


def threads() -> int:
    """How many threads this process may use: ``OMP_NUM_THREADS``, as clusters set it and torch
    obeys it, or the cores it is confined to by its affinity; 0, the runtime's choice, where
    neither says."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return 0
    return allowed if allowed < (os.cpu_count() or 1) else 0


def read_facts(session: onnxruntime.InferenceSession, model: Path) -> dict[str, Any]:
    """Our metadata, after a check that the weights beside the graph are those it was made with."""
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        facts = json.loads(metadata[METADATA])
        missing = NEEDED - facts.keys()
    except (KeyError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{model} was not written by crackcli export; export the model again"
        ) from error
    if missing or (facts["kind"] not in DIRECT_KINDS and facts.get("contract") != CONTRACT):
        raise ModelError(f"{model} is of another version of crackcli; export the model again")
    needed = {"relevance"} if facts["kind"] in DIRECT_KINDS else OUTPUTS
    if not {value.name for value in session.get_outputs()} >= needed:
        raise ModelError(f"{model} was exported for QGIS; export one for scan, without --qgis")
    weights = facts.get("weights")
    if weights and sha256(model.with_name(weights)) != facts["checkpoint_sha256"]:
        raise ModelError(
            f"{model} was exported with other weights than {model.with_name(weights)} holds; "
            "export it again"
        )
    return facts
