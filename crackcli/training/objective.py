"""What a network is trained for: one objective a file, all behind one interface.

`crackcli.training.loop` has one plain loop for all networks.  What differs between them is here:
which photographs are used and how tiles come out of them, the loss of a batch, how photographs that
were held out judge, and what is saved."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from crackcli.datasets.folders import LabelledImage
from crackcli.engines.device import Device
from crackcli.errors import ModelError, UsageError
from crackcli.networks.chain import fold
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import NETWORKS, load
from crackcli.training.calibration import Reliability
from crackcli.training.config import TrainConfig


class Score(Protocol):
    """How one source of held-out photographs fared; a dataclass of the objective's own."""

    source: str

    def row(self) -> dict[str, Any]:
        """By the names of columns, with the units that they say; nan where nothing is known."""

    def texts(self) -> dict[str, str]:
        """The same for a person."""


@dataclass(frozen=True)
class Verdict:
    """What held-out photographs say of a network.

    scores   of each source
    loss     theirs, of the same kind as in training
    merit    the network with the highest is kept
    shares   in [0, 1], by name: what the learning curve shows beside the losses
    words    the same for a person who waits
    notes    goes into the checkpoint's history
    margin   the checkpoint's; see there
    """

    scores: Sequence[Score]
    loss: float
    merit: float
    shares: dict[str, float]
    words: str
    notes: dict[str, Any] = field(default_factory=dict)
    margin: float = 1.0


class TileDataset(Protocol):
    """Photographs ``found`` as pairs of a tile (3, T, T) uint8 and what is to be learnt of it."""

    found: Sequence[LabelledImage]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, Any]: ...


class Objective(ABC):
    """A network on its way: ``network`` is what is trained, ``second`` is trained along with it
    and left behind.  ``unused`` are the options that mean nothing here."""

    classes: ClassVar[tuple[str, ...]]  # of the checkpoint
    score: ClassVar[type]  # of one source
    unused: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[int | None] = None  # label without which it can neither learn nor be judged
    new: ClassVar[dict[str, Any]] = {"batch_norm": True}  # arguments of an untrained network
    peak: ClassVar[float] = 1e-3  # learning rate from nothing
    warm_peak: ClassVar[float]  # from a checkpoint, where batch norm is folded away

    def __init__(self, config: TrainConfig, device: Device) -> None:
        refuse_unused(config, self.unused)
        self.config = config
        self.device = device
        network = self.start()
        self.network = network.to(device.torch, memory_format=torch.channels_last)
        self.second = nn.ModuleList()

    def start(self) -> nn.Module:
        """The network as training begins: new, or that of a checkpoint."""
        config = self.config
        if config.start_from is None:
            return load(NETWORKS, config.network)(**config.arguments, **self.new)
        checkpoint = Checkpoint.read(config.start_from)
        if checkpoint.network != config.network:
            raise ModelError(
                f"{config.start_from} is for --network {checkpoint.network}, not "
                f"{config.network}; start from another, or train with that"
            )
        return checkpoint.build()

    def suitable(self, found: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Those of the photographs that can be used."""
        return list(found)

    @abstractmethod
    def tiles(self, training: Sequence[LabelledImage]) -> TileDataset:
        """What is drawn from in training."""

    def compared_with(self, training: Sequence[LabelledImage]) -> Tensor | None:
        """What goes into the checkpoint as its ``references``; see there."""
        return None

    def aim(self, network: nn.Module) -> None:
        """Let the network of the moment tell where in the photographs to look."""
        return  # most need not be told

    @abstractmethod
    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What is descended, and the part of it that is shown, of images (B, 3, T, T) in [0, 1]
        and what their tiles came with."""

    def given(self, averaged: nn.Module) -> nn.Module:
        """What the run would give now, of the weights averaged over the last steps."""
        return averaged

    @abstractmethod
    def judge(self, network: nn.Module, held_out: Sequence[LabelledImage]) -> Verdict:
        """How a network fares."""

    def plain(self, network: nn.Module, verdict: Verdict) -> nn.Module:
        """A network as it is saved, batch norm folded away."""
        return fold(network).cpu()

    def reliability(self, history: dict[str, Any]) -> Reliability | None:
        """How far probabilities can be trusted, by the history of a checkpoint."""
        return None


def refuse_unused(config: TrainConfig, unused: Sequence[str]) -> None:
    """Options that mean nothing to a network are refused unless they stand at their default."""
    defaults = {known.name: known.default for known in fields(TrainConfig)}
    for name in unused:
        if getattr(config, name) != defaults[name]:
            raise UsageError(f"--{name} says nothing to --network {config.network}; leave it out")
