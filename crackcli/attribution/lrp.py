"""Layer-wise relevance propagation (LRP), written with forward operations only.

Let f* be the transpose of a linear layer f.  Every rule for such a layer is the same line,

    R_in = x * f*(R_out / stabilise(f(x; w', b')); w')

and rules differ only in how w' is made from w.  No autograd and no hooks: the module runs in
batches on any device, and exports to ONNX as it stands.  Modified weights are computed where they
are used, so that an exported graph stores each weight once.

Sources: Bach et al. 2015 (epsilon, alpha-beta); Montavon et al. 2017 (z-box); Montavon et al.
2019 (gamma, choice per layer); Forest et al. 2024 (the composite: see `STUDY`); Anders et al. 2021
(Zennit, whose names the other composites have).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.adjoint import adjoint, transposed
from crackcli.attribution.propagation import Propagation, Start
from crackcli.networks.chain import Chain

STABILISER = 1e-6


def stabilise(z: Tensor) -> Tensor:
    """``z`` moved away from zero, its sign kept; zero counts as positive."""
    return z + torch.where(z < 0, -STABILISER, STABILISER)


def convolve(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``layer`` at ``x`` with another ``weight`` and ``bias``."""
    return F.conv2d(x, weight, bias, layer.stride, layer.padding)


class Pass(nn.Module):
    """Relevance unchanged: activation functions and dropout."""

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        return relevance


class Route(nn.Module):
    """Relevance follows the signal: to the largest pixel of a pool."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        return adjoint(self.layer, relevance, x)


class Epsilon(Route):
    """w' = w: relevance in proportion to each input's share of the output."""

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        return x * transposed(self.layer, relevance / stabilise(self.layer(x)), self.layer.weight)


class Gamma(Route):
    """w' = w + gamma w+: positive shares are favoured.  Needs inputs of at least zero.

    Relevance comes only from outputs that a ReLU let pass, and there z is positive.
    """

    def __init__(self, layer: nn.Module, gamma: float = 0.25) -> None:
        super().__init__(layer)
        self.gamma = gamma

    def modified(self) -> tuple[Tensor, Tensor]:
        """w' and b'."""
        weight = self.layer.weight + self.gamma * self.layer.weight.clamp(min=0)
        return weight, self.layer.bias + self.gamma * self.layer.bias.clamp(min=0)

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        weight, bias = self.modified()
        z = convolve(self.layer, x, weight, bias)
        return x * transposed(self.layer, relevance / (z.clamp(min=0) + STABILISER), weight)


class OneSided(Route):
    """Rules that tell positive from negative shares.  They need inputs of at least zero."""

    def positive(self) -> tuple[Tensor, Tensor]:
        """Weight and bias without what is negative."""
        return self.layer.weight.clamp(min=0), self.layer.bias.clamp(min=0)

    def negative(self) -> tuple[Tensor, Tensor]:
        """Weight and bias without what is positive."""
        return self.layer.weight.clamp(max=0), self.layer.bias.clamp(max=0)

    def above(self, x: Tensor) -> Tensor:
        """The positive part of the output."""
        return convolve(self.layer, x, *self.positive())


class ZPlus(OneSided):
    """Positive shares only."""

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        weight, _ = self.positive()
        return x * transposed(self.layer, relevance / (self.above(x) + STABILISER), weight)


class AlphaBeta(OneSided):
    """Positive shares times 2, negative shares times -1.

    The negative part of an output is what is left of the output without its positive part, so that
    one convolution gives both.  In bfloat16 nothing would be left but rounding: it has its own.
    """

    takes_output = True

    def forward(self, x: Tensor, relevance: Tensor, output: Tensor | None = None) -> Tensor:
        weight, above = self.layer.weight, self.above(x)
        if above.dtype is torch.bfloat16:
            below = convolve(self.layer, x, *self.negative())
        else:
            below = ((self.layer(x) if output is None else output) - above).clamp(max=0)
        positive = transposed(self.layer, relevance / (above + STABILISER), weight.clamp(min=0))
        negative = transposed(self.layer, relevance / (below - STABILISER), weight.clamp(max=0))
        return x * (2 * positive - negative)


class ZBox(Route):
    """Inputs bounded by ``low`` and ``high``: shares measured from the box, never negative.

    (x - low) w+ + (x - high) w-, one convolution of twice the channels.
    """

    def __init__(self, layer: nn.Module, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__(layer)
        self.low, self.high = low, high

    def boxed(self) -> Tensor:
        """The weight of that convolution."""
        weight = self.layer.weight
        return torch.cat((weight.clamp(min=0), weight.clamp(max=0)), dim=1)

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        weight = self.boxed()
        x = torch.cat((x - self.low, x - self.high), dim=1)
        z = convolve(self.layer, x, weight, None)
        shares = x * transposed(self.layer, relevance / (z + STABILISER), weight)
        from_low, from_high = shares.chunk(2, dim=1)
        return from_low + from_high


Rule = Callable[[nn.Module], nn.Module]
Composite = tuple[Rule, ...]  # of the features, from the first convolution on; the last goes on

STUDY: Composite = (ZBox, AlphaBeta, AlphaBeta, Gamma)
GAMMA_BOX: Composite = (ZBox, Gamma)
EPSILON_PLUS: Composite = (ZPlus,)
ALPHA2_BETA1: Composite = (AlphaBeta,)


def rules(chain: Chain, convolutions: Composite) -> nn.ModuleList:
    """One rule a layer: ``convolutions`` for those of the features, epsilon in the head."""
    chosen, seen = [], 0
    for position, layer in enumerate(chain):
        if isinstance(layer, nn.Conv2d) and position >= chain.neck:
            chosen.append(Epsilon(layer))
        elif isinstance(layer, nn.Conv2d):
            chosen.append(convolutions[min(seen, len(convolutions) - 1)](layer))
            seen += 1
        elif isinstance(layer, nn.ReLU | nn.Dropout):
            chosen.append(Pass())
        else:
            chosen.append(Route(layer))
    return nn.ModuleList(chosen)


def explained(chain: Chain, start: str, composite: Composite) -> Propagation:
    return Propagation(chain, rules(chain, composite), Start(start, by_value=start == "margin"))


def lrp(chain: Chain, start: str = "margin", references: Tensor | None = None) -> Propagation:
    """The study's composite.  Start "both" is the study's; see `Start`."""
    return explained(chain, start, STUDY)


def gamma_box(chain: Chain, start: str = "margin", references: Tensor | None = None) -> Propagation:
    """Zennit's EpsilonGammaBox: the study's composite without its two alpha-beta layers."""
    return explained(chain, start, GAMMA_BOX)


def epsilon_plus(
    chain: Chain, start: str = "margin", references: Tensor | None = None
) -> Propagation:
    """Positive shares only in the convolutions: Zennit's EpsilonPlus."""
    return explained(chain, start, EPSILON_PLUS)


def alpha2_beta1(
    chain: Chain, start: str = "margin", references: Tensor | None = None
) -> Propagation:
    """Alpha-beta in all convolutions: Zennit's EpsilonAlpha2Beta1."""
    return explained(chain, start, ALPHA2_BETA1)
