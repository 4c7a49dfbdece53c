"""Layer-wise relevance propagation through windows in few passes over memory, for bfloat16.

The same as `features_inside` and `back_inside` of a `Propagation` whose rules are those of
`crackcli.attribution.lrp`, put together otherwise.  Convolutions are all that matrix units do; what
lies between two of them reads and writes large arrays, which takes as long if each operation goes
over them by itself.  So it is one step here, computed in float32 from its inputs to what the next
convolution takes: bias, ReLU and pool on the way to the cells (`Steps.activate`); on the way back
the input of a layer times what arrived there, the route through a pool, and the division by the
denominators of the rule (`Steps.share`).  Those are functions of torch, or kernels of their own:
see `crackcli.attribution.triton_kernels`.

What a rule makes of the weights is made once, and cast once.  Positive and negative shares of
alpha-beta are one convolution of twice the channels each way: the sum over both is that of the
convolution itself.  Images have eight channels, the distances from both ends of the box and two
zeros, since matrix units take eight at a time.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.adjoint import enlarge, mirrored
from crackcli.attribution.lrp import STABILISER, AlphaBeta, Gamma, Pass, Route, ZBox, ZPlus
from crackcli.attribution.propagation import Propagation

CHANNELS = 8  # of images; see above
COLOURS = 3
HIGH = 255  # of an image in uint8
LAYOUT = torch.channels_last


class Steps(Protocol):
    """What is done between convolutions.  All arrays are channels-last."""

    def boxed(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Images (B, H, W, 3) uint8 as x, x - 1 and zeros: (B, 8, H, W) in ``dtype``."""
        ...

    def activate(
        self, product: Tensor, bias: Tensor, *, pooled: bool, kept: bool
    ) -> tuple[Tensor | None, Tensor]:
        """The rectified sum of a convolution's ``product`` (B, C, H, W) and ``bias`` (C,), and
        what the next layer takes: the same, or the largest of four where it is ``pooled``.

        The first is None unless it is ``kept`` or not pooled.  It may be where ``product`` was.
        """
        ...

    def share(
        self,
        arrived: Tensor,
        taken: Tensor,
        active: Tensor | None,
        product: Tensor,
        bias: Tensor,
        *,
        times: bool,
    ) -> Tensor:
        """Relevance over the denominators of a rule, as the transpose of its layer takes it.

        The relevance at what the next layer has ``taken`` is what ``arrived`` there, or ``taken``
        times that.  It goes to where a pool found it in ``active``, if there was one.  The
        denominators are the ``product`` of the rule's convolution plus its ``bias``: of as many
        channels, or of twice as many, the positive parts before the negative ones.
        """
        ...

    def summed(self, x: Tensor, arrived: Tensor) -> Tensor:
        """The sum (B, H, W) float32 of ``x`` times what ``arrived`` (B, 8, H, W), over 3."""
        ...


class FirstSteps(Steps, Protocol):
    """Steps that compute the first convolution too, which has few channels and many pixels; its
    weights are the rows of a kernel, see `rows_of`."""

    def enter(self, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """What the first convolution, its ReLU and its pool make of images ``x``."""
        ...

    def leave(
        self,
        arrived: Tensor,
        taken: Tensor,
        x: Tensor,
        first: tuple[Tensor, Tensor],
        rule: tuple[Tensor, Tensor],
    ) -> Tensor:
        """`share` of the ``first`` layer with times, computed from images ``x`` by weights and bias
        of it and of its ``rule``."""
        ...


class Torch:
    """Functions of torch, one after the other."""

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

    def share(
        self,
        arrived: Tensor,
        taken: Tensor,
        active: Tensor | None,
        product: Tensor,
        bias: Tensor,
        *,
        times: bool,
    ) -> Tensor:
        relevance = arrived.float() * taken.float() if times else arrived.float()
        if active is not None:
            largest = (active >= enlarge(taken, 2)).to(active.dtype)
            count = 4 * F.avg_pool2d(largest, 2).float()
            relevance = largest * enlarge(relevance / count, 2)
        z = product.float() + bias.view(1, -1, 1, 1)
        if z.shape[1] == relevance.shape[1]:
            return (relevance / (z.clamp_(min=0) + STABILISER)).to(product.dtype)
        above, below = z.chunk(2, dim=1)
        both = 2 * relevance / (above + STABILISER), -relevance / (below - STABILISER)
        return torch.cat(both, dim=1).to(product.dtype)

    def summed(self, x: Tensor, arrived: Tensor) -> Tensor:
        return (x.float() * arrived).sum(dim=1) / COLOURS


@dataclass(frozen=True)
class Stage:
    """A convolution with its ReLU and the pool behind it, if there is one, and what its rule makes
    of its weights."""

    weight: Tensor
    bias: Tensor
    pooled: bool
    rule: Tensor  # weight of the convolution that gives the denominators
    rule_bias: Tensor
    transpose: Tensor  # weight of the convolution that is the transpose of that one

    @property
    def both(self) -> bool:
        """Whether positive and negative shares have denominators of their own."""
        return len(self.rule_bias) > len(self.bias)


class Fused(nn.Module):
    """Windows (B, H, W, 3) uint8, and what their cells pass on, to cells and maps.

    ``enters`` is whether the first layer is left to the ``steps``, if they compute it.
    """

    def __init__(self, stages: list[Stage], steps: Steps, *, enters: bool = True) -> None:
        super().__init__()
        self.stages, self.steps = stages, steps
        first = stages[0]
        small = first.weight.shape[2:] == (3, 3) and len(first.bias) % 16 == 0
        enters = enters and hasattr(steps, "enter")
        self.entered = enters and small and first.pooled and not first.both
        if self.entered:
            self.first = rows_of(first.weight), first.bias
            self.rule = rows_of(first.rule), first.rule_bias

    @classmethod
    def of(
        cls, method: nn.Module, dtype: torch.dtype = torch.bfloat16, steps: Steps | None = None
    ) -> "Fused | None":
        """The same as ``method``, where its layers and rules are of the kind; else None."""
        if type(method) is not Propagation:
            return None
        neck = method.chain.neck
        layers, rules = list(method.chain[:neck]), list(method.rules[:neck])
        stages = []
        while layers:
            pooled = len(layers) > 2 and isinstance(layers[2], nn.MaxPool2d)
            size = 3 if pooled else 2
            if not suited(layers[:size], rules[:size], first=not stages):
                return None
            stages.append(stage_of(layers[0], rules[0], pooled, dtype, first=not stages))
            layers, rules = layers[size:], rules[size:]
        return cls(stages, steps or Torch())

    def features(self, images: Tensor) -> Tensor:
        """The cells (B, C, F, G) of windows that reach ``reach_px`` beyond them."""
        x = self.steps.boxed(images, self.stages[0].weight.dtype)
        for stage in self.stages:
            x = self.through(stage, x, kept=False)[1]
        return x

    def through(self, stage: Stage, x: Tensor, *, kept: bool) -> tuple[Tensor | None, Tensor]:
        """What a stage makes of its input: before its pool, if it is ``kept``, and behind it."""
        if self.entered and stage is self.stages[0]:
            return None, self.steps.enter(x, *self.first)
        product = F.conv2d(x, stage.weight)
        return self.steps.activate(product, stage.bias, pooled=stage.pooled, kept=kept)

    def back(self, images: Tensor, value: Tensor) -> Tensor:
        """The maps (B, H, W) of windows whose cells pass on ``value`` (B, C, F, G)."""
        taken = [self.steps.boxed(images, self.stages[0].weight.dtype)]
        active = []
        for stage in self.stages:
            kept, x = self.through(stage, taken[-1], kept=True)
            active.append(kept if stage.pooled else None)
            taken.append(x)
            del kept, x
        value = (value * (taken[-1] != 0)).contiguous(memory_format=LAYOUT)
        for place, stage in reversed(list(enumerate(self.stages))):
            value = self.shared(place, value, taken, active)
            value = F.conv2d(value, stage.transpose, padding=stage.transpose.shape[-1] - 1)
        return self.steps.summed(taken[0], value)

    def shared(
        self, place: int, value: Tensor, taken: list[Tensor], active: list[Tensor | None]
    ) -> Tensor:
        """What the transpose of a layer takes; uses up what the last layers left in the lists."""
        stage, times = self.stages[place], place + 1 < len(self.stages)
        behind, before = taken.pop(), active.pop()
        if self.entered and place == 0 and times:
            return self.steps.leave(value, behind, taken[0], self.first, self.rule)
        product = F.conv2d(taken[place], stage.rule)
        return self.steps.share(value, behind, before, product, stage.rule_bias, times=times)


def rows_of(weight: Tensor) -> Tensor:
    """The weight (C, 8, 3, 3) of a convolution as (3, 32, C): for each row of its kernel the eight
    channels of three pixels, and of a fourth without weight, as they lie in memory."""
    rows = F.pad(weight.permute(2, 3, 1, 0), (0, 0, 0, 0, 0, 1))
    return rows.flatten(1, 2).contiguous()


def suited(layers: list[nn.Module], rules: list[nn.Module], *, first: bool) -> bool:
    """Whether a convolution, its ReLU and its pool are computed here, by these rules."""
    if len(layers) < 2 or not isinstance(layers[0], nn.Conv2d) or layers[0].bias is None:
        return False
    plain = layers[0].stride == layers[0].dilation == (1, 1) and layers[0].groups == 1
    known = (ZBox, ZPlus, AlphaBeta, Gamma) if first else (ZPlus, AlphaBeta, Gamma)
    boxed = not isinstance(rules[0], ZBox) or (rules[0].low, rules[0].high) == (0, 1)
    pool = layers[2] if len(layers) > 2 else None
    halved = pool is None or (pool.kernel_size, pool.stride, pool.padding) == (2, 2, 0)
    follows = isinstance(layers[1], nn.ReLU) and type(rules[1]) is Pass
    routed = all(type(rule) is Route for rule in rules[2:])
    return plain and type(rules[0]) in known and boxed and halved and follows and routed


def stage_of(
    layer: nn.Conv2d, rule: nn.Module, pooled: bool, dtype: torch.dtype, *, first: bool
) -> Stage:
    """What is computed of a layer by a rule."""
    weight, bias = layer.weight, layer.bias
    if isinstance(rule, Gamma):
        of_rule, rule_bias = rule.modified()
        back = mirrored(of_rule)
    elif isinstance(rule, ZBox):
        of_rule, rule_bias = rule.boxed(), torch.zeros_like(bias)
        back = mirrored(of_rule)
    else:
        of_rule, rule_bias = rule.positive()
        back = mirrored(of_rule)
        if isinstance(rule, AlphaBeta):
            below, below_bias = rule.negative()
            back = torch.cat((back, mirrored(below)), dim=1)
            of_rule, rule_bias = torch.cat((of_rule, below)), torch.cat((rule_bias, below_bias))
    if first:  # images have more channels
        weight, of_rule = (
            F.pad(each, (0, 0, 0, 0, 0, CHANNELS - each.shape[1])) for each in (weight, of_rule)
        )
        back = F.pad(back, (0, 0, 0, 0, 0, 0, 0, CHANNELS - back.shape[0]))

    def laid(each: Tensor) -> Tensor:
        return each.to(dtype).contiguous(memory_format=LAYOUT)

    return Stage(
        *(laid(weight), bias.float(), pooled, laid(of_rule), rule_bias.float(), laid(back))
    )
