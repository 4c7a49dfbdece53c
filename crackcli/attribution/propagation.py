"""One pass back for all tiles at once: what every attribution method here has in common.

Notation: B images, H x W pixels, K classes, h x w tile positions, F x G feature cells.

Once the activations are fixed, each method carries its quantity back linearly.  So the quantities
of all tiles that overlap may be summed at the feature map (F, G) and carried through the
convolutions once, whatever the overlap:

1. forward, keeping the input of every layer; logits (B, K, h, w);
2. gate: tiles with P(crack) below ``gate`` start with zero;
3. back through the head, where the transpose of the 8 x 8 convolution sums the tiles;
4. mean instead of sum: divide each cell by the number of gated tiles that cover it;
5. back through the convolutions.

Step 4 divides at the feature map, not at the pixels: the mean is the same for one tile, and the
number of tiles, which jumps from cell to cell, leaves no edges of 32 px in the map.

A 256-px image has one tile position, so the same module is the study's patch-wise explanation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution import STARTS
from crackcli.chain import Chain
from crackcli.registry import check


class Propagation(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to P(crack) (B, h, w) and a signed map (B, H, W).

    A method gives ``rules``, one module for each layer of ``chain``, called with the layer's
    input and what arrived at its output, and ``start``, what the logits begin with.
    """

    def __init__(self, chain: Chain, rules: nn.ModuleList, start: nn.Module) -> None:
        super().__init__()
        self.chain = chain.requires_grad_(False).eval()
        self.rules = rules
        self.start = start
        self.neck = chain.neck
        cells = chain.tile_cells
        self.register_buffer("one_tile", torch.ones(1, 1, cells, cells), persistent=False)

    def forward(self, images: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """``gate`` () is the P(crack) from which on a tile is explained; 0 explains all."""
        *inputs, logits = self.chain.trace(images)
        probability = crack_probability(logits)
        return probability, self.back(inputs, logits, (probability >= gate).to(images.dtype))

    def back(self, inputs: list[Tensor], logits: Tensor, gated: Tensor) -> Tensor:
        """The map (B, H, W) of the tiles where ``gated`` (B, h, w) is 1, after a forward pass.

        ``inputs`` is used up: each tensor is let go as soon as its layer is passed.
        """
        value = self.start(logits) * gated[:, None]
        while len(inputs) > 1:
            value = self.carry(len(inputs) - 1, inputs.pop(), value, gated)
        images = inputs.pop()
        return self.finish(images, self.carry(0, images, value, gated)).mean(dim=1)

    def carry(self, position: int, x: Tensor, value: Tensor, gated: Tensor) -> Tensor:
        """``value`` at the output of one layer to its input ``x``."""
        value = self.rules[position](x, value)
        if position == self.neck:
            tiles = F.conv_transpose2d(gated[:, None], self.one_tile)
            value = value / tiles.clamp(min=1)
        return value

    def finish(self, images: Tensor, value: Tensor) -> Tensor:
        """What arrived at the ``images`` (B, 3, H, W) as an attribution of the same shape."""
        return value


def crack_probability(logits: Tensor) -> Tensor:
    """P(crack) (B, h, w) of the logits (B, 2, h, w), class 1 being crack."""
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
