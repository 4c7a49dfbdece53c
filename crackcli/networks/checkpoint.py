"""The checkpoint format: one safetensors file from which a trained network can be rebuilt."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from crackcli.errors import ModelError, UsageError
from crackcli.files import atomic_write, refuse_special
from crackcli.licences import Licence, Source, read_sources
from crackcli.registry import NETWORKS, load

FORMAT = "crackcli-checkpoint-1"
REFERENCES = "references"  # name of the only tensor that is not a weight
REASON_LENGTH = 200  # characters of a message of torch that are shown


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and all that is needed to use it.

    network     name in `registry.NETWORKS`; ``arguments`` are those of its build function
    classes     names of the logits
    tile_px     side of the tiles that it was trained on
    state       weights of plain layers (no batch norm); input is RGB in [0, 1], not normalised
    margin      typical logit(crack) - logit(no crack) of the network on a crack. Relevance adds up
                to this difference, so scores of different networks are normalised by it
    history     how it was trained
    calibration of a network that marks pixels: how its P(crack) was calibrated, the threshold on it
                and the confidence of a crack (`crackcli.training.calibration.marks`); None without
    licence     what the model may be used for
    sources     what it was trained on
    references  (1 + N, 3, T, T) uint8, the mean of crack-free photographs and N of them: baselines
                of attribution methods
    """

    network: str
    arguments: dict[str, Any]
    classes: tuple[str, ...]
    tile_px: int
    state: dict[str, Tensor] = field(repr=False)
    margin: float = 1.0
    history: dict[str, Any] = field(default_factory=dict, repr=False)
    calibration: dict[str, Any] | None = field(default=None, repr=False)
    licence: Licence = Licence()
    sources: tuple[Source, ...] = field(default=(), repr=False)
    references: Tensor | None = field(default=None, repr=False)

    def build(self) -> nn.Module:
        """Return the network with its weights in float32, in evaluation mode.

        It is a `Chain` if it is a classifier. Raises `ModelError` if the weights do not fit.
        """
        try:
            network: nn.Module = load("--network", NETWORKS, self.network)(**self.arguments)
            network.load_state_dict(self.state)
        except (UsageError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:REASON_LENGTH]
            raise ModelError(
                f"the weights of the checkpoint do not fit network {self.network} ({reason}); "
                "train it anew"
            ) from error
        return network.float().eval()

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically, weights in half precision (which changes no mask)."""
        facts = asdict(replace(self, references=None)) | {"state": None}
        tensors = {name: value.half().contiguous() for name, value in self.state.items()}
        if self.references is not None:
            tensors[REFERENCES] = self.references.contiguous()
        with atomic_write(path) as temporary:
            try:
                save_file(tensors, temporary, {"format": FORMAT, "checkpoint": json.dumps(facts)})
            except SafetensorError as error:  # disk full
                raise OSError(str(error)) from error

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint; raise a `ModelError` if ``path`` is something else."""
        refuse_special(path, ModelError, "give a model file")
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
        except FileNotFoundError as error:
            raise ModelError(f"{path}: does not exist; train a model first") from error
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path}: not a complete safetensors file ({error}); copy it again or train anew"
            ) from error
        if metadata.get("format") != FORMAT:
            raise ModelError(f"{path}: not written by crackcli train; train or export it again")
        try:
            facts = json.loads(metadata["checkpoint"])
            facts |= {
                "classes": tuple(facts["classes"]),
                "licence": Licence.read(facts.get("licence")),
                "sources": read_sources(facts.get("sources")),
                "references": tensors.pop(REFERENCES, None),
                "state": {name: value.float() for name, value in tensors.items()},
            }
            return cls(**facts)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ModelError(
                f"{path}: written by another version of crackcli; train it anew"
            ) from error

    def check(self) -> None:
        """Raise a `ModelError` if a weight is not finite."""
        for name, value in self.state.items():
            if not torch.isfinite(value).all():
                raise ModelError(f"the weights '{name}' are not all finite; train the model anew")
