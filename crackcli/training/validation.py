"""Judging a classifier by photographs that it was not trained on; finding where it is surest."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.engines.device import Device
from crackcli.networks.chain import Chain
from crackcli.training.augmentation import to_tensor
from crackcli.training.patches import read_photograph, to_bag


@dataclass(frozen=True)
class SourceScore:
    """How one source of held-out photographs fared; nan where it has none of a class."""

    source: str
    crack: int
    no_crack: int
    recall: float  # share of cracked photographs found
    specificity: float  # share of sound photographs passed

    @property
    def accuracy(self) -> float:
        """Mean of recall and specificity, of those that exist."""
        known = [value for value in (self.recall, self.specificity) if not math.isnan(value)]
        return sum(known) / len(known)

    def row(self) -> dict[str, Any]:
        """By the names of columns."""
        return asdict(self) | {"accuracy": self.accuracy}

    def texts(self) -> dict[str, str]:
        """The same for a person."""
        return {
            "source": self.source,
            "crack": str(self.crack),
            "no crack": str(self.no_crack),
            "recall": percent(self.recall),
            "specificity": percent(self.specificity),
            "accuracy": percent(self.accuracy),
        }


def percent(share: float) -> str:
    """A share for a person, a dash for what is not known."""
    return "-" if math.isnan(share) else f"{share:.1%}"


def scaled(images: Tensor, device: Device) -> Tensor:
    """uint8 images as the network takes them: float32 in [0, 1], channels last."""
    images = images.to(device.torch, non_blocking=True)
    return images.contiguous(memory_format=torch.channels_last).float() / 255


@torch.inference_mode()
def margins(chain: Chain, item: LabelledImage, device: Device) -> Tensor:
    """logit(crack) - logit(no crack) (h, w) at every tile position of a photograph."""
    bag = to_tensor(to_bag(read_photograph(item.path), chain.tile_px, chain.stride_px))
    with device.autocast():
        logits = chain(scaled(bag[None], device))[0].float()
    return (logits[1] - logits[0]).cpu()


@dataclass(frozen=True)
class Judgement:
    """How a network fares: each source's scores, the log loss, and of every photograph its
    logit(crack) - logit(no crack), ``margins``, and its label."""

    scores: list[SourceScore]
    loss: float
    margins: list[float]
    labels: list[int]

    @property
    def recognised(self) -> list[float]:
        """The margins of the cracked photographs in which a crack is seen."""
        pairs = zip(self.margins, self.labels, strict=True)
        return [margin for margin, label in pairs if label == 1 and margin > 0]

    def over(self, temperature: float) -> list[float]:
        """The margins divided by a temperature."""
        return [margin / temperature for margin in self.margins]

    @property
    def margin(self) -> float:
        """The usual one on a crack."""
        return median(self.recognised) if self.recognised else 1.0


def validate(chain: Chain, held_out: Sequence[LabelledImage], device: Device) -> Judgement:
    """Judge a network by photographs; a bag is judged by its surest tile."""
    chain.eval()
    hits: dict[str, tuple[list[bool], list[bool]]] = {}
    loss = 0.0
    surest = [margins(chain, item, device).max().item() for item in held_out]
    for item, margin in zip(held_out, surest, strict=True):
        hits.setdefault(item.source, ([], []))[item.label].append((margin > 0) == (item.label == 1))
        loss += float(np.logaddexp(0, -margin if item.label else margin))
    scores = [
        SourceScore(source, len(crack), len(sound), share(crack), share(sound))
        for source, (sound, crack) in sorted(hits.items())
    ]
    return Judgement(scores, loss / len(held_out), surest, [item.label for item in held_out])


def share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else math.nan


def locate(
    chain: Chain, bags: Sequence[LabelledImage], device: Device
) -> dict[Path, tuple[int, int]]:
    """Of each large cracked photograph, the (row, col) of the tile where the chain is surest."""
    chain.eval()
    windows = {}
    for item in bags:
        margin = margins(chain, item, device)
        row, col = divmod(int(margin.argmax()), margin.shape[1])
        windows[item.path] = (row * chain.stride_px, col * chain.stride_px)
    return windows


def is_bag(item: LabelledImage, chain: Chain) -> bool:
    """Whether a photograph is larger than one tile."""
    bag = to_bag(read_photograph(item.path), chain.tile_px, chain.stride_px)
    return bag.shape[:2] != (chain.tile_px, chain.tile_px)
