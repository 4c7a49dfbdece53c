"""Which model file is used, the engine that runs it, and how its strips are explained."""

import logging
import shutil
from importlib.util import find_spec
from pathlib import Path

from crackcli.engines.engine import Engine
from crackcli.errors import ModelError, UsageError
from crackcli.registry import (
    BASELINES,
    DEFAULT_METHOD,
    DEFAULT_START,
    ENGINES,
    METHODS,
    PRECISIONS,
    STARTS,
    check,
    find_method,
    load,
)
from crackcli.shipped_models import shipped

log = logging.getLogger(__name__)

OWN_MENUS = {"zennit"}  # engines with methods of their own
GRAPH = ".onnx"
CHECKPOINTS = ("torch", "safetensors")  # packages that an engine for them needs
DRIVER = Path("/proc/driver/nvidia/version")


def find_model(model: Path | None, method: str | None, start: str | None, engine: str) -> Path:
    """The model file to use: the one given, or the shipped one that fits method and engine."""
    if model is not None:
        return model
    method, start = method or DEFAULT_METHOD, start or DEFAULT_START
    row = find_method(method)
    if row.direct:
        path = shipped(".safetensors" if engine == "torch" else ".onnx", method)
        if not path.is_file():
            raise ModelError(
                f"no model for method {method} is shipped; give one with --model, of "
                f"crackcli train --network {row.network}"
            )
        return path
    if engine not in ("auto", "onnx"):
        return shipped(".safetensors")
    graph = shipped(f".{method}.{start}.onnx")
    if not graph.is_file() and engine == "auto":
        return shipped(".safetensors")
    if not graph.is_file():
        raise ModelError(
            f"no graph of the shipped model has method {method} and start {start}; "
            "use --engine torch, or write one with crackcli export"
        )
    return graph


def open_engine(
    model: Path | None = None,
    method: str | None = None,
    start: str | None = None,
    engine: str = "auto",
    device: str = "auto",
    baseline: str | None = None,
    precision: str = "float32",
) -> Engine:
    """The engine for a model file; ``engine`` auto goes by the file's suffix, and for a shipped
    model takes torch where that has a GPU, since it computes there in half precision."""
    if engine != "auto":
        check({"auto": "", **ENGINES}, engine)
    if method is not None and engine not in OWN_MENUS:
        check(METHODS, method)
    if start is not None:
        check(STARTS, start)
    if baseline is not None:
        check(BASELINES, baseline)
    check(PRECISIONS, precision)
    if precision == "bfloat16" and (engine == "raw" or method == "raw"):
        raise UsageError("method raw has no convolutions; leave --precision out")
    if "raw" in (method, engine):
        return load(ENGINES, "raw")(model, method, start, device, baseline)
    if (
        engine == "auto"
        and model is None
        and not find_method(method or DEFAULT_METHOD).direct
        and device != "cpu"
        and gpu()
    ):
        engine = "torch"
    path = find_model(model, None if engine in OWN_MENUS else method, start, engine)
    if engine == "auto":
        engine = "torch" if path.suffix.lower() == ".safetensors" else "onnx"
    if engine != "onnx" and path.suffix.lower() == GRAPH:
        raise ModelError(
            f"{path} is a graph, which engine {engine} does not read; leave --engine out, or give "
            "the checkpoint that it was exported from"
        )
    if precision == "bfloat16" and engine != "torch":
        raise UsageError(
            f"engine {engine} computes in float32; leave --precision out, or use --engine torch"
        )
    return load(ENGINES, engine)(path, method, start, device, baseline, precision)


def gpu() -> bool:
    """Whether torch is there, with all that reads a checkpoint, and has a GPU; it is not even
    loaded where there is no driver."""
    driver = DRIVER.exists() or shutil.which("nvidia-smi") is not None
    if not driver or any(find_spec(name) is None for name in CHECKPOINTS):
        return False
    try:
        from crackcli.engines.device import cuda_trouble
    except (ImportError, OSError) as error:  # of libraries that do not fit the system
        log.warning("torch, which may have a GPU, cannot be loaded (%s)", first_line(error))
        return False
    return cuda_trouble() is None


def first_line(error: Exception) -> str:
    """What an error says, in short."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def network_of(model: Path) -> str:
    """The architecture in a model file."""
    if model.suffix.lower() == ".safetensors":
        from crackcli.networks.checkpoint import Checkpoint

        return Checkpoint.read(model).network
    return open_engine(model).facts.network
