"""Crack or none: a classifier learns one bit for each photograph."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from crackcli.datasets.folders import LABELS, LabelledImage
from crackcli.engines.device import Device
from crackcli.errors import UsageError
from crackcli.networks.chain import Chain, tempered
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.calibration import Reliability, reliability, temperature_of
from crackcli.training.config import TrainConfig
from crackcli.training.objective import Objective, Verdict
from crackcli.training.patches import Patches
from crackcli.training.references import choose_references
from crackcli.training.steps import Strongest, blended, hide_cells, kept, untrained
from crackcli.training.validation import Judgement, SourceScore, is_bag, locate, validate

FROZEN_WHEN_WARM = 5  # of VGG11's eight convolutions: those above 1/16 of the resolution
FEW = 5  # recognised cracks: the usual margin of fewer is none


class Classifying(Objective):
    """Whether a tile shows a crack; a photograph that is a bag of tiles, whether one of them does.

    A warm start keeps what was known: lower layers stay, and the rest goes part of the way back.
    """

    classes = LABELS
    score = SourceScore
    warm_peak = 4e-5  # at 2e-4 what was learnt before is lost first

    network: Chain

    def __init__(self, config: TrainConfig, device: Device) -> None:
        super().__init__(config, device)
        self.network[self.network.neck].register_forward_pre_hook(hide_cells)
        self.shared = untrained(self.network) if config.keep else 0
        self.before = copy.deepcopy(self.network[self.shared :]).eval() if config.keep else None
        self.origin = copy.deepcopy(self.network) if config.start_from and config.blend else None
        if config.start_from is None:
            channels = self.network[self.network.neck].in_channels
            self.second.append(Strongest(channels, self.network.classes).to(device.torch))
        self.criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

    def start(self) -> Chain:
        """As any network; a checkpoint's is partly frozen."""
        config = self.config
        if config.start_from is None and config.frozen:
            raise UsageError("--frozen needs --from: untrained layers must not be kept")
        if config.start_from is None and config.batch_size < 2:  # of batch norm in the head
            raise UsageError("from nothing a step needs 2 tiles or more; raise --batch-size")
        chain = super().start()
        if config.start_from is not None:
            frozen = FROZEN_WHEN_WARM if config.frozen is None else config.frozen
            for layer in [layer for layer in chain if isinstance(layer, nn.Conv2d)][:frozen]:
                layer.requires_grad_(False)
        return chain

    def tiles(self, training: Sequence[LabelledImage]) -> Patches:
        """Tiles with their label; which of a bag shows the crack is told by `aim`."""
        chain = self.network
        self.patches = Patches(training, chain.tile_px, chain.stride_px, self.config.drawn)
        self.bags = [item for item in training if item.label == 1 and is_bag(item, chain)]
        return self.patches

    def compared_with(self, training: Sequence[LabelledImage]) -> Tensor | None:
        """Crack-free photographs."""
        chain = self.network
        return choose_references(training, chain.tile_px, chain.stride_px, self.config.seed)

    def aim(self, network: Chain) -> None:
        self.patches.windows = locate(network, self.bags, self.device)

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the labels (B); a second judge's, and what holds back, come on top."""
        chain, shared = self.network, self.shared
        cells = chain[:shared](images)
        features = chain[shared : chain.neck](cells)
        logits = chain[max(shared, chain.neck) :](features)[:, :, 0, 0]
        loss = own = self.criterion(logits, targets)
        for other in self.second:
            loss = loss + self.criterion(other(features), targets)
        if self.before is not None:
            with torch.no_grad():
                earlier = self.before(cells)[:, :, 0, 0]
            loss = loss + self.config.keep * kept(logits, earlier, targets)
        return loss, own

    def given(self, averaged: Chain) -> Chain:
        """After a warm start part of the way back to where it began, which keeps what the
        photographs do not tell of."""
        if self.origin is None:
            return averaged
        return blended(averaged, self.origin, self.config.blend)

    def judge(self, network: Chain, held_out: Sequence[LabelledImage]) -> Verdict:
        """The best is the one with the lowest log loss once it is calibrated."""
        judgement = validate(network, held_out, self.device)
        temperature = temperature_of(judgement.margins, judgement.labels)
        merit = -reliability(judgement.over(temperature), judgement.labels).loss
        if not self.config.calibrate:
            temperature = 1.0
        scores = judgement.scores
        accuracy = sum(score.accuracy for score in scores) / len(scores)
        return Verdict(
            scores=scores,
            loss=judgement.loss,
            merit=merit,
            shares={"accuracy": accuracy},
            words=f"accuracy {accuracy:.1%}",
            notes={
                "margins": [round(margin, 4) for margin in judgement.margins],
                "labels": judgement.labels,
                "temperature": temperature,
            },
            margin=self.margin_of(judgement) / temperature,
        )

    def margin_of(self, judgement: Judgement) -> float:
        """The usual margin on a crack; that of the checkpoint it started from if too few tell."""
        if len(judgement.recognised) >= FEW or self.config.start_from is None:
            return judgement.margin
        return Checkpoint.read(self.config.start_from).margin

    def plain(self, network: Chain, verdict: Verdict) -> Chain:
        """Batch norm folded away, its probabilities calibrated."""
        return tempered(super().plain(network, verdict), verdict.notes["temperature"])

    def reliability(self, history: dict[str, Any]) -> Reliability:
        """Of the calibrated P(crack)."""
        calibrated = [margin / history["temperature"] for margin in history["margins"]]
        return reliability(calibrated, history["labels"])
