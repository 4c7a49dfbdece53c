"""Cracks drawn onto photographs for training: their courses, and their appearance.

A crack follows a random walk with kinks, or the weakest path of the surface (along joints, around
stones), or forms a net, or two parallel lines. Its appearance is adapted to its surroundings:
faint to nearly black, bridged by stones, with broken rims, and with rubble where it is wide.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Voronoi

from crackcli.arrays import Float64, Floats, Int64
from crackcli.synthesis.brushes import (
    Alpha,
    Field,
    Picture,
    Shape,
    chance,
    darken,
    draw_tapered_lines,
    fractal_noise,
    local_texture,
    luma,
    normals,
    overlay,
    pixel_grid,
    ramp,
    random_contrast,
    random_light_deg,
    random_sign,
    shade,
    translate,
    value_noise,
)
from crackcli.synthesis.cover import CrackPath, blur, coverage, relief, resize
from crackcli.synthesis.random_cracks import (
    CrackStyle,
    fractal_line,
    ragged_noise,
    random_branch,
    smooth_noise,
    waver,
    with_random_width,
)

CELL_PX = 4  # of the grid on which the cheapest path is found
WEAK = 1.6  # log of the factor by which one deviation of weakness lowers the cost of a cell
KINK = 0.075  # deviation of a kink from the straight line, relative to the length
FRAYED_PX = 2.5  # width from which the two edges of a crack are frayed independently
MANY = 6  # paths; the coverage of more is computed faster and less exactly
RUBBLE_PX = 4.0  # width from which a crack contains rubble
INNER_WALL = 5.0  # brightening of the lit inner wall, relative to that of the rim
SHORTEST = 0.45  # distance between the ends of a crack, relative to the short side


@dataclass(frozen=True)
class CrackAppearance:
    """The appearance of a crack, see `draw_crack`; changes of brightness are relative."""

    contrast: float  # to its surroundings, where it fills a pixel
    tint: float = 0.6  # 0 grey, 1 the colour of its surroundings
    soft_px: float = 0.0  # sigma of its edges, in addition to the photograph's blur
    bridged: float = 0.0  # how much of it is bridged by light grains
    rim: float = 0.0  # brightening of the lit lip, darkening of the other
    chips: float = 0.0  # change of brightness of its broken rim
    rubble: float = 0.0  # amount of rubble in it, if wide
    wall: float = 0.0  # fraction of its width where the inner wall shows, if wide
    halo: float = 0.0  # change of brightness of the surface beside it
    light_deg: float = 225.0  # direction of the light

    @classmethod
    def of(cls, rng: Generator, width_px: float) -> "CrackAppearance":
        """Draw a random appearance for this width; wide cracks are deep and therefore dark."""
        return cls(
            contrast=max(random_contrast(rng), min(0.08 * width_px, rng.uniform(0.6, 0.9))),
            tint=rng.uniform(0, 1.3),
            soft_px=rng.uniform(0.2, 0.9) if chance(rng, 0.35) else 0.0,
            bridged=rng.uniform(0, 0.8),
            rim=rng.uniform(0, 0.3),
            chips=rng.normal(0, 0.22) if chance(rng, 0.5) else 0.0,
            rubble=rng.uniform(0, 0.9) if chance(rng, 0.6) else 0.0,
            wall=rng.uniform(0.15, 0.6) if chance(rng, 0.5) else 0.0,
            halo=rng.normal(0, 0.08) if chance(rng, 0.25) else 0.0,
            light_deg=random_light_deg(rng),
        )


def random_cracks_on(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """Return random cracks for a photograph, with a largest width of ``width_px``."""
    courses, weights = zip(*COURSES.values(), strict=True)
    course: Course = courses[rng.choice(len(courses), p=np.array(weights) / sum(weights))]
    return course(rng, picture, width_px)


def walk(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """Return a random walk with kinks, and its branches."""
    return with_branches(rng, kinked_line(rng, picture.shape[:2], width_px), width_px)


def weakest_path(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """Return the cheapest path through the photograph, and its branches."""
    start, end = random_ends(rng, picture.shape[:2])
    line = cheapest_line(rng, picture, start, end)
    return with_branches(rng, waver(rng, line, rng.uniform(0.3, 1.0)), width_px)


def double(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """Return a crack, and a narrower one parallel to a part of it."""
    stem, *branches = walk(rng, picture, width_px)
    count = len(stem.points)
    first, last = (np.sort(rng.uniform([0, 0.6], [0.4, 1])) * (count - 1)).astype(int)
    apart = width_px + rng.uniform(3, 14) * (1.2 + 0.5 * smooth_noise(rng, count, 12))
    beside = stem.points + random_sign(rng) * apart[:, None] * normals(stem.points)
    beside = beside[first : last + 1]
    if len(beside) < 8:
        return [stem, *branches]
    beside = beside + rng.normal(0, 0.5, beside.shape)
    second = with_random_width(
        rng, beside, style_of(rng, max(0.5, width_px * rng.uniform(0.3, 0.8)))
    )
    return [stem, break_up(rng, second), *branches]


def net(rng: Generator, picture: Picture, width_px: float) -> list[CrackPath]:
    """Return a net of fine cracks along the borders of Voronoi cells, some of them missing."""
    rows, cols = picture.shape[:2]
    short = min(rows, cols)
    cell = short * rng.uniform(0.16, 0.34)
    seeds = rng.uniform(
        [-cell, -cell], [cols + cell, rows + cell], (cell_count(rows, cols, cell), 2)
    )
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


Course = Callable[[Generator, Picture, float], list[CrackPath]]
COURSES: dict[str, tuple[Course, float]] = {
    "walk": (walk, 0.45),
    "weakest": (weakest_path, 0.35),
    "double": (double, 0.1),
    "net": (net, 0.1),
}  # with the probability of each


def cell_count(rows: int, cols: int, cell: float) -> int:
    """Return the number of cells of a net that extends one cell beyond the picture."""
    return max(6, round((rows + 2 * cell) * (cols + 2 * cell) / cell**2))


def style_of(rng: Generator, width_px: float) -> CrackStyle:
    """Draw a style with widths up to ``width_px``, closing at its ends."""
    return CrackStyle(
        (width_px * rng.uniform(0.25, 0.75), width_px),
        closing=(rng.uniform(0, 0.35), rng.uniform(0, 0.35)),
    )


def with_branches(rng: Generator, line: Float64, width_px: float) -> list[CrackPath]:
    """Return a crack along a line (N, 2), and its branches."""
    style = style_of(rng, width_px)
    stem = break_up(rng, with_random_width(rng, line, style))
    paths = [stem]
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.25, 0.15, 0.1]))):
        branch = replace(style, roughness=rng.uniform(0.5, 1.3), branches=int(chance(rng, 0.25)))
        paths += [break_up(rng, path) for path in random_branch(rng, stem, branch)]
    return paths


def break_up(rng: Generator, path: CrackPath) -> CrackPath:
    """Roughen a path as material breaks: short straight teeth, jumps in width, interruptions."""
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
    points = path.points + by_px[:, None] * normals(path.points)
    return CrackPath(points, width, path.shift_px)


def random_ends(rng: Generator, shape: Shape) -> tuple[Float64, Float64]:
    """Draw both ends (x, y) of a crack: across the picture, ending in it, or inside it."""
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
    """Return a rough line (N, 2) with a few kinks between random ends."""
    start, end = random_ends(rng, shape)
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
    """Return the cheapest path (N, 2) between two points; weak places are cheap.

    Weak are dark places, edges or light places (mortar joints), and random ones.
    """
    rows, cols = (-(-side // CELL_PX) + 1 for side in picture.shape[:2])
    small = resize(luma(picture), (rows, cols), cv2.INTER_AREA)
    small = small - blur(small, 12.0)
    rise_x, rise_y = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
    edges = np.asarray(cv2.magnitude(rise_x, rise_y), np.float32)
    weak = (-small, edges, edges, small)[int(rng.integers(4))]
    weak = (weak - weak.mean()) / max(float(weak.std()), 1e-3)
    by_chance = fractal_noise(rng, (rows, cols), 12, 1) + 0.5 * value_noise(rng, (rows, cols), 1)
    cost = np.exp(-WEAK * rng.uniform(0.2, 1) * weak.clip(-1.5, 2.5) - 1.6 * by_chance).ravel()
    a, b, apart = neighbours(rows, cols)
    weights = apart * (cost[a] + cost[b])
    graph = csr_array((weights, (a, b)), shape=(rows * cols, rows * cols))
    cells = [
        np.rint(point / CELL_PX).astype(int).clip(0, [cols - 1, rows - 1]) for point in (start, end)
    ]
    first, last = (int(cell[1] * cols + cell[0]) for cell in cells)
    _, before = dijkstra(graph, indices=[first], return_predecessors=True)
    way = [last]
    while way[-1] != first:
        way.append(int(before[0, way[-1]]))
    nodes = np.array(way[::-1])
    line = np.column_stack([nodes % cols, nodes // cols]) * float(CELL_PX)
    return np.vstack([start, line[1:-1], end])


@lru_cache(maxsize=8)
def neighbours(rows: int, cols: int) -> tuple[Int64, Int64, Float64]:
    """Return the pairs of neighbouring cells of a grid, both ways, and their distance in cells."""
    number = np.arange(rows * cols, dtype=np.int64).reshape(rows, cols)
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


def frayed_coverage(
    rng: Generator, paths: list[CrackPath], shape: Shape, width_px: float
) -> Floats:
    """Return the coverage (rows, cols) of cracks.

    That of fine cracks is exact. The edges of wide ones are frayed: displaced by noise.
    """
    if width_px < FRAYED_PX and len(paths) <= MANY:
        return coverage(paths, shape)
    middles = [path.points + path.shift_px[:, None] * normals(path.points) for path in paths]
    widths = [path.width_px for path in paths]
    cover = draw_tapered_lines(shape, zip(middles, widths, strict=True))
    if width_px < FRAYED_PX:
        return cover
    x, y = pixel_grid(shape)
    by_px = np.float32(min(0.35 * width_px, 4.0) * rng.uniform(0.5, 1.2))
    right, down = (by_px * fractal_noise(rng, shape, 1.2 * width_px + 4, 1.5) for _ in range(2))
    map_x, map_y = (np.asarray(field, np.float32) for field in (x + right, y + down))
    frayed = cv2.remap(cover, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(frayed, np.float32)


def visible_opening(cover: Alpha, texture: Field, appearance: CrackAppearance) -> Alpha:
    """Return the alpha (rows, cols) of a crack: its coverage, softened, and reduced where light
    grains of the photograph's ``texture`` bridge it."""
    return blur(cover, appearance.soft_px) * (1 - appearance.bridged * ramp(texture, 1.06, 1.35))


def draw_crack(
    rng: Generator,
    picture: Picture,
    open_: Alpha,
    width_px: float,
    appearance: CrackAppearance,
    tone: Picture | None = None,
) -> Picture:
    """Draw a crack where ``open_`` (rows, cols) is 1; ``width_px`` is its median width, ``tone``
    (rows, cols, 3) the colour of its surroundings, default the local one."""
    shape = open_.shape
    result = picture
    if appearance.halo:
        beside = blur(open_, 2 + 1.5 * width_px)
        beside = beside / max(float(beside.max()), 1e-6) * (1 + value_noise(rng, shape, 20))
        result = shade(result, 1 + appearance.halo * beside)
    if appearance.chips and width_px > 1.5:
        near = blur(open_, 0.7 + 0.4 * width_px) + 0.28 * fractal_noise(
            rng, shape, 3 * width_px + 4
        )
        inner = translate(picture, 11.5, 7.5) * np.float32(1 + appearance.chips)
        result = overlay(result, inner, ramp(near, 0.42, 0.6))
    lips = crumbly_relief(rng, open_, appearance)
    if appearance.rim:
        result = shade(result, 1 + lips)
    inside = np.clip(1 + np.where(lips < 0, 1.5, INNER_WALL) * lips, 0.6, 1.9)
    if width_px >= RUBBLE_PX:  # its walls are brighter than its bottom
        inside = inside * (1.6 - 0.8 * blur(open_, 0.2 * width_px))
    if width_px >= RUBBLE_PX and (appearance.rubble or appearance.wall):
        fill = rubble(rng, shape, appearance, width_px) + inner_wall(
            rng, open_, appearance, width_px
        )
        inside = inside + fill * local_texture(picture)
    return darken(rng, result, open_, appearance.contrast, appearance.tint, inside, tone)


def crumbly_relief(rng: Generator, open_: Alpha, appearance: CrackAppearance) -> Field:
    """Return the change of brightness (rows, cols) of the lips of a crack, with crumbs."""
    crumbs = (1 + value_noise(rng, open_.shape, 4)) * (1 + value_noise(rng, open_.shape, 16))
    return relief(open_, appearance.light_deg) * crumbs * np.float32(appearance.rim)


def rubble(rng: Generator, shape: Shape, appearance: CrackAppearance, width_px: float) -> Field:
    """Return the brightening (rows, cols) of a wide crack by rubble, relative to its darkness."""
    if not appearance.rubble:
        return np.zeros(shape, np.float32)
    crumbs = fractal_noise(rng, shape, 0.6 * width_px + 3, 1.5) + 0.7 * value_noise(rng, shape, 40)
    lying = ramp(crumbs, 0.9 - appearance.rubble, 1.3 - appearance.rubble)
    dark = max(1 - appearance.contrast, 0.05)
    return lying * np.float32(rng.uniform(0.1, 0.6) * appearance.contrast / dark)


def inner_wall(rng: Generator, open_: Alpha, appearance: CrackAppearance, width_px: float) -> Field:
    """Return the brightening (rows, cols) of a wide crack where an inner wall faces the camera,
    relative to its darkness."""
    deeper = appearance.wall * width_px * (1 + 0.5 * rng.uniform(-1, 1))
    angle = np.deg2rad(appearance.light_deg)
    core = translate(open_, -deeper * np.cos(angle), -deeper * np.sin(angle))
    shows: Alpha = np.clip(open_ - core, 0, 1)
    shows = shows * ramp(fractal_noise(rng, open_.shape, 30, 4), -0.5, 0.4)
    dark = max(1 - appearance.contrast, 0.05)
    return shows * np.float32(rng.uniform(0.2, 0.6) * appearance.contrast / dark)
