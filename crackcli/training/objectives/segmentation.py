"""Segmentation: a U-Net learns P(crack) of each pixel from masks drawn by people.

Data: PHOTOGRAPHS/masks/<stem>.png is the mask of PHOTOGRAPHS/crack/<stem>.* or no_crack/<stem>.*,
of the same size; pixels above 127 are crack. Loss: binary cross-entropy of all pixels plus 1 - soft
Dice of the cracked tiles (`mask_loss`).

Sources: Ronneberger et al. 2015 (U-Net); Milletari et al. 2016 (Dice loss); Forest et al. 2024 (a
U-Net as the supervised reference for explanations).
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.datasets.mask_values import AUTOMATIC, MaskValues, parse_values
from crackcli.datasets.pixel_labels import CRACK_ABOVE
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.errors import InputError
from crackcli.networks.unet import UNet
from crackcli.training.augmentation import to_tensor
from crackcli.training.objective import ALL_SOURCES, Objective, Score, Validation, with_total
from crackcli.training.patches import MaskedPatches, mask_path, read_masked, to_bag
from crackcli.training.validation import network_input, percent

log = logging.getLogger(__name__)

MARKED_FROM = 0.5  # P(crack) of a marked pixel
SMOOTHING = 1e-5  # px; keeps Dice defined where nothing is marked


@dataclass(frozen=True)
class MaskScore(Score):
    """The segmentation scores of one source, without tolerance, at the size of network input.

    ``precision``, ``recall`` and ``f1`` are pooled over the pixels of all its photographs; nan if
    no pixel is labelled. ``false_share`` is the marked fraction of the crack-free photographs.
    """

    crack: int  # photographs
    no_crack: int
    precision: float
    recall: float
    f1: float
    false_share: float

    def texts(self) -> dict[str, str]:
        return {
            "source": self.source,
            "crack": str(self.crack),
            "no crack": str(self.no_crack),
            "precision": percent(self.precision),
            "recall": percent(self.recall),
            "F1": percent(self.f1),
            "false positive pixels": percent(self.false_share),
        }


class Segmentation(Objective[UNet]):
    """Trains a U-Net on masks."""

    classes = ("crack",)
    score_type = MaskScore
    unused_options = ("frozen", "drawn", "label_smoothing", "keep", "blend", "calibrate")
    required_label = 1
    warm_peak_rate = 2e-4

    @property
    def tile_px(self) -> int:
        return self.network.tile_px

    def suitable(self, found: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Return the photographs with a mask of their own that fits their label.

        The mask of a cracked photograph must contain a crack pixel. All masks are read here, so
        that a bad one raises its `InputError` before the training.
        """
        text = self.config.mask_crack
        values = MaskValues(parse_values("--mask-crack", text)) if text else AUTOMATIC
        masked = [replace(item, mask_values=values) for item in found if mask_path(item).is_file()]
        owners: dict[Path, LabelledImage] = {}
        for item in masked:
            other = owners.setdefault(mask_path(item), item)
            if other is not item:
                raise InputError(
                    f"{mask_path(item)}: is the mask of two photographs, {item.path} and "
                    f"{other.path}; rename one of them and give it a mask of its name"
                )
        masked = [
            item for item in masked if (read_masked(item)[..., 3] > CRACK_ABOVE).any() == item.label
        ]
        if len(masked) < len(found):
            log.info(
                "%d of %d photographs have no mask, or no crack in it, and are left out",
                len(found) - len(masked),
                len(found),
            )
        if not any(item.label == 1 for item in masked):
            example = mask_path(next(item for item in found if item.label == 1))
            raise InputError(
                f"no photograph in 'crack' has a mask; a U-Net learns from masks such as {example},"
                " 255 where there is crack and 0 elsewhere"
            )
        return masked

    def tile_dataset(self, training: Sequence[LabelledImage]) -> MaskedPatches:
        return MaskedPatches(training, self.network.tile_px, self.network.stride_px)

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss for masks (B, T, T), twice: all of it is logged."""
        loss = mask_loss(self.network.logits(images).float(), targets)
        return loss, loss

    @torch.inference_mode()
    def validate(self, network: UNet, held_out: Sequence[LabelledImage]) -> Validation:
        """Evaluate a network; the best has the highest F1, averaged over sources."""
        network.eval()
        counts: dict[str, list[tuple[int, PixelScores]]] = defaultdict(list)
        losses = []
        for item in held_out:
            bag = to_bag(read_masked(item), network.tile_px, network.stride_px)
            labelled = bag[..., 3] > CRACK_ABOVE
            with self.device.autocast():
                logits = network.logits(network_input(to_tensor(bag[..., :3])[None], self.device))
            logits = logits.float().cpu()
            losses.append(mask_loss(logits, torch.from_numpy(labelled)[None]).item())
            marked = logits[0].sigmoid().numpy() >= MARKED_FROM
            counts[item.source].append((item.label, compare(marked, labelled)))
        scores = [pooled_score(source, members) for source, members in sorted(counts.items())]
        everything = [each for found in counts.values() for each in found]
        f1 = fmean(score.f1 for score in scores if not isnan(score.f1))
        return Validation(
            scores=with_total(scores, pooled_score(ALL_SOURCES, everything)),
            loss=fmean(losses),
            merit=f1,
            metrics={"F1": f1},
            summary=f"F1 {f1:.1%}",
        )


def pooled_score(source: str, members: Sequence[tuple[int, PixelScores]]) -> MaskScore:
    """Return the score of a source from the label and pixel counts of each photograph."""
    crack_free = [count for label, count in members if label == 0]
    pooled = sum((count for _, count in members), PixelScores())
    return MaskScore(
        source=source,
        crack=len(members) - len(crack_free),
        no_crack=len(crack_free),
        precision=pooled.precision if pooled.labelled else nan,
        recall=pooled.recall,
        f1=pooled.f1 if pooled.labelled else nan,
        false_share=sum(crack_free, PixelScores()).marked_fraction,
    )


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the loss of logits (B, H, W) for bool masks (B, H, W).

    It is binary cross-entropy, averaged over all pixels, plus 1 - Dice, averaged over the tiles
    with a crack:

        Dice = 2 (I + s) / (U + s),   I = sum p g,   U = sum p + sum g,   s = 1e-5

    with probabilities p and masks g. Dice weights a hairline as much as a wide crack. It carries no
    information about tiles without a crack, and its gradient vanishes where a crack is missed
    entirely: cross-entropy covers both cases.

    Source: Forest et al. 2024 (the Dice term).
    """
    wanted = masks.float()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted)
    cracked = masks.any(dim=2).any(dim=1)
    if not cracked.any():
        return entropy
    p, g = logits[cracked].sigmoid(), wanted[cracked]
    common, total = (p * g).sum(dim=(1, 2)), (p + g).sum(dim=(1, 2))
    return entropy + (1 - 2 * (common + SMOOTHING) / (total + SMOOTHING)).mean()
