"""Methods that look at an image in several passes, each time beside a picture without cracks.

A pass looks at one or two points (images) that are made of the image and a reference; what it finds
is its share of the map.  As in `crackcli.attribution.propagation` the tiles that overlap are
carried back at once, and the gate is that of the image itself: which tiles are explained does not
depend on a pass.  One pass is computed at a time, so memory is that of one.

A reference is as large as a tile.  On a raster it is mirrored at its edges on and on, so that a
pixel has the same reference in whatever window it is read: ``place`` (row, col) says where in the
raster the images begin.  An image of one tile has it as it is: that is the study's explanation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.propagation import Method, crack_probability
from crackcli.errors import ModelError
from crackcli.networks.chain import Chain

ORIGIN = (0, 0)


class Passes(Method):
    """Images (B, 3, H, W) in [0, 1] and a gate () to P(crack) (B, h, w) and a map (B, H, W), the
    sum of ``passes`` shares."""

    def __init__(
        self,
        chain: Chain,
        rules: nn.ModuleList,
        start: nn.Module,
        references: Tensor | None,
        passes: int,
    ) -> None:
        super().__init__(chain, rules, start)
        self.register_buffer("references", needed(references, chain.tile_px), persistent=False)
        self.passes = passes
        self.reach = -(-chain.reach_px // chain.stride_px)  # cells that one cell sees on each side

    def points(self, images: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """What pass ``number`` () looks at: (B, 3, H, W), or twice as many."""
        raise NotImplementedError

    def weigh(self, images: Tensor, value: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """The share of a pass of the attribution (B, 3, H, W), from the multipliers ``value``, of
        the same shape, that arrived at its points."""
        raise NotImplementedError

    def forward(self, images: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """``gate`` is the P(crack) from which on a tile is explained; 0 explains all."""
        probability, _ = self.head(self.features(images), gate)
        gated = (probability >= gate).to(images.dtype)[:, None]
        place = torch.tensor(ORIGIN, device=images.device)
        shares = (
            self.share(images, gated, torch.tensor(number, device=images.device), place)
            for number in range(self.passes)
        )
        return probability, sum(shares)

    def head(self, cells: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """P(crack) of every tile position, and 1 for each cell (B, 1, F, G) under a gated tile."""
        probability = crack_probability(self.chain[self.chain.neck :](cells))
        gated = (probability >= gate).to(cells.dtype)[:, None]
        return probability, self.covered(gated).clamp(max=1)

    def share(self, images: Tensor, gated: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """What pass ``number`` () adds to the map (B, H, W), explaining the tiles that are 1
        in ``gated`` (B, 1, h, w); ``place`` (2,) int64."""
        points = self.points(images, number, place)
        value = self.value_of(self.features(points), gated)
        return self.carried_back(images, points, value, number, place)

    def share_of_core(self, images: Tensor, gated: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """The same of a window of a raster, without what its own edges would change: the map
        (B, H - 2 r, W - 2 r), with r = (tile_cells - 1) strides; ``gated`` are the tiles that lie
        ``reach`` cells inside the window.

        Right are pixels at least 2 ``reach`` cells inside of that map.
        """
        tile, stride = self.chain.tile_cells, self.chain.stride_px
        points = self.points(images, number, place)
        value = self.value_of(trimmed(self.features(points), self.reach), gated)
        value = F.pad(trimmed(value, tile - 1), [self.reach] * 4)
        rim = (tile - 1) * stride
        images, points = trimmed(images, rim), trimmed(points, rim)
        return self.carried_back(images, points, value, number, place + rim)

    def value_of(self, cells: Tensor, gated: Tensor) -> Tensor:
        """What the cells (B or 2 B, C, F, G) of the points pass on."""
        *inputs, logits = self.chain[self.chain.neck :].trace(cells)
        return self.from_tiles(logits[: len(gated)], gated, inputs)

    def carried_back(
        self, images: Tensor, points: Tensor, value: Tensor, number: Tensor, place: Tensor
    ) -> Tensor:
        """The share (B, H, W) of a pass whose cells pass on ``value``."""
        inputs = self.chain[: self.chain.neck].trace(points)[:-1]
        return self.weigh(images, self.carry(value, inputs, 0), number, place).mean(dim=1)


def needed(references: Tensor | None, tile_px: int) -> Tensor:
    """The references (N, 3, T, T), uint8 or in [0, 1]; a `ModelError` where there are none."""
    if references is None:
        raise ModelError(
            "the model has no crack-free photographs to compare with; train it anew, or scan with "
            "--baseline black"
        )
    if references.shape[1:] != (3, tile_px, tile_px):
        raise ModelError(
            f"the model's crack-free photographs are not {tile_px} px large; train it anew"
        )
    return references


def trimmed(x: Tensor, rim: int) -> Tensor:
    """Without ``rim`` rows and columns at each edge."""
    return x[:, :, rim:-rim, rim:-rim] if rim else x


def mirrored(tiles: Tensor, number: Tensor, place: Tensor, images: Tensor) -> Tensor:
    """Tile ``number`` () of (N, 3, T, T), uint8 or as it is, mirrored on and on, where ``images``
    (B, 3, H, W) lie that begin at ``place``: (1, 3, H, W)."""
    side = tiles.shape[-1]
    tile = tiles.index_select(0, number.view(1))
    if tile.dtype == torch.uint8:
        tile = tile.to(images.dtype) / 255
    for axis in (2, 3):
        at = torch.arange(images.shape[axis], device=images.device) + place[axis - 2]
        at = at.remainder(2 * side)
        tile = tile.index_select(axis, torch.minimum(at, 2 * side - 1 - at))
    return tile
