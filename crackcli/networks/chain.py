"""A classifier as a flat list of layers that slides over images of any size.

Notation: B images, C channels, H x W pixels, K classes, h x w tile positions.

The fully connected layers of a patch classifier are convolutions in disguise: its first one, on
512 x 8 x 8 features, is an 8 x 8 convolution, the others are 1 x 1.  Written so, the same weights
classify one 256-px patch (h = w = 1) or every 256-px tile of a larger image at steps of 32 px,
and the convolutions below are computed once instead of once per tile.
"""

from copy import copy, deepcopy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from crackcli.errors import ModelError

Layers = TypeVar("Layers", bound=nn.Module)


class Chain(nn.Sequential):
    """Images (B, C, H, W) to logits (B, K, h, w), with h = (H - tile_px) / stride_px + 1."""

    @property
    def head_start(self) -> int:
        """Position of the first layer that sees a whole tile: features end, the head begins."""
        for position, layer in enumerate(self):
            if isinstance(layer, nn.Conv2d) and layer.padding == (0, 0):
                return position
        raise ModelError("the network has no unpadded convolution that could see a whole tile")

    @property
    def features(self) -> "Chain":
        """The layers before the head: images to feature cells, computed once for all tiles."""
        return cast(Chain, self[: self.head_start])

    @property
    def head(self) -> "Chain":
        """The classifier head: feature cells to logits of every tile position."""
        return cast(Chain, self[self.head_start :])

    @property
    def stride_px(self) -> int:
        """Distance of neighbouring tile positions: the product of all strides below the neck."""
        stride_px = 1
        for layer in self[: self.head_start]:
            stride_px *= stride_of(layer)
        return stride_px

    @property
    def tile_cells(self) -> int:
        """Side of a tile in feature cells (8 for VGG11-128)."""
        return self[self.head_start].kernel_size[0]

    @property
    def tile_px(self) -> int:
        """Side of a tile in pixels (256 for VGG11-128)."""
        return self.tile_cells * self.stride_px

    @property
    def reach_px(self) -> int:
        """How far beyond its own square of pixels a feature cell sees (59 for VGG11-128)."""
        reach, step = 0, 1
        for layer in self[: self.head_start]:
            if isinstance(layer, nn.Conv2d):
                reach += step * (layer.kernel_size[0] // 2)
            step *= stride_of(layer)
        return reach

    @property
    def classes(self) -> int:
        """Number K of logits."""
        return [layer for layer in self if isinstance(layer, nn.Conv2d)][-1].out_channels

    def trace(self, images: Tensor) -> list[Tensor]:
        """The input of every layer, in order, and the logits last."""
        values = [images]
        for layer in self:
            values.append(layer(values[-1]))
        return values


def stride_of(layer: nn.Module) -> int:
    stride = getattr(layer, "stride", 1)
    return stride if isinstance(stride, int) else stride[0]


def unpadded(module: Layers) -> Layers:
    """The same layers with the same weights, not copies of them, but convolutions see only what is
    there: each gives what lies far enough from the edges of its input, and nothing else."""
    other = copy(module)
    if isinstance(other, nn.Conv2d):
        other.padding = (0, 0)
    other._modules = {
        name: None if part is None else unpadded(part) for name, part in module._modules.items()
    }
    return other


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """The same function without batch norm: each one becomes part of the convolution before it.

    Explainers then see plain layers only.  Running statistics are used, as in evaluation mode.
    """
    folded = deepcopy(network).eval()
    for layers in [part for part in folded.modules() if isinstance(part, nn.Sequential)]:
        for place in reversed(range(len(layers))):
            if isinstance(layers[place], nn.BatchNorm2d):
                before = layers[place - 1]
                transposed = isinstance(before, nn.ConvTranspose2d)
                layers[place - 1] = nn.utils.fuse_conv_bn_eval(before, layers[place], transposed)
                del layers[place]
    return folded


def with_temperature(chain: Chain, temperature: float) -> Chain:
    """The same decisions from logits divided by ``temperature``: its last layer's weights are."""
    cooled = deepcopy(chain)
    last = [layer for layer in cooled if isinstance(layer, nn.Conv2d)][-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter /= temperature
    return cooled
