"""Matches centrelines of two campaigns by distance along them.

Each centreline is sampled. Two cracks are linked if at least half of the samples of one lie within
a tolerance of the other. A connected component of links is one match: a crack that became two
matches both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackcli.arrays import Float64, Int64

LINK_FRACTION = 0.5  # of the samples of one crack that must be near another
SAMPLE_PX = 1.0  # largest distance between samples along a centreline

Lines = NDArray[np.object_]  # MultiLineStrings in pixel coordinates


@dataclass(frozen=True)
class Match:
    """Indices of cracks that belong together; one of the lists may be empty.

    ``fraction`` of all their samples have a partner.
    """

    before: list[int]
    after: list[int]
    fraction: float


def match(
    before: Lines,
    after: Lines,
    tolerance_px: float | Float64,
    tolerance_after_px: float | Float64 | None = None,
) -> Iterator[Match]:
    """Yield matches that contain every crack of both campaigns once, new cracks last.

    Each line of either campaign may have a tolerance of its own, (N,) and (M,); a single one is
    that of all.
    """
    counts = len(before), len(after)
    first = Nearness.of(before, after, tolerance_px)
    other = tolerance_px if tolerance_after_px is None else tolerance_after_px
    second = Nearness.of(after, before, other)
    links = np.concatenate([first.links(), second.links()[:, ::-1]])
    ends = links[:, 0], links[:, 1] + counts[0]
    edges = coo_array((np.ones(len(links), bool), ends), (sum(counts),) * 2)
    groups, labels = connected_components(edges, directed=False)
    group_before, group_after = np.split(labels.astype(np.int64), counts[:1])
    near = first.near_own_group(group_before, group_after, groups)
    near += second.near_own_group(group_after, group_before, groups)
    samples = first.samples(group_before, groups)
    samples += second.samples(group_after, groups)

    members: dict[int, tuple[list[int], list[int]]] = {}
    for side, groups_of_cracks in enumerate((group_before, group_after)):
        for crack, label in enumerate(groups_of_cracks.tolist()):
            members.setdefault(label, ([], []))[side].append(crack)
    for label, (earlier, later) in members.items():
        yield Match(earlier, later, float(near[label] / samples[label]))


@dataclass(frozen=True, eq=False)
class Nearness:
    """Samples of one campaign, and the cracks of the other campaign within the tolerance.

    ``crack`` (S,) is the crack of each of S samples; ``sample`` and ``other`` (P,) are pairs of a
    sample and a crack of the other campaign.
    """

    crack: Int64
    sample: Int64
    other: Int64

    @classmethod
    def of(cls, lines: Lines, others: Lines, tolerance_px: float | Float64) -> "Nearness":
        """Sample ``lines`` and find the ``others`` within the tolerance of each line's samples."""
        dense = shapely.segmentize(lines, SAMPLE_PX)
        points, crack = shapely.get_coordinates(dense, return_index=True)
        distance = np.broadcast_to(np.asarray(tolerance_px, np.float64), len(lines))[crack]
        sample, other = shapely.STRtree(others).query(
            shapely.points(points), predicate="dwithin", distance=distance
        )
        return cls(crack, sample, other)

    def links(self) -> Int64:
        """Return pairs (L, 2) of a crack and one of the other campaign that most of it is near."""
        pairs = np.column_stack([self.crack[self.sample], self.other])
        pairs, near = np.unique(pairs, axis=0, return_counts=True)
        linked: Int64 = pairs[near >= LINK_FRACTION * np.bincount(self.crack)[pairs[:, 0]]]
        return linked

    def near_own_group(self, own: Int64, others: Int64, groups: int) -> Int64:
        """Return how many samples (groups,) are near a crack of their own group, given the group of
        each crack of either campaign."""
        group = own[self.crack[self.sample]]
        found = np.unique(self.sample[group == others[self.other]])
        return self.samples(own, groups, found)

    def samples(self, own: Int64, groups: int, chosen: Int64 | None = None) -> Int64:
        """Return the number of samples (groups,), of all or of those ``chosen``."""
        crack = self.crack if chosen is None else self.crack[chosen]
        return np.bincount(own[crack], minlength=groups).astype(np.int64)
