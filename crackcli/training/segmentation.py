"""Which pixels are crack: a network learns from masks, as somebody has drawn them.

PHOTOGRAPHS/masks/<stem>.png is the mask of PHOTOGRAPHS/crack/<stem>.* or no_crack/<stem>.*, of the
same size; pixels above 127 are crack.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.datasets.pixel_labels import CRACK_ABOVE
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.errors import InputError
from crackcli.networks.unet import UNet
from crackcli.training.augmentation import to_tensor
from crackcli.training.objective import Objective, Verdict
from crackcli.training.patches import MaskedPatches, mask_of, read_masked, to_bag
from crackcli.training.validation import percent, scaled

log = logging.getLogger(__name__)

SEEN = 0.5  # P(crack) from which on a pixel is marked
SMOOTHING = 1e-5  # pixels, so that Dice is a number where nothing is marked


@dataclass(frozen=True)
class MaskScore:
    """How the masks of one source fared, at 0 px of tolerance, at the size the network sees them.

    ``precision``, ``recall`` and ``f1`` are pooled over all pixels of all its photographs, and nan
    where no pixel is labelled; ``false_share`` is how much of the crack-free ones is marked.
    """

    source: str
    crack: int  # photographs
    no_crack: int
    precision: float
    recall: float
    f1: float
    false_share: float

    def row(self) -> dict[str, Any]:
        return asdict(self)

    def texts(self) -> dict[str, str]:
        return {
            "source": self.source,
            "crack": str(self.crack),
            "no crack": str(self.no_crack),
            "precision": percent(self.precision),
            "recall": percent(self.recall),
            "F1": percent(self.f1),
            "marked where none is": percent(self.false_share),
        }


class Segmenting(Objective):
    """P(crack) of each pixel, by masks."""

    classes = ("crack",)
    score = MaskScore
    unused = ("frozen", "drawn", "label_smoothing", "keep", "blend", "calibrate")
    needed = 1
    warm_peak = 2e-4

    network: UNet

    def suitable(self, found: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Those with a mask, each of its own; of cracked ones, those with a labelled pixel.

        All masks are read now: what is wrong with one is to show before the training.
        """
        masked = [item for item in found if mask_of(item).is_file()]
        owners: dict[Path, LabelledImage] = {}
        for item in masked:
            other = owners.setdefault(mask_of(item), item)
            if other is not item:
                raise InputError(
                    f"{item.path} and {other.path} have one mask, {mask_of(item)}; rename one of "
                    "them and give it a mask of its name"
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
            example = mask_of(next(item for item in found if item.label == 1))
            raise InputError(
                f"no photograph of 'crack' has a mask; a U-Net learns from masks such as {example},"
                " 255 where there is crack and 0 elsewhere"
            )
        return masked

    def tiles(self, training: Sequence[LabelledImage]) -> MaskedPatches:
        return MaskedPatches(training, self.network.tile_px, self.network.stride_px)

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss = mask_loss(self.network.logits(images).float(), targets)
        return loss, loss

    @torch.inference_mode()
    def judge(self, network: UNet, held_out: Sequence[LabelledImage]) -> Verdict:
        """The best is the one with the highest F1, mean over sources."""
        network.eval()
        counts: dict[str, list[tuple[int, PixelScores]]] = defaultdict(list)
        losses = []
        for item in held_out:
            bag = to_bag(read_masked(item), network.tile_px, network.stride_px)
            labelled = bag[..., 3] > CRACK_ABOVE
            with self.device.autocast():
                logits = network.logits(scaled(to_tensor(bag[..., :3])[None], self.device))
            logits = logits.float().cpu()
            losses.append(mask_loss(logits, torch.from_numpy(labelled)[None]).item())
            marked = logits[0].sigmoid().numpy() >= SEEN
            counts[item.source].append((item.label, compare(marked, labelled)))
        scores = [score_of(source, members) for source, members in sorted(counts.items())]
        f1 = fmean(score.f1 for score in scores if not isnan(score.f1))
        return Verdict(
            scores=scores,
            loss=fmean(losses),
            merit=f1,
            shares={"F1": f1},
            words=f"F1 {f1:.1%}",
        )


def score_of(source: str, members: Sequence[tuple[int, PixelScores]]) -> MaskScore:
    """Labels and pixel counts of a source's photographs, pooled."""
    sound = [count for label, count in members if label == 0]
    pooled = sum((count for _, count in members), PixelScores())
    return MaskScore(
        source=source,
        crack=len(members) - len(sound),
        no_crack=len(sound),
        precision=pooled.precision if pooled.labelled else nan,
        recall=pooled.recall,
        f1=pooled.f1 if pooled.labelled else nan,
        false_share=sum(sound, PixelScores()).marked_fraction,
    )


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft Dice of each cracked tile, mean over these, plus binary cross-entropy, mean over all
    pixels, of logits (B, H, W) and masks (B, H, W) of bools.

    Dice = 2 (I + s) / (U + s) with I = sum p g, U = sum p + sum g, s = 1e-5 weighs a hairline as
    much as a gaping crack, but says next to nothing of a tile without crack, and its slope
    vanishes where all of a crack is missed: cross-entropy is there for these.

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
