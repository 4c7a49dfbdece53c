"""Cracks drawn onto photographs for training: where they run, and how they look there.

A crack runs as a random walk with kinks, or where the surface is weakest (along joints, around
stones: the cheapest way through the photograph), as a net, or as two lines side by side.  Its look
is taken from its surroundings: faint to nearly black, bridged by stones, with broken rims, and with
rubble where it is wide.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Voronoi

from crackcli.arrays import Float32, Float64
from crackcli.synthesis.brushes import (
    Field,
    Picture,
    Shape,
    Share,
    chance,
    clouds,
    contrast_of,
    darkened,
    grid,
    laid,
    light_of,
    luma,
    patches,
    ramp,
    shaded,
    shifted,
    sideways,
    sign,
    tapered,
    texture_of,
)
from crackcli.synthesis.cover import CrackPath, blurred, coverage, relief
from crackcli.synthesis.random_cracks import (
    CrackStyle,
    fractal_line,
    opened,
    ragged_noise,
    random_branch,
    smooth_noise,
    wavered,
)

CELL_PX = 4  # the cheapest way is found on a grid of such cells
WEAK = 1.6  # how much cheaper, as a power of e, one deviation of weakness makes a cell
KINK = 0.075  # of its length: how far a kink of the walk lies off the straight line
FRAYED_PX = 2.5  # from this width on each edge of a crack breaks on its own
MANY = 6  # paths; of more the cover is found faster and less exactly
RUBBLE_PX = 4.0  # from this width on there is rubble in a crack
DEEP = 5.0  # times the rim's: how much lighter the lit inner wall is
SHORTEST = 0.45  # of the short side: a crack's ends are at least so far apart


@dataclass(frozen=True)
class CrackLook:
    """How a crack appears; see `open_up`."""

    contrast: float  # how much darker than its surroundings, where it fills a pixel
    tint: float = 0.6  # 0 grey, 1 the colour of its surroundings
    soft_px: float = 0.0  # sigma of its edges, besides the photograph's blur
    bridged: float = 0.0  # how much light grains stay in it
    rim: float = 0.0  # how much lighter its lit lip is, and darker the other
    chips: float = 0.0  # how much lighter or darker its broken rim is
    rubble: float = 0.0  # how full of rubble it is, if wide
    wall: float = 0.0  # share of its width where the inner wall shows, if wide
    halo: float = 0.0  # how much lighter or darker the surface is beside it
    light_deg: float = 225.0

    @classmethod
    def of(cls, rng: Generator, width_px: float) -> "CrackLook":
        """Any look that a crack of this width has: a wide one is deep, and so is dark."""
        return cls(
            contrast=max(contrast_of(rng), min(0.08 * width_px, rng.uniform(0.6, 0.9))),
            tint=rng.uniform(0, 1.3),
            soft_px=rng.uniform(0.2, 0.9) if chance(rng, 0.35) else 0.0,
            bridged=rng.uniform(0, 0.8),
            rim=rng.uniform(0, 0.3),
            chips=rng.normal(0, 0.22) if chance(rng, 0.5) else 0.0,
            rubble=rng.uniform(0, 0.9) if chance(rng, 0.6) else 0.0,
            wall=rng.uniform(0.15, 0.6) if chance(rng, 0.5) else 0.0,
            halo=rng.normal(0, 0.08) if chance(rng, 0.25) else 0.0,
            light_deg=light_of(rng),
        )


def random_cracks_on(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """Cracks on a photograph; the widest place has ``width_px``."""
    kinds, weights = zip(*KINDS.values(), strict=True)
    kind = kinds[rng.choice(len(kinds), p=np.array(weights) / sum(weights))]
    return kind(rng, picture, width_px)


def walk(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """A random walk with kinks, and its branches."""
    return along(rng, kinked_line(rng, picture.shape[:2], width_px), width_px)


def weakest(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """The cheapest way through the photograph, and branches off it."""
    start, end = ends_on(rng, picture.shape[:2])
    line = cheapest_line(rng, picture, start, end)
    return along(rng, wavered(rng, line, rng.uniform(0.3, 1.0)), width_px)


def double(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """A crack and a narrower one that keeps beside it for a while."""
    stem, *branches = walk(rng, picture, width_px)
    count = len(stem.points)
    first, last = (np.sort(rng.uniform([0, 0.6], [0.4, 1])) * (count - 1)).astype(int)
    apart = width_px + rng.uniform(3, 14) * (1.2 + 0.5 * smooth_noise(rng, count, 12))
    beside = stem.points + sign(rng) * apart[:, None] * sideways(stem.points)
    beside = beside[first : last + 1]
    if len(beside) < 8:
        return [stem, *branches]
    beside = beside + rng.normal(0, 0.5, beside.shape)
    second = opened(rng, beside, style_of(rng, max(0.5, width_px * rng.uniform(0.3, 0.8))))
    return [stem, broken(rng, second), *branches]


def net(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """A map of fine cracks: the borders of cells, some of them closed."""
    rows, cols = picture.shape[:2]
    short = min(rows, cols)
    cell = short * rng.uniform(0.16, 0.34)
    seeds = rng.uniform([-cell, -cell], [cols + cell, rows + cell], (count_of(rows, cols, cell), 2))
    cells = Voronoi(seeds)
    ridges = np.array(cells.ridge_vertices)
    ends = cells.vertices[ridges[(ridges >= 0).all(axis=1)]]  # (N, 2, 2)
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    centres = ends.mean(axis=1)
    inside = ((centres > -0.2 * cell) & (centres < np.array([cols, rows]) + 0.2 * cell)).all(axis=1)
    middle, reach = rng.uniform(0.2, 0.8, 2) * [cols, rows], rng.uniform(0.45, 1.2) * short
    near = np.linalg.norm(centres - middle, axis=1) < reach
    kept = rng.random(len(ends)) < rng.uniform(0.75, 1.0)
    paths = []
    for start, end in ends[inside & near & kept & (length > 5) & (length < 3 * cell)]:
        line = fractal_line(rng, start, end, rng.uniform(0.9, 1.7), 4.0)
        wide = min(width_px, 5.0) * rng.uniform(0.35, 1)
        width = wide * np.exp(0.3 * ragged_noise(rng, len(line), wide))
        paths.append(CrackPath(line, width, 0.3 * ragged_noise(rng, len(line), wide)))
    return paths or walk(rng, picture, width_px)


KINDS: dict[str, tuple[Callable[[Generator, Picture, float], list[CrackPath]], float]] = {
    "walk": (walk, 0.45),
    "weakest": (weakest, 0.35),
    "double": (double, 0.1),
    "net": (net, 0.1),
}  # and how often


def count_of(rows: int, cols: int, cell: float) -> int:
    """Cells of a net that reaches one cell beyond the picture."""
    return max(6, round((rows + 2 * cell) * (cols + 2 * cell) / cell**2))


def style_of(rng: Generator, width_px: float) -> CrackStyle:
    """Width along a crack: from narrow to ``width_px``, closing at its ends."""
    return CrackStyle(
        (width_px * rng.uniform(0.25, 0.75), width_px),
        closing=(rng.uniform(0, 0.35), rng.uniform(0, 0.35)),
    )


def along(rng: Generator, line: Float64, width_px: float) -> list[CrackPath]:
    """A crack along a line, and its branches."""
    style = style_of(rng, width_px)
    stem = broken(rng, opened(rng, line, style))
    paths = [stem]
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.25, 0.15, 0.1]))):
        branch = replace(style, roughness=rng.uniform(0.5, 1.3), branches=int(chance(rng, 0.25)))
        paths += [broken(rng, path) for path in random_branch(rng, stem, branch)]
    return paths


def broken(rng: Generator, path: CrackPath) -> CrackPath:
    """The path as material breaks: short straight teeth, a width that jumps, interruptions."""
    count = len(path.points)
    wide = float(path.width_px.max())
    by_px = rng.uniform(0.15, 0.7) * (1 + 0.12 * wide) * ragged_noise(rng, count, wide)
    jumps = np.exp(rng.uniform(0.1, 0.45) * ragged_noise(rng, count, wide).clip(-2.5, 1.6))
    width = path.width_px * jumps
    way = path.along_px
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.6, 0.2, 0.12, 0.08]))):
        at, half = rng.uniform(0.1, 0.9) * way[-1], rng.uniform(1, 10)
        away = np.abs(way - at) - half
        width *= np.clip(away / (rng.uniform(1, 5) * (2 + wide)), 0, 1) ** 0.7
    width *= wide / max(float(width.max()), 1e-9)
    points = path.points + by_px[:, None] * sideways(path.points)
    return CrackPath(points, width, path.shift_px)


def ends_on(rng: Generator, shape: Shape) -> tuple[Float64, Float64]:
    """Both ends (x, y) of a crack: through the picture, ending in it, or all inside."""
    rows, cols = shape
    short = min(rows, cols)
    inside = int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))  # ends
    while True:
        middle = rng.uniform(0.2, 0.8, 2) * [cols, rows]
        angle = rng.uniform(0, 2 * np.pi)
        ahead = np.array([np.cos(angle), np.sin(angle)])
        far = 1.2 * float(np.hypot(rows, cols))
        reach = rng.uniform(0.25, 0.6, 2) * short
        reach[inside:] = far
        start, end = middle - reach[0] * ahead, middle + reach[1] * ahead
        _, first, last = cv2.clipLine(
            (-6, -6, cols + 12, rows + 12),
            tuple(np.rint(start).astype(int).tolist()),
            tuple(np.rint(end).astype(int).tolist()),
        )
        start, end = np.array(first, float), np.array(last, float)
        if np.linalg.norm(end - start) >= SHORTEST * short:
            return start, end


def kinked_line(rng: Generator, shape: Shape, width_px: float) -> Float64:
    """A rough line with a few kinks (N, 2) from end to end."""
    start, end = ends_on(rng, shape)
    length = float(np.linalg.norm(end - start))
    kinks = int(rng.integers(0, 5 if width_px < 6 else 3))
    at = np.sort(rng.uniform(0.1, 0.9, kinks))[:, None]
    corners = start + at * (end - start) + rng.normal(0, KINK * length, (len(at), 2))
    corners = np.vstack([start, corners, end])
    roughness = rng.uniform(0.45, 1.2) / (1 + 0.04 * width_px)
    bend_px = max(3.0, 1.2 * width_px)
    parts = [
        fractal_line(rng, a, b, roughness, bend_px)[:-1] for a, b in itertools.pairwise(corners)
    ]
    return np.vstack([*parts, end])


def cheapest_line(rng: Generator, picture: Picture, start: Float64, end: Float64) -> Float64:
    """The way (N, 2) that costs least where weak places are cheap: dark ones, edges, or light ones
    (joints of mortar), and places that are weak by chance."""
    rows, cols = (-(-side // CELL_PX) + 1 for side in picture.shape[:2])
    small = cv2.resize(luma(picture), (cols, rows), interpolation=cv2.INTER_AREA)
    small = small - blurred(small, 12.0)
    edges = cv2.magnitude(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1))
    weak = (-small, edges, edges, small)[int(rng.integers(4))]
    weak = (weak - weak.mean()) / max(float(weak.std()), 1e-3)
    by_chance = clouds(rng, (rows, cols), 12, 1) + 0.5 * patches(rng, (rows, cols), 1)
    cost = np.exp(-WEAK * rng.uniform(0.2, 1) * weak.clip(-1.5, 2.5) - 1.6 * by_chance).ravel()
    a, b, apart = neighbours(rows, cols)
    weights = apart * (cost[a] + cost[b])
    graph = csr_array((weights, (a, b)), shape=(rows * cols, rows * cols))
    cells = [
        np.rint(point / CELL_PX).astype(int).clip(0, [cols - 1, rows - 1]) for point in (start, end)
    ]
    first, last = (int(cell[1] * cols + cell[0]) for cell in cells)
    _, before = dijkstra(graph, indices=first, return_predecessors=True)
    way = [last]
    while way[-1] != first:
        way.append(int(before[way[-1]]))
    nodes = np.array(way[::-1])
    line = np.column_stack([nodes % cols, nodes // cols]) * float(CELL_PX)
    return np.vstack([start, line[1:-1], end])


@lru_cache(maxsize=8)
def neighbours(rows: int, cols: int) -> tuple[NDArray, NDArray, NDArray]:
    """Pairs of neighbouring cells of a grid, both ways, and how far apart they are in cells."""
    number = np.arange(rows * cols).reshape(rows, cols)
    pairs = [
        (number[:, :-1], number[:, 1:], 1.0),
        (number[:-1], number[1:], 1.0),
        (number[:-1, :-1], number[1:, 1:], 2**0.5),
        (number[:-1, 1:], number[1:, :-1], 2**0.5),
    ]
    a = np.concatenate([one.ravel() for one, _, _ in pairs])
    b = np.concatenate([other.ravel() for _, other, _ in pairs])
    apart = np.concatenate([np.full(one.size, step) for one, _, step in pairs])
    return np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([apart, apart])


def cover_of(rng: Generator, paths: list[CrackPath], shape: Shape, width_px: float) -> Float32:
    """The share (rows, cols) that cracks open.  Fine ones are exact; of wide ones each edge is
    broken on its own, pulled about by noise."""
    if width_px < FRAYED_PX and len(paths) <= MANY:
        return coverage(paths, shape)
    middles = [path.points + path.shift_px[:, None] * sideways(path.points) for path in paths]
    widths = [path.width_px for path in paths]
    cover = tapered(shape, zip(middles, widths, strict=True))
    if width_px < FRAYED_PX:
        return cover
    x, y = grid(shape)
    by_px = np.float32(min(0.35 * width_px, 4.0) * rng.uniform(0.5, 1.2))
    right, down = (by_px * clouds(rng, shape, 1.2 * width_px + 4, 1.5) for _ in range(2))
    return cv2.remap(cover, x + right, y + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def opening(cover: Share, texture: Field, look: CrackLook) -> Share:
    """How open (rows, cols) a crack looks: its cover, softened, less where light grains of the
    photograph's ``texture`` bridge it."""
    return blurred(cover, look.soft_px) * (1 - look.bridged * ramp(texture, 1.06, 1.35))


def open_up(
    rng: Generator, picture: Picture, open_: Share, width_px: float, look: CrackLook
) -> Picture:
    """The picture with a crack where ``open_`` is 1, usually ``width_px`` wide."""
    shape = open_.shape
    result = picture
    if look.halo:
        beside = blurred(open_, 2 + 1.5 * width_px)
        beside = beside / max(float(beside.max()), 1e-6) * (1 + patches(rng, shape, 20))
        result = shaded(result, 1 + look.halo * beside)
    if look.chips and width_px > 1.5:
        near = blurred(open_, 0.7 + 0.4 * width_px) + 0.28 * clouds(rng, shape, 3 * width_px + 4)
        inner = shifted(picture, 11.5, 7.5) * np.float32(1 + look.chips)
        result = laid(result, inner, ramp(near, 0.42, 0.6))
    lips = relief_of(rng, open_, look)
    if look.rim:
        result = shaded(result, 1 + lips)
    inside = np.clip(1 + np.where(lips < 0, 1.5, DEEP) * lips, 0.6, 1.9)
    if width_px >= RUBBLE_PX:  # its walls are seen better than its bottom
        inside = inside * (1.6 - 0.8 * blurred(open_, 0.2 * width_px))
    if width_px >= RUBBLE_PX and (look.rubble or look.wall):
        fill = rubble(rng, shape, look, width_px) + inner_wall(rng, open_, look, width_px)
        inside = inside + fill * texture_of(picture)
    return darkened(rng, result, open_, look.contrast, look.tint, inside)


def relief_of(rng: Generator, open_: Share, look: CrackLook) -> Field:
    """How much lighter (rows, cols) the lips of a crack are than flat surface; crumbly."""
    crumbs = (1 + patches(rng, open_.shape, 4)) * (1 + patches(rng, open_.shape, 16))
    return relief(open_, look.light_deg) * crumbs * np.float32(look.rim)


def rubble(rng: Generator, shape: Shape, look: CrackLook, width_px: float) -> Field:
    """How much lighter (rows, cols) than its dark a wide crack is where crumbs lie in it, 1 as much
    again; more of them lie here than there."""
    if not look.rubble:
        return np.zeros(shape, np.float32)
    crumbs = clouds(rng, shape, 0.6 * width_px + 3, 1.5) + 0.7 * patches(rng, shape, 40)
    lying = ramp(crumbs, 0.9 - look.rubble, 1.3 - look.rubble)
    dark = max(1 - look.contrast, 0.05)
    return lying * np.float32(rng.uniform(0.1, 0.6) * look.contrast / dark)


def inner_wall(rng: Generator, open_: Share, look: CrackLook, width_px: float) -> Field:
    """How much lighter (rows, cols) than its dark a wide crack is where one of its inner walls
    faces the camera."""
    deeper = look.wall * width_px * (1 + 0.5 * rng.uniform(-1, 1))
    angle = np.deg2rad(look.light_deg)
    core = shifted(open_, -deeper * np.cos(angle), -deeper * np.sin(angle))
    shows = np.clip(open_ - core, 0, 1) * ramp(clouds(rng, open_.shape, 30, 4), -0.5, 0.4)
    dark = max(1 - look.contrast, 0.05)
    return shows * np.float32(rng.uniform(0.2, 0.6) * look.contrast / dark)
