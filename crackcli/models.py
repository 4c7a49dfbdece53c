"""Which model file is used, and the engine that runs it."""

from pathlib import Path

from crackcli.attribution import DEFAULT_METHOD, DEFAULT_START, STARTS
from crackcli.engines import Engine
from crackcli.errors import ModelError
from crackcli.registry import ENGINES, METHODS, check, load

SHIPPED = "vgg11_128"
PACKAGED = Path(__file__).parent / "_models"  # where an installation keeps them
CHECKOUT = Path(__file__).parents[1] / "models"  # where a clone keeps them


def shipped(suffix: str) -> Path:
    """The path of a shipped file: the name of the default model and ``suffix``."""
    return (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / f"{SHIPPED}{suffix}"


def find_model(model: Path | None, method: str | None, start: str | None, engine: str) -> Path:
    """The model file to use: the one given, or the shipped one that fits method and engine."""
    if model is not None:
        return model
    if engine == "torch":
        return shipped(".safetensors")
    method, start = method or DEFAULT_METHOD, start or DEFAULT_START
    graph = shipped(f".{method}.{start}.onnx")
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
) -> Engine:
    """The engine for a model file; ``engine`` auto goes by the file's suffix."""
    if method is not None:
        check(METHODS, method)
    if start is not None:
        check(STARTS, start)
    if engine != "auto":
        check({"auto": "", **ENGINES}, engine)
    path = find_model(model, method, start, engine)
    if engine == "auto":
        engine = "torch" if path.suffix.lower() == ".safetensors" else "onnx"
    return load(ENGINES, engine)(path, method, start, device)
