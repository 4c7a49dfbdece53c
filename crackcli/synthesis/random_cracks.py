"""Cracks that never were: random walks as rough as real ones, with branches, gaps and tips.

A stem is a fractal line between two points, or a way along joints of masonry that keeps close to
that line; branches leave it at an angle and are narrower.  All chance comes from the generator
that is handed in, so the same seed gives the same crack.
"""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from crackcli.arrays import Float64
from crackcli.synthesis.cover import CrackPath

STEP_PX = 2.0  # between the points of a random path
LEAST_BEND_PX = 3.0  # of a hairline; wider cracks bend less sharply
WANDER = 0.1  # of its length: how far a crack of roughness 1 strays from the straight line
HURST = 0.87  # smaller is more jagged; stone breaks near 0.8, but a lens does not see all of it
WIDTH_WAVE_PX = 80.0  # over which a width changes slowly
RAGGED = 0.16  # of the width: how much it changes raggedly as well
SHIFT = (0.2, 0.14)  # px, and share of the width: how far both edges are moved together
TOOTH_PX = (2.5, 0.7)  # px, and share of the width: the least and the usual length of a ragged step
GAP_PX = (6.0, 24.0)  # length of an interruption
BRANCH_DEG = (25.0, 65.0)  # between a branch and its stem
BRANCH_SHARE = (0.15, 0.4)  # of the stem's length
CORNER_PX = 4.0  # over which a crack rounds the corners of the joints it follows
DETOUR = 0.02  # cost per px of joint, for each px that it lies off the straight line


@dataclass(frozen=True)
class CrackStyle:
    """What `random_crack` may choose from."""

    width_px: tuple[float, float] = (1.0, 4.0)  # narrowest before it closes, and widest
    roughness: float = 0.5  # 0 straight, 1 very jagged
    branches: int = 0  # of the stem; each is narrower, and may have one of its own
    gaps: int = 0  # places where the crack is interrupted
    closing: tuple[float, float] = (0.25, 0.25)  # share of the length that closes: start, end


def random_crack(
    rng: Generator,
    start: ArrayLike,
    end: ArrayLike,
    style: CrackStyle = CrackStyle(),
    joints: Sequence[Float64] = (),
) -> list[CrackPath]:
    """A crack from ``start`` to ``end`` (x, y) in this style: its stem, then its branches.

    ``joints`` are polylines that share points where they meet, such as those of masonry; if given,
    the stem follows them in steps, from the joint next to ``start`` to that next to ``end``.
    """
    _narrow, wide = style.width_px
    # Bends smaller than the opening would overlap themselves and change its width; what is ragged
    # about a wide crack are its edges, see `opened`.
    bend_px = max(LEAST_BEND_PX, 1.5 * wide)
    if len(joints):
        line = along_joints(rng, start, end, joints)
        line = wavered(rng, line, 2 * style.roughness)
    else:
        line = fractal_line(rng, start, end, style.roughness, bend_px)
    stem = opened(rng, line, style)
    paths = [stem]
    for _ in range(style.branches):
        paths += random_branch(rng, stem, replace(style, branches=int(rng.random() < 0.3)))
    return paths


def random_branch(rng: Generator, stem: CrackPath, style: CrackStyle) -> list[CrackPath]:
    """A crack that leaves ``stem`` somewhere, at an angle, narrower, and closes."""
    way = stem.along_px
    at, before = (rng.uniform(0.15, 0.85) + np.array([0.0, -0.03])) * way[-1]
    root, behind = stem.sampled(np.array([at, before])).points
    turn = np.deg2rad(rng.uniform(*BRANCH_DEG) * rng.choice([-1, 1]))
    heading = np.arctan2(*(root - behind)[::-1]) + turn
    length = rng.uniform(*BRANCH_SHARE) * way[-1]
    end = root + length * np.array([np.cos(heading), np.sin(heading)])
    wide = max(0.5, rng.uniform(0.4, 0.8) * float(np.interp(at, way, stem.width_px)))
    narrow = min(style.width_px[0], wide)
    return random_crack(
        rng, root, end, replace(style, width_px=(narrow, wide), closing=(0.0, 0.8), gaps=0)
    )


def fractal_line(
    rng: Generator, start: ArrayLike, end: ArrayLike, roughness: float, step_px: float
) -> Float64:
    """Points (N, 2) about ``step_px`` apart, by midpoint displacement: rough at every scale."""
    line = np.array([start, end], np.float64)
    length = max(float(np.linalg.norm(line[1] - line[0])), 1e-9)
    part = length
    while part > step_px:
        chords = np.diff(line, axis=0)
        across = chords[:, ::-1] * [-1, 1] / part
        sigma = roughness * WANDER * part * (length / part) ** (1 - HURST)
        middles = (line[1:] + line[:-1]) / 2
        middles += rng.normal(0, sigma, (len(chords), 1)) * across
        line = np.insert(line, np.arange(1, len(line)), middles, axis=0)
        part /= 2
    return line


def along_joints(
    rng: Generator, start: ArrayLike, end: ArrayLike, joints: Sequence[Float64]
) -> Float64:
    """The way (N, 2) along joints that keeps close to the straight line from start to end."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    across = (end - start)[::-1] * [-1, 1] / max(float(np.linalg.norm(end - start)), 1e-9)
    ways: dict[tuple[float, ...], list[tuple[float, tuple[float, ...]]]] = defaultdict(list)
    for joint in joints:
        for a, b in itertools.pairwise(joint):
            off = abs(float(((a + b) / 2 - start) @ across))
            cost = float(np.linalg.norm(b - a)) * (1 + DETOUR * off) * rng.uniform(0.8, 1.2)
            ways[tuple(a)].append((cost, tuple(b)))
            ways[tuple(b)].append((cost, tuple(a)))
    nodes = np.array(list(ways))
    first, last = (
        tuple(nodes[np.linalg.norm(nodes - point, axis=1).argmin()]) for point in (start, end)
    )
    # Dijkstra's shortest way
    queue, came_from = [(0.0, first, first)], {}
    while queue and last not in came_from:
        cost, node, before = heapq.heappop(queue)
        if node not in came_from:
            came_from[node] = before
            for more, following in ways[node]:
                heapq.heappush(queue, (cost + more, following, node))
    if last not in came_from:
        raise ValueError("the joints next to start and end are not connected")
    line = [last]
    while line[-1] != first:
        line.append(came_from[line[-1]])
    return np.array(line[::-1])


def wavered(rng: Generator, line: Float64, by_px: float) -> Float64:
    """``line`` (N, 2) with its corners rounded, wavering by about ``by_px``."""
    path = CrackPath.of(line, 1)
    count = max(3, round(path.along_px[-1] / STEP_PX) + 1)
    even = path.sampled(np.linspace(0, path.along_px[-1], count)).points
    ends = even[[0, -1]].copy()
    for axis in range(2):
        noise = smooth_noise(rng, count, 8 / STEP_PX) + smooth_noise(rng, count, 2 / STEP_PX) / 2
        even[:, axis] = smoothed(even[:, axis], CORNER_PX / STEP_PX) + by_px * noise
    even[[0, -1]] = ends
    return even


def opened(rng: Generator, line: Float64, style: CrackStyle) -> CrackPath:
    """A path along ``line`` with a random width in the style's range; its maximum is met."""
    way = CrackPath.of(line, 1).along_px
    count = max(3, round(way[-1] / STEP_PX) + 1)
    path = CrackPath.of(line, 1).sampled(np.linspace(0, way[-1], count))
    way = path.along_px
    share = smooth_noise(rng, count, WIDTH_WAVE_PX / STEP_PX)
    share = (share - share.min()) / np.ptp(share)
    narrow, wide = style.width_px
    width = (narrow + (wide - narrow) * share) * (1 + RAGGED * ragged_noise(rng, count, wide))
    for ends, closing in ((way, style.closing[0]), (way[-1] - way, style.closing[1])):
        if closing > 0:
            width *= np.clip(ends / (closing * way[-1]), 0, 1) ** 0.6
    width *= wide / width.max()
    for _ in range(style.gaps):
        at, half = rng.uniform(0.1, 0.9) * way[-1], rng.uniform(*GAP_PX) / 2
        width *= np.clip((np.abs(way - at) - half) / STEP_PX, 0, 1)
    shift = (SHIFT[0] + SHIFT[1] * width) * ragged_noise(rng, count, wide)
    return CrackPath(path.points, width, shift)


def ragged_noise(rng: Generator, count: int, wide_px: float) -> Float64:
    """Noise (count) of about deviation 1: straight from tooth to tooth, as stone breaks; large
    teeth in proportion to the width of the crack, and small ones on them."""
    noise = np.zeros(count)
    for tooth_px, size in ((TOOTH_PX[0] + TOOTH_PX[1] * wide_px, 0.8), (TOOTH_PX[0], 0.5)):
        steps = rng.exponential(tooth_px / STEP_PX, count + 2).clip(0.5)
        teeth = np.cumsum(steps) - steps[0]
        noise += np.interp(np.arange(count), teeth, size * rng.normal(size=len(teeth)).clip(-2, 2))
    return noise


def smooth_noise(rng: Generator, count: int, sigma: float) -> Float64:
    """Noise (count) of mean 0 and standard deviation 1 that changes over ``sigma`` samples."""
    rim = int(4 * sigma) + 1
    noise = smoothed(rng.normal(size=count + 2 * rim), sigma)
    # of a Gaussian filter of white noise; measured on a short stretch it would be too small
    deviation = 1 / np.sqrt(2 * np.sqrt(np.pi) * max(sigma, 0.3))
    return noise[rim : rim + count] / deviation


def smoothed(values: Float64, sigma: float) -> Float64:
    """Values (N) under a Gaussian filter; the ends are continued."""
    column = np.ascontiguousarray(values)[:, None]
    return cv2.GaussianBlur(
        column, (1, 0), sigmaX=1, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE
    )[:, 0]
