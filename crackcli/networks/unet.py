"""U-Net11: VGG11's eight convolutions on the way down, transposed convolutions on the way up.

The supervised oracle of the study: it learns from labelled pixels, so it shows what a network of
this kind reaches where somebody has drawn every crack.  By default its widths are half of the
study's (32 to 256 channels for 64 to 512): a quarter of the arithmetic, so that a CPU can train
it, and 11 MB in half precision.  ``build(widths=STUDY)`` is the study's.

Notation: B images, H x W pixels.

Sources: Ronneberger et al. 2015 (U-Net); Iglovikov and Shvets 2018 (VGG11 as its encoder); Forest
et al. 2024 (the widths on the way up).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Widths = Sequence[Sequence[int]]  # channels of the convolutions of each stage, going down

PAPER_WIDTHS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
INITIAL_LOGIT = -3.0  # logit(crack) of every pixel before anything is learnt: few are
HALF_WIDTHS = ((32,), (64,), (128, 128), (256, 256), (256, 256))


class UNet(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to P(crack) (B, H, W); H and W are multiples of ``stride_px``.

    ``down`` are the stages at 1/1, 1/2, ... of the resolution.  Each block of ``up`` doubles the
    resolution, from 1/32 on; the output of the stage of the same size is then laid beside it.
    """

    def __init__(self, widths: Widths, tile_px: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.tile_px = tile_px  # side of the tiles that it is trained on
        self.stride_px = 2 ** len(widths)  # away from its edges, an image moved by this gives the
        # same, moved
        self.down = nn.ModuleList()
        channels = 3
        for stage in widths:
            layers: list[nn.Module] = []
            for width in stage:
                layers += convolution(channels, width, batch_norm=batch_norm)
                channels = width
            self.down.append(nn.Sequential(*layers))
        self.up = nn.ModuleList()
        skips = [stage[-1] for stage in reversed(widths)]
        for middle, skip in zip([channels, *skips], skips, strict=False):
            self.up.append(
                nn.Sequential(
                    *convolution(channels, middle, batch_norm=batch_norm),
                    *upsampling(middle, skip // 2, batch_norm=batch_norm),
                )
            )
            channels = skip // 2 + skip
        self.last = nn.Sequential(
            *convolution(channels, skips[-1] // 2, batch_norm=batch_norm),
            nn.Conv2d(skips[-1] // 2, 1, 1),
        )
        nn.init.constant_(self.last[-1].bias, INITIAL_LOGIT)

    def logits(self, images: Tensor) -> Tensor:
        """logit(crack) (B, H, W)."""
        x, skips = images, []
        for stage in self.down:
            skips.append(stage(x))
            x = F.max_pool2d(skips[-1], 2)
        for block in self.up:
            x = torch.cat([block(x), skips.pop()], dim=1)
        return self.last(x)[:, 0]

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()

    @property
    def reach_px(self) -> int:
        """How far beyond a pixel it sees at most (184 for eight convolutions and five stages).

        A cell of side s px is placed by its first pixel.  From cell to cell, a 3 x 3 convolution
        looks s px further, a 2 x 2 pooling of cells of s px also s px, and a transposed 3 x 3
        convolution that makes cells of s px again s px.  What is found is the way through the
        lowest block, by the side where pooling looks further; on the other it sees 31 px less.
        """
        reach, side = 0, 1
        for stage in self.down:
            reach += side * sum(isinstance(layer, nn.Conv2d) for layer in stage)
            reach += side
            side *= 2
        for _ in self.up:
            reach += side + side // 2
            side //= 2
        return reach + 1


def convolution(channels: int, width: int, *, batch_norm: bool) -> list[nn.Module]:
    """A 3 x 3 convolution of the same size and a ReLU."""
    conv = nn.Conv2d(channels, width, 3, padding=1)
    return [init_weights(conv), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]


def upsampling(channels: int, width: int, *, batch_norm: bool) -> list[nn.Module]:
    """A transposed 3 x 3 convolution to twice the resolution and a ReLU."""
    conv = nn.ConvTranspose2d(channels, width, 3, stride=2, padding=1, output_padding=1)
    return [init_weights(conv), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]


def init_weights(conv: nn.Module) -> nn.Module:
    """A convolution with weights to begin training with."""
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(conv.bias)
    return conv


def build(*, widths: Widths = HALF_WIDTHS, tile_px: int = 256, batch_norm: bool = False) -> UNet:
    """An untrained U-Net11; with ``batch_norm``, one after each convolution but the last."""
    return UNet(widths, tile_px, batch_norm=batch_norm)
