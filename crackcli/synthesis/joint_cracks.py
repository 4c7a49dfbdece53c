"""Cracks along the joints of masonry: in steps, along a bed for a while, or through a stone.

The joints are those of a drawn bond, whose geometry is known, or those that a photograph shows. A
crack takes the cheapest way between two points where joints cost little and stones much, as in
masonry whose mortar is weaker than its stones. It lies anywhere between the two edges of a joint.

Joints of a photograph are lines lighter or darker than their stones: ridges of the brightness at
the scale of the joint (Lindeberg 1998), averaged along the courses. Their beds run through the
whole picture, and thereby differ from other texture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from skimage.graph import MCP_Geometric

from crackcli.arrays import Float64
from crackcli.synthesis.brushes import (
    Alpha,
    Field,
    Picture,
    Shape,
    chance,
    luma,
    normals,
    ramp,
    random_sign,
    value_noise,
    values_at,
)
from crackcli.synthesis.cover import CrackPath, blur, resize
from crackcli.synthesis.distractors.masonry import lay_masonry
from crackcli.synthesis.random_cracks import CrackStyle, smooth_noise, smoothed, with_random_width

CELLS = 96  # of the grid of the cheapest way, along the short side of a picture
SIGMAS_PX = (1.0, 1.6, 2.6, 4.2)  # of ridges, about half the width of a joint
STRIPS = 4  # of a picture, in which beds may be at other heights
LEAST_BEDS = 0.85  # `bed_strength` from which a photograph shows joints
COURSES = {"steps": 0.7, "bed": 0.18, "heads": 0.12}  # of cracks, with their probability
LAYINGS = 3  # of masonry, until its joints are light enough
LIGHT = 0.55  # brightness of joints that are, relative to that of the wall
SNAP_PX = 4.0  # from the way on the grid to the middle of the joint
STEP_PX = 2.0  # between the points of a crack
CORNER_PX = 2.0  # sigma that rounds its corners


@dataclass(frozen=True)
class WeakJoints:
    """The joints in which a crack runs.

    inside   (rows, cols)  1 in the middle of a joint, 0 in stones
    wide_px  usual width of a joint
    """

    inside: Alpha
    wide_px: float


def lay_joints(rng: Generator, picture: Picture) -> tuple[Picture, WeakJoints]:
    """Draw masonry onto a picture and return it with its joints, most not so dark that a crack in
    them would be as dark as they are."""
    for _ in range(LAYINGS):
        wall, joints = lay_masonry(rng, picture)
        wall = np.clip(wall, 0, 255)
        inside = ramp(joints.away_px, 0.5 * joints.wide_px + 1, 0)
        bright = luma(wall)
        if np.average(bright, weights=inside + 1e-6) >= LIGHT * bright.mean():
            break
    return wall, WeakJoints(inside, joints.wide_px)


def find_joints(picture: Picture) -> WeakJoints | None:
    """Return the joints of masonry that a photograph shows, None if it shows none.

    Beds are horizontal or vertical, inclined by up to about 10 degrees.
    """
    rows, cols = picture.shape[:2]
    shrink = max(1, min(rows, cols) // (2 * CELLS))
    small = resize(luma(picture), (rows // shrink, cols // shrink), cv2.INTER_AREA)
    best = (LEAST_BEDS, small, 0.0)
    for sigma_px in SIGMAS_PX:
        beds, heads = ridges(small, sigma_px), ridges(small.T, sigma_px).T
        for sign in (-1, 1):
            strength = max(
                bed_strength(sign * beds, sigma_px), bed_strength(sign * heads.T, sigma_px)
            )
            if strength > best[0]:
                best = (strength, np.maximum(sign * beds, sign * heads), sigma_px)
    _, response, sigma_px = best
    if not sigma_px:
        return None
    inside = ramp(response, 0.0, float(np.quantile(response, 0.93)))
    return WeakJoints(resize(inside, (rows, cols), cv2.INTER_LINEAR), 2 * sigma_px * shrink)


def ridges(brightness: Field, sigma_px: float) -> Field:
    """Return how much darker each pixel (rows, cols) is than those above and below."""
    along = cv2.GaussianBlur(
        np.ascontiguousarray(brightness), (0, 0), sigmaX=3 * sigma_px, sigmaY=sigma_px
    )
    return np.asarray(cv2.Sobel(along, cv2.CV_32F, 0, 2, ksize=1), np.float32)


def bed_strength(response: Field, sigma_px: float) -> float:
    """Return how far beds stand out of a response (rows, cols) to horizontal lines, and how regular
    their heights are: 0 if not at all."""
    strips = resize(response, (len(response), STRIPS), cv2.INTER_AREA)
    lines = strips.clip(0, None)
    stands_out = float(np.quantile(lines, 0.95) / max(float(np.abs(response).mean()), 1e-6))
    lines = lines - lines.mean(axis=0)
    power = np.abs(np.fft.rfft(lines, 2 * len(lines), axis=0)) ** 2
    repeats = np.fft.irfft(power, axis=0)[: len(lines) // 2].sum(axis=1)
    repeats = repeats / max(float(repeats[0]), 1e-6)
    return stands_out * float(repeats[round(4 * sigma_px) :].max(initial=0.0))


def joint_crack(rng: Generator, joints: WeakJoints, width_px: float) -> list[CrackPath]:
    """Return a crack along joints, some with gaps, with a largest width of ``width_px``."""
    line = follow(joints, cheapest_way(rng, joints))
    line = aside(rng, line, joints.wide_px)
    style = CrackStyle(
        (width_px * rng.uniform(0.3, 0.8), width_px),
        gaps=int(rng.choice([0, 1, 2, 3], p=[0.5, 0.25, 0.15, 0.1])),
        closing=(rng.uniform(0, 0.3), rng.uniform(0, 0.3)),
    )
    return [with_random_width(rng, line, style)]


def cheapest_way(rng: Generator, joints: WeakJoints) -> Float64:
    """Return the points (N, 2) of the cheapest way between two random ends."""
    rows, cols = joints.inside.shape
    cell = max(1.5, min(rows, cols) / CELLS)
    grid = (max(2, round(rows / cell)), max(2, round(cols / cell)))
    # A joint thinner than a cell still leads: the best pixel of each cell counts.
    thick = cv2.dilate(joints.inside, np.ones((2, 2))) if cell >= 2 else joints.inside
    weak = resize(np.asarray(thick, np.float32), grid, cv2.INTER_AREA)
    # log of the cost of stones, relative to that of joints
    strong: Field = np.full(grid, rng.uniform(2.5, 4.5), np.float32)
    hurdles = 0.5 * value_noise(rng, grid, 6)
    if chance(rng, 0.35):  # some stones are weak
        strong = strong - 2.2 * ramp(value_noise(rng, grid, 12), 0.2, 0.7)
    cost = np.exp(strong * (1 - weak) + hurdles).astype(np.float64)
    first, last = (nearest_joint(weak, end) for end in course_ends(rng, grid))
    way = MCP_Geometric(cost)
    way.find_costs([first], [last])
    cells = np.array(way.traceback(last), np.float64)
    scale = np.array([cols / grid[1], rows / grid[0]])
    line: Float64 = (cells[:, ::-1] + 0.5) * scale - 0.5
    return line


def course_ends(rng: Generator, shape: Shape) -> tuple[Float64, Float64]:
    """Draw both ends (x, y) of a crack: on a diagonal, so that it is stepped, or along a bed."""
    rows, cols = shape
    rise = {"steps": rng.uniform(25, 65), "bed": rng.normal(0, 4), "heads": rng.normal(90, 8)}
    deg = rise[str(rng.choice(list(COURSES), p=list(COURSES.values())))] * random_sign(rng)
    ahead = np.array([np.cos(np.deg2rad(deg)), np.sin(np.deg2rad(deg))])
    middle = rng.uniform(0.3, 0.7, 2) * [cols, rows]
    reach = rng.uniform(0.3, 1.0, 2) * min(shape)
    limits = np.array([cols - 1, rows - 1])
    start, end = middle - reach[0] * ahead, middle + reach[1] * ahead
    return start.clip(0, limits), end.clip(0, limits)


def nearest_joint(weak: Alpha, point: Float64) -> tuple[int, int]:
    """Return the cell (row, col) in a joint that is nearest to a point (x, y)."""
    rows, cols = np.nonzero(weak >= 0.7 * weak.max())
    nearest = int(np.argmin(np.hypot(cols - point[0], rows - point[1])))
    return int(rows[nearest]), int(cols[nearest])


def follow(joints: WeakJoints, line: Float64) -> Float64:
    """Return a way (N, 2) moved into the middle of the joints, with even steps."""
    path = CrackPath.of(line, 1)
    count = max(4, round(path.along_px[-1] / STEP_PX) + 1)
    even = path.sampled(np.linspace(0, path.along_px[-1], count)).points
    even = smooth_line(even, CORNER_PX)
    offsets = np.arange(-SNAP_PX, SNAP_PX + 0.5, 0.5)
    across = normals(even)
    tried = even[:, None] + offsets[:, None] * across[:, None]  # (N, offsets, 2)
    found = values_at(blur(joints.inside, 0.7), tried)
    best = offsets[np.argmax(found - 0.04 * np.abs(offsets), axis=1)]
    inside = found.max(axis=1) > 0.4  # elsewhere it crosses a stone
    by_px = smoothed(np.where(inside, best, 0.0), 1.5)
    return smooth_line(even + by_px[:, None] * across, 1.0)


def smooth_line(line: Float64, sigma_px: float) -> Float64:
    """Return a line (N, 2) with rounded corners; its ends stay."""
    smooth = np.column_stack([smoothed(line[:, axis], sigma_px / STEP_PX) for axis in (0, 1)])
    smooth[[0, -1]] = line[[0, -1]]
    return smooth


def aside(rng: Generator, line: Float64, wide_px: float) -> Float64:
    """Return a line (N, 2) moved within a joint: off its middle, or along one of its edges."""
    usual = 0.45 * random_sign(rng) if chance(rng, 0.35) else rng.uniform(-0.25, 0.25)
    slow, fast = smooth_noise(rng, len(line), 15), smooth_noise(rng, len(line), 1.5)
    off = wide_px * (usual + 0.08 * slow) + rng.uniform(0.15, 0.45) * fast
    return line + off.clip(-0.5 * wide_px, 0.5 * wide_px)[:, None] * normals(line)
