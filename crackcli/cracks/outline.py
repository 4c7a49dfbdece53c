"""Outlines: the sides of pixels, followed round into valid polygons.

The sides between a crack and its outside are directed, with the crack to their right as seen in the
image, and each has a successor: at a corner where two pixels touch only diagonally the path stays
with its pixel. A ring that meets itself in such a corner is split into simple rings there. So
polygons touch in points at most, their interiors are connected, and all are valid.
"""

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackcli.arrays import Int64
from crackcli.cracks.pixel_set import SIDES, PixelSet

# A pixel's sides are top, right, bottom, left; each starts in this corner of the pixel (x, y).
STARTS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])


def outlines(pixels: PixelSet, labels: Int64, n_cracks: int) -> NDArray[np.object_]:
    """Return the pixels of each crack as a MultiPolygon, in the order of the labels.

    ``labels`` are one per pixel, 0 to ``n_cracks`` - 1. Coordinates are those of pixel edges: pixel
    (row, col) covers x from col to col + 1 and y from row to row + 1, so the area of a polygon is
    its number of pixels.
    """
    rings = trace_rings(pixels)
    corners = np.concatenate([np.asarray(ring) for ring in rings])
    lengths = np.array([len(ring) for ring in rings])
    ring_offsets = np.concatenate([[0], np.cumsum(lengths)])
    pixel, side = np.divmod(corners, 4)
    points = np.column_stack([pixels.cols[pixel], pixels.rows[pixel]]) + STARTS[side]

    hole = signed_areas(points, ring_offsets) < 0
    first = pixel[ring_offsets[:-1]]
    part = label_by_sides(pixels)[first]
    order = np.lexsort((hole, part, labels[first]))  # the shell of each part, then its holes
    shells = np.flatnonzero(~hole[order])
    polygons_of = np.searchsorted(labels[first][order][shells], np.arange(n_cracks + 1))

    closed = [
        np.append(np.arange(ring_offsets[i], ring_offsets[i + 1]), ring_offsets[i]) for i in order
    ]
    offsets = (
        np.concatenate([[0], np.cumsum(lengths[order] + 1)]),
        np.append(shells, len(order)),
        polygons_of,
    )
    coordinates = points[np.concatenate(closed)].astype(np.float64)
    return shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, coordinates, offsets)


def trace_rings(pixels: PixelSet) -> list[list[int]]:
    """Return simple rings of corners.

    Corner i is the start of side ``i % 4`` of pixel ``i // 4``.
    """
    count = len(pixels)
    exposed = pixels.neighbours[:, SIDES] == count  # (N, 4): sides towards the outside
    pixel, side = np.nonzero(exposed)
    following = np.full(count * 4, -1, np.int64)
    ahead = pixels.neighbours[pixel, 2 * ((side + 1) % 4)]
    beyond = pixels.neighbours[pixel, (2 * side + 1) % 8]
    following[pixel * 4 + side] = np.where(
        ahead == count,
        pixel * 4 + (side + 1) % 4,
        np.where(beyond == count, ahead * 4 + side, beyond * 4 + (side + 3) % 4),
    )
    rows, cols = pixels.rows[pixel] + STARTS[side, 1], pixels.cols[pixel] + STARTS[side, 0]
    place = np.zeros(count * 4, np.int64)
    place[pixel * 4 + side] = pixels.key(rows, cols)

    rings = []
    follow, where = following.tolist(), place.tolist()
    for start in (pixel * 4 + side).tolist():
        if follow[start] < 0:
            continue
        ring, here = [], start
        while follow[here] >= 0:
            after = follow[here]
            follow[here] = -1
            if after & 3 != here & 3:  # going straight on makes no corner
                ring.append(after)
            here = after
        rings += split_ring(ring, where)
    return rings


def split_ring(ring: list[int], where: list[int]) -> list[list[int]]:
    """Return a ring split at the places that it passes more than once."""
    if len({where[corner] for corner in ring}) == len(ring):
        return [ring]
    rings: list[list[int]] = []
    path: list[int] = []
    at: dict[int, int] = {}  # place -> index in the path
    for corner in ring:
        if where[corner] in at:
            back = at[where[corner]]
            rings.append(path[back:])
            for passed in path[back:]:
                del at[where[passed]]
            del path[back:]
        at[where[corner]] = len(path)
        path.append(corner)
    return [*rings, path]


def signed_areas(points: Int64, ring_offsets: Int64) -> Int64:
    """Return twice the area of each ring, negative for holes."""
    after = np.arange(1, len(points) + 1)
    after[ring_offsets[1:] - 1] = ring_offsets[:-1]
    cross = points[:, 0] * points[after, 1] - points[after, 0] * points[:, 1]
    return np.add.reduceat(cross, ring_offsets[:-1])


def label_by_sides(pixels: PixelSet) -> NDArray[np.int32]:
    """Return a label for each pixel, equal for pixels that are connected through sides."""
    count = len(pixels)
    near, direction = np.nonzero(pixels.neighbours[:, (2, 4)] < count)  # east and south
    far = pixels.neighbours[near, 2 * direction + 2]
    edges = coo_array((np.ones(len(near), bool), (near, far)), (count, count))
    labels: NDArray[np.int32] = connected_components(edges, directed=False)[1]
    return labels
