"""Base of the attribution methods: one backward pass for all tiles of an image.

Notation: B images, H x W pixels, K classes, h x w tile positions, F x G feature cells of C
channels.

Once the activations are fixed, each method propagates its quantity (relevance, gradient or
multiplier) back linearly. So the quantities of all tiles that overlap can be summed at the
feature map and propagated through its convolutions once, whatever the overlap. Three parts, each
of forward operations only:

features  images (B, 3, H, W) to feature cells (B, C, F, G), the input of the classifier head (see
          `Chain`);
head      cells to P(crack) (B, h, w) and to ``value`` (B, C, F, G), the relevance or gradient at
          the cells. Tiles with P(crack) below the gate start with zero; the transpose of the
          8 x 8 convolution sums the tiles; each cell is divided by the number of gated tiles that
          cover it;
back      images and ``value`` to a signed map (B, H, W).

A cell depends on the pixels up to 59 px beyond its own square (the receptive-field radius,
``reach_px``), a tile on 256 px. A scan cuts images into windows for the first and the last part.
The head takes the cells of a whole strip. So the map does not depend on how the image was cut. A
window extends ``reach_px`` beyond its cells. `window_features` and `window_back` compute in each
layer only what depends on nothing outside of the window: zero padding is only ever put around an
image that is explained as a whole.

The division is made at the cells, not at the pixels. For one tile it is the same; but the number
of tiles jumps from cell to cell, and must leave no edges of 32 px in the map. An image of 256 px
has one tile position; there the method is the patch-wise attribution of Forest et al. 2024.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.networks.chain import Chain, unpadded
from crackcli.registry import STARTS, check_choice


class Rule(nn.Module):
    """Propagates a quantity back through one layer of a network.

    Called with the layer's input (B, *in) and the quantity at its output (B, *out), and with the
    output itself if ``takes_output``; returns the quantity at the input, of its shape.
    """

    takes_output = False


class Target(nn.Module):
    """What is attributed: a weighted sum of the logits, by its name in `STARTS` (``--start``).

    Turns logits (B, K, h, w) into the quantity that is propagated back, of the same shape. For
    gradients and multipliers these are the weights. For relevance they are too, unless
    ``by_value``: then they are the weighted logits, whose sum, the margin, is distributed over the
    pixels. A tile near the decision boundary then contributes little; a fixed relevance, divided
    by a logit near zero, would contribute most.
    """

    weights: Tensor

    def __init__(self, name: str, *, by_value: bool = False) -> None:
        super().__init__()
        self.by_value = by_value
        weights = torch.tensor(STARTS[check_choice("--start", STARTS, name)]).view(1, 2, 1, 1)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        return self.weights * logits if self.by_value else self.weights.expand_as(logits)


class ClassifierMethod(nn.Module):
    """Common parts of all methods: a classifier, one rule for each of its layers, and a target."""

    one_tile: Tensor

    def __init__(self, chain: Chain, rules: nn.ModuleList, target: Target) -> None:
        super().__init__()
        self.chain = chain.requires_grad_(False).eval()
        self.rules = rules
        self.target = target
        cells = chain.tile_cells
        self.register_buffer("one_tile", torch.ones(1, 1, cells, cells), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Compute the cells (B, C, F, G) of images."""
        cells: Tensor = self.chain.features(images)
        return cells

    def window_features(self, images: Tensor) -> Tensor:
        """Compute the cells (B, C, F, G) of windows (B, 3, H, W) that extend ``reach_px`` beyond
        them."""
        cells: Tensor = unpadded(self.chain.features)(images)
        return cells

    def count_tiles(self, gated: Tensor) -> Tensor:
        """Count the tiles, 1 in ``gated`` (B, 1, h, w), that cover each cell: (B, 1, F, G)."""
        return F.conv_transpose2d(gated, self.one_tile)

    def head_back(self, logits: Tensor, gated: Tensor, inputs: list[Tensor]) -> Tensor:
        """Propagate the target of the tiles back through the head, to the cells.

        Tiles that are 0 in ``gated`` (B, 1, h, w) start with zero; ``inputs`` are those of the
        head's layers.
        """
        value = self.propagate(self.target(logits) * gated, inputs, self.chain.head_start)
        return value / self.count_tiles(gated).clamp(min=1)

    def propagate(self, value: Tensor, inputs: list[Tensor], first: int) -> Tensor:
        """Propagate ``value`` back through the layers from ``first`` on, given their ``inputs``."""
        return propagate(value, inputs, self.rules[first : first + len(inputs)])


class Propagation(ClassifierMethod):
    """A method of one pass.

    Takes images (B, 3, H, W) in [0, 1] and a gate (); returns P(crack) (B, h, w) and a map
    (B, H, W).
    """

    def forward(self, images: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Attribute all tiles with P(crack) of at least ``gate``; 0 takes all."""
        probability, value = self.head(self.features(images), gate)
        return probability, self.back(images, value)

    def head(self, cells: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Compute P(crack) of every tile position, and ``value`` at the cells."""
        probability, traced = self.classify(cells)
        return probability, self.value_of(probability >= gate, traced)

    def classify(self, cells: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute P(crack) of every tile position, and the trace of the head's layers."""
        traced = self.chain.head.trace(cells)
        return crack_probability(traced[-1]), traced

    def value_of(self, gated: Tensor, traced: list[Tensor]) -> Tensor:
        """Compute ``value`` at the ``traced`` cells, for the tiles in ``gated`` (B, h, w)."""
        *inputs, logits = traced
        return self.head_back(logits, gated.to(logits.dtype)[:, None], inputs)

    def back(self, images: Tensor, value: Tensor) -> Tensor:
        """Propagate ``value`` at the cells of images back to their pixels: a map (B, H, W)."""
        inputs = self.chain.features.trace(images)[:-1]
        return self.finish(images, self.propagate(value, inputs, 0)).mean(dim=1)

    def window_back(self, images: Tensor, value: Tensor) -> Tensor:
        """Propagate ``value`` at the cells of windows (B, 3, H, W) that extend ``reach_px`` beyond
        them: (B, H, W), all that these cells contribute.

        Zero cells are masked: their relevance is only rounding error, and differs between windows.
        """
        layers = self.chain.features
        *inputs, cells = unpadded(layers).trace(images)
        value = (value * (cells != 0)).to(cells.dtype)
        value = propagate(value, inputs, unpadded(self.rules[: len(layers)]))
        return self.finish(images, value).mean(dim=1)

    def finish(self, images: Tensor, value: Tensor) -> Tensor:
        """Turn the quantity at the ``images`` (B, 3, H, W) into an attribution (B, 3, H, W)."""
        return value


def propagate(value: Tensor, inputs: list[Tensor], rules: nn.ModuleList) -> Tensor:
    """Propagate ``value`` back through layers by their ``rules``, given the layers' ``inputs``.

    Empties ``inputs``: each is freed as soon as two layers are passed, since some rules take a
    layer's output too, the input of the next.
    """
    output: Tensor | None = None
    while inputs:
        rule = rules[len(inputs) - 1]
        x = inputs.pop()
        value = rule(x, value, output) if rule.takes_output else rule(x, value)
        output = x
    return value


def crack_probability(logits: Tensor) -> Tensor:
    """Return P(crack) (B, h, w) from the logits (B, 2, h, w) of no crack and crack."""
    return torch.sigmoid(logits[:, 1] - logits[:, 0])
