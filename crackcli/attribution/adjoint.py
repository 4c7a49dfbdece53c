"""Transposed Jacobian of each layer type, in forward operations only.

    adjoint(layer, upstream, x) = J(x)^T upstream

with J the Jacobian of ``layer`` at its input ``x`` (B, *in), and ``upstream`` (B, *out). Autograd
computes the same product, but from a tape; these are plain operations, which run without a tape
and export to ONNX as they stand. To support a layer type, register one more function.
"""

from functools import singledispatch

import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.errors import UnsupportedLayer


@singledispatch
def adjoint(layer: nn.Module, upstream: Tensor, x: Tensor) -> Tensor:
    """Propagate ``upstream`` (B, *out) back through ``layer`` to the shape of ``x`` (B, *in).

    Raises an `UnsupportedLayer` for a layer type without a registered function.
    """
    raise UnsupportedLayer(layer)


@adjoint.register
def _(layer: nn.Conv2d, upstream: Tensor, x: Tensor) -> Tensor:
    return transposed(layer, upstream, layer.weight)


@adjoint.register
def _(layer: nn.ReLU, upstream: Tensor, x: Tensor) -> Tensor:
    return upstream * (x > 0)


@adjoint.register
def _(layer: nn.MaxPool2d, upstream: Tensor, x: Tensor) -> Tensor:
    """Route to the largest value of a window; ties share equally (autograd takes the first)."""
    size = pool_size(layer)
    largest = (x >= upsample(layer(x), size)).to(x.dtype)
    count = F.avg_pool2d(largest, size) * size**2
    return largest * upsample(upstream / count, size)


@adjoint.register
def _(layer: nn.Dropout, upstream: Tensor, x: Tensor) -> Tensor:
    return upstream


def transposed(layer: nn.Conv2d, upstream: Tensor, weight: Tensor) -> Tensor:
    """Propagate ``upstream`` through the transpose of ``layer``, with ``weight`` in place of its
    own.

    The transpose of a convolution of stride 1 is a convolution with the flipped kernel. Runtimes
    compute it faster, and in less memory, than their transposed convolutions.
    """
    if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.groups != 1:
        raise UnsupportedLayer(layer)
    if isinstance(layer.padding, str):
        raise UnsupportedLayer(layer)
    padding = [size - 1 - pad for size, pad in zip(layer.kernel_size, layer.padding, strict=True)]
    return F.conv2d(upstream, transposed_kernel(weight), None, 1, padding)


def transposed_kernel(weight: Tensor) -> Tensor:
    """Return the kernel (I, O, h, w) of the transpose of a convolution with ``weight``
    (O, I, h, w)."""
    return weight.transpose(0, 1).flip(2, 3)


def pool_size(layer: nn.MaxPool2d) -> int:
    """Return the side of a pool's windows; an `UnsupportedLayer` if they do not tile the input."""
    size = layer.kernel_size
    if not isinstance(size, int) or size != layer.stride or layer.padding != 0:
        raise UnsupportedLayer(layer)
    return size


def upsample(x: Tensor, factor: int) -> Tensor:
    """Repeat each value of ``x`` (B, C, H, W) in a square of ``factor`` by ``factor``."""
    return F.interpolate(x, scale_factor=factor, mode="nearest")
