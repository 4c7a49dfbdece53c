"""Gradient and input x gradient of what speaks for a crack.

    gradient_i = d f(x) / d x_i            inputxgrad_i = x_i * d f(x) / d x_i

with f the weighted logits of `Start`.  The gradient is carried by the transposes of the layers,
in forward operations like every other method, so it exports and slides over images as they do.

Sources: Simonyan et al. 2014 (gradient); Shrikumar et al. 2016 (input x gradient).
"""

from torch import Tensor, nn

from crackcli.attribution.adjoint import adjoint
from crackcli.attribution.propagation import Propagation, Start
from crackcli.networks.chain import Chain


class Transpose(nn.Module):
    """A multiplier carried back through the transpose of a layer at its input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, multiplier: Tensor) -> Tensor:
        return adjoint(self.layer, multiplier, x)


class InputTimes(Propagation):
    """Multipliers times the image: each pixel's share of f, to first order."""

    def finish(self, images: Tensor, value: Tensor) -> Tensor:
        return images * value


def gradient(chain: Chain, start: str = "margin", references: Tensor | None = None) -> Propagation:
    """The plain gradient."""
    return Propagation(chain, nn.ModuleList(map(Transpose, chain)), Start(start))


def inputxgrad(
    chain: Chain, start: str = "margin", references: Tensor | None = None
) -> Propagation:
    """The gradient times the image."""
    return InputTimes(chain, nn.ModuleList(map(Transpose, chain)), Start(start))
