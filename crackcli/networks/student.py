"""A small segmentation network: EfficientNet-Lite0 and a light decoder.

It is the student of drawn cracks and image labels (`crackcli.training.objectives`), so that no
person has to draw a mask. The decoder begins at the coarsest features. It doubles the resolution,
adds the features of that resolution, and convolves, down to single pixels, where a convolution of
the photograph itself is added.

Notation: B images, H x W pixels.

Sources: Tan and Le 2019 (EfficientNet); Lin et al. 2017 (feature pyramid, whose sums it has instead
of the concatenations of a U-Net).
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.networks.efficientnet import BLOCKS, CHANNELS, Encoder, convolution

DECODER = (16, 24, 32, 48, 64)  # channels at 1/1, 1/2, 1/4, 1/8 and 1/16 of the resolution
INITIAL_LOGIT = -3.0  # logit(crack) of every pixel before training: few pixels are crack
# px; halo of a block. The receptive field is wider, but what lies further out than this changes
# P(crack) by at most 0.012, and by more than 0.001 in at most 1.5 % of the pixels of a photograph:
# see models/README.md.
HALO_PX = 320


class Student(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to P(crack) (B, H, W); H and W are multiples of ``stride_px``.

    ``lateral`` and ``merge`` begin at the coarsest resolution.
    """

    def __init__(
        self, encoder: Encoder, decoder: Sequence[int], tile_px: int, *, batch_norm: bool
    ) -> None:
        super().__init__()
        self.tile_px = tile_px  # side of the tiles that it is trained on
        self.stride_px = 2 ** len(encoder.widths)
        self.encoder = encoder
        finest, *others = decoder
        self.lateral = nn.ModuleList([nn.Conv2d(encoder.widths[-1], others[-1], 1)])
        self.merge = nn.ModuleList()
        for width, channels, after in zip(
            reversed(encoder.widths[:-1]), reversed(others), reversed(decoder[:-1]), strict=True
        ):
            self.lateral.append(nn.Conv2d(width, channels, 1))
            self.merge.append(
                nn.Sequential(*convolution(channels, after, 3, batch_norm=batch_norm))
            )
        self.detail = nn.Sequential(*convolution(3, finest, 3, batch_norm=batch_norm))
        self.merge.append(nn.Sequential(*convolution(finest, finest, 3, batch_norm=batch_norm)))
        self.last = nn.Conv2d(finest, 1, 1)
        if self.last.bias is not None:
            nn.init.constant_(self.last.bias, INITIAL_LOGIT)

    def logits(self, images: Tensor) -> Tensor:
        """Return logit(crack) (B, H, W)."""
        halves, quarters, eighths = self.encode(images)
        return self.decoded(images, halves, quarters, self.context(eighths))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features at 1/2, 1/4 and 1/8 of the resolution.

        A scan computes the three parts `encode`, `context` and `decode` one after the other, each
        in windows that suit it: `context` has nearly all of the receptive field, and needs little
        memory.
        """
        halves, quarters, eighths = self.encoder.fine(images)
        return halves, quarters, eighths

    def context(self, eighths: Tensor) -> Tensor:
        """Return features of the decoder at 1/8 of the resolution."""
        sixteenths, coarsest = self.encoder.coarse(eighths)
        x: Tensor = self.lateral[0](coarsest)
        return self.merged(x, zip(self.lateral[1:3], (sixteenths, eighths), strict=True), 0)

    def decode(self, images: Tensor, halves: Tensor, quarters: Tensor, context: Tensor) -> Tensor:
        """Return P(crack) (B, H, W), given the results of the other parts."""
        return self.decoded(images, halves, quarters, context).sigmoid()

    def decoded(self, images: Tensor, halves: Tensor, quarters: Tensor, context: Tensor) -> Tensor:
        """Return logit(crack) (B, H, W), given the results of the other parts."""
        added = zip(
            (*self.lateral[3:], self.detail), (quarters, halves, images * 2 - 1), strict=True
        )
        logits: Tensor = self.last(self.merged(context, added, 2))[:, 0]
        return logits

    def merged(self, x: Tensor, added: Iterable[tuple[nn.Module, Tensor]], first: int) -> Tensor:
        """Double the resolution of features and merge them, once for each layer and its input in
        ``added``, from merge number ``first`` on."""
        for number, (layer, features) in enumerate(added, first):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.merge[number](x + layer(features))
        return x

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()

    @torch.no_grad()
    def scale_logits(self, scale: float, bias: float) -> None:
        """Replace each logit z by scale z + bias."""
        assert self.last.bias is not None
        self.last.weight.mul_(scale)
        self.last.bias.mul_(scale).add_(bias)

    @property
    def reach_px(self) -> int:
        """Return the radius around a pixel that a scan gives the network, at most `HALO_PX`."""
        return min(HALO_PX, self.receptive_field_px)

    @property
    def receptive_field_px(self) -> int:
        """Return the receptive-field radius of a pixel (518 for EfficientNet-Lite0).

        The position of a cell is that of its first pixel, as in `crackcli.networks.unet`. Each of
        these extends the receptive field, in cells of s px: a convolution of k cells by k // 2 to
        both sides; one of stride 2 by (k - 2) // 2 to the left and the rest of its kernel to the
        right; doubling the resolution by 1 to the left and by a half to the right.
        """
        left, right, side = extent(self.encoder, 1)
        for _ in self.merge:
            left += side + side // 2
            right += side // 2 + side // 2
            side //= 2
        return max(left, right)

    @property
    def encode_reach_px(self) -> int:
        """Return the receptive-field radius of the features of `encode` (33)."""
        fine = nn.Sequential(self.encoder.stem, *self.encoder.stages[: self.encoder.cut])
        return max(extent(fine, 1)[:2])


def extent(layers: nn.Module, side: int) -> tuple[int, int, int]:
    """Return how far convolutions one after the other extend the receptive field to the left and
    to the right, in pixels, and the side of a cell behind them; ``side`` is that before them."""
    left = right = 0
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            kernel = layer.kernel_size[0]
            halves = layer.stride[0] == 2
            before = (kernel - 2) // 2 if halves else kernel // 2
            left += side * before
            right += side * (kernel - 1 - before)
            side *= 2 if halves else 1
    return left, right, side


def build(
    *,
    channels: Sequence[int] = CHANNELS,
    blocks: Sequence[int] = BLOCKS,
    decoder: Sequence[int] = DECODER,
    tile_px: int = 192,
    batch_norm: bool = False,
) -> Student:
    """Return an untrained student.

    ``channels`` and ``blocks`` are those of the encoder, ``decoder`` the channels from the finest
    resolution on; ``batch_norm`` adds one after each convolution but those of sums and the last.
    """
    encoder = Encoder(channels, blocks, batch_norm=batch_norm)
    return Student(encoder, decoder, tile_px, batch_norm=batch_norm)
