"""Layer-wise relevance propagation (LRP), written with forward operations only.

Let f be a linear layer with weight w and bias b, f* its transpose, x its input (B, *in), R_out the
relevance of its output (B, *out), and R_in that of its input. Every rule is the same line,

    R_in = x * f*(R_out / stabilise(f(x; w', b')); w')

and rules differ only in how w' and b' are made from w and b (w+ and w- are the positive and the
negative part of w):

epsilon      w' = w
gamma        w' = w + gamma w+
z+           w' = w+
alpha-beta   2 * (the line with w' = w+) - 1 * (the line with w' = w-)
z-box        of x in [low, high]: the line for (x - low) with w+, plus that for (x - high) with w-

ReLU and dropout pass relevance on, max pools route it to the largest value. Maps (B, H, W) are
the mean of R_in over the three channels of the image. There is no autograd and no hook: the
method runs in batches on any device and exports to ONNX as it stands. Modified weights are
computed where they are used, so that an exported graph stores each weight once.

Sources: Bach et al. 2015 (epsilon, alpha-beta); Montavon et al. 2017 (z-box); Montavon et al.
2019 (gamma, a rule per layer); Forest et al. 2024 (the composite `STUDY`); Anders et al. 2021
(Zennit, whose names the other composites have).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.adjoint import adjoint, transposed
from crackcli.attribution.propagation import Propagation, Rule, Target
from crackcli.networks.chain import Chain

STABILISER = 1e-6


def stabilise(z: Tensor) -> Tensor:
    """Move ``z`` away from zero and keep its sign; zero counts as positive."""
    return z + torch.where(z < 0, -STABILISER, STABILISER)


def convolve(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute ``layer`` at ``x`` with another ``weight`` and ``bias``."""
    return F.conv2d(x, weight, bias, layer.stride, layer.padding)


class Pass(Rule):
    """Relevance unchanged: activation functions and dropout."""

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        return relevance


class Route(Rule):
    """Relevance to the largest value of each window of a pool."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        return adjoint(self.layer, relevance, x)


class ConvolutionRule(Rule):
    """A rule for convolutions."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    @property
    def bias(self) -> Tensor:
        """The bias (O,) of the layer, zeros if it has none."""
        bias = self.layer.bias
        return self.layer.weight.new_zeros(self.layer.out_channels) if bias is None else bias


class Epsilon(ConvolutionRule):
    """w' = w: relevance in proportion to what each input contributes to the output."""

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        z: Tensor = self.layer(x)
        return x * transposed(self.layer, relevance / stabilise(z), self.layer.weight)


class Gamma(ConvolutionRule):
    """w' = w + gamma w+: favours positive contributions. Needs inputs of at least zero.

    Relevance comes only from outputs that a ReLU passed on, and there z is positive.
    """

    def __init__(self, layer: nn.Conv2d, gamma: float = 0.25) -> None:
        super().__init__(layer)
        self.gamma = gamma

    def modified(self) -> tuple[Tensor, Tensor]:
        """Return w' and b'."""
        weight = self.layer.weight + self.gamma * self.layer.weight.clamp(min=0)
        return weight, self.bias + self.gamma * self.bias.clamp(min=0)

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        weight, bias = self.modified()
        z = convolve(self.layer, x, weight, bias)
        return x * transposed(self.layer, relevance / (z.clamp(min=0) + STABILISER), weight)


class OneSided(ConvolutionRule):
    """Rules that treat positive and negative contributions apart. They need inputs of at least
    zero."""

    def positive(self) -> tuple[Tensor, Tensor]:
        """Return w+ and b+."""
        return self.layer.weight.clamp(min=0), self.bias.clamp(min=0)

    def negative(self) -> tuple[Tensor, Tensor]:
        """Return w- and b-."""
        return self.layer.weight.clamp(max=0), self.bias.clamp(max=0)

    def positive_output(self, x: Tensor) -> Tensor:
        """Compute f(x; w+, b+)."""
        return convolve(self.layer, x, *self.positive())


class ZPlus(OneSided):
    """w' = w+: positive contributions only."""

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        weight, _ = self.positive()
        z = self.positive_output(x)
        return x * transposed(self.layer, relevance / (z + STABILISER), weight)


class AlphaBeta(OneSided):
    """Positive contributions times 2, negative contributions times -1.

    f(x; w-, b-) is f(x) - f(x; w+, b+), so that one convolution gives both. In bfloat16 that
    difference would be rounding only, and a convolution of its own computes it.
    """

    takes_output = True

    def forward(self, x: Tensor, relevance: Tensor, output: Tensor | None = None) -> Tensor:
        weight, above = self.layer.weight, self.positive_output(x)
        if above.dtype is torch.bfloat16:
            below = convolve(self.layer, x, *self.negative())
        else:
            below = ((self.layer(x) if output is None else output) - above).clamp(max=0)
        positive = transposed(self.layer, relevance / (above + STABILISER), weight.clamp(min=0))
        negative = transposed(self.layer, relevance / (below - STABILISER), weight.clamp(max=0))
        return x * (2 * positive - negative)


class ZBox(ConvolutionRule):
    """Inputs bounded by ``low`` and ``high``: contributions relative to the box, never negative.

    (x - low) w+ + (x - high) w-, one convolution of twice the channels.
    """

    def __init__(self, layer: nn.Conv2d, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__(layer)
        self.low, self.high = low, high

    def boxed(self) -> Tensor:
        """Return the weight (O, 2 I, h, w) of that convolution."""
        weight = self.layer.weight
        return torch.cat((weight.clamp(min=0), weight.clamp(max=0)), dim=1)

    def forward(self, x: Tensor, relevance: Tensor) -> Tensor:
        weight = self.boxed()
        x = torch.cat((x - self.low, x - self.high), dim=1)
        z = convolve(self.layer, x, weight, None)
        both = x * transposed(self.layer, relevance / (z + STABILISER), weight)
        from_low, from_high = both.chunk(2, dim=1)
        return from_low + from_high


Composite = tuple[Callable[[nn.Conv2d], ConvolutionRule], ...]
# Rules of the convolutions before the head, from the first one on; the last holds for the rest.
STUDY: Composite = (ZBox, AlphaBeta, AlphaBeta, Gamma)
GAMMA_BOX: Composite = (ZBox, Gamma)
EPSILON_PLUS: Composite = (ZPlus,)
ALPHA2_BETA1: Composite = (AlphaBeta,)


def choose_rules(chain: Chain, composite: Composite) -> nn.ModuleList:
    """Return one rule for each layer: those of ``composite``, and epsilon in the head."""
    rules: list[Rule] = []
    convolutions = 0
    for position, layer in enumerate(chain):
        if isinstance(layer, nn.Conv2d) and position >= chain.head_start:
            rules.append(Epsilon(layer))
        elif isinstance(layer, nn.Conv2d):
            rules.append(composite[min(convolutions, len(composite) - 1)](layer))
            convolutions += 1
        elif isinstance(layer, nn.ReLU | nn.Dropout):
            rules.append(Pass())
        else:
            rules.append(Route(layer))
    return nn.ModuleList(rules)


def propagation(chain: Chain, start: str, composite: Composite) -> Propagation:
    """Return LRP by a composite; the target is started by value if it is the margin."""
    target = Target(start, by_value=start == "margin")
    return Propagation(chain, choose_rules(chain, composite), target)


def lrp(chain: Chain, start: str = "margin", references: Tensor | None = None) -> Propagation:
    """Return LRP with the composite of Forest et al. 2024, whose target is "both"."""
    return propagation(chain, start, STUDY)


def gamma_box(chain: Chain, start: str = "margin", references: Tensor | None = None) -> Propagation:
    """Return Zennit's EpsilonGammaBox: the composite of Forest et al. 2024 without its two
    alpha-beta layers."""
    return propagation(chain, start, GAMMA_BOX)


def epsilon_plus(
    chain: Chain, start: str = "margin", references: Tensor | None = None
) -> Propagation:
    """Return Zennit's EpsilonPlus: positive contributions only in the convolutions."""
    return propagation(chain, start, EPSILON_PLUS)


def alpha2_beta1(
    chain: Chain, start: str = "margin", references: Tensor | None = None
) -> Propagation:
    """Return Zennit's EpsilonAlpha2Beta1: alpha-beta in all convolutions."""
    return propagation(chain, start, ALPHA2_BETA1)
