"""U-Net11: VGG11's eight convolutions on the way down, transposed convolutions on the way up.

The supervised upper bound of Forest et al. 2024 ("the paper"): it learns from labelled pixels, so
it shows what such a network reaches if somebody has drawn every crack. By default its widths are
half of those of the paper (32 to 256 channels instead of 64 to 512): a quarter of the arithmetic,
so that a CPU can train it, and 11 MB in half precision. ``build(widths=PAPER_WIDTHS)`` is the
network of the paper.

Notation: B images, H x W pixels.

Sources: Ronneberger et al. 2015 (U-Net); Iglovikov and Shvets 2018 (VGG11 as its encoder); Forest
et al. 2024 (the widths on the way up).
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Widths = Sequence[Sequence[int]]  # channels of the convolutions of each stage, going down

PAPER_WIDTHS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
INITIAL_LOGIT = -3.0  # logit(crack) of every pixel before training: few pixels are crack
HALF_WIDTHS = ((32,), (64,), (128, 128), (256, 256), (256, 256))


class UNet(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to P(crack) (B, H, W); H and W are multiples of ``stride_px``.

    ``down`` contains the stages at 1/1, 1/2, ... of the resolution. Each block of ``up`` doubles
    the resolution, starting at 1/32; the output of the stage of that size is then concatenated.
    """

    def __init__(self, widths: Widths, tile_px: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.tile_px = tile_px  # side of the tiles that it is trained on
        # An image shifted by this gives the same output, shifted, except near its edges.
        self.stride_px = 2 ** len(widths)
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
        layers = convolution(channels, skips[-1] // 2, batch_norm=batch_norm)
        last = nn.Conv2d(skips[-1] // 2, 1, 1)
        self.last = nn.Sequential(*layers, last)
        if last.bias is not None:
            nn.init.constant_(last.bias, INITIAL_LOGIT)

    def logits(self, images: Tensor) -> Tensor:
        """Return logit(crack) (B, H, W)."""
        x, skips = images, []
        for stage in self.down:
            skips.append(stage(x))
            x = F.max_pool2d(skips[-1], 2)
        for block in self.up:
            x = torch.cat([block(x), skips.pop()], dim=1)
        logits: Tensor = self.last(x)[:, 0]
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()

    @property
    def reach_px(self) -> int:
        """Return the receptive-field radius of a pixel (184 for eight convolutions, five stages).

        The position of a cell of side s px is that of its first pixel. Each of these extends the
        receptive field by s px: a 3 x 3 convolution, a 2 x 2 pooling of cells of s px, and a
        transposed 3 x 3 convolution that makes cells of s px. The radius is that of the path
        through the lowest block, on the side where pooling extends further; on the other side it
        is 31 px less.
        """
        reach, side = 0, 1
        for stage in self.down:
            layers = cast(nn.Sequential, stage)
            reach += side * sum(isinstance(layer, nn.Conv2d) for layer in layers)
            reach += side
            side *= 2
        for _ in self.up:
            reach += side + side // 2
            side //= 2
        return reach + 1


def convolution(channels: int, width: int, *, batch_norm: bool) -> list[nn.Module]:
    """Return a padded 3 x 3 convolution and a ReLU."""
    conv = nn.Conv2d(channels, width, 3, padding=1)
    return [init_weights(conv), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]


def upsampling(channels: int, width: int, *, batch_norm: bool) -> list[nn.Module]:
    """Return a transposed 3 x 3 convolution that doubles the resolution, and a ReLU."""
    conv = nn.ConvTranspose2d(channels, width, 3, stride=2, padding=1, output_padding=1)
    return [init_weights(conv), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]


def init_weights(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """Initialise the weights of a convolution for training, and return it."""
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def build(*, widths: Widths = HALF_WIDTHS, tile_px: int = 256, batch_norm: bool = False) -> UNet:
    """Return an untrained U-Net11; ``batch_norm`` adds one after each convolution but the last."""
    return UNet(widths, tile_px, batch_norm=batch_norm)
