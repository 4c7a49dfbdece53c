"""The interface of training objectives, one for each network (see `crackcli.training.objectives`).

`crackcli.training.loop` trains all networks. An objective supplies what differs between them: the
suitable photographs, the tiles made of them, the loss of a batch, the validation on held-out
photographs, and the network to save.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from crackcli.datasets.folders import LabelledImage
from crackcli.engines.device import Device
from crackcli.errors import ModelError, UsageError
from crackcli.licences import Source
from crackcli.networks.chain import fold_batch_norm
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import NETWORKS, load
from crackcli.training.calibration.reliability import Reliability
from crackcli.training.config import TrainConfig
from crackcli.training.patches import TileDataset

PHOTOGRAPHS = "photographs"  # whose P(crack) is calibrated; see `Objective.reliability`
ALL_SOURCES = "all"
Network = TypeVar("Network", bound=nn.Module)
Scored = TypeVar("Scored", bound="Score")


@dataclass(frozen=True)
class Score(ABC):
    """Validation scores of one source of held-out photographs; each objective has its own."""

    source: str

    def row(self) -> dict[str, Any]:
        """Return the scores by column name; nan is unknown."""
        return asdict(self)

    @abstractmethod
    def texts(self) -> dict[str, str]:
        """Return the scores formatted for a table on the terminal."""


def with_total(scores: Sequence[Scored], total: Scored) -> list[Scored]:
    """Return the scores of sources and, if there are several, that of all photographs as last."""
    return [*scores, total] if len(scores) > 1 else list(scores)


@dataclass(frozen=True)
class Validation:
    """The performance of a network on held-out photographs.

    scores    of each source, and of all together (`with_total`)
    loss      mean, of the same kind as in training
    merit     figure of merit; training keeps the network with the highest
    metrics   fractions in [0, 1] by name, for the learning curve
    summary   the metrics as one phrase, for the progress bar
    history   entries for the checkpoint's history
    margin    see `crackcli.networks.checkpoint.Checkpoint`
    """

    scores: Sequence[Score]
    loss: float
    merit: float
    metrics: dict[str, float]
    summary: str
    history: dict[str, Any] = field(default_factory=dict)
    margin: float = 1.0


class Objective(ABC, Generic[Network]):
    """A network in training, with its loss and validation.

    ``network`` is trained and saved; ``auxiliary`` holds heads that are trained with it and not
    saved.
    """

    classes: ClassVar[tuple[str, ...]]  # of the checkpoint
    score_type: ClassVar[type[Score]]
    unused_options: ClassVar[tuple[str, ...]] = ()  # fields of `TrainConfig`
    required_label: ClassVar[int | None] = None  # both sides need it; None: both labels
    new_arguments: ClassVar[dict[str, Any]] = {"batch_norm": True}  # of an untrained network
    peak_rate: ClassVar[float] = 1e-3  # learning rate from scratch
    warm_peak_rate: ClassVar[float]  # from a checkpoint, which has its batch norm folded away
    may_keep_initial: ClassVar[bool] = False  # weights of a warm start, if none found is better

    def __init__(self, config: TrainConfig, device: Device) -> None:
        refuse_unused(config, self.unused_options)
        self.config = config
        self.device = device
        network = self.initial_network().to(device.torch)
        self.network: Network = network.to(memory_format=torch.channels_last)
        self.auxiliary = nn.ModuleList()

    def initial_network(self) -> Network:
        """Return a new network, or that of the checkpoint to start from."""
        config = self.config
        if config.start_from is None:
            network: Network = load("--network", NETWORKS, config.network)(
                **config.arguments, **self.new_arguments
            )
            return network
        checkpoint = Checkpoint.read(config.start_from)
        if checkpoint.network != config.network:
            raise ModelError(
                f"{config.start_from} is for --network {checkpoint.network}, not "
                f"{config.network}; start from another checkpoint, or change --network"
            )
        return cast(Network, checkpoint.build())  # the registry has one objective for a network

    @property
    @abstractmethod
    def tile_px(self) -> int:
        """The side of a training tile, in pixels."""

    @property
    def weight_sources(self) -> Sequence[Source]:
        """The sources of weights of others that a new network starts from."""
        return ()

    def parameter_groups(self, parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
        """Return the parameters to train in groups; ``scale`` is relative to the learning rate."""
        return [{"params": list(parameters)}]

    def suitable(self, found: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Return the photographs that the objective can use."""
        return list(found)

    @abstractmethod
    def tile_dataset(self, training: Sequence[LabelledImage]) -> TileDataset:
        """Return the tiles to train on."""

    def references(self, training: Sequence[LabelledImage]) -> Tensor | None:
        """Return the ``references`` of the checkpoint, see
        `crackcli.networks.checkpoint.Checkpoint`."""
        return None

    def select_tiles(self, network: Network) -> None:
        """Choose the training tile of each photograph by the current state of the network."""
        return  # most objectives draw them at random

    @abstractmethod
    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss to minimise, and the part of it to log, of a batch.

        ``images`` (B, 3, T, T) are float32 in [0, 1], ``targets`` (B, ...) those of `tile_dataset`.
        """

    def candidate(self, averaged: Network) -> Network:
        """Return the network to validate and save, from the averaged weights."""
        return averaged

    @abstractmethod
    def validate(self, network: Network, held_out: Sequence[LabelledImage]) -> Validation:
        """Evaluate a network on held-out photographs."""

    def for_inference(self, network: Network, validation: Validation) -> Network:
        """Return a copy of a network as it is saved, on the CPU with batch norm folded away."""
        return cast(Network, fold_batch_norm(network).cpu())  # `fold_batch_norm` keeps the class

    def calibrated(self, checkpoint: Checkpoint, held_out: Sequence[LabelledImage]) -> Checkpoint:
        """Return the best checkpoint, calibrated by held-out photographs."""
        return checkpoint  # most objectives need no more than their validations

    def reliability(self, history: dict[str, Any]) -> dict[str, Reliability]:
        """Return the reliability of probabilities by what they are of, such as `PHOTOGRAPHS`, from
        the history of a checkpoint."""
        return {}


def refuse_unused(config: TrainConfig, unused: Sequence[str]) -> None:
    """Raise a `UsageError` if one of the ``unused`` options differs from its default."""
    defaults = {known.name: known.default for known in fields(TrainConfig)}
    for name in unused:
        if getattr(config, name) != defaults[name]:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} has no effect with --network {config.network}; leave it out"
            )
