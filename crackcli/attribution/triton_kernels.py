"""The steps of `crackcli.attribution.fused_lrp` as GPU kernels, each one pass over memory.

Arrays are pixels by channels: channels-last, so that a pixel's channels are adjacent. A program
computes a few pixels of a pool's output, the four input pixels of each, and some channels of all.
Numbers are computed in float32 and stored in the precision of the arrays.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from crackcli.attribution.fused_lrp import CHANNELS, COLOURS, HIGH, LAYOUT
from crackcli.attribution.lrp import STABILISER

WIDE = 64  # most channels of a program
PIXELS = 16  # of a program
FLAT = 1024  # numbers of a one-dimensional program
FIRST_FORWARD = (64, 4)  # (pixels, warps) of a program of `first_forward`
FIRST_DIVIDE = (16, 4)  # the same of `first_divide_relevance`
SUM_PIXELS = 256  # pixels of a program of `sum_products`
SIZES = ("pixels", "rows", "cols")  # kernels are not compiled anew for each of these


@triton.jit
def box(images, boxed, number, high, PART: tl.constexpr, EIGHT: tl.constexpr, RGB: tl.constexpr):
    """Turn pixels of three channels in uint8 into x, x - 1 and zeros."""
    at = tl.program_id(0).to(tl.int64) * PART + tl.arange(0, PART)
    channel = (at % EIGHT).to(tl.int32)
    there, coloured = at < number, channel < 2 * RGB
    x = tl.load(images + at // EIGHT * RGB + channel % RGB, mask=there & coloured, other=0)
    x = x.to(tl.float32) / high - tl.where(channel >= RGB, 1.0, 0.0)
    tl.store(boxed + at, tl.where(coloured, x, 0.0).to(boxed.dtype.element_ty), mask=there)


@triton.jit
def rectified(product, at, bias, there):
    """Load a product and return the ReLU of its sum with the bias."""
    return tl.maximum(tl.load(product + at, mask=there, other=0).to(tl.float32) + bias, 0.0)


@triton.jit(do_not_specialize=SIZES)
def activate_plain(product, bias, pixels, C, WIDE: tl.constexpr, PIXELS: tl.constexpr):
    """Overwrite the product with the ReLU of its sum with the bias."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = (tl.program_id(1) * WIDE + tl.arange(0, WIDE))[None, :]
    there = (pixel < pixels)[:, None] & (channel < C)
    at = pixel.to(tl.int64)[:, None] * C + channel
    active = rectified(product, at, tl.load(bias + channel, mask=channel < C, other=0), there)
    tl.store(product + at, active.to(product.dtype.element_ty), mask=there)


@triton.jit
def places(pixels, cols, C, WIDE: tl.constexpr, PIXELS: tl.constexpr):
    """Return the places of a program's pixels in the output of the pool and in its input (the
    upper left one of four), its channels, and the mask of those that exist."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    there = (pixel < pixels)[:, None] & (channel < C)[None, :]
    corner = (pixel // cols * 2 * cols + pixel % cols) * 2
    at = pixel.to(tl.int64)[:, None] * C + channel[None, :]
    return at, corner.to(tl.int64)[:, None], channel[None, :], there


@triton.jit(do_not_specialize=SIZES)
def activate_pooled(
    product, bias, pooled, pixels, cols, C,
    KEPT: tl.constexpr, WIDE: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Store 2 x 2 maxima of the ReLU of product and bias, and the ReLU itself if it is kept."""
    at, corner, channel, there = places(pixels, cols, C, WIDE, PIXELS)
    add = tl.load(bias + channel, mask=channel < C, other=0)
    below = 2 * cols
    a = rectified(product, corner * C + channel, add, there)
    b = rectified(product, (corner + 1) * C + channel, add, there)
    c = rectified(product, (corner + below) * C + channel, add, there)
    d = rectified(product, (corner + below + 1) * C + channel, add, there)
    kind = product.dtype.element_ty
    largest = tl.maximum(tl.maximum(a, b), tl.maximum(c, d))
    tl.store(pooled + at, largest.to(kind), mask=there)
    if KEPT:
        tl.store(product + corner * C + channel, a.to(kind), mask=there)
        tl.store(product + (corner + 1) * C + channel, b.to(kind), mask=there)
        tl.store(product + (corner + below) * C + channel, c.to(kind), mask=there)
        tl.store(product + (corner + below + 1) * C + channel, d.to(kind), mask=there)


@triton.jit
def divide(
    relevance, product, quotient, at, channel, bias, there, C,
    BOTH: tl.constexpr, SMALL: tl.constexpr,
):  # fmt: skip
    """Divide relevance by the denominators at pixel number ``at``, of one sign or of both."""
    kind = quotient.dtype.element_ty
    if BOTH:
        here = at * (2 * C) + channel
        above = tl.load(product + here, mask=there, other=0).to(tl.float32)
        above += tl.load(bias + channel, mask=channel < C, other=0)
        below = tl.load(product + here + C, mask=there, other=0).to(tl.float32)
        below += tl.load(bias + C + channel, mask=channel < C, other=0)
        tl.store(quotient + here, (2 * relevance / (above + SMALL)).to(kind), mask=there)
        tl.store(quotient + here + C, (-relevance / (below - SMALL)).to(kind), mask=there)
    else:
        here = at * C + channel
        z = tl.load(product + here, mask=there, other=0).to(tl.float32)
        z += tl.load(bias + channel, mask=channel < C, other=0)
        ratio = relevance / (tl.maximum(z, 0.0) + SMALL)
        tl.store(quotient + here, ratio.to(kind), mask=there)


@triton.jit
def is_largest(active, at, largest, there):
    """Return 1 where a value is the largest of four, else 0."""
    x = tl.load(active + at, mask=there, other=0).to(tl.float32)
    return tl.where(x >= largest, 1.0, 0.0)


@triton.jit(do_not_specialize=SIZES)
def divide_relevance(
    upstream, next_input, active, product, bias, quotient, pixels, cols, C,
    MULTIPLY_INPUT: tl.constexpr, POOLED: tl.constexpr, BOTH: tl.constexpr,
    SMALL: tl.constexpr, WIDE: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Route relevance through a pool, if there is one, and divide it by the denominators."""
    at, corner, channel, there = places(pixels, cols, C, WIDE, PIXELS)
    relevance = tl.load(upstream + at, mask=there, other=0).to(tl.float32)
    if MULTIPLY_INPUT or POOLED:
        top = tl.load(next_input + at, mask=there, other=0).to(tl.float32)
        if MULTIPLY_INPUT:
            relevance *= top
    if POOLED:
        below = 2 * cols
        a = is_largest(active, corner * C + channel, top, there)
        b = is_largest(active, (corner + 1) * C + channel, top, there)
        c = is_largest(active, (corner + below) * C + channel, top, there)
        d = is_largest(active, (corner + below + 1) * C + channel, top, there)
        relevance = relevance / tl.maximum(a + b + c + d, 1.0)
        divide(a * relevance, product, quotient, corner, channel, bias, there, C, BOTH, SMALL)
        divide(b * relevance, product, quotient, corner + 1, channel, bias, there, C, BOTH, SMALL)
        corner += below
        divide(c * relevance, product, quotient, corner, channel, bias, there, C, BOTH, SMALL)
        divide(d * relevance, product, quotient, corner + 1, channel, bias, there, C, BOTH, SMALL)
    else:
        pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
        divide(relevance, product, quotient, pixel[:, None], channel, bias, there, C, BOTH, SMALL)


@triton.jit(do_not_specialize=SIZES)
def sum_products(x, upstream, maps, pixels, over, EIGHT: tl.constexpr, PIXELS: tl.constexpr):
    """Sum one array times another over the channels."""
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    there = pixel < pixels
    at = pixel[:, None] * EIGHT + tl.arange(0, EIGHT)[None, :]
    both = tl.load(x + at, mask=there[:, None], other=0).to(tl.float32)
    both *= tl.load(upstream + at, mask=there[:, None], other=0).to(tl.float32)
    tl.store(maps + pixel, tl.sum(both, axis=1) / over, mask=there)


@triton.jit
def pool_input_places(p, rows, cols, there_are, PIXELS: tl.constexpr):
    """Return the places of a program's pixels in images, which are two pixels larger than twice
    the output of the pool, and the mask of those that exist."""
    row, col = p // cols, p % cols
    first = (row // rows * (2 * rows + 2) + row % rows * 2) * (2 * cols + 2) + col * 2
    return first.to(tl.int64), p < there_are


@triton.jit
def rows_of(weights, C: tl.constexpr, LONG: tl.constexpr):
    """Load the weights (3, `LONG`, C) of a 3 x 3 convolution, row by row."""
    at = tl.arange(0, LONG)[:, None] * C + tl.arange(0, C)[None, :]
    return (
        tl.load(weights + at),
        tl.load(weights + LONG * C + at),
        tl.load(weights + 2 * LONG * C + at),
    )


@triton.jit
def convolved(x, first, cols, size, there, upper, middle, lower, LONG: tl.constexpr):
    """Compute the product of a convolution at pixels that begin at ``first``.

    In each row their channels and those of the next three pixels are adjacent; the last of these
    has no weight.
    """
    at = first[:, None] * (LONG // 4) + tl.arange(0, LONG)[None, :]
    more = (2 * cols + 2) * (LONG // 4)
    x0 = tl.load(x + at, mask=there[:, None] & (at < size), other=0)
    product = tl.dot(x0, upper, input_precision="ieee")
    at += more
    x1 = tl.load(x + at, mask=there[:, None] & (at < size), other=0)
    product = tl.dot(x1, middle, product, input_precision="ieee")
    at += more
    x2 = tl.load(x + at, mask=there[:, None] & (at < size), other=0)
    return tl.dot(x2, lower, product, input_precision="ieee")


@triton.jit(do_not_specialize=SIZES)
def first_forward(
    x, weights, bias, pooled, rows, cols, pixels, size,
    C: tl.constexpr, LONG: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Compute the first convolution, its ReLU and its pool."""
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    first, there = pool_input_places(p, rows, cols, pixels, PIXELS)
    upper, middle, lower = rows_of(weights, C, LONG)
    below = 2 * cols + 2
    a = convolved(x, first, cols, size, there, upper, middle, lower, LONG)
    b = convolved(x, first + 1, cols, size, there, upper, middle, lower, LONG)
    a = tl.maximum(a, b)
    b = convolved(x, first + below, cols, size, there, upper, middle, lower, LONG)
    a = tl.maximum(a, b)
    b = convolved(x, first + below + 1, cols, size, there, upper, middle, lower, LONG)
    channel = tl.arange(0, C)
    a = tl.maximum(tl.maximum(a, b) + tl.load(bias + channel)[None, :], 0.0)
    at = p.to(tl.int64)[:, None] * C + channel[None, :]
    tl.store(pooled + at, a.to(pooled.dtype.element_ty), mask=there[:, None])


@triton.jit
def store_quotient(quotient, at, relevance, z, there, SMALL: tl.constexpr):
    """Store relevance over the positive part of ``z``."""
    ratio = relevance / (tl.maximum(z, 0.0) + SMALL)
    tl.store(quotient + at, ratio.to(quotient.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=SIZES)
def first_divide_relevance(
    x, weights, bias, rule, rule_bias, upstream, next_input, quotient, rows, cols, pixels, size,
    C: tl.constexpr, LONG: tl.constexpr, SMALL: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Compute `divide_relevance` of the first layer.

    Its output and denominators are computed again, which is faster than to store them.
    """
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    first, there = pool_input_places(p, rows, cols, pixels, PIXELS)
    channel = tl.arange(0, C)
    kind = next_input.dtype.element_ty
    below = 2 * cols + 2
    upper, middle, lower = rows_of(weights, C, LONG)
    add = tl.load(bias + channel)[None, :]
    a = convolved(x, first, cols, size, there, upper, middle, lower, LONG)
    b = convolved(x, first + 1, cols, size, there, upper, middle, lower, LONG)
    c = convolved(x, first + below, cols, size, there, upper, middle, lower, LONG)
    d = convolved(x, first + below + 1, cols, size, there, upper, middle, lower, LONG)
    # Rounded as if they were stored, so that the ties are the same.
    a = tl.maximum(a + add, 0.0).to(kind).to(tl.float32)
    b = tl.maximum(b + add, 0.0).to(kind).to(tl.float32)
    c = tl.maximum(c + add, 0.0).to(kind).to(tl.float32)
    d = tl.maximum(d + add, 0.0).to(kind).to(tl.float32)
    top = tl.maximum(tl.maximum(a, b), tl.maximum(c, d))
    at = p.to(tl.int64)[:, None] * C + channel[None, :]
    relevance = tl.load(upstream + at, mask=there[:, None], other=0).to(tl.float32)
    relevance *= tl.load(next_input + at, mask=there[:, None], other=0).to(tl.float32)
    a = tl.where(a >= top, 1.0, 0.0)
    b = tl.where(b >= top, 1.0, 0.0)
    c = tl.where(c >= top, 1.0, 0.0)
    d = tl.where(d >= top, 1.0, 0.0)
    relevance = relevance / (a + b + c + d)
    upper, middle, lower = rows_of(rule, C, LONG)
    add = tl.load(rule_bias + channel)[None, :]
    exists = there[:, None]
    to = 2 * (p // cols).to(tl.int64) * (2 * cols) + 2 * (p % cols)  # in the input of the pool
    at = to[:, None] * C + channel[None, :]
    z = convolved(x, first, cols, size, there, upper, middle, lower, LONG)
    store_quotient(quotient, at, a * relevance, z + add, exists, SMALL)
    z = convolved(x, first + 1, cols, size, there, upper, middle, lower, LONG)
    store_quotient(quotient, at + C, b * relevance, z + add, exists, SMALL)
    at += 2 * cols * C
    z = convolved(x, first + below, cols, size, there, upper, middle, lower, LONG)
    store_quotient(quotient, at, c * relevance, z + add, exists, SMALL)
    z = convolved(x, first + below + 1, cols, size, there, upper, middle, lower, LONG)
    store_quotient(quotient, at + C, d * relevance, z + add, exists, SMALL)


class Kernels:
    """Steps as kernels; see `crackcli.attribution.fused_lrp.FirstSteps`."""

    def boxed(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        count, rows, cols, _ = images.shape
        boxed = empty_like_pixels(images, (count, CHANNELS, rows, cols), dtype)
        number = boxed.numel()
        box[(triton.cdiv(number, FLAT),)](
            images.contiguous(), boxed, number, float(HIGH), PART=FLAT, EIGHT=CHANNELS, RGB=COLOURS
        )
        return boxed

    def activate(
        self, product: Tensor, bias: Tensor, *, pooled: bool, kept: bool
    ) -> tuple[Tensor | None, Tensor]:
        product = product.contiguous(memory_format=LAYOUT)
        count, channels, rows, cols = product.shape
        wide = width_of(channels)
        if not pooled:
            pixels, many = count * rows * cols, 4 * PIXELS  # as many inputs as with a pool
            activate_plain[(triton.cdiv(pixels, many), triton.cdiv(channels, wide))](
                *(product, bias, pixels, channels), WIDE=wide, PIXELS=many
            )
            return product, product
        shape = (count, channels, rows // 2, cols // 2)
        largest = empty_like_pixels(product, shape, product.dtype)
        pixels = count * shape[2] * shape[3]
        activate_pooled[(triton.cdiv(pixels, PIXELS), triton.cdiv(channels, wide))](
            *(product, bias, largest, pixels, shape[3], channels),
            KEPT=kept,
            WIDE=wide,
            PIXELS=PIXELS,
        )
        return product if kept else None, largest

    def divide_relevance(
        self,
        upstream: Tensor,
        next_input: Tensor,
        active: Tensor | None,
        product: Tensor,
        bias: Tensor,
        *,
        multiply_input: bool,
    ) -> Tensor:
        upstream = upstream.contiguous(memory_format=LAYOUT)
        product = product.contiguous(memory_format=LAYOUT)
        count, channels, rows, cols = next_input.shape
        quotient = torch.empty_like(product, memory_format=LAYOUT)
        pixels = count * rows * cols
        wide = width_of(channels)
        divide_relevance[(triton.cdiv(pixels, PIXELS), triton.cdiv(channels, wide))](
            *(upstream, next_input, next_input if active is None else active),
            *(product, bias, quotient, pixels, cols, channels),
            MULTIPLY_INPUT=multiply_input,
            POOLED=active is not None,
            BOTH=product.shape[1] == 2 * channels,
            SMALL=STABILISER,
            WIDE=wide,
            PIXELS=PIXELS,
        )
        return quotient

    def first_forward(self, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        count, _, rows, cols = x.shape
        shape = (count, len(bias), rows // 2 - 1, cols // 2 - 1)
        pooled = empty_like_pixels(x, shape, x.dtype)
        pixels = count * shape[2] * shape[3]
        many, warps = FIRST_FORWARD
        first_forward[(triton.cdiv(pixels, many),)](
            *(x, weights, bias, pooled, *shape[2:], pixels, x.numel()),
            C=shape[1],
            LONG=weights.shape[1],
            PIXELS=many,
            num_warps=warps,
        )
        return pooled

    def first_divide_relevance(
        self,
        upstream: Tensor,
        next_input: Tensor,
        x: Tensor,
        first: tuple[Tensor, Tensor],
        rule: tuple[Tensor, Tensor],
    ) -> Tensor:
        upstream = upstream.contiguous(memory_format=LAYOUT)
        count, channels, rows, cols = next_input.shape
        quotient = empty_like_pixels(x, (count, channels, 2 * rows, 2 * cols), x.dtype)
        pixels = count * rows * cols
        many, warps = FIRST_DIVIDE
        first_divide_relevance[(triton.cdiv(pixels, many),)](
            *(x, *first, *rule, upstream, next_input, quotient, rows, cols, pixels, x.numel()),
            C=channels,
            LONG=first[0].shape[1],
            SMALL=STABILISER,
            PIXELS=many,
            num_warps=warps,
        )
        return quotient

    def summed(self, x: Tensor, upstream: Tensor) -> Tensor:
        count, _, rows, cols = x.shape
        maps = torch.empty(count, rows, cols, device=x.device)
        pixels = maps.numel()
        sum_products[(triton.cdiv(pixels, SUM_PIXELS),)](
            *(x, upstream.contiguous(memory_format=LAYOUT), maps, pixels, float(COLOURS)),
            EIGHT=CHANNELS,
            PIXELS=SUM_PIXELS,
        )
        return maps


def width_of(channels: int) -> int:
    """Return the channels of a program, for arrays of so many channels."""
    width: int = min(WIDE, triton.next_power_of_2(channels))
    return width


def empty_like_pixels(like: Tensor, shape: tuple[int, int, int, int], dtype: torch.dtype) -> Tensor:
    """Return an empty channels-last tensor of ``shape`` on the device of ``like``."""
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=LAYOUT)
