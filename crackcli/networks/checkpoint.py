"""The checkpoint: one file that rebuilds a trained network alone."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from crackcli.errors import ModelError, UsageError
from crackcli.files import atomic_write
from crackcli.registry import NETWORKS, load

FORMAT = "crackcli-checkpoint-1"
REFERENCES = "references"  # a tensor of the file that is no weight
REASON_LENGTH = 200  # letters of what torch says


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and all that is needed to use it; stored as one safetensors file.

    ``state`` holds plain layers (no batch norm).  Input is RGB in [0, 1], not normalised.
    ``margin`` is the network's usual logit(crack) - logit(no crack) on a crack: relevance shares
    it out, so that scores of different networks are told apart by it.  ``references`` (1 + N, 3, T,
    T) uint8, the mean of crack-free photographs and N of them, are what some methods compare with.
    """

    network: str
    arguments: dict[str, Any]
    classes: tuple[str, ...]
    tile_px: int
    state: dict[str, Tensor] = field(repr=False)
    margin: float = 1.0
    history: dict[str, Any] = field(default_factory=dict, repr=False)
    references: Tensor | None = field(default=None, repr=False)

    def build(self) -> nn.Module:
        """The network with its weights, float32, ready to be used: a `Chain` if it classifies."""
        try:
            network = load(NETWORKS, self.network)(**self.arguments)
            network.load_state_dict(self.state)
        except (UsageError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:REASON_LENGTH]
            raise ModelError(
                f"the checkpoint's weights are not those of '{self.network}' ({reason}); "
                "train it anew"
            ) from error
        return network.float().eval()

    def save(self, path: Path) -> None:
        """Write aside and rename; weights are kept in half precision, which moves no mask."""
        facts = asdict(replace(self, references=None)) | {"state": None}
        tensors = {name: value.half().contiguous() for name, value in self.state.items()}
        if self.references is not None:
            tensors[REFERENCES] = self.references.contiguous()
        with atomic_write(path) as aside:
            try:
                save_file(tensors, aside, {"format": FORMAT, "checkpoint": json.dumps(facts)})
            except SafetensorError as error:  # of a full disk
                raise OSError(str(error)) from error

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint in ``path``, or a `ModelError` that says what the file is instead."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
        except FileNotFoundError as error:
            raise ModelError(f"{path} does not exist; train a model first") from error
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path} is not a whole safetensors file ({error}); copy it again or train anew"
            ) from error
        if metadata.get("format") != FORMAT:
            raise ModelError(f"{path} was not written by crackcli train; train or export it again")
        try:
            facts = json.loads(metadata["checkpoint"]) | {
                "references": tensors.pop(REFERENCES, None)
            }
            state = {name: value.float() for name, value in tensors.items()}
            return cls(**facts | {"classes": tuple(facts["classes"]), "state": state})
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is of another version of crackcli; train it anew") from error

    def check(self) -> None:
        """Raise a `ModelError` where the weights are not finite."""
        for name, value in self.state.items():
            if not torch.isfinite(value).all():
                raise ModelError(f"the weights '{name}' hold values that are not finite")
