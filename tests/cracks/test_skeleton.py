"""Skeleton graphs of small images that can be checked by eye."""

import numpy as np
import pytest
from walls import bar, picture, random_mask

from crackcli.cracks.pixel_set import PixelSet, thin
from crackcli.cracks.skeleton import pixel_links, prune, skeleton_graphs


def graph_of(mask):
    """Return the unpruned graph of a mask with one crack."""
    pixels = PixelSet.from_mask(mask)
    kept = thin(pixels)
    (graph,) = skeleton_graphs(pixels[kept], pixels.radii(kept), np.zeros(kept.sum(), int), 1)
    return graph


def count(graph):
    """Return the numbers of branches, junctions and free ends."""
    degrees = graph.degrees().values()
    return len(graph.branches), sum(d > 2 for d in degrees), sum(d == 1 for d in degrees)


LINE = """
#...
.##.
...#
"""
TEE = """
.........
#########
....#....
....#....
....#....
"""
CROSS = """
...#...
...#...
...#...
#######
...#...
...#...
"""
RING = """
.###.
#...#
#...#
.###.
"""
RING_WITH_TAIL = """
.###.....
#...#####
#...#....
.###.....
"""
TWO_PIXELS = """
#.
.#
"""
DOT = "#"
BLOCK = """
...##
#####
#####
##...
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINE, (1, 0, 2)),
        (TEE, (3, 1, 3)),
        (CROSS, (4, 1, 4)),
        (RING, (1, 0, 0)),
        (RING_WITH_TAIL, (2, 1, 1)),
        (TWO_PIXELS, (1, 0, 2)),
        (DOT, (0, 0, 0)),
    ],
    ids=["line", "tee", "cross", "ring", "ring with tail", "two pixels", "dot"],
)
def test_branches_junctions_and_ends_are_counted(text, expected):
    assert count(graph_of(picture(text))) == expected


@pytest.mark.parametrize("seed", range(8))
def test_every_pixel_between_nodes_is_on_one_branch(seed):
    pixels = PixelSet.from_mask(random_mask(seed))
    kept = thin(pixels)
    skeleton = pixels[kept]
    between = (pixel_links(skeleton) < len(skeleton)).sum(axis=1) == 2

    (graph,) = skeleton_graphs(skeleton, pixels.radii(kept), np.zeros(len(skeleton), int), 1)

    rings = [branch for branch in graph.branches if branch.start < 0]
    walked = [tuple(point) for branch in graph.branches for point in branch.points[1:-1]]
    walked += [tuple(ring.points[0]) for ring in rings]
    assert sorted(walked) == sorted(map(tuple, skeleton.points[between]))


def test_a_bump_on_a_broad_crack_is_pruned():
    mask = bar(9, 0, length_px=80)
    mask[53:56, 60] = 1  # three pixels beyond the upper edge

    assert count(prune(graph_of(mask))) == (1, 0, 2)


def test_a_branch_longer_than_the_width_of_the_crack_is_kept():
    mask = bar(9, 0, length_px=80)
    mask[40:56, 60] = 1

    assert count(prune(graph_of(mask))) == (3, 1, 3)


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 70, 90])
def test_blunt_ends_have_no_fork(angle_deg):
    assert count(prune(graph_of(bar(16, angle_deg)))) == (1, 0, 2)


def test_the_loop_round_a_pinhole_is_pruned():
    mask = bar(9, 0, length_px=80)
    mask[60, 60] = 0

    assert count(graph_of(mask))[0] > 1
    assert count(prune(graph_of(mask))) == (1, 0, 2)


def test_a_loop_round_a_stone_is_kept():
    mask = bar(31, 0, length_px=80)
    mask[50:71, 40:80] = 0  # a frame 5 px and more wide

    assert count(prune(graph_of(mask))) == (1, 0, 0)
