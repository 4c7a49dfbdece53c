"""LRP of windows with few passes over memory, for bfloat16.

Computes what `window_features` and `window_back` of a `Propagation` compute with the rules of
`crackcli.attribution.lrp`, in another order of operations. Matrix units do the convolutions.
What lies between two of them reads and writes large arrays, and takes as long if each operation
passes over them by itself. So it is one step here, computed in float32 from its inputs to what
the next convolution takes:

forward   bias, ReLU and pool (`Steps.activate`);
back      the input of a layer times the quantity at it, the route through a pool, and the division
          by the denominators of the rule (`Steps.divide_relevance`).

The steps are functions of torch, or GPU kernels: `crackcli.attribution.triton_kernels`.

Weights that a rule modifies are computed once and cast once. The positive and negative parts of
alpha-beta are one convolution of twice the channels each way: the sum over both is that of the
convolution itself. Images have eight channels: the distances from both ends of the box and two
zeros, since matrix units take eight at a time.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.adjoint import transposed_kernel, upsample
from crackcli.attribution.lrp import (
    STABILISER,
    AlphaBeta,
    ConvolutionRule,
    Gamma,
    OneSided,
    Pass,
    Route,
    ZBox,
    ZPlus,
)
from crackcli.attribution.propagation import Propagation

CHANNELS = 8  # of images; see above
COLOURS = 3
HIGH = 255  # of an image in uint8
LAYOUT = torch.channels_last


class Steps(Protocol):
    """Operations between convolutions. All arrays are channels-last."""

    def boxed(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Return images (B, H, W, 3) uint8 as x, x - 1 and zeros: (B, 8, H, W) in ``dtype``."""
        ...

    def activate(
        self, product: Tensor, bias: Tensor, *, pooled: bool, kept: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the ReLU of a convolution's ``product`` (B, C, H, W) plus ``bias`` (C,), and the
        input of the next layer: the same, or its 2 x 2 maxima if it is ``pooled``.

        The first is None unless it is ``kept`` or not pooled. It may overwrite ``product``.
        """
        ...

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
        """Divide relevance by the denominators of a rule: the input of the layer's transpose.

        ``next_input`` is the input of the next layer. The relevance there is ``upstream``, or
        ``next_input`` times ``upstream`` if ``multiply_input``. If there was a pool, ``active``
        is its input, and the relevance goes to the largest values there. The denominators are the
        ``product`` of the rule's convolution plus its ``bias``, of as many channels, or of twice
        as many: the positive parts, then the negative.
        """
        ...

    def summed(self, x: Tensor, upstream: Tensor) -> Tensor:
        """Return the sum over channels of ``x`` times ``upstream`` (B, 8, H, W), divided by 3:
        (B, H, W) float32."""
        ...


@runtime_checkable
class FirstSteps(Steps, Protocol):
    """Steps that compute the first convolution too, which has few channels and many pixels.

    Its weights are the rows of a kernel, see `kernel_rows`.
    """

    def first_forward(self, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """Compute the first convolution, its ReLU and its pool on images ``x``."""
        ...

    def first_divide_relevance(
        self,
        upstream: Tensor,
        next_input: Tensor,
        x: Tensor,
        first: tuple[Tensor, Tensor],
        rule: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Compute `divide_relevance` of the first layer, with ``multiply_input``.

        Takes the images ``x``, and the weights and biases of the ``first`` layer and its ``rule``.
        """
        ...


class Torch:
    """Steps as functions of torch, one after the other."""

    def boxed(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        x = images.float() / HIGH
        zeros = x.new_zeros(()).expand(*x.shape[:-1], CHANNELS - 2 * COLOURS)
        return torch.cat((x, x - 1, zeros), dim=-1).to(dtype).permute(0, 3, 1, 2)

    def activate(
        self, product: Tensor, bias: Tensor, *, pooled: bool, kept: bool
    ) -> tuple[Tensor | None, Tensor]:
        active = (product + bias.to(product.dtype).view(1, -1, 1, 1)).relu_()
        if not pooled:
            return active, active
        return active if kept else None, F.max_pool2d(active, 2)

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
        relevance = upstream.float() * next_input.float() if multiply_input else upstream.float()
        if active is not None:
            largest = (active >= upsample(next_input, 2)).to(active.dtype)
            count = 4 * F.avg_pool2d(largest, 2).float()
            relevance = largest * upsample(relevance / count, 2)
        z = product.float() + bias.view(1, -1, 1, 1)
        if z.shape[1] == relevance.shape[1]:
            return (relevance / (z.clamp_(min=0) + STABILISER)).to(product.dtype)
        above, below = z.chunk(2, dim=1)
        both = 2 * relevance / (above + STABILISER), -relevance / (below - STABILISER)
        return torch.cat(both, dim=1).to(product.dtype)

    def summed(self, x: Tensor, upstream: Tensor) -> Tensor:
        return (x.float() * upstream).sum(dim=1) / COLOURS


@dataclass(frozen=True)
class Stage:
    """A convolution with its ReLU and the pool after it, if there is one, and the weights that
    its rule makes."""

    weight: Tensor
    bias: Tensor
    pooled: bool
    rule: Tensor  # weight of the convolution of the denominators
    rule_bias: Tensor
    transpose: Tensor  # weight of the convolution that is the transpose of that one

    @property
    def both(self) -> bool:
        """Whether positive and negative parts have separate denominators."""
        return len(self.rule_bias) > len(self.bias)


class Fused(nn.Module):
    """LRP of windows (B, H, W, 3) uint8 through ``stages``, by ``steps``.

    With ``fuse_first``, the steps compute the first convolution too, if they and the layer suit.
    """

    def __init__(self, stages: list[Stage], steps: Steps, *, fuse_first: bool = True) -> None:
        super().__init__()
        self.stages, self.steps = stages, steps
        first = stages[0]
        fits = first.weight.shape[2:] == (3, 3) and len(first.bias) % 16 == 0
        fits = fits and first.pooled and not first.both
        self.first_steps: FirstSteps | None = None
        if fuse_first and fits and isinstance(steps, FirstSteps):
            self.first_steps = steps
            self.first = kernel_rows(first.weight), first.bias
            self.rule = kernel_rows(first.rule), first.rule_bias

    @classmethod
    def of(
        cls, method: nn.Module, dtype: torch.dtype = torch.bfloat16, steps: Steps | None = None
    ) -> "Fused | None":
        """Return the fused form of ``method``, or None if it has other layers or rules."""
        if type(method) is not Propagation:
            return None
        layers = list(method.chain.features)
        rules = list(method.rules[: len(layers)])
        stages: list[Stage] = []
        while layers:
            pooled = len(layers) > 2 and isinstance(layers[2], nn.MaxPool2d)
            size = 3 if pooled else 2
            layer, rule = layers[0], rules[0]
            if not isinstance(layer, nn.Conv2d) or not isinstance(rule, ConvolutionRule):
                return None
            if not suited(layer, rule, layers[1:size], rules[1:size], first=not stages):
                return None
            stages.append(make_stage(layer, rule, pooled, dtype, first=not stages))
            layers, rules = layers[size:], rules[size:]
        return cls(stages, steps or Torch())

    def features(self, images: Tensor) -> Tensor:
        """Compute the cells (B, C, F, G) of windows that extend ``reach_px`` beyond them."""
        x = self.steps.boxed(images, self.stages[0].weight.dtype)
        for stage in self.stages:
            x = self.forward_stage(stage, x, kept=False)[1]
        return x

    def forward_stage(self, stage: Stage, x: Tensor, *, kept: bool) -> tuple[Tensor | None, Tensor]:
        """Compute a stage: its values before the pool, if they are ``kept``, and its output."""
        if self.first_steps is not None and stage is self.stages[0]:
            return None, self.first_steps.first_forward(x, *self.first)
        product = F.conv2d(x, stage.weight)
        return self.steps.activate(product, stage.bias, pooled=stage.pooled, kept=kept)

    def back(self, images: Tensor, value: Tensor) -> Tensor:
        """Propagate ``value`` (B, C, F, G) at the cells of windows back: maps (B, H, W)."""
        layer_inputs = [self.steps.boxed(images, self.stages[0].weight.dtype)]
        active: list[Tensor | None] = []
        for stage in self.stages:
            kept, x = self.forward_stage(stage, layer_inputs[-1], kept=True)
            active.append(kept if stage.pooled else None)
            layer_inputs.append(x)
            del kept, x
        value = (value * (layer_inputs[-1] != 0)).contiguous(memory_format=LAYOUT)
        for place, stage in reversed(list(enumerate(self.stages))):
            value = self.transpose_input(place, value, layer_inputs, active)
            value = F.conv2d(value, stage.transpose, padding=stage.transpose.shape[-1] - 1)
        return self.steps.summed(layer_inputs[0], value)

    def transpose_input(
        self, place: int, value: Tensor, layer_inputs: list[Tensor], active: list[Tensor | None]
    ) -> Tensor:
        """Compute the input of the transpose of a layer; remove its arrays from both lists."""
        stage, multiply_input = self.stages[place], place + 1 < len(self.stages)
        next_input, pool_input = layer_inputs.pop(), active.pop()
        if self.first_steps is not None and place == 0 and multiply_input:
            return self.first_steps.first_divide_relevance(
                value, next_input, layer_inputs[0], self.first, self.rule
            )
        product = F.conv2d(layer_inputs[place], stage.rule)
        return self.steps.divide_relevance(
            value, next_input, pool_input, product, stage.rule_bias, multiply_input=multiply_input
        )


def kernel_rows(weight: Tensor) -> Tensor:
    """Return the weight (C, 8, 3, 3) of a convolution as (3, 32, C): for each row of its kernel
    the eight channels of three pixels, and zeros for a fourth, in their order in memory."""
    rows = F.pad(weight.permute(2, 3, 1, 0), (0, 0, 0, 0, 0, 1))
    return rows.flatten(1, 2).contiguous()


def suited(
    layer: nn.Conv2d,
    rule: ConvolutionRule,
    following: list[nn.Module],
    rules: list[nn.Module],
    *,
    first: bool,
) -> bool:
    """Return True if a convolution, and the ReLU and the pool ``following`` it, can be fused.

    ``rules`` are those of the following layers.
    """
    if not following or layer.bias is None:
        return False
    plain = layer.stride == layer.dilation == (1, 1) and layer.groups == 1
    known = (ZBox, ZPlus, AlphaBeta, Gamma) if first else (ZPlus, AlphaBeta, Gamma)
    boxed = not isinstance(rule, ZBox) or (rule.low, rule.high) == (0, 1)
    halved = all(
        isinstance(pool, nn.MaxPool2d)
        and (pool.kernel_size, pool.stride, pool.padding) == (2, 2, 0)
        for pool in following[1:]
    )
    follows = isinstance(following[0], nn.ReLU) and type(rules[0]) is Pass
    routed = all(type(rule) is Route for rule in rules[1:])
    return plain and type(rule) in known and boxed and halved and follows and routed


def make_stage(
    layer: nn.Conv2d, rule: ConvolutionRule, pooled: bool, dtype: torch.dtype, *, first: bool
) -> Stage:
    """Make the stage of a layer and its rule, one of those that are `suited`."""
    weight, bias = layer.weight, rule.bias
    if isinstance(rule, Gamma):
        of_rule, rule_bias = rule.modified()
    elif isinstance(rule, OneSided):
        of_rule, rule_bias = rule.positive()
    elif isinstance(rule, ZBox):
        of_rule, rule_bias = rule.boxed(), torch.zeros_like(bias)
    else:
        raise TypeError(f"no fused form of {type(rule).__name__}")
    back = transposed_kernel(of_rule)
    if isinstance(rule, AlphaBeta):
        below, below_bias = rule.negative()
        back = torch.cat((back, transposed_kernel(below)), dim=1)
        of_rule, rule_bias = torch.cat((of_rule, below)), torch.cat((rule_bias, below_bias))
    if first:  # images have more channels
        weight, of_rule = (
            F.pad(each, (0, 0, 0, 0, 0, CHANNELS - each.shape[1])) for each in (weight, of_rule)
        )
        back = F.pad(back, (0, 0, 0, 0, 0, 0, 0, CHANNELS - back.shape[0]))

    def to_layout(each: Tensor) -> Tensor:
        return each.to(dtype).contiguous(memory_format=LAYOUT)

    return Stage(
        weight=to_layout(weight),
        bias=bias.float(),
        pooled=pooled,
        rule=to_layout(of_rule),
        rule_bias=rule_bias.float(),
        transpose=to_layout(back),
    )
