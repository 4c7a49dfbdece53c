"""What a step of training is made of: its rate, what is hidden, what is kept, who else judges the
features, what is averaged."""

import math
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.networks.chain import Chain

AVERAGING = 0.99  # the averaged weights forget within about 100 steps, at the start sooner
HIDDEN = 0.15  # share of feature cells hidden in a step: the others must tell the crack as well,
# so that an explanation spreads over all of it, not over its most telling part only
WARM_UP = 0.1  # share of the schedule in which the rate rises


def kept(logits: Tensor, earlier: Tensor, labels: Tensor) -> Tensor:
    """How far the probabilities of ``logits`` (B, K) have moved from those of ``earlier`` (B, K)
    on the tiles where these were right: what was learnt before is kept there.

    Source: Li and Hoiem 2016 (learning without forgetting).
    """
    distance = F.kl_div(
        logits.float().log_softmax(1), earlier.float().softmax(1), reduction="none"
    ).sum(1)
    return (distance * (earlier.argmax(1) == labels)).mean()


def hide_cells(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    """In training, a random share of the cells (B, C, F, G) as zeros, the others scaled up.

    Source: Singh and Lee 2017 (hide-and-seek), here on features.
    """
    if not layer.training:
        return None
    (cells,) = inputs
    kept = torch.rand_like(cells[:, :1]) >= HIDDEN
    return (cells * kept / (1 - HIDDEN),)


class Strongest(nn.Linear):
    """Logits (B, 2) from the strongest response of each feature, wherever in the tile it is.

    A second judge of the features, in training from nothing only: it learns in dozens of steps,
    where a head with a weight for each place and feature takes hundreds before it sees anything,
    and the features that it needs are those that the head needs.  Source: Lee et al. 2015 (deeply
    supervised nets); Oquab et al. 2015 (one label, the strongest place).
    """

    def forward(self, cells: Tensor) -> Tensor:
        return super().forward(cells.amax(dim=(2, 3)))


def moving_average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """The exponential average after ``count`` earlier steps; young averages forget faster."""
    if not averaged.is_floating_point():  # the counter of a batch norm
        return current
    keep = min(AVERAGING, (1 + int(count)) / (10 + int(count)))
    return averaged * keep + current * (1 - keep)


@torch.no_grad()
def blended(chain: Chain, origin: Chain, share: float) -> Chain:
    """A copy of ``chain`` whose weights have gone the ``share`` of the way back to ``origin``.

    Between a network and what was fine-tuned from it the loss has no hill, and half-way between
    them much of both is known.  Source: Wortsman et al. 2022, Robust fine-tuning.
    """
    copy = deepcopy(chain)
    for weights, first in zip(copy.parameters(), origin.parameters(), strict=True):
        weights.lerp_(first, share)
    return copy


def rate(fraction: float) -> float:
    """The learning rate as a share of its peak: a linear rise, then half a cosine to zero."""
    if fraction < WARM_UP:
        return 0.04 + 0.96 * fraction / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))


def untrained(chain: nn.Sequential) -> int:
    """How many of the first layers have nothing that is trained: they are computed once, for the
    network and for the one that it started from."""
    for position, layer in enumerate(chain):
        if any(parameter.requires_grad for parameter in layer.parameters()):
            return position
    return len(chain)
