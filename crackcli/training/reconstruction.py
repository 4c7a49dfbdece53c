"""What sound surfaces look like: an autoencoder learns to draw crack-free tiles again."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from crackcli.datasets.folders import LabelledImage
from crackcli.networks.autoencoder import Autoencoder
from crackcli.training.augmentation import to_tensor
from crackcli.training.objective import Objective, Verdict
from crackcli.training.patches import Patches, read_photograph, to_bag
from crackcli.training.validation import scaled


@dataclass(frozen=True)
class ErrorScore:
    """How well one source is drawn again: ``mse`` is the mean squared error of all its pixels and
    channels, where white is 1."""

    source: str
    no_crack: int  # photographs
    mse: float

    def row(self) -> dict[str, Any]:
        return asdict(self)

    def texts(self) -> dict[str, str]:
        return {"source": self.source, "no crack": str(self.no_crack), "mse": f"{self.mse:.5f}"}


class Reconstructing(Objective):
    """A tile through a narrow passage and back."""

    classes = ("no_crack",)  # all that it is shown
    score = ErrorScore
    unused = ("frozen", "drawn", "label_smoothing", "keep", "blend", "calibrate")
    needed = 0
    new: ClassVar[dict[str, Any]] = {}
    peak = 3e-4  # at 1e-3, without batch norm, it ends in one grey for all
    warm_peak = 1e-4

    network: Autoencoder

    def suitable(self, found: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Those without crack."""
        return [item for item in found if item.label == 0]

    def tiles(self, training: Sequence[LabelledImage]) -> Patches:
        return Patches(training, self.network.tile_px, self.network.stride_px)

    def loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error; the labels say nothing here."""
        loss = F.mse_loss(self.network(images).float(), images)
        return loss, loss

    @torch.inference_mode()
    def judge(self, network: Autoencoder, held_out: Sequence[LabelledImage]) -> Verdict:
        """The best is the one with the lowest error, mean over sources."""
        network.eval()
        errors: dict[str, list[float]] = defaultdict(list)
        for item in held_out:
            bag = to_bag(read_photograph(item.path), network.tile_px, network.stride_px)
            images = scaled(side_by_side(to_tensor(bag), network.tile_px), self.device)
            with self.device.autocast():
                drawn = network(images)
            errors[item.source].append(F.mse_loss(drawn.float(), images).item())
        scores = [
            ErrorScore(source, len(members), fmean(members))
            for source, members in sorted(errors.items())
        ]
        error = fmean(score.mse for score in scores)
        loss = fmean(each for members in errors.values() for each in members)
        return Verdict(scores=scores, loss=loss, merit=-error, shares={}, words=f"mse {error:.5f}")


def side_by_side(image: Tensor, tile_px: int) -> Tensor:
    """The tiles (N, 3, T, T) of an image (3, H, W) from its upper left corner on, without overlap;
    what is left at the right and below is left out."""
    tiles = image.unfold(1, tile_px, tile_px).unfold(2, tile_px, tile_px)  # (3, h, w, T, T)
    return tiles.flatten(1, 2).transpose(0, 1)
