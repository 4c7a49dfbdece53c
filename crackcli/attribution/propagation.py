"""One pass back for all tiles at once: what every attribution method here has in common.

Notation: B images, H x W pixels, K classes, h x w tile positions, F x G feature cells of C
channels.

Once the activations are fixed, each method carries its quantity back linearly.  So the quantities
of all tiles that overlap may be summed at the feature map (F, G) and carried through the
convolutions once, whatever the overlap.  Three parts, each of forward operations only:

features  images (B, 3, H, W) to cells (B, C, F, G), the input of the neck (see `Chain`);
head      cells to P(crack) (B, h, w) and to what each cell is to pass on, ``value`` (B, C, F, G):
          tiles with P(crack) below the gate start with zero, the transpose of the 8 x 8
          convolution sums the tiles, and each cell is divided by the number of gated tiles that
          cover it;
back      images and ``value`` to a signed map (B, H, W).

A cell sees 59 px around it (its reach), a tile 256 px.  A scan cuts images into windows for the
first and the last part, but not for the head, which works on the cells of a whole strip: so the
map does not depend on how the image was cut.  A window is read with that reach around its cells,
and ``features_inside`` and ``back_inside`` compute in each layer only what its cells depend on,
and that in full: no zeros are put around anything but an image that is explained by itself.

The division is made at the cells, not at the pixels: for one tile it is the same, and the number
of tiles, which jumps from cell to cell, leaves no edges of 32 px in the map.  A 256-px image has
one tile position: the same module is then the study's patch-wise explanation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.networks.chain import Chain, unpadded
from crackcli.registry import STARTS, check


class Method(nn.Module):
    """What every method has: a classifier, ``rules``, one module for each layer of it, called with
    the layer's input and what arrived at its output, and ``start``, what the logits begin with."""

    def __init__(self, chain: Chain, rules: nn.ModuleList, start: nn.Module) -> None:
        super().__init__()
        self.chain = chain.requires_grad_(False).eval()
        self.rules = rules
        self.start = start
        cells = chain.tile_cells
        self.register_buffer("one_tile", torch.ones(1, 1, cells, cells), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """The cells (B, C, F, G) of images."""
        return self.chain[: self.chain.neck](images)

    def features_inside(self, images: Tensor) -> Tensor:
        """The cells (B, C, F, G) of windows (B, 3, H, W) that reach ``reach_px`` beyond them."""
        return unpadded(self.chain[: self.chain.neck])(images)

    def covered(self, gated: Tensor) -> Tensor:
        """How many gated tiles, of (B, 1, h, w), lie over each cell: (B, 1, F, G)."""
        return F.conv_transpose2d(gated, self.one_tile)

    def from_tiles(self, logits: Tensor, gated: Tensor, inputs: list[Tensor]) -> Tensor:
        """What the cells pass on where the tiles ``gated`` (B, 1, h, w) begin with their
        ``logits``; ``inputs`` are those of the head's layers."""
        value = self.carry(self.start(logits) * gated, inputs, self.chain.neck)
        return value / self.covered(gated).clamp(min=1)

    def carry(self, value: Tensor, inputs: list[Tensor], first: int) -> Tensor:
        """``value`` back through the layers from ``first`` on whose ``inputs`` are given."""
        return carried(value, inputs, self.rules[first : first + len(inputs)])


class Propagation(Method):
    """Images (B, 3, H, W) in [0, 1] and a gate () to P(crack) (B, h, w) and a map (B, H, W)."""

    def forward(self, images: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """``gate`` is the P(crack) from which on a tile is explained; 0 explains all."""
        probability, value = self.head(self.features(images), gate)
        return probability, self.back(images, value)

    def head(self, cells: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """P(crack) of every tile position, and what the cells pass on."""
        probability, traced = self.judged(cells)
        return probability, self.passed(probability >= gate, traced)

    def judged(self, cells: Tensor) -> tuple[Tensor, list[Tensor]]:
        """P(crack) of every tile position, and the trace of the head's layers."""
        traced = self.chain[self.chain.neck :].trace(cells)
        return crack_probability(traced[-1]), traced

    def passed(self, gated: Tensor, traced: list[Tensor]) -> Tensor:
        """What the cells pass on that were ``traced``, of the ``gated`` (B, h, w) of the tiles."""
        *inputs, logits = traced
        return self.from_tiles(logits, gated.to(logits.dtype)[:, None], inputs)

    def back(self, images: Tensor, value: Tensor) -> Tensor:
        """The map of images whose cells pass on ``value``."""
        inputs = self.chain[: self.chain.neck].trace(images)[:-1]
        return self.finish(images, self.carry(value, inputs, 0)).mean(dim=1)

    def back_inside(self, images: Tensor, value: Tensor) -> Tensor:
        """What windows (B, 3, H, W) get from cells that pass on ``value``, where they reach
        ``reach_px`` beyond these: (B, H, W), all of it.

        What a cell of zero would pass on is rounding: in another window it was not quite zero.
        """
        layers = self.chain[: self.chain.neck]
        *inputs, cells = unpadded(layers).trace(images)
        value = (value * (cells != 0)).to(cells.dtype)
        value = carried(value, inputs, unpadded(self.rules[: len(layers)]))
        return self.finish(images, value).mean(dim=1)

    def finish(self, images: Tensor, value: Tensor) -> Tensor:
        """What arrived at the ``images`` (B, 3, H, W) as an attribution of the same shape."""
        return value


def carried(value: Tensor, inputs: list[Tensor], rules: nn.ModuleList) -> Tensor:
    """``value`` back through layers by their ``rules``; their ``inputs`` are used up: each is let
    go as soon as two layers are passed, since some rules make use of a layer's output too."""
    output: Tensor | None = None
    while inputs:
        rule = rules[len(inputs) - 1]
        seen = inputs.pop()
        informed = getattr(rule, "takes_output", False)
        value = rule(seen, value, output) if informed else rule(seen, value)
        output = seen
    return value


def crack_probability(logits: Tensor) -> Tensor:
    """Logits (B, 2, h, w) of no crack and crack to P(crack) (B, h, w)."""
    return torch.sigmoid(logits[:, 1] - logits[:, 0])


class Start(nn.Module):
    """What the propagation begins with: logits (B, 2, h, w) to values of the same shape.

    Multipliers (gradients) begin with the weights.  Relevance begins with the weights too, but
    for ``by_value`` with the weighted logits: their sum is then the margin that is shared out, and
    a tile near the decision boundary brings little, where a fixed relevance divided by a logit
    near zero would bring the most.
    """

    def __init__(self, name: str, *, by_value: bool = False) -> None:
        super().__init__()
        self.by_value = by_value
        weights = torch.tensor(STARTS[check(STARTS, name)]).view(1, 2, 1, 1)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        return self.weights * logits if self.by_value else self.weights.expand_as(logits)
