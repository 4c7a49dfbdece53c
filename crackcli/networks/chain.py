"""A classifier as a flat list of layers that slides over images of any size.

Notation: B images, C channels, H x W pixels, K classes, h x w tile positions.

The fully connected layers of a patch classifier are convolutions: the first one, on 512 x 8 x 8
features, is an 8 x 8 convolution, the others are 1 x 1 (Long et al. 2015). In this form the same
weights classify one 256-px patch (h = w = 1) or every 256-px tile of a larger image at a stride of
32 px, and the convolutions below are computed once instead of once per tile.
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
        """Return the position of the first layer of the classifier head: an unpadded convolution.

        Its receptive field is a whole tile. Raises `ModelError` if there is no such layer.
        """
        for position, layer in enumerate(self):
            if isinstance(layer, nn.Conv2d) and layer.padding == (0, 0):
                return position
        raise ModelError("the network has no unpadded convolution, so it has no classifier head")

    @property
    def features(self) -> "Chain":
        """Return the layers before the head: images to feature cells, once for all tiles."""
        return cast(Chain, self[: self.head_start])

    @property
    def head(self) -> "Chain":
        """Return the classifier head: feature cells to the logits of every tile position."""
        return cast(Chain, self[self.head_start :])

    @property
    def stride_px(self) -> int:
        """Return the distance of tile positions: the product of the strides of the features."""
        stride_px = 1
        for layer in self.features:
            stride_px *= stride_of(layer)
        return stride_px

    @property
    def tile_cells(self) -> int:
        """Return the side of a tile in feature-map cells (8 for VGG11-128)."""
        head = cast(nn.Conv2d, self[self.head_start])
        return head.kernel_size[0]

    @property
    def tile_px(self) -> int:
        """Return the side of a tile in pixels (256 for VGG11-128)."""
        return self.tile_cells * self.stride_px

    @property
    def reach_px(self) -> int:
        """Return the receptive-field radius of a cell beyond its own square (59 for VGG11-128)."""
        reach, step = 0, 1
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                reach += step * (layer.kernel_size[0] // 2)
            step *= stride_of(layer)
        return reach

    @property
    def classes(self) -> int:
        """Return the number K of logits."""
        return last_convolution(self).out_channels

    def trace(self, images: Tensor) -> list[Tensor]:
        """Return the input of every layer, in order, and the logits last."""
        values = [images]
        for layer in self:
            values.append(layer(values[-1]))
        return values


def last_convolution(chain: Chain) -> nn.Conv2d:
    """Return the layer that computes the logits."""
    return [layer for layer in chain if isinstance(layer, nn.Conv2d)][-1]


def stride_of(layer: nn.Module) -> int:
    """Return the stride of a layer; 1 if it has none."""
    stride = getattr(layer, "stride", 1)
    return stride if isinstance(stride, int) else int(stride[0])


def unpadded(module: Layers) -> Layers:
    """Return the layers with convolutions that do not pad; weights are shared, not copied.

    The output is the part of the padded output that does not depend on the padding.
    """
    other = copy(module)
    if isinstance(other, nn.Conv2d):
        other.padding = (0, 0)
    other._modules = {
        name: None if part is None else unpadded(part) for name, part in module._modules.items()
    }
    return other


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Return the same function without batch norm, merged into the convolution before it.

    Attribution methods then meet plain layers only. Uses running statistics, as in evaluation mode.
    """
    folded = deepcopy(network).eval()
    for layers in [part for part in folded.modules() if isinstance(part, nn.Sequential)]:
        for place in reversed(range(len(layers))):
            norm = layers[place]
            if isinstance(norm, nn.BatchNorm2d):
                before = cast("nn.Conv2d | nn.ConvTranspose2d", layers[place - 1])
                transposed = isinstance(before, nn.ConvTranspose2d)
                layers[place - 1] = nn.utils.fuse_conv_bn_eval(before, norm, transposed)
                del layers[place]
    return folded


def with_temperature(chain: Chain, temperature: float) -> Chain:
    """Return a copy whose logits are divided by ``temperature``; its decisions are the same.

    The weights and bias of the last layer are divided.
    """
    calibrated = deepcopy(chain)
    with torch.no_grad():
        for parameter in last_convolution(calibrated).parameters():
            parameter.div_(temperature)
    return calibrated
