"""DeepLift by the rescale rule, and DeepLiftShap: what each pixel's difference from a reference did
to f.

Notation: x an input, r the same input for the reference, d = x - r; m a multiplier, so that what a
pixel adds is m * d.  Multipliers go back like gradients, but a layer that is not linear gives the
slope of its secant from r to x in the place of its derivative:

ReLU       (max(x, 0) - max(r, 0)) / (x - r)
max pool   the change of the maximum is given to the largest of x where the maximum rose, else to
           the largest of r, as (max x - max r) / d there: the largest of x has risen by at least
           that much, the largest of r has fallen by at least that much, so no quotient exceeds 1

With these the multipliers times the differences add up to f(x) - f(r) exactly, pools included.
(Captum's rule for pools misses that by some per cent.)  DeepLiftShap is the mean over several
references.

Sources: Shrikumar et al. 2017 (DeepLift); Lundberg and Lee 2017 (DeepLiftShap).
"""

from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.adjoint import adjoint, enlarge
from crackcli.attribution.passes import Passes, mirrored, needed
from crackcli.attribution.propagation import Start
from crackcli.errors import UnsupportedLayer
from crackcli.networks.chain import Chain

SMALL = 1e-7  # a difference below this says nothing of a slope: the derivative stands for it


@singledispatch
def secant(layer: nn.Module, upstream: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """Multipliers ``upstream`` (B, *out) carried back through ``layer`` between its inputs ``x``
    and ``r`` (B, *in)."""
    raise UnsupportedLayer(layer)


@secant.register(nn.Conv2d)
@secant.register(nn.Dropout)
def _(layer: nn.Module, upstream: Tensor, x: Tensor, r: Tensor) -> Tensor:
    return adjoint(layer, upstream, x)


@secant.register
def _(layer: nn.ReLU, upstream: Tensor, x: Tensor, r: Tensor) -> Tensor:
    return upstream * slope(F.relu(x) - F.relu(r), x - r, (x > 0).to(x.dtype))


@secant.register
def _(layer: nn.MaxPool2d, upstream: Tensor, x: Tensor, r: Tensor) -> Tensor:
    rise = layer(x) - layer(r)
    to_x = adjoint(layer, rise.clamp(min=0), x)
    to_r = adjoint(layer, rise.clamp(max=0), r)
    at_x = adjoint(layer, torch.ones_like(rise), x)
    size = layer.kernel_size
    return enlarge(upstream, size) * slope(to_x + to_r, x - r, at_x)


def slope(rise: Tensor, run: Tensor, otherwise: Tensor) -> Tensor:
    """``rise`` / ``run``, and ``otherwise`` where the run is next to nothing."""
    short = run.abs() < SMALL
    return torch.where(short, otherwise, rise / torch.where(short, 1.0, run))


class Secant(nn.Module):
    """A rule: inputs of images and of their references (2 B, ...) and multipliers (B, ...)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, both: Tensor, multiplier: Tensor) -> Tensor:
        count = len(multiplier)
        return secant(self.layer, multiplier, both[:count], both[count:])


class DeepLift(Passes):
    """One pass for each reference; the map is their mean."""

    def __init__(self, chain: Chain, start: str, references: Tensor) -> None:
        rules = nn.ModuleList(map(Secant, chain))
        super().__init__(chain, rules, Start(start), references, len(references))

    def points(self, images: Tensor, number: Tensor, place: Tensor) -> Tensor:
        reference = mirrored(self.references, number, place, images)
        return torch.cat((images, reference.expand_as(images)))

    def weigh(self, images: Tensor, value: Tensor, number: Tensor, place: Tensor) -> Tensor:
        reference = mirrored(self.references, number, place, images)
        return (images - reference) * value / self.passes


def deeplift(chain: Chain, start: str = "margin", references: Tensor | None = None) -> DeepLift:
    """DeepLift by the rescale rule."""
    return DeepLift(chain, start, needed(references, chain.tile_px))


def deepliftshap(chain: Chain, start: str = "margin", references: Tensor | None = None) -> DeepLift:
    """The mean of DeepLift over all references."""
    return deeplift(chain, start, references)
