"""Base class of the attribution methods that need several passes through the network.

These methods (DeepLift, integrated gradients and the SHAP methods) compare the image with a
crack-free reference. A pass is one forward and one backward pass at one or two points: images
(B, 3, H, W) that mix the image and the reference. The map is the sum over all passes. In each,
all overlapping tiles are propagated back at once. The gate applies to P(crack) of the image
itself, so all passes attribute the same tiles. Passes are computed one at a time and need the
memory of one. Notation as in `crackcli.attribution.propagation`.

A reference is as large as a tile, T x T px. On a raster it is tiled by reflection: a pixel has
the same reference in every window that contains it. ``place`` (row, col) is the pixel of the
raster at which the images begin. An image of one tile takes the reference as it is; there the
method is the patch-wise attribution of Forest et al. 2024.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crackcli.attribution.propagation import ClassifierMethod, Target, crack_probability
from crackcli.errors import ModelError
from crackcli.networks.chain import Chain

ORIGIN = (0, 0)


class Passes(ClassifierMethod):
    """A method of several ``passes``.

    Takes images (B, 3, H, W) in [0, 1] and a gate (); returns P(crack) (B, h, w) and a map
    (B, H, W).
    """

    references: Tensor

    def __init__(
        self,
        chain: Chain,
        rules: nn.ModuleList,
        target: Target,
        references: Tensor | None,
        passes: int,
    ) -> None:
        super().__init__(chain, rules, target)
        checked = check_references(references, chain.tile_px)
        self.register_buffer("references", checked, persistent=False)
        self.passes = passes
        self.reach = -(-chain.reach_px // chain.stride_px)  # receptive-field radius in cells

    def points(self, images: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """Return the input of the network in pass ``number`` (): (B, 3, H, W), or twice as many."""
        raise NotImplementedError

    def weigh(self, images: Tensor, value: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """Return what a pass adds to the attribution (B, 3, H, W), from the gradients or
        multipliers ``value`` at its points, of the same shape."""
        raise NotImplementedError

    def forward(self, images: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Attribute all tiles with P(crack) of at least ``gate``; 0 takes all."""
        probability, _ = self.head(self.features(images), gate)
        gated = (probability >= gate).to(images.dtype)[:, None]
        place = torch.tensor(ORIGIN, device=images.device)
        total = images.new_zeros(())
        for number in range(self.passes):
            at = torch.tensor(number, device=images.device)
            total = total + self.pass_map(images, gated, at, place)
        return probability, total

    def head(self, cells: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Compute P(crack) of every tile position, and 1 for each cell (B, 1, F, G) under a gated
        tile."""
        probability = crack_probability(self.chain.head(cells))
        gated = (probability >= gate).to(cells.dtype)[:, None]
        return probability, self.count_tiles(gated).clamp(max=1)

    def pass_map(self, images: Tensor, gated: Tensor, number: Tensor, place: Tensor) -> Tensor:
        """Compute what pass ``number`` () adds to the map (B, H, W), for the tiles that are 1 in
        ``gated`` (B, 1, h, w); ``place`` (2,) int64."""
        points = self.points(images, number, place)
        value = self.value_of(self.features(points), gated)
        return self.back(images, points, value, number, place)

    def window_pass_map(
        self, images: Tensor, gated: Tensor, number: Tensor, place: Tensor
    ) -> Tensor:
        """Compute what pass ``number`` adds to the map of the core of a window of a raster:
        (B, H - 2 r, W - 2 r), with r = (tile_cells - 1) strides.

        ``gated`` are the tiles at least ``reach`` cells inside the window. Pixels at least
        2 ``reach`` cells inside that map do not depend on the window's edges.
        """
        tile, stride = self.chain.tile_cells, self.chain.stride_px
        points = self.points(images, number, place)
        value = self.value_of(trim(self.features(points), self.reach), gated)
        value = F.pad(trim(value, tile - 1), [self.reach] * 4)
        rim = (tile - 1) * stride
        images, points = trim(images, rim), trim(points, rim)
        return self.back(images, points, value, number, place + rim)

    def value_of(self, cells: Tensor, gated: Tensor) -> Tensor:
        """Compute the gradients or multipliers at the cells (B or 2 B, C, F, G) of the points."""
        *inputs, logits = self.chain.head.trace(cells)
        return self.head_back(logits[: len(gated)], gated, inputs)

    def back(
        self, images: Tensor, points: Tensor, value: Tensor, number: Tensor, place: Tensor
    ) -> Tensor:
        """Propagate ``value`` at the cells of a pass back to the pixels: a map (B, H, W)."""
        inputs = self.chain.features.trace(points)[:-1]
        return self.weigh(images, self.propagate(value, inputs, 0), number, place).mean(dim=1)


def check_references(references: Tensor | None, tile_px: int) -> Tensor:
    """Return the references (N, 3, T, T), uint8 or in [0, 1].

    Raises a `ModelError` if there are none, or if T is not ``tile_px``.
    """
    if references is None:
        raise ModelError(
            "the model contains no crack-free photographs to compare with; train it again, or "
            "use --baseline black"
        )
    if references.shape[1:] != (3, tile_px, tile_px):
        raise ModelError(
            f"the model's crack-free photographs are not {tile_px} px large; train it again"
        )
    return references


def trim(x: Tensor, rim: int) -> Tensor:
    """Return ``x`` (B, C, H, W) without ``rim`` rows and columns at each edge."""
    return x[:, :, rim:-rim, rim:-rim] if rim else x


def reflect(tiles: Tensor, number: Tensor, place: Tensor, images: Tensor) -> Tensor:
    """Tile the plane by reflection with tile ``number`` () of ``tiles`` (N, 3, T, T), and return
    the part (1, 3, H, W) under ``images`` (B, 3, H, W) that begin at ``place``.

    Tiles in uint8 are scaled to [0, 1]; others are taken as they are.
    """
    side = tiles.shape[-1]
    tile = tiles.index_select(0, number.view(1))
    if tile.dtype == torch.uint8:
        tile = tile.to(images.dtype) / 255
    for axis in (2, 3):
        at = torch.arange(images.shape[axis], device=images.device) + place[axis - 2]
        at = at.remainder(2 * side)
        tile = tile.index_select(axis, torch.minimum(at, 2 * side - 1 - at))
    return tile
