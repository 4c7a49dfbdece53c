"""The model files that come with the package."""

from functools import cache
from pathlib import Path

from crackcli.files import sha256

SHIPPED = "vgg11_128"
PACKAGED = Path(__file__).parent / "_models"  # where an installation keeps them
CHECKOUT = Path(__file__).parents[1] / "models"  # where a clone keeps them


def shipped(suffix: str, name: str = SHIPPED) -> Path:
    """The path of a shipped file: the name of a model, by default the classifier's, and
    ``suffix``."""
    return (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / f"{name}{suffix}"


@cache
def shipped_sha256() -> frozenset[str]:
    """The digests of the shipped checkpoint and of all graphs that were made from it."""
    checkpoint = shipped(".safetensors")
    graphs = checkpoint.parent.glob(f"{checkpoint.stem}.*.onnx")
    return frozenset(sha256(path) for path in (checkpoint, *graphs) if path.is_file())
