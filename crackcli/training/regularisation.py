"""Regularisation: hidden cells, distillation, auxiliary head, averaged and blended weights."""

from copy import deepcopy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
EMA_DECAY = 0.99  # of the averaged weights, which forget within about 100 steps
HIDDEN = 0.15  # fraction of feature cells set to zero in a step; the others must suffice to
# recognise the crack, so that relevance spreads over all of it and not over its clearest part only


def hide_cells(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    """Set a random fraction of the feature cells (B, C, F, G) to zero and scale the others up.

    A forward pre-hook, active in training only. Source: Singh and Lee 2017 (hide-and-seek), here
    applied to features instead of pixels.
    """
    if not layer.training:
        return None
    (cells,) = inputs
    visible = torch.rand_like(cells[:, :1]) >= HIDDEN
    return (cells * visible / (1 - HIDDEN),)


def distillation_loss(logits: Tensor, earlier: Tensor, labels: Tensor) -> Tensor:
    """Return the divergence of ``logits`` (B, K) from those of the ``earlier`` network (B, K).

    It is the mean over the batch of the Kullback-Leibler divergence of the probabilities, where the
    earlier network was right about ``labels`` (B); other tiles count as 0. It keeps a fine-tuned
    network from forgetting. Source: Li and Hoiem 2016 (learning without forgetting).
    """
    divergence = F.kl_div(
        logits.float().log_softmax(1), earlier.float().softmax(1), reduction="none"
    ).sum(1)
    return (divergence * (earlier.argmax(1) == labels)).mean()


class MaxPoolHead(nn.Linear):
    """Auxiliary head: logits (B, 2) from the maximum of each feature over the tile.

    Used only when training from scratch. It learns in dozens of steps, while the head with a weight
    for each position and feature needs hundreds, and both need the same features. Sources: Lee et
    al. 2015 (deeply supervised nets); Oquab et al. 2015 (max pooling over positions from one image
    label).
    """

    def forward(self, cells: Tensor) -> Tensor:
        return super().forward(cells.amax(dim=(2, 3)))


def moving_average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """Return the exponential moving average after ``count`` earlier steps.

    A young average decays faster, so that the initial weights are soon forgotten. Source: Polyak
    and Juditsky 1992 (averaged weights).
    """
    if not averaged.is_floating_point():  # the step counter of a batch norm
        return current
    decay = min(EMA_DECAY, (1 + int(count)) / (10 + int(count)))
    return averaged * decay + current * (1 - decay)


@torch.no_grad()
def blended(network: Network, origin: Network, fraction: float) -> Network:
    """Return a copy of ``network`` with weights (1 - fraction) * network + fraction * origin.

    The loss is low all along the line between a network and its fine-tuned copy, and half-way the
    blend keeps much of both. Source: Wortsman et al. 2022 (robust fine-tuning of zero-shot models).
    """
    copy = deepcopy(network)
    for weights, first in zip(copy.parameters(), origin.parameters(), strict=True):
        weights.lerp_(first, fraction)
    return copy


def frozen_layers(chain: nn.Sequential) -> int:
    """Return the number of leading layers without trainable weights.

    Their output is the same for a network and for the one it started from.
    """
    for position, layer in enumerate(chain):
        if any(parameter.requires_grad for parameter in layer.parameters()):
            return position
    return len(chain)
