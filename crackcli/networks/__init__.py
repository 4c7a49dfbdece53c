"""Network architectures, one per file, and the checkpoint format."""

from crackcli.networks.chain import Chain
from crackcli.networks.checkpoint import Checkpoint

__all__ = ["Chain", "Checkpoint"]
