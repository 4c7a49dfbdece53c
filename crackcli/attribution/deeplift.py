"""DeepLift by the rescale rule, and DeepLiftShap: contributions to the difference from a reference.

    A = (x - r) * m                                      f(x) - f(r) = sum_i A_i

with x the image (B, 3, H, W), r a reference of the same shape, f the weighted logits of `Target`,
and m the multipliers at the pixels; maps are the mean of A over the three channels. Multipliers
are propagated back like gradients, but a layer that is not linear has the slope of its secant from
r to x in place of its derivative (x and r are the layer's inputs here):

ReLU       (max(x, 0) - max(r, 0)) / (x - r)
max pool   the change of the maximum goes to the largest of x if the maximum rose, else to the
           largest of r, as (max x - max r) / (x - r) there. The largest of x has risen by at
           least that much, the largest of r has fallen by at least that much, so that no quotient
           exceeds 1.

With these rules the sum above is exact, pools included (Captum's rule for pools misses it by some
per cent). DeepLiftShap is the mean over several references.

Sources: Shrikumar et al. 2017 (DeepLift); Lundberg and Lee 2017 (DeepLiftShap).
"""

from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.adjoint import adjoint, pool_size, upsample
from crackcli.attribution.passes import Passes, check_references, reflect
from crackcli.attribution.propagation import Rule, Target
from crackcli.errors import UnsupportedLayer
from crackcli.networks.chain import Chain

SMALL = 1e-7  # below this difference rounding spoils the slope, and the derivative replaces it


@singledispatch
def secant(layer: nn.Module, upstream: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """Propagate the multipliers ``upstream`` (B, *out) back through ``layer`` between its inputs
    ``x`` and ``r`` (B, *in).

    Raises an `UnsupportedLayer` for a layer type without a registered function.
    """
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
    derivative = adjoint(layer, torch.ones_like(rise), x)
    return upsample(upstream, pool_size(layer)) * slope(to_x + to_r, x - r, derivative)


def slope(rise: Tensor, run: Tensor, otherwise: Tensor) -> Tensor:
    """Return ``rise`` / ``run``, and ``otherwise`` where the run is below `SMALL`."""
    short = run.abs() < SMALL
    return torch.where(short, otherwise, rise / torch.where(short, 1.0, run))


class Secant(Rule):
    """Propagates multipliers (B, *out) back between the inputs of images and of their references,
    (2 B, *in) one after the other."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, both: Tensor, multiplier: Tensor) -> Tensor:
        count = len(multiplier)
        return secant(self.layer, multiplier, both[:count], both[count:])


class DeepLift(Passes):
    """DeepLift with one pass for each reference; the map is their mean."""

    def __init__(self, chain: Chain, start: str, references: Tensor) -> None:
        rules = nn.ModuleList(map(Secant, chain))
        super().__init__(chain, rules, Target(start), references, len(references))

    def points(self, images: Tensor, number: Tensor, place: Tensor) -> Tensor:
        reference = reflect(self.references, number, place, images)
        return torch.cat((images, reference.expand_as(images)))

    def weigh(self, images: Tensor, value: Tensor, number: Tensor, place: Tensor) -> Tensor:
        reference = reflect(self.references, number, place, images)
        return (images - reference) * value / self.passes


def deeplift(chain: Chain, start: str = "margin", references: Tensor | None = None) -> DeepLift:
    """Return DeepLift by the rescale rule for a classifier."""
    return DeepLift(chain, start, check_references(references, chain.tile_px))


def deepliftshap(chain: Chain, start: str = "margin", references: Tensor | None = None) -> DeepLift:
    """Return the mean of DeepLift over all references for a classifier."""
    return deeplift(chain, start, references)
