"""Reconstruction: an autoencoder learns to reproduce crack-free tiles through a bottleneck.

Data: photographs in ``no_crack/`` alone. Loss: mean squared error of the pixels. A crack is not
reproduced, so that a high error marks it.

Source: Forest et al. 2024 (a convolutional autoencoder as the unsupervised reference).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.networks.autoencoder import Autoencoder
from crackcli.training.augmentation import to_tensor
from crackcli.training.objective import ALL_SOURCES, Objective, Score, Validation, with_total
from crackcli.training.patches import Patches, read_photograph, to_bag
from crackcli.training.validation import network_input


@dataclass(frozen=True)
class ErrorScore(Score):
    """The reconstruction error of one source: ``mse`` is the mean squared error over all pixels and
    channels, with values in [0, 1]."""

    no_crack: int  # photographs
    mse: float

    def texts(self) -> dict[str, str]:
        return {"source": self.source, "no crack": str(self.no_crack), "mse": f"{self.mse:.5f}"}


class Reconstruction(Objective[Autoencoder]):
    """Trains an autoencoder on crack-free tiles."""

    classes = ("no_crack",)
    score_type = ErrorScore
    unused_options = (
        "frozen",
        "drawn",
        "label_smoothing",
        "keep",
        "mask_crack",
        "blend",
        "calibrate",
    )
    required_label = 0
    new_arguments: ClassVar[dict[str, Any]] = {}
    peak_rate = 3e-4  # without batch norm, at 1e-3, the output collapses to one grey
    warm_peak_rate = 1e-4

    @property
    def tile_px(self) -> int:
        return self.network.tile_px

    def suitable(self, found: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Return the crack-free photographs."""
        return [item for item in found if item.label == 0]

    def tile_dataset(self, training: Sequence[LabelledImage]) -> Patches:
        return Patches(training, self.network.tile_px, self.network.stride_px)

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean squared error, twice: all of it is logged. The labels are not used."""
        loss = F.mse_loss(self.network(images).float(), images)
        return loss, loss

    @torch.inference_mode()
    def validate(self, network: Autoencoder, held_out: Sequence[LabelledImage]) -> Validation:
        """Evaluate a network; the best has the lowest error, averaged over sources."""
        network.eval()
        errors: dict[str, list[float]] = defaultdict(list)
        for item in held_out:
            bag = to_bag(read_photograph(item.path), network.tile_px, network.stride_px)
            images = network_input(split_tiles(to_tensor(bag), network.tile_px), self.device)
            with self.device.autocast():
                output = network(images)
            errors[item.source].append(F.mse_loss(output.float(), images).item())
        scores = [
            ErrorScore(source, len(members), fmean(members))
            for source, members in sorted(errors.items())
        ]
        everything = [each for members in errors.values() for each in members]
        error = fmean(score.mse for score in scores)
        return Validation(
            scores=with_total(scores, ErrorScore(ALL_SOURCES, len(everything), fmean(everything))),
            loss=fmean(everything),
            merit=-error,
            metrics={},
            summary=f"mse {error:.5f}",
        )


def split_tiles(image: Tensor, tile_px: int) -> Tensor:
    """Return the tiles (N, 3, T, T) of an image (3, H, W), without overlap.

    They start at the upper left corner; pixels beyond the last whole tile are left out.
    """
    tiles = image.unfold(1, tile_px, tile_px).unfold(2, tile_px, tile_px)  # (3, h, w, T, T)
    return tiles.flatten(1, 2).transpose(0, 1)
