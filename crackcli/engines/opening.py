"""Chooses the model file and the engine that runs it."""

import logging
import shutil
from importlib.util import find_spec
from pathlib import Path

from crackcli.engines.engine import Engine
from crackcli.errors import ModelError, UsageError
from crackcli.files import refuse_special
from crackcli.registry import (
    BASELINES,
    CLASSIFIER,
    DEFAULT_START,
    ENGINES,
    METHODS,
    NETWORK_METHODS,
    PRECISIONS,
    STARTS,
    check_choice,
    find_method,
    load,
)
from crackcli.shipped_models import MODELS, Choice, choose, shipped

log = logging.getLogger(__name__)

OWN_MENUS = {"zennit"}  # engines with methods of their own
GRAPH, INT8_GRAPH = ".onnx", ".int8.onnx"
CHECKPOINT = ".safetensors"
CHECKPOINT_PACKAGES = ("torch", "safetensors")  # packages that read checkpoints
CPU_INFO = Path("/proc/cpuinfo")
DRIVER = Path("/proc/driver/nvidia/version")


def find_model(choice: Choice, start: str | None, engine: str) -> Path:
    """Return the model file to use: the one given, or that of a shipped model for the engine.

    Raises a `ModelError` if it is not shipped.
    """
    model, method = choice
    if isinstance(model, Path):
        refuse_special(model, ModelError, "give a model file")
        return model
    if model is None or method is None:
        raise UsageError(f"--method {method}: needs no model; leave --engine {engine} out")
    row, start = find_method(method), start or DEFAULT_START
    if row.direct:
        path = shipped(CHECKPOINT if engine == "torch" else GRAPH, model)
        if not path.is_file():
            raise ModelError(
                f"model {model}: not in this installation; choose one that crackcli models lists, "
                f"or give one of crackcli train --network {row.network} with --model"
            )
        return path
    if engine not in ("auto", "onnx"):
        return shipped(CHECKPOINT, model)
    graph = shipped(f".{method}.{start}{GRAPH}", model)
    if not graph.is_file() and engine == "auto":
        return shipped(CHECKPOINT, model)
    if not graph.is_file():
        raise ModelError(
            f"--engine onnx: no graph of the shipped model has method {method} and start {start}; "
            "use --engine torch, or write one with crackcli export"
        )
    return graph


def fastest_graph(graph: Path, device: str) -> Path:
    """Return the int8 graph beside a shipped one, if there is one and the scan runs on a processor
    that multiplies int8, else the graph itself."""
    int8 = graph.with_suffix(INT8_GRAPH)
    on_processor = device == "cpu" or not DRIVER.exists()
    return int8 if on_processor and int8.is_file() and multiplies_int8() else graph


def multiplies_int8() -> bool:
    """Return True if the processor has VNNI, which sums four products of int8 at once."""
    try:
        return "vnni" in CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def open_engine(
    model: Path | str | None = None,
    method: str | None = None,
    start: str | None = None,
    engine: str = "auto",
    device: str = "auto",
    baseline: str | None = None,
    precision: str = "float32",
) -> Engine:
    """Open the engine for a model: a file, or the name of a shipped one.

    ``engine`` auto goes by the file's suffix. For a shipped model it takes torch if that has a
    GPU.
    """
    if engine != "auto":
        check_choice("--engine", ["auto", *ENGINES], engine)
    if method is not None and engine not in OWN_MENUS:
        check_choice("--method", METHODS, method)
    if start is not None:
        check_choice("--start", STARTS, start)
    if baseline is not None:
        check_choice("--baseline", BASELINES, baseline)
    check_choice("--precision", PRECISIONS, precision)
    opened: Engine
    if "raw" in (method, engine):
        if precision == "bfloat16":
            raise UsageError("--precision bfloat16: method raw has no convolutions; leave it out")
        opened = load("--engine", ENGINES, "raw")(model, method, start, device, baseline)
        return opened
    # Composites of an engine's own menu explain a classifier, as the methods of ours do.
    choice = choose(model, NETWORK_METHODS[CLASSIFIER] if engine in OWN_MENUS else method)
    given = isinstance(choice.model, Path)
    if engine == "auto" and not given and device != "cpu" and has_gpu():
        engine = "torch"
    path = find_model(choice, start, engine)
    if precision == "auto" and not given and path.suffix == GRAPH:
        path = fastest_graph(path, device)
    if engine == "auto":
        engine = "torch" if path.suffix.lower() == CHECKPOINT else "onnx"
    if engine != "onnx" and path.suffix.lower() == GRAPH:
        raise ModelError(
            f"{path}: a graph, which engine {engine} does not read; leave --engine out, or give "
            "the checkpoint that it was exported from"
        )
    if precision == "bfloat16" and engine != "torch":
        raise UsageError(
            f"--precision bfloat16: engine {engine} computes in float32; leave it out, or use "
            "--engine torch"
        )
    method = method if engine in OWN_MENUS else choice.method
    opened = load("--engine", ENGINES, engine)(path, method, start, device, baseline, precision)
    return opened


def has_gpu() -> bool:
    """Return True if torch has a GPU and the packages that read checkpoints are installed.

    Does not import torch on a machine without a driver.
    """
    driver = DRIVER.exists() or shutil.which("nvidia-smi") is not None
    if not driver or any(find_spec(name) is None for name in CHECKPOINT_PACKAGES):
        return False
    try:
        from crackcli.engines.device import find_cuda_problem
    except (ImportError, OSError) as error:  # of libraries that do not fit the system
        log.warning("torch cannot be loaded, and a GPU is not used (%s)", first_line(error))
        return False
    return find_cuda_problem() is None


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_network(model: Path | str) -> str:
    """Return the name of the architecture of a model: a file, or the name of a shipped one."""
    if isinstance(model, str):
        return MODELS[model]
    if model.suffix.lower() == CHECKPOINT:
        from crackcli.networks.checkpoint import Checkpoint

        return Checkpoint.read(model).network
    return open_engine(model).facts.network
