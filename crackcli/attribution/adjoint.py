"""The transpose of each layer type at a point, in forward operations only.

``adjoint(layer, upstream, x)`` is the product of ``upstream`` (B, *out) with the Jacobian of
``layer`` at ``x`` (B, *in): what autograd would compute, but as plain operations that run without
a tape and export to ONNX as they stand.  A new layer type is one more registered function.
"""

from functools import singledispatch

import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.errors import UnsupportedLayer


@singledispatch
def adjoint(layer: nn.Module, upstream: Tensor, x: Tensor) -> Tensor:
    """``upstream`` (B, *out) carried back through ``layer`` to the shape of ``x`` (B, *in)."""
    raise UnsupportedLayer(layer)


@adjoint.register
def _(layer: nn.Conv2d, upstream: Tensor, x: Tensor) -> Tensor:
    return transposed(layer, upstream, layer.weight)


@adjoint.register
def _(layer: nn.ReLU, upstream: Tensor, x: Tensor) -> Tensor:
    return upstream * (x > 0)


@adjoint.register
def _(layer: nn.MaxPool2d, upstream: Tensor, x: Tensor) -> Tensor:
    """Back to the largest of the four; equal values share (autograd takes the first of them)."""
    size = layer.kernel_size
    if size != layer.stride or layer.padding != 0:
        raise UnsupportedLayer(layer)
    largest = (x >= enlarge(layer(x), size)).to(x.dtype)
    count = F.avg_pool2d(largest, size) * size**2
    return largest * enlarge(upstream / count, size)


@adjoint.register
def _(layer: nn.Dropout, upstream: Tensor, x: Tensor) -> Tensor:
    return upstream


def transposed(layer: nn.Conv2d, upstream: Tensor, weight: Tensor) -> Tensor:
    """``upstream`` through the transpose of ``layer`` with ``weight`` in the place of its own.

    The transpose of a convolution of stride 1 is a convolution with the mirrored kernel, which
    runtimes compute faster, and in less memory, than what they call a transposed convolution.
    """
    if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.groups != 1:
        raise UnsupportedLayer(layer)
    padding = [size - 1 - pad for size, pad in zip(layer.kernel_size, layer.padding, strict=True)]
    return F.conv2d(upstream, mirrored(weight), None, 1, padding)


def mirrored(weight: Tensor) -> Tensor:
    """The kernel (I, O, h, w) of the convolution that is the transpose of one by (O, I, h, w)."""
    return weight.transpose(0, 1).flip(2, 3)


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Each value (B, C, H, W) repeated in a square of ``factor`` by ``factor``."""
    return F.interpolate(x, scale_factor=factor, mode="nearest")
