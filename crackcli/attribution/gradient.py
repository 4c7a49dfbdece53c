"""Gradient and input x gradient of the attribution target.

    gradient_i = d f(x) / d x_i            inputxgrad_i = x_i * d f(x) / d x_i

with x an image (B, 3, H, W) and f the weighted logits of `Target`; both maps are the mean over
the three channels. Each layer's adjoint propagates the gradient in forward operations, as in all
other methods, so that it exports and takes windows of images as they do.

Sources: Simonyan et al. 2014 (gradient); Shrikumar et al. 2016 (input x gradient).
"""

from torch import Tensor, nn

from crackcli.attribution.adjoint import adjoint
from crackcli.attribution.propagation import Propagation, Rule, Target
from crackcli.networks.chain import Chain


class Adjoint(Rule):
    """Propagates a gradient (B, *out) back through the adjoint of a layer at its input ``x``."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, gradient: Tensor) -> Tensor:
        return adjoint(self.layer, gradient, x)


class InputTimesGradient(Propagation):
    """The gradient times the image: to first order, what each pixel contributes to f."""

    def finish(self, images: Tensor, value: Tensor) -> Tensor:
        return images * value


def gradient(chain: Chain, start: str = "margin", references: Tensor | None = None) -> Propagation:
    """Return the gradient method for a classifier."""
    return Propagation(chain, nn.ModuleList(map(Adjoint, chain)), Target(start))


def inputxgrad(
    chain: Chain, start: str = "margin", references: Tensor | None = None
) -> Propagation:
    """Return the input x gradient method for a classifier."""
    return InputTimesGradient(chain, nn.ModuleList(map(Adjoint, chain)), Target(start))
