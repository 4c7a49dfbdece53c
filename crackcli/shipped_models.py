"""Model files that come with the package."""

from functools import cache
from pathlib import Path

from crackcli.files import sha256

SHIPPED = "vgg11_128"
PACKAGED = Path(__file__).parent / "_models"  # in an installation
CHECKOUT = Path(__file__).parents[1] / "models"  # in a clone


def shipped(suffix: str, name: str = SHIPPED) -> Path:
    """Return the path of a shipped file: model ``name`` (default: the classifier) + ``suffix``."""
    return (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / f"{name}{suffix}"


@cache
def shipped_sha256() -> frozenset[str]:
    """Return the digests of the shipped checkpoint and of all graphs exported from it."""
    checkpoint = shipped(".safetensors")
    graphs = checkpoint.parent.glob(f"{checkpoint.stem}.*.onnx")
    return frozenset(sha256(path) for path in (checkpoint, *graphs) if path.is_file())
