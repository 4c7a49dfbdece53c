"""Which model file is used, the engine that runs it, and how its strips are explained."""

import logging
import shutil
from importlib.util import find_spec
from pathlib import Path

from crackcli.attribution import (
    BASELINES,
    DEFAULT_METHOD,
    DEFAULT_START,
    DIRECT,
    PRECISIONS,
    STARTS,
)
from crackcli.engines import Engine
from crackcli.errors import ModelError, UsageError
from crackcli.inference.dense import DirectExplainer
from crackcli.inference.explainer import Explainer, StripExplainer
from crackcli.inference.prescreen import LEAST_QUICK, FirstLook, QuickLook
from crackcli.registry import ENGINES, METHODS, check, load

log = logging.getLogger(__name__)

SHIPPED = "vgg11_128"
PACKAGED = Path(__file__).parents[1] / "_models"  # where an installation keeps them
CHECKOUT = Path(__file__).parents[2] / "models"  # where a clone keeps them
OWN_MENUS = {"zennit"}  # engines with methods of their own
GRAPH = ".onnx"
LOOKS = {
    "half": "at half the resolution",
    "int8": "in whole numbers of 8 bits, of the shipped model, on processors with VNNI",
}
CPU = Path("/proc/cpuinfo")
CHECKPOINTS = ("torch", "safetensors")  # packages that an engine for them needs
DRIVER = Path("/proc/driver/nvidia/version")


def shipped(suffix: str, name: str = SHIPPED) -> Path:
    """The path of a shipped file: the name of a model, by default the classifier's, and
    ``suffix``."""
    return (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / f"{name}{suffix}"


def find_model(model: Path | None, method: str | None, start: str | None, engine: str) -> Path:
    """The model file to use: the one given, or the shipped one that fits method and engine."""
    if model is not None:
        return model
    method, start = method or DEFAULT_METHOD, start or DEFAULT_START
    if method in DIRECT:
        path = shipped(".safetensors" if engine == "torch" else ".onnx", method)
        if not path.is_file():
            raise ModelError(
                f"no model for method {method} is shipped; give one with --model, of "
                f"crackcli train --network {DIRECT[method]}"
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
    if engine == "auto" and model is None and method not in DIRECT and device != "cpu" and gpu():
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


def open_explainer(
    model: Path | None = None,
    method: str | None = None,
    start: str | None = None,
    engine: str = "auto",
    device: str = "auto",
    baseline: str | None = None,
    gate: float = 0.5,
    look: float = 0.0,
    precision: str = "float32",
    look_in: str = "half",
) -> StripExplainer:
    """What a scan has its strips explained by, on the engine for a model file; ``look`` 0 leaves
    the first look out, and ``look_in`` is one of `LOOKS`."""
    check(LOOKS, look_in)
    if look_in != "half" and not look:
        raise UsageError(f"--look-in {look_in} is of a first look; add --look {LEAST_QUICK:g}")
    if look and look_in == "int8" and model is not None:
        raise UsageError("--look-in int8 is for the shipped model; leave --model or it out")
    opened = open_engine(model, method, start, engine, device, baseline, precision)
    if look and opened.facts.direct:
        raise UsageError(
            f"method {opened.facts.method} sees all of an image and has no first look; leave "
            "--look out"
        )
    return explainer_of(opened, gate, look, look_in)


def explainer_of(
    engine: Engine, gate: float, look: float = 0.0, look_in: str = "half"
) -> StripExplainer:
    """What a scan has its strips explained by, on an engine that is open.  A look in whole numbers
    is left out where the processor would be no quicker by it."""
    if engine.facts.direct:
        return DirectExplainer(engine)
    if not look or (look_in == "int8" and (engine.facts.device != "cpu" or not multiplies_int8())):
        return Explainer(engine, gate)
    if look_in == "half":
        return Explainer(engine, gate, FirstLook(engine, look))
    from crackcli.engines.onnx import Quick

    return Explainer(engine, gate, QuickLook(Quick(engine, shipped(".int8.onnx")), look))


def multiplies_int8() -> bool:
    """Whether the processor adds up products of four pairs of 8 bits at once."""
    try:
        return "vnni" in CPU.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
