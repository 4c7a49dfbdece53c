"""Random cracks: walks as rough as real cracks, with branches, gaps and tips.

A stem is a fractal line between two points, or a path along the joints of masonry close to the
straight line. Branches leave it at an angle and are narrower. All randomness comes from the given
generator, so the same seed gives the same crack.
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
WANDER = 0.1  # deviation of a crack of roughness 1 from the straight line, relative to its length
HURST = 0.87  # Hurst exponent; smaller is rougher. Stone has about 0.8, but a lens smooths it
WIDTH_WAVE_PX = 80.0  # wavelength of slow changes in width
RAGGED = 0.16  # deviation of ragged changes in width, relative to it
SHIFT = (0.2, 0.14)  # joint shift of both edges: px, plus a fraction of the width
TOOTH_PX = (2.5, 0.7)  # length of a ragged step: px, plus a fraction of the width
GAP_PX = (6.0, 24.0)  # length of an interruption
BRANCH_DEG = (25.0, 65.0)  # between a branch and its stem
BRANCH_LENGTH = (0.15, 0.4)  # of the stem's length
CORNER_PX = 4.0  # sigma that rounds the corners of a crack along joints
DETOUR = 0.02  # cost per px of joint and px of distance from the straight line


@dataclass(frozen=True)
class CrackStyle:
    """The shape of a `random_crack`."""

    width_px: tuple[float, float] = (1.0, 4.0)  # narrowest before it closes, and widest
    roughness: float = 0.5  # 0 straight, 1 very jagged
    branches: int = 0  # of the stem; each is narrower and may have one branch
    gaps: int = 0  # interruptions
    closing: tuple[float, float] = (0.25, 0.25)  # fraction of the length that closes: start, end


def random_crack(
    rng: Generator,
    start: ArrayLike,
    end: ArrayLike,
    style: CrackStyle = CrackStyle(),
    joints: Sequence[Float64] = (),
) -> list[CrackPath]:
    """Return the stem of a crack from ``start`` to ``end`` (x, y), then its branches.

    ``joints`` are polylines (N, 2) that share points where they meet, such as those of masonry. If
    given, the stem follows them from the joint nearest to ``start`` to that nearest to ``end``.
    """
    _narrow, wide = style.width_px
    # Bends smaller than the opening would overlap themselves and change its width. The raggedness
    # of a wide crack is in its edges, see `with_random_width`.
    bend_px = max(LEAST_BEND_PX, 1.5 * wide)
    if len(joints):
        line = along_joints(rng, start, end, joints)
        line = waver(rng, line, 2 * style.roughness)
    else:
        line = fractal_line(rng, start, end, style.roughness, bend_px)
    stem = with_random_width(rng, line, style)
    paths = [stem]
    for _ in range(style.branches):
        paths += random_branch(rng, stem, replace(style, branches=int(rng.random() < 0.3)))
    return paths


def random_branch(rng: Generator, stem: CrackPath, style: CrackStyle) -> list[CrackPath]:
    """Return a crack that leaves ``stem`` at a random point and angle, is narrower, and closes."""
    way = stem.along_px
    at, before = (rng.uniform(0.15, 0.85) + np.array([0.0, -0.03])) * way[-1]
    root, behind = stem.sampled(np.array([at, before])).points
    turn = np.deg2rad(rng.uniform(*BRANCH_DEG) * rng.choice([-1, 1]))
    heading = np.arctan2(*(root - behind)[::-1]) + turn
    length = rng.uniform(*BRANCH_LENGTH) * way[-1]
    end = root + length * np.array([np.cos(heading), np.sin(heading)])
    wide = max(0.5, rng.uniform(0.4, 0.8) * float(np.interp(at, way, stem.width_px)))
    narrow = min(style.width_px[0], wide)
    return random_crack(
        rng, root, end, replace(style, width_px=(narrow, wide), closing=(0.0, 0.8), gaps=0)
    )


def fractal_line(
    rng: Generator, start: ArrayLike, end: ArrayLike, roughness: float, step_px: float
) -> Float64:
    """Return points (N, 2) about ``step_px`` apart, by midpoint displacement (fractal)."""
    line = np.array([start, end], np.float64)
    length = max(float(np.linalg.norm(line[1] - line[0])), 1e-9)
    part = length
    while part > step_px:
        chords = np.diff(line, axis=0)
        across = chords[:, ::-1] * np.array([-1, 1]) / part
        sigma = roughness * WANDER * part * (length / part) ** (1 - HURST)
        middles = (line[1:] + line[:-1]) / 2
        middles += rng.normal(0, sigma, (len(chords), 1)) * across
        line = np.insert(line, np.arange(1, len(line)), middles, axis=0)
        part /= 2
    return line


def along_joints(
    rng: Generator, start: ArrayLike, end: ArrayLike, joints: Sequence[Float64]
) -> Float64:
    """Return the path (N, 2) along joints closest to the straight line from start to end."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    across = (end - start)[::-1] * np.array([-1, 1]) / max(float(np.linalg.norm(end - start)), 1e-9)
    edges: dict[tuple[float, ...], list[tuple[float, tuple[float, ...]]]] = defaultdict(list)
    for joint in joints:
        for a, b in itertools.pairwise(joint):
            off = abs(float(((a + b) / 2 - start) @ across))
            cost = float(np.linalg.norm(b - a)) * (1 + DETOUR * off) * rng.uniform(0.8, 1.2)
            edges[tuple(a)].append((cost, tuple(b)))
            edges[tuple(b)].append((cost, tuple(a)))
    nodes = np.array(list(edges))
    first, last = (
        tuple(nodes[np.linalg.norm(nodes - point, axis=1).argmin()]) for point in (start, end)
    )
    # Dijkstra's shortest path
    queue, came_from = [(0.0, first, first)], {}
    while queue and last not in came_from:
        cost, node, before = heapq.heappop(queue)
        if node not in came_from:
            came_from[node] = before
            for more, following in edges[node]:
                heapq.heappush(queue, (cost + more, following, node))
    if last not in came_from:
        raise ValueError("the joints next to start and end are not connected")
    line = [last]
    while line[-1] != first:
        line.append(came_from[line[-1]])
    return np.array(line[::-1])


def waver(rng: Generator, line: Float64, by_px: float) -> Float64:
    """Return ``line`` (N, 2) with rounded corners, displaced at random by about ``by_px``."""
    path = CrackPath.of(line, 1)
    count = max(3, round(path.along_px[-1] / STEP_PX) + 1)
    even = path.sampled(np.linspace(0, path.along_px[-1], count)).points
    ends = even[[0, -1]].copy()
    for axis in range(2):
        noise = smooth_noise(rng, count, 8 / STEP_PX) + smooth_noise(rng, count, 2 / STEP_PX) / 2
        even[:, axis] = smoothed(even[:, axis], CORNER_PX / STEP_PX) + by_px * noise
    even[[0, -1]] = ends
    return even


def with_random_width(rng: Generator, line: Float64, style: CrackStyle) -> CrackPath:
    """Return a path along ``line`` (N, 2) with a random width that reaches the style's maximum."""
    way = CrackPath.of(line, 1).along_px
    count = max(3, round(way[-1] / STEP_PX) + 1)
    path = CrackPath.of(line, 1).sampled(np.linspace(0, way[-1], count))
    way = path.along_px
    wave = smooth_noise(rng, count, WIDTH_WAVE_PX / STEP_PX)
    wave = (wave - wave.min()) / np.ptp(wave)
    narrow, wide = style.width_px
    width = (narrow + (wide - narrow) * wave) * (1 + RAGGED * ragged_noise(rng, count, wide))
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
    """Return noise (count) of deviation about 1, linear from tooth to tooth, as stone breaks.

    Large teeth are proportional to the width of the crack; small ones lie on them.
    """
    noise = np.zeros(count)
    for tooth_px, size in ((TOOTH_PX[0] + TOOTH_PX[1] * wide_px, 0.8), (TOOTH_PX[0], 0.5)):
        steps = rng.exponential(tooth_px / STEP_PX, count + 2).clip(0.5)
        teeth = np.cumsum(steps) - steps[0]
        noise += np.interp(np.arange(count), teeth, size * rng.normal(size=len(teeth)).clip(-2, 2))
    return noise


def smooth_noise(rng: Generator, count: int, sigma: float) -> Float64:
    """Return noise (count) of mean 0 and deviation 1 that changes over ``sigma`` samples."""
    rim = int(4 * sigma) + 1
    noise = smoothed(rng.normal(size=count + 2 * rim), sigma)
    # that of white noise under the filter; measured on a short stretch it would be too small
    deviation = float(1 / np.sqrt(2 * np.sqrt(np.pi) * max(sigma, 0.3)))
    return noise[rim : rim + count] / deviation


def smoothed(values: Float64, sigma: float) -> Float64:
    """Apply a Gaussian filter to values (N); the ends are repeated."""
    column = np.ascontiguousarray(values)[:, None]
    smooth = cv2.GaussianBlur(
        column, (1, 0), sigmaX=1, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(smooth, np.float64)[:, 0]
