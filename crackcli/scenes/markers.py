"""Pixel size from ArUco markers of known size in the photograph.

Markers are detected in overlapping tiles at full resolution, and once in a reduced copy of the
photograph for those larger than a tile: memory does not grow with the raster. Detected corners
are refined: a line is fitted to each side of the black square, through the points where the light
is half-way from black to white, which blur does not move; corners are intersections of lines.
Light is taken as grey to the power of `GAMMA`, as cameras encode it.

The uncertainty of the scale by one marker has four parts (relative standard uncertainties):
  print    `PRINT_UNC` of the side that the user gave;
  edges    half the shift of the sides if grey were light itself, for all sides alike: the
           camera's transfer function is unknown, and a blurred edge moves with it;
  noise    the scatter of the fitted lines;
  tilt     a tilted square appears as a parallelogram: pixel size differs by direction, and
           elsewhere in the photograph by perspective. The measured tilt, or the one that could
           hide in the noise of the sides, is taken to act over half the photograph.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Float64, UInt8
from crackcli.errors import InputError
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo

DICTIONARIES = ("DICT_4X4_50", "DICT_5X5_100", "DICT_6X6_250", "DICT_APRILTAG_36h11")
TILE_PX, HALO_PX = 2048, 768  # a marker of up to about 1000 px lies in one tile with its halo
REDUCED_PX = 16_000_000  # pixels of the reduced copy
MIN_SIDE_PX = 24
MIN_CONTRAST = 0.12  # between the square and its margin, 0 to 1
STEP_PX = 0.25  # of profiles across a side
PRINT_UNC = 0.005
GAMMA = 2.2
MIN_NOISE_PX = 0.05  # least uncertainty of the position of one side, and of all sides alike
HALF_DIAGONAL = 0.6  # of a photograph, in focal lengths of a common lens
MAX_DISAGREEMENT_SIGMAS = 3.0  # standard uncertainties by which two markers may differ


@dataclass(frozen=True, eq=False)
class Marker:
    """A marker in a photograph.

    ``corners`` (4, 2) are in pixels (col, row); whole numbers are pixel centres. ``noise_px``
    and ``edge_px`` are standard uncertainties of the position of a side: independent for each
    side, and common to all sides.
    """

    name: str
    corners: Float64
    noise_px: float
    edge_px: float

    @property
    def middle(self) -> Float64:
        """The mean of the corners (col, row)."""
        middle: Float64 = self.corners.mean(axis=0)
        return middle

    @property
    def sides_px(self) -> tuple[float, float]:
        """Mean side length along the direction of the finest pixels, and across it."""
        along = (self.corners[1] - self.corners[0] + self.corners[2] - self.corners[3]) / 2
        across = (self.corners[3] - self.corners[0] + self.corners[2] - self.corners[1]) / 2
        long, short = np.linalg.svd(np.column_stack([along, across]), compute_uv=False)
        return float(long), float(short)

    @property
    def size_px(self) -> float:
        """Side of a square of the same area."""
        return math.sqrt(math.prod(self.sides_px))

    @property
    def relative_unc(self) -> float:
        """Relative standard uncertainty of the scale by this marker."""
        long, short = self.sides_px
        noise = self.noise_px / self.size_px
        flat = min(math.hypot(1 - short / long, 2 * noise), 0.9)
        tilt = math.acos(1 - flat)
        return math.hypot(
            PRINT_UNC,
            2 * self.edge_px / self.size_px,
            noise,
            flat / math.sqrt(8),  # size by direction varies by half of it, like a sine
            HALF_DIAGONAL * math.tan(tilt) / math.sqrt(3),
        )

    def describe(self, marker_mm: float) -> str:
        """Return the pixel size by this marker, its name and its place, for a message."""
        col, row = self.middle
        return (
            f"{marker_mm / self.size_px:.4g} mm by {self.name} at column {col:.0f}, row {row:.0f}"
        )


def marker_scale(info: RasterInfo, marker_mm: float) -> tuple[float, float, str]:
    """Return the size of a pixel in mm, its standard uncertainty, and the markers in words.

    ``marker_mm`` is the side of the black square. Raises `InputError` if no marker is found, or
    if two differ by more than `MAX_DISAGREEMENT_SIGMAS` of their uncertainties.
    """
    markers = find_markers(info)
    if not markers:
        raise InputError(
            f"{info.path}: shows no marker ({', '.join(DICTIONARIES)}; its side {MIN_SIDE_PX} px "
            "or more, with a white margin); scan it without --marker-mm"
        )
    sizes = np.array([marker_mm / marker.size_px for marker in markers])
    sigmas = sizes * [marker.relative_unc for marker in markers]
    low, high = int(sizes.argmin()), int(sizes.argmax())
    difference = sizes[high] - sizes[low]
    if difference > MAX_DISAGREEMENT_SIGMAS * math.hypot(sigmas[low], sigmas[high]):
        raise InputError(
            f"{info.path}: its markers disagree on the size of a pixel: "
            f"{markers[low].describe(marker_mm)}, {markers[high].describe(marker_mm)}; take the "
            "photograph from straight ahead, or cover one"
        )
    # All share the tilt of the surface, so many are hardly more certain than the best of them.
    spread = float(sizes.std(ddof=1)) if len(sizes) > 1 else 0.0
    names = ", ".join(sorted({marker.name for marker in markers}))
    size = float(np.average(sizes, weights=sigmas**-2.0))
    return size, max(float(sigmas.min()), spread), f"{marker_mm:g} mm marker: {names}"


def find_markers(info: RasterInfo) -> list[Marker]:
    """Return every marker of a raster once, the most certain first."""
    factor = 1
    while info.rows * info.cols / factor**2 > REDUCED_PX or (
        factor == 1 and not fits_one_tile(info)
    ):
        factor *= 2
    reduced: UInt8 = np.full((info.rows // factor, info.cols // factor), 255, np.uint8)
    found: list[Marker] = []
    with Raster(info) as raster:
        for core, padded in tile_windows(info):
            grey = cv2.cvtColor(raster.read(padded).rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8)
            found += detect_markers(grey, 1, np.array([padded.col, padded.row], float))
            if factor > 1:
                reduce_into(grey[core.within(padded)], core, factor, reduced)
    if factor > 1:
        found += detect_markers(reduced, factor, np.zeros(2))
    found.sort(key=lambda marker: marker.relative_unc)
    kept: list[Marker] = []
    for marker in found:
        near = (np.hypot(*(marker.middle - other.middle)) < other.size_px / 2 for other in kept)
        if not any(near):
            kept.append(marker)
    return kept


def fits_one_tile(info: RasterInfo) -> bool:
    """Return True if one tile covers the raster."""
    return max(info.rows, info.cols) <= TILE_PX + HALO_PX


def tile_windows(info: RasterInfo) -> Iterator[tuple[Window, Window]]:
    """Yield tiles that cover a raster, each without and with its halo, cut at the raster's edge."""
    step = TILE_PX + HALO_PX if fits_one_tile(info) else TILE_PX
    for row in range(0, info.rows, step):
        for col in range(0, info.cols, step):
            core = Window(row, col, min(step, info.rows - row), min(step, info.cols - col))
            top, left = max(0, row - HALO_PX), max(0, col - HALO_PX)
            bottom = min(info.rows, core.end_row + HALO_PX)
            right = min(info.cols, core.end_col + HALO_PX)
            yield core, Window(top, left, bottom - top, right - left)


def reduce_into(grey: UInt8, core: Window, factor: int, reduced: UInt8) -> None:
    """Write a tile into the reduced copy; rows and columns beyond a multiple of ``factor`` are left
    out."""
    row, col = core.row // factor, core.col // factor
    rows, cols = core.rows // factor, core.cols // factor
    if rows and cols:
        whole = np.ascontiguousarray(grey[: rows * factor, : cols * factor])
        resized = cv2.resize(whole, (cols, rows), interpolation=cv2.INTER_AREA)
        reduced[row : row + rows, col : col + cols] = resized


def detect_markers(grey: UInt8, factor: int, origin: Float64) -> Iterator[Marker]:
    """Yield the markers of a grey image (rows, cols), in pixels of the raster.

    One pixel of the image is ``factor`` pixels of the raster wide; the first one lies at
    ``origin`` (col, row).
    """
    settings = cv2.aruco.DetectorParameters()
    settings.minMarkerPerimeterRate = 4 * MIN_SIDE_PX / max(grey.shape)
    settings.errorCorrectionRate = 0.0  # masonry often resembles a marker
    settings.maxErroneousBitsInBorderRate = 0.1
    settings.perspectiveRemovePixelPerCell = 8  # these two help with small markers
    settings.perspectiveRemoveIgnoredMarginPerCell = 0.25
    for dictionary in DICTIONARIES:
        code = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
        corners, numbers, _ = cv2.aruco.ArucoDetector(code, settings).detectMarkers(grey)
        for quad, number in zip(corners, np.ravel(numbers if len(corners) else []), strict=True):
            cells = code.markerSize + 2
            refined = refine_corners(grey, quad.reshape(4, 2).astype(float), cells)
            if refined is not None:
                quad, noise, moved = refined
                yield Marker(
                    f"{dictionary.removeprefix('DICT_')} number {int(number)}",
                    (quad + 0.5) * factor - 0.5 + origin,
                    max(MIN_NOISE_PX, noise) * factor,
                    max(MIN_NOISE_PX, moved / 2) * factor,
                )


def refine_corners(
    grey: UInt8, corners: Float64, cells: int
) -> tuple[Float64, float, float] | None:
    """Return the intersections (4, 2) of lines fitted to the sides, the standard uncertainty of a
    line, and the mean shift of the lines if grey were light.

    Returns None if a side is not an edge from black to white.
    """
    middle = corners.mean(axis=0)
    lines, noises, moves = [], [], []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        along = (end - start) / length
        out = np.array([along[1], -along[0]])
        out *= np.sign((start - middle) @ out)
        reach = min(max(3.0, length / cells / 2), 0.9 * length / cells)
        steps = np.arange(-reach, reach + STEP_PX / 2, STEP_PX)
        fraction = np.linspace(0.12, 0.88, int(np.clip(length, 12, 200)))  # blur rounds corners
        base = start + fraction[:, None] * (end - start)
        x, y = (base[:, None] + steps[:, None] * out).astype(np.float32).transpose(2, 0, 1)
        values = cv2.remap(grey.astype(np.float32), x, y, cv2.INTER_LINEAR) / 255
        quarter = max(2, len(steps) // 4)
        black, white = np.median(values[:, :quarter]), np.median(values[:, -quarter:])
        if white - black < MIN_CONTRAST:
            return None
        light = values**GAMMA, (black**GAMMA + white**GAMMA) / 2
        fitted = fit_edge(fraction, steps, *light)
        if_grey = fit_edge(fraction, steps, values, (black + white) / 2)
        if fitted is None or if_grey is None:
            return None
        (offsets, noise), (other, _) = fitted, if_grey
        lines.append(np.array([start + offsets[0] * out, end + offsets[1] * out]))
        noises.append(noise)
        moves.append(abs(float((offsets - other).mean())))
    before = [lines[-1], *lines[:-1]]
    refined = [intersect_lines(one, other) for one, other in zip(before, lines, strict=True)]
    return np.array(refined), float(np.sqrt(np.mean(np.square(noises)))), float(np.mean(moves))


def fit_edge(
    fraction: Float64, steps: Float64, values: Float64, level: float
) -> tuple[Float64, float] | None:
    """Return the offsets (2,) of an edge outwards from the start and the end of a side, in px, and
    their standard uncertainty; None if too few profiles go from black to white.

    ``values`` (P, N) are P profiles at a ``fraction`` (P,) of the side, at ``steps`` (N,) outwards.
    """
    above = values > level
    first = above.argmax(axis=1)
    clear = (first > 0) & (above.sum(axis=1) == len(steps) - first)  # one step, from black
    rows = np.flatnonzero(clear)
    if len(rows) < len(fraction) / 2:
        return None
    last = first[rows] - 1
    low, high = values[rows, last], values[rows, last + 1]
    offsets = steps[last] + STEP_PX * (level - low) / (high - low)
    places = fraction[rows]
    near = np.full(len(rows), True)
    for _ in range(3):  # fit again without outliers
        slope, begin = np.polyfit(places[near], offsets[near], 1)
        aside = np.abs(offsets - slope * places - begin)
        near = aside <= max(0.1, 3 * float(np.median(aside)))
    spread = float(np.std(aside[near]))
    return np.array([begin, begin + slope]), spread / math.sqrt(int(near.sum()))


def intersect_lines(one: Float64, other: Float64) -> Float64:
    """Return the intersection (2,) of two lines, each through two points (2, 2)."""
    (a, b), (c, d) = one, other
    matrix = np.column_stack([b - a, c - d])
    t, _ = np.linalg.solve(matrix, c - a)
    point: Float64 = a + t * (b - a)
    return point
