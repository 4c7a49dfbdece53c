"""Which centrelines of two campaigns belong together, by distance along them.

Each centreline is sampled; two cracks are linked if at least half of the samples of one lie within
a tolerance of the other.  What hangs together by links is one match: a crack that was one and is
two now matches both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackcli.arrays import Int64

LINKED_SHARE = 0.5  # of the samples of one crack that are near another
SAMPLE_PX = 1.0  # least distance of samples along a centreline

Lines = NDArray[np.object_]  # MultiLineStrings in pixel coordinates


@dataclass(frozen=True)
class Match:
    """Cracks that belong together, by index, either list perhaps empty; ``share`` of all their
    samples have a partner."""

    before: list[int]
    after: list[int]
    share: float


def match(before: Lines, after: Lines, tolerance_px: float) -> Iterator[Match]:
    """Every crack of both campaigns in one match: first those that were there, then the new."""
    counts = len(before), len(after)
    first = Nearness.of(before, after, tolerance_px)
    second = Nearness.of(after, before, tolerance_px)
    links = np.concatenate([first.links(), second.links()[:, ::-1]])
    ends = links[:, 0], links[:, 1] + counts[0]
    edges = coo_array((np.ones(len(links), bool), ends), (sum(counts),) * 2)
    groups, group = connected_components(edges, directed=False)
    group_before, group_after = np.split(group, counts[:1])
    partnered = first.partnered(group_before, group_after, groups)
    partnered += second.partnered(group_after, group_before, groups)
    samples = first.samples(group_before, groups) + second.samples(group_after, groups)

    members: dict[int, tuple[list[int], list[int]]] = {}
    for side, labels in enumerate((group_before, group_after)):
        for crack, label in enumerate(labels.tolist()):
            members.setdefault(label, ([], []))[side].append(crack)
    for label, (earlier, later) in members.items():
        yield Match(earlier, later, float(partnered[label] / samples[label]))


@dataclass(frozen=True, eq=False)
class Nearness:
    """Samples of one campaign, and pairs of a sample and a crack of the other that it is near to.

    ``crack`` (S,) is the crack of each of S samples; ``sample`` and ``other`` (P,) are the pairs.
    """

    crack: Int64
    sample: Int64
    other: Int64

    @classmethod
    def of(cls, lines: Lines, others: Lines, tolerance_px: float) -> "Nearness":
        dense = shapely.segmentize(lines, SAMPLE_PX)
        points, crack = shapely.get_coordinates(dense, return_index=True)
        sample, other = shapely.STRtree(others).query(
            shapely.points(points), predicate="dwithin", distance=tolerance_px
        )
        return cls(crack, sample, other)

    def links(self) -> Int64:
        """Pairs (L, 2) of a crack and one of the other campaign that most of it is near to."""
        pairs = np.column_stack([self.crack[self.sample], self.other])
        pairs, near = np.unique(pairs, axis=0, return_counts=True)
        return pairs[near >= LINKED_SHARE * np.bincount(self.crack)[pairs[:, 0]]]

    def partnered(self, own: Int64, others: Int64, groups: int) -> Int64:
        """How many samples (groups,) are near a crack of their own group, given the groups of the
        cracks of either campaign."""
        group = own[self.crack[self.sample]]
        found = np.unique(self.sample[group == others[self.other]])
        return self.samples(own, groups, found)

    def samples(self, own: Int64, groups: int, chosen: Int64 | None = None) -> Int64:
        """How many samples (groups,) there are, of all or of those that are chosen."""
        crack = self.crack if chosen is None else self.crack[chosen]
        return np.bincount(own[crack], minlength=groups)
