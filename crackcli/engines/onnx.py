"""Score maps by ONNX Runtime, from a graph that ``crackcli export`` wrote; needs no torch.

ONNX Runtime's package for CUDA lists its CUDA provider on every machine; whether CUDA works shows
only in a session that asked for it.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from crackcli.arrays import Float32, Int64, UInt8
from crackcli.engines.engine import (
    DEVICES,
    DIRECT_KINDS,
    EngineFacts,
    Place,
    ScoreMaps,
    TileEngine,
    ungated,
)
from crackcli.engines.onnx_constants import fix_input
from crackcli.errors import DeviceError, ModelError, OutOfMemory
from crackcli.files import refuse_special, sha256
from crackcli.licences import Licence
from crackcli.registry import check_choice, find_baseline
from crackcli.shipped_models import licence_of
from crackcli.threads import thread_limit

METADATA = "crackcli"  # the key of our facts in the metadata of a graph
FACTS = (
    *("network", "method", "start", "tile_px", "stride_px", "reach_px", "margin"),
    *("kind", "passes", "baseline"),
)
CONTRACT = 2  # version of classifier graphs: their parts take windows, see `Engine`
NEEDED = {*FACTS, "checkpoint_sha256"}
OUTPUTS = {"relevance", "probability", "features", "value"}  # direct methods: relevance alone
WHOLE, FEATURES, HEAD, BACK = range(4)  # stages of a graph; `BACK` is one pass if it has several
ENCODE, CONTEXT, DECODE = range(1, 4)  # those of a graph of kind stages
NO_IMAGES = np.zeros((1, 3, 0, 0), np.float32)  # of stages that need none
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
ARENA_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
SPINNING = "session.intra_op.allow_spinning"
SHARED_MEMORY = "session.use_env_allocators"
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc")  # of the runtime
INT8_INPUT = "images"  # the input of the graph of int8 features
REASON_LENGTH = 200  # characters of a message of the runtime
FATAL = 4  # the log level: a missing CUDA library is our message, not the runtime's
onnxruntime.set_default_logger_severity(FATAL)


class OnnxEngine:
    """A graph of classifier and attribution; the file fixes method and target."""

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
        self.window_cells: dict[str, int] = {}
        self.stages: dict[int, onnxruntime.InferenceSession] = {}
        self.shrinking = onnxruntime.RunOptions()  # each stage frees memory for the next one
        self.shrinking.add_run_config_entry(ARENA_SHRINKAGE, "cpu:0" if used == "cpu" else "gpu:0")
        facts = read_facts(self.session, model)
        check_request(model, facts, method, start, baseline)
        self.facts = EngineFacts(
            engine="onnx",
            device=used,
            model=model.name,
            model_sha256=sha256(model),
            precision="tf32" if used == "cuda" else facts.get("precision", "float32"),
            **{name: facts[name] for name in FACTS},
            licence=licence_of(model, Licence.read(facts.get("licence"))),
            calibration=facts.get("calibration"),
        )

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        if self.facts.direct:
            return ungated(self.maps(images))
        probability, maps = self.run(
            ["probability", "relevance"], images=as_input(images), gate=gate, stage=WHOLE
        )
        return ScoreMaps(maps, probability)

    def features(self, images: UInt8) -> Float32:
        (cells,) = self.run(["features"], images=as_input(images), stage=FEATURES)
        return cells

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        probability, value = self.run(
            ["probability", "value"], images=NO_IMAGES, cells=cells, gate=gate, stage=HEAD
        )
        return probability, value

    def back(self, images: UInt8, value: Float32) -> Float32:
        (maps,) = self.run(["relevance"], images=as_input(images), cells=value, stage=BACK)
        return maps

    def pass_map(self, images: UInt8, gated: Float32, number: int, place: Place) -> Float32:
        (maps,) = self.run(
            ["relevance"],
            images=as_input(images),
            cells=gated[:, None],
            stage=BACK,
            number=np.asarray(number),
            place=np.asarray(place),
        )
        return maps

    def maps(self, images: UInt8) -> Float32:
        maps: Float32
        given = {"images": as_input(images)}
        if self.facts.kind == "stages":
            (maps,) = self.run_stage(WHOLE, ["relevance"], given)
            return maps
        with memory_errors(self.facts.model, self.facts.device):
            (maps,) = self.session.run(["relevance"], given)
        return maps

    def encode(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        halves, quarters, eighths = self.run_stage(
            ENCODE, ["halves", "quarters", "eighths"], {"images": as_input(images)}
        )
        return halves, quarters, eighths

    def context(self, eighths: Float32) -> Float32:
        given = {"images": NO_IMAGES, "given_eighths": eighths}
        (context,) = self.run_stage(CONTEXT, ["context"], given)
        return context

    def decode(
        self, images: UInt8, halves: Float32, quarters: Float32, context: Float32
    ) -> Float32:
        given = {"given_halves": halves, "given_quarters": quarters, "given_context": context}
        given["images"] = as_input(images)
        (maps,) = self.run_stage(DECODE, ["relevance"], given)
        return maps

    def run_stage(self, stage: int, outputs: list[str], given: dict[str, Float32]) -> list[Float32]:
        """Compute ``outputs`` of a stage of a graph of kind stages."""
        with memory_errors(self.facts.model, self.facts.device):
            values: list[Float32] = self.stage_session(stage).run(outputs, given)
        return values

    def run(
        self,
        outputs: list[str],
        *,
        stage: int,
        gate: float = 0.0,
        **arrays: Float32 | Int64,
    ) -> list[Float32]:
        """Compute ``outputs`` of a stage of the graph; see `crackcli.export.onnx_file`."""
        given = {**arrays, "gate": np.asarray(gate, np.float32)}
        values: list[Float32]
        with memory_errors(self.facts.model, self.facts.device):
            if stage == WHOLE:
                values = self.session.run(outputs, given)
            else:
                values = self.stage_session(stage).run(outputs, given, self.shrinking)
        return values

    def stage_session(self, stage: int) -> onnxruntime.InferenceSession:
        """Return the session of one stage.

        The runtime chooses the memory layout of a stage that is a constant for the processor,
        which makes the features a fifth faster.
        """
        if stage not in self.stages:
            graph = fix_input(self.model.read_bytes(), "stage", stage)
            shares = self.facts.kind == "stages"
            self.stages[stage], _ = open_session(self.model, self.device, graph, shares=shares)
        return self.stages[stage]


class Int8Engine:
    """Classifies tiles by another engine's head on int8 features.

    The features come from a graph of their own: P(crack) is nearly that of the other engine, in
    half the time of bfloat16.
    """

    def __init__(self, engine: TileEngine, graph: Path) -> None:
        self.engine, self.facts = engine, engine.facts
        self.window_cells: dict[str, int] = {}
        self.session, _ = open_session(graph, "cpu")
        self.sha256 = sha256(graph)

    def features(self, images: UInt8) -> Float32:
        cells: Float32
        (cells,) = self.session.run(None, {INT8_INPUT: as_input(images)})
        return cells

    def head(self, cells: Float32, gate: float) -> tuple[Float32, Float32]:
        return self.engine.head(cells, gate)


@contextmanager
def memory_errors(model: str, device: str) -> Iterator[None]:
    """Turn the errors of the runtime about memory into an `OutOfMemory`."""
    try:
        yield
    except Exception as error:  # the runtime has no common class for its errors
        full = any(words in str(error).lower() for words in OUT_OF_MEMORY)
        if isinstance(error, OutOfMemory) or not (full or isinstance(error, MemoryError)):
            raise
        raise OutOfMemory(f"{model}: {device} has not enough free memory; free some") from error


def check_request(
    model: Path, facts: dict[str, Any], method: str | None, start: str | None, baseline: str | None
) -> None:
    """Raise a `ModelError` if a graph was made for another method, target or baseline."""
    asked = {"method": method, "start": start, "baseline": baseline}
    if baseline is not None:
        asked["baseline"] = find_baseline(method or facts["method"], baseline)
    if facts["start"] == "none":  # a direct method has no target, whatever is asked for
        del asked["start"]
    for name, wanted in asked.items():
        if wanted not in (None, facts[name]):
            options = " ".join(f"--{key} {value}" for key, value in asked.items() if value)
            raise ModelError(
                f"{model}: exported for {name} {facts[name]}, not {wanted}; write another with "
                f"crackcli export {options}"
            )


def as_input(images: UInt8) -> Float32:
    """Return images (B, H, W, 3) as input of a network: (B, 3, H, W) float32 in [0, 1]."""
    batch = np.ascontiguousarray(np.moveaxis(images, -1, 1), dtype=np.float32)
    batch /= 255
    return batch


def open_session(
    model: Path, device: str, graph: bytes | None = None, *, shares: bool = False
) -> tuple[onnxruntime.InferenceSession, str]:
    """Return a session on ``device`` (auto, cpu, cuda) and the device that it really uses.

    ``graph`` replaces the content of the file; the weights beside the file remain. Sessions that
    ``shares`` is set for use one pool of memory. Raises a `ModelError` if the file is no usable
    graph, a `DeviceError` if CUDA is asked for and fails, or if there is too little memory.
    """
    check_choice("--device", DEVICES, device)
    if not model.is_file():
        raise ModelError(f"{model}: no such file; write one with crackcli export")
    available = onnxruntime.get_available_providers()
    wanted = ["cpu"] if device == "cpu" else ["cuda", "cpu"]
    check_weights(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.enable_mem_pattern = False  # patterns reserve the sum of all shapes seen
    options.intra_op_num_threads = thread_limit() or 0  # 0: the runtime's choice
    options.add_session_config_entry(WEIGHTS_FOLDER, str(model.parent))
    if shares:
        share_memory()
        options.add_session_config_entry(SHARED_MEMORY, "1")
        options.add_session_config_entry(SPINNING, "0")  # other threads have work meanwhile
    try:
        with memory_errors(model.name, wanted[0]):
            session = onnxruntime.InferenceSession(
                *(model if graph is None else graph, options),
                providers=[PROVIDERS[d] for d in wanted if PROVIDERS[d] in available],
            )
    except OutOfMemory as error:  # smaller windows would not help
        raise DeviceError(f"{model}: not enough free memory to open it; free some") from error
    except Exception as error:  # the runtime has no common class for its errors
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise ModelError(
            f"{model}: not a usable ONNX graph, or the weights beside it are missing "
            f"({reason}); export it again"
        ) from error
    used = "cuda" if PROVIDERS["cuda"] in session.get_providers() else "cpu"
    if device == "cuda" and used == "cpu":
        raise DeviceError(
            "--device cuda: CUDA is not usable by ONNX Runtime here (the session fell back to the "
            "CPU); use --engine torch, or --device cpu"
        )
    return session, used


def check_weights(model: Path) -> None:
    """Raise a `ModelError` if a graph takes its weights from a pipe or a device beside it, for
    which the runtime would wait."""
    with contextlib.suppress(OSError), os.scandir(model.parent) as beside:
        for each in beside:
            waits = not (each.is_file() or each.is_dir())
            if waits and os.fsencode(each.name) in model.read_bytes():
                refuse_special(Path(each.path), ModelError, "export the model again")


@cache
def share_memory() -> None:
    """Create the pool of memory for sessions that run one after the other."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu",
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        0,
        onnxruntime.OrtMemType.DEFAULT,
    )
    as_requested = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(memory, as_requested)


def read_facts(session: onnxruntime.InferenceSession, model: Path) -> dict[str, Any]:
    """Return our metadata of a graph.

    Raises a `ModelError` if the graph is not one of this version's for scans, or if the weights
    beside it are not those that it was exported with.
    """
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        facts: dict[str, Any] = json.loads(metadata[METADATA])
        missing = NEEDED - facts.keys()
    except (KeyError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{model}: not written by crackcli export; export the model again"
        ) from error
    if missing or (facts["kind"] not in DIRECT_KINDS and facts.get("contract") != CONTRACT):
        raise ModelError(f"{model}: of another version of crackcli; export the model again")
    needed = {"relevance"} if facts["kind"] in DIRECT_KINDS else OUTPUTS
    if not {value.name for value in session.get_outputs()} >= needed:
        raise ModelError(f"{model}: exported for QGIS; export one for scan, without --qgis")
    weights = facts.get("weights")
    if weights and sha256(model.with_name(weights)) != facts["checkpoint_sha256"]:
        raise ModelError(
            f"{model}: exported with other weights than {model.with_name(weights)} contains; "
            "export it again"
        )
    return facts
