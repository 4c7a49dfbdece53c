"""Validation of a classifier on held-out photographs, and the tile with the highest P(crack)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.engines.device import Device
from crackcli.networks.chain import Chain
from crackcli.networks.student import Student
from crackcli.training.augmentation import to_tensor
from crackcli.training.objective import ALL_SOURCES, Score
from crackcli.training.patches import read_photograph, to_bag


@dataclass(frozen=True)
class SourceScore(Score):
    """The classification scores of one source; nan if it has no photographs of a class."""

    crack: int  # photographs
    no_crack: int
    recall: float  # fraction of the cracked photographs with P(crack) above 0.5
    specificity: float  # fraction of the crack-free photographs without

    @property
    def accuracy(self) -> float:
        """The mean of recall and specificity, as far as they are known."""
        known = [value for value in (self.recall, self.specificity) if not math.isnan(value)]
        return sum(known) / len(known)

    def row(self) -> dict[str, Any]:
        return super().row() | {"accuracy": self.accuracy}

    def texts(self) -> dict[str, str]:
        return {
            "source": self.source,
            "crack": str(self.crack),
            "no crack": str(self.no_crack),
            "recall": percent(self.recall),
            "specificity": percent(self.specificity),
            "accuracy": percent(self.accuracy),
        }


def percent(fraction: float) -> str:
    """Format a fraction in percent, with a dash if it is unknown."""
    return "-" if math.isnan(fraction) else f"{fraction:.1%}"


def network_input(images: Tensor, device: Device) -> Tensor:
    """Return uint8 images (B, 3, H, W) as float32 in [0, 1] on the device, channels last."""
    images = images.to(device.torch, non_blocking=True)
    return images.contiguous(memory_format=torch.channels_last).float() / 255


@torch.inference_mode()
def tile_margins(chain: Chain, item: LabelledImage, device: Device) -> Tensor:
    """Return logit(crack) - logit(no crack) at every tile position (h, w) of a photograph."""
    bag = to_tensor(to_bag(read_photograph(item.path), chain.tile_px, chain.stride_px))
    with device.autocast():
        logits: Tensor = chain(network_input(bag[None], device))[0].float()
    return (logits[1] - logits[0]).cpu()


@dataclass(frozen=True)
class ClassifierValidation:
    """The performance of a classifier on held-out photographs.

    scores    of each source
    total     of all photographs together
    loss      mean log loss
    margins   logit(crack) - logit(no crack) of each photograph
    labels    of each photograph
    """

    scores: list[SourceScore]
    total: SourceScore
    loss: float
    margins: list[float]
    labels: list[int]

    @property
    def recognised(self) -> list[float]:
        """The margins of the cracked photographs that are classified as cracked."""
        pairs = zip(self.margins, self.labels, strict=True)
        return [margin for margin, label in pairs if label == 1 and margin > 0]

    def margins_at(self, temperature: float) -> list[float]:
        """Return the margins divided by a temperature."""
        return [margin / temperature for margin in self.margins]

    @property
    def typical_margin(self) -> float:
        """The median margin of the recognised cracks; 1 if there are none."""
        return median(self.recognised) if self.recognised else 1.0


def validate(
    chain: Chain, held_out: Sequence[LabelledImage], device: Device
) -> ClassifierValidation:
    """Classify held-out photographs; a bag of tiles has the highest margin of its tiles."""
    chain.eval()
    members: dict[str, list[tuple[int, bool]]] = {}
    loss = 0.0
    margins = [tile_margins(chain, item, device).max().item() for item in held_out]
    for item, margin in zip(held_out, margins, strict=True):
        right = (margin > 0) == (item.label == 1)
        members.setdefault(item.source, []).append((item.label, right))
        loss += float(np.logaddexp(0, -margin if item.label else margin))
    scores = [pooled_score(source, found) for source, found in sorted(members.items())]
    total = pooled_score(ALL_SOURCES, [each for found in members.values() for each in found])
    labels = [item.label for item in held_out]
    return ClassifierValidation(scores, total, loss / len(held_out), margins, labels)


def pooled_score(source: str, members: Sequence[tuple[int, bool]]) -> SourceScore:
    """Return the score of a source from the label of each photograph, and if it was recognised."""
    none, crack = ([right for label, right in members if label == of] for of in (0, 1))
    return SourceScore(source, len(crack), len(none), fraction_true(crack), fraction_true(none))


def fraction_true(values: Sequence[bool]) -> float:
    """Return the fraction of values that are true; nan if there are none."""
    return sum(values) / len(values) if values else math.nan


def locate_cracks(
    chain: Chain, bags: Sequence[LabelledImage], device: Device
) -> dict[Path, tuple[int, int]]:
    """Return the (row, col) of the tile with the highest P(crack) of each large photograph."""
    chain.eval()
    windows = {}
    for item in bags:
        margin = tile_margins(chain, item, device)
        row, col = divmod(int(margin.argmax()), margin.shape[1])
        windows[item.path] = (row * chain.stride_px, col * chain.stride_px)
    return windows


def is_bag(item: LabelledImage, network: Chain | Student) -> bool:
    """Return True if a photograph is larger than one tile: a bag of tiles."""
    bag = to_bag(read_photograph(item.path), network.tile_px, network.stride_px)
    return bag.shape[:2] != (network.tile_px, network.tile_px)
