"""Classification: VGG11 learns P(crack) of a tile from one bit per photograph.

Data: photographs in ``crack/`` and ``no_crack/`` (see `crackcli.training.patches`). Loss:
cross-entropy with label smoothing, plus that of an auxiliary head when training from scratch, plus
a distillation loss if an earlier network is to be kept (see `crackcli.training.regularisation`).
The network is a `Chain`; it is calibrated by the held-out photographs
(`crackcli.training.calibration.photographs`).

Sources: Simonyan and Zisserman 2015 (VGG11); Forest et al. 2024 (crack classifiers trained for
their explanations); Maron and Lozano-Perez 1998 (multiple-instance learning).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from crackcli.datasets.folders import LABELS, LabelledImage
from crackcli.engines.device import Device
from crackcli.errors import UsageError
from crackcli.networks.chain import Chain, with_temperature
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.calibration.photographs import fit_temperature, reliability
from crackcli.training.calibration.reliability import Reliability
from crackcli.training.config import TrainConfig
from crackcli.training.objective import PHOTOGRAPHS, Objective, Validation, with_total
from crackcli.training.patches import Patches, choose_references
from crackcli.training.regularisation import (
    MaxPoolHead,
    blended,
    distillation_loss,
    frozen_layers,
    hide_cells,
)
from crackcli.training.validation import (
    ClassifierValidation,
    SourceScore,
    is_bag,
    locate_cracks,
    validate,
)

FROZEN_WHEN_WARM = 5  # of VGG11's eight convolutions, from the input on
MIN_RECOGNISED = 5  # recognised cracks; the median margin of fewer is not reliable


class Classification(Objective[Chain]):
    """Trains a classifier of tiles; of a bag, on the tile with the highest P(crack).

    A warm start keeps what the earlier network knew: the first convolutions stay fixed, and the
    result is blended with the initial weights.
    """

    classes = LABELS
    score_type = SourceScore
    unused_options = ("mask_crack",)
    warm_peak_rate = 4e-5  # at 2e-4 the network forgets what it knew before it learns

    def __init__(self, config: TrainConfig, device: Device) -> None:
        super().__init__(config, device)
        first = self.network[self.network.head_start]
        first.register_forward_pre_hook(hide_cells)
        self.frozen = frozen_layers(self.network) if config.keep else 0
        self.earlier = copy.deepcopy(self.network[self.frozen :]).eval() if config.keep else None
        self.origin = copy.deepcopy(self.network) if config.start_from and config.blend else None
        if config.start_from is None:
            assert isinstance(first, nn.Conv2d)  # see `Chain.head_start`
            head = MaxPoolHead(first.in_channels, self.network.classes)
            self.auxiliary.append(head.to(device.torch))
        self.criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

    def initial_network(self) -> Chain:
        """Return a new network, or that of a checkpoint with its first convolutions frozen."""
        config = self.config
        if config.start_from is None and config.frozen:
            raise UsageError(
                f"--frozen {config.frozen} needs --from: an untrained layer must learn; give a "
                "checkpoint, or leave it out"
            )
        if config.start_from is None and config.batch_size < 2:
            raise UsageError(
                f"--batch-size {config.batch_size}: training without --from needs 2 tiles or more "
                "in a step, for batch norm; raise --batch-size"
            )
        chain = super().initial_network()
        if config.start_from is not None:
            frozen = FROZEN_WHEN_WARM if config.frozen is None else config.frozen
            for layer in [layer for layer in chain if isinstance(layer, nn.Conv2d)][:frozen]:
                layer.requires_grad_(False)
        return chain

    @property
    def tile_px(self) -> int:
        return self.network.tile_px

    def tile_dataset(self, training: Sequence[LabelledImage]) -> Patches:
        """Return tiles with their label; `select_tiles` finds the tile of each cracked bag."""
        chain = self.network
        self.patches = Patches(training, chain.tile_px, chain.stride_px, self.config.drawn)
        self.bags = [item for item in training if item.label == 1 and is_bag(item, chain)]
        return self.patches

    def references(self, training: Sequence[LabelledImage]) -> Tensor | None:
        """Return tiles of crack-free photographs."""
        chain = self.network
        return choose_references(training, chain.tile_px, chain.stride_px, self.config.seed)

    def select_tiles(self, network: Chain) -> None:
        self.patches.windows = locate_cracks(network, self.bags, self.device)

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the total loss, and the cross-entropy of the head alone, for labels (B)."""
        chain, frozen = self.network, self.frozen
        cells = chain[:frozen](images)  # the same for the earlier network
        features = chain[frozen : chain.head_start](cells)
        logits = chain[max(frozen, chain.head_start) :](features)[:, :, 0, 0]
        loss = own = self.criterion(logits, targets)
        for head in self.auxiliary:
            loss = loss + self.criterion(head(features), targets)
        if self.earlier is not None:
            with torch.no_grad():
                earlier = self.earlier(cells)[:, :, 0, 0]
            loss = loss + self.config.keep * distillation_loss(logits, earlier, targets)
        return loss, own

    def candidate(self, averaged: Chain) -> Chain:
        """Return the averaged network, after a warm start blended with the initial weights."""
        if self.origin is None:
            return averaged
        return blended(averaged, self.origin, self.config.blend)

    def validate(self, network: Chain, held_out: Sequence[LabelledImage]) -> Validation:
        """Evaluate a network; the best has the lowest log loss after calibration."""
        found = validate(network, held_out, self.device)
        temperature = fit_temperature(found.margins, found.labels)
        merit = -reliability(found.margins_at(temperature), found.labels).loss
        if not self.config.calibrate:
            temperature = 1.0
        accuracy = sum(score.accuracy for score in found.scores) / len(found.scores)
        return Validation(
            scores=with_total(found.scores, found.total),
            loss=found.loss,
            merit=merit,
            metrics={"accuracy": accuracy},
            summary=f"accuracy {accuracy:.1%}",
            history={
                "margins": [round(margin, 4) for margin in found.margins],
                "labels": found.labels,
                "temperature": temperature,
            },
            margin=self.typical_margin(found) / temperature,
        )

    def typical_margin(self, found: ClassifierValidation) -> float:
        """Return the median margin on a crack; with too few recognised cracks, that of the
        checkpoint of the warm start."""
        if len(found.recognised) >= MIN_RECOGNISED or self.config.start_from is None:
            return found.typical_margin
        return Checkpoint.read(self.config.start_from).margin

    def for_inference(self, network: Chain, validation: Validation) -> Chain:
        """Return a copy with batch norm folded away and calibrated probabilities."""
        folded = super().for_inference(network, validation)
        return with_temperature(folded, validation.history["temperature"])

    def reliability(self, history: dict[str, Any]) -> dict[str, Reliability]:
        calibrated = [margin / history["temperature"] for margin in history["margins"]]
        return {PHOTOGRAPHS: reliability(calibrated, history["labels"])}
