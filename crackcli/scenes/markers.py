"""The size of a pixel from ArUco markers of known size that lie in the photographed wall.

Markers are looked for in overlapping tiles at full resolution, and once in the whole photograph
made small, for those too large for a tile: memory does not grow with the raster.  What the
detector finds is measured again: each side of the black square is a line through the points where
the light is half-way from black to white, which blur does not move, and corners are where lines
meet.  Light is grey to the power of `GAMMA`, as cameras write it.

What the scale of one marker is worth (standard uncertainties, as shares):
  print    `PRINT_SHARE` of the side that was typed in;
  edges    half of what the sides would move if grey were light itself, on all sides alike: a
           camera's tone curve is not known, and a blurred edge moves with it;
  tilt     a square that is not seen from the front is a parallelogram: pixels differ in size by
           direction, and elsewhere in the photograph by perspective.  The tilt that is seen,
           or could hide in the noise of the sides, is taken to act over half the photograph.
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
SMALL_PX = 16_000_000  # pixels of the photograph made small
LEAST_SIDE_PX = 24
LEAST_CONTRAST = 0.12  # between the square and its margin, 0 to 1
STEP_PX = 0.25  # of profiles across a side
PRINT_SHARE = 0.005
GAMMA = 2.2
NOISE_PX = 0.05  # least uncertainty of where a side lies, of each and of all alike
REACH = 0.6  # half the diagonal of a photograph over the focal length of a common lens
AGREEMENT = 3.0  # standard uncertainties by which two markers may differ


@dataclass(frozen=True, eq=False)
class Marker:
    """A marker in a photograph: ``corners`` (4, 2) in pixels (col, row), whole numbers are
    centres; ``noise_px`` and ``edge_px`` standard uncertainties of where one side lies, for each
    and for all sides alike."""

    name: str
    corners: Float64
    noise_px: float
    edge_px: float

    @property
    def middle(self) -> Float64:
        return self.corners.mean(axis=0)

    @property
    def sides_px(self) -> tuple[float, float]:
        """How long the side is along which pixels are finest, and across it, on average."""
        along = (self.corners[1] - self.corners[0] + self.corners[2] - self.corners[3]) / 2
        across = (self.corners[3] - self.corners[0] + self.corners[2] - self.corners[1]) / 2
        long, short = np.linalg.svd(np.column_stack([along, across]), compute_uv=False)
        return float(long), float(short)

    @property
    def size_px(self) -> float:
        """Side of a square of the same area."""
        return math.sqrt(math.prod(self.sides_px))

    @property
    def share(self) -> float:
        """Standard uncertainty of the scale as a share of it."""
        long, short = self.sides_px
        noise = self.noise_px / self.size_px
        flat = min(math.hypot(1 - short / long, 2 * noise), 0.9)
        tilt = math.acos(1 - flat)
        return math.hypot(
            PRINT_SHARE,
            2 * self.edge_px / self.size_px,
            noise,
            flat / math.sqrt(8),  # size by direction goes up and down by half of it, like a wave
            REACH * math.tan(tilt) / math.sqrt(3),
        )

    def told(self, marker_mm: float) -> str:
        """For a message."""
        col, row = self.middle
        return (
            f"{marker_mm / self.size_px:.4g} mm by {self.name} at column {col:.0f}, row {row:.0f}"
        )


def marker_scale(info: RasterInfo, marker_mm: float) -> tuple[float, float, str]:
    """Size of a pixel in mm, its standard uncertainty, and of which markers.

    ``marker_mm`` is the side of the black square.  Raises `InputError` where no marker is found,
    and where two differ by more than `AGREEMENT` of their uncertainties.
    """
    markers = find_markers(info)
    if not markers:
        raise InputError(
            f"{info.path} shows no marker ({', '.join(DICTIONARIES)}; its side {LEAST_SIDE_PX} px "
            "or more, with a white margin); scan it without --marker-mm"
        )
    sizes = np.array([marker_mm / marker.size_px for marker in markers])
    sigmas = sizes * [marker.share for marker in markers]
    low, high = int(sizes.argmin()), int(sizes.argmax())
    if sizes[high] - sizes[low] > AGREEMENT * math.hypot(sigmas[low], sigmas[high]):
        raise InputError(
            f"markers of {info.path} disagree on the size of a pixel: "
            f"{markers[low].told(marker_mm)}, {markers[high].told(marker_mm)}; take the photograph "
            "from straight ahead, or cover one"
        )
    # They share the tilt of the wall, so that many are hardly worth more than the best of them.
    spread = float(sizes.std(ddof=1)) if len(sizes) > 1 else 0.0
    names = ", ".join(sorted({marker.name for marker in markers}))
    size = float(np.average(sizes, weights=sigmas**-2.0))
    return size, max(float(sigmas.min()), spread), f"{marker_mm:g} mm marker: {names}"


def find_markers(info: RasterInfo) -> list[Marker]:
    """Every marker of a raster once, the surest first."""
    factor = 1
    while info.rows * info.cols / factor**2 > SMALL_PX or (factor == 1 and not in_one(info)):
        factor *= 2
    small = np.full((info.rows // factor, info.cols // factor), 255, np.uint8)
    found: list[Marker] = []
    with Raster(info) as raster:
        for core, padded in tiles(info):
            grey = cv2.cvtColor(raster.read(padded).rgb, cv2.COLOR_RGB2GRAY)
            found += detect(grey, 1, np.array([padded.col, padded.row], float))
            if factor > 1:
                shrink(grey[core.within(padded)], core, factor, small)
    if factor > 1:
        found += detect(small, factor, np.zeros(2))
    found.sort(key=lambda marker: marker.share)
    kept: list[Marker] = []
    for marker in found:
        near = (np.hypot(*(marker.middle - other.middle)) < other.size_px / 2 for other in kept)
        if not any(near):
            kept.append(marker)
    return kept


def in_one(info: RasterInfo) -> bool:
    """Whether one tile is all of the raster."""
    return max(info.rows, info.cols) <= TILE_PX + HALO_PX


def tiles(info: RasterInfo) -> Iterator[tuple[Window, Window]]:
    """Windows that cover a raster, and each with its halo as far as the raster goes."""
    step = TILE_PX + HALO_PX if in_one(info) else TILE_PX
    for row in range(0, info.rows, step):
        for col in range(0, info.cols, step):
            core = Window(row, col, min(step, info.rows - row), min(step, info.cols - col))
            top, left = max(0, row - HALO_PX), max(0, col - HALO_PX)
            bottom = min(info.rows, core.end_row + HALO_PX)
            right = min(info.cols, core.end_col + HALO_PX)
            yield core, Window(top, left, bottom - top, right - left)


def shrink(grey: UInt8, core: Window, factor: int, small: UInt8) -> None:
    """Put a tile into the raster made small; what is left at its end is left out."""
    row, col = core.row // factor, core.col // factor
    rows, cols = core.rows // factor, core.cols // factor
    if rows and cols:
        whole = np.ascontiguousarray(grey[: rows * factor, : cols * factor])
        resized = cv2.resize(whole, (cols, rows), interpolation=cv2.INTER_AREA)
        small[row : row + rows, col : col + cols] = resized


def detect(grey: UInt8, factor: int, origin: Float64) -> Iterator[Marker]:
    """The markers of an image (rows, cols) whose pixels are ``factor`` of the raster's large and
    whose first pixel is the raster's ``origin`` (col, row)."""
    settings = cv2.aruco.DetectorParameters()
    settings.minMarkerPerimeterRate = 4 * LEAST_SIDE_PX / max(grey.shape)
    settings.errorCorrectionRate = 0.0  # a wall has much that is nearly a marker
    settings.maxErroneousBitsInBorderRate = 0.1
    settings.perspectiveRemovePixelPerCell = 8  # small markers are read with these
    settings.perspectiveRemoveIgnoredMarginPerCell = 0.25
    for dictionary in DICTIONARIES:
        code = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
        corners, numbers, _ = cv2.aruco.ArucoDetector(code, settings).detectMarkers(grey)
        for quad, number in zip(corners, np.ravel(numbers if len(corners) else []), strict=True):
            cells = code.markerSize + 2
            refined = refine(grey, quad.reshape(4, 2).astype(float), cells)
            if refined is not None:
                quad, noise, moved = refined
                yield Marker(
                    f"{dictionary.removeprefix('DICT_')} number {int(number)}",
                    (quad + 0.5) * factor - 0.5 + origin,
                    max(NOISE_PX, noise) * factor,
                    max(NOISE_PX, moved / 2) * factor,
                )


def refine(grey: UInt8, corners: Float64, cells: int) -> tuple[Float64, float, float] | None:
    """Corners (4, 2) where lines through the sides meet, the standard uncertainty of a line, and
    how far the lines would move if grey were light; None where a side is no edge from black to
    white."""
    middle = corners.mean(axis=0)
    lines, noises, moves = [], [], []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        along = (end - start) / length
        out = np.array([along[1], -along[0]])
        out *= np.sign((start - middle) @ out)
        reach = min(max(3.0, length / cells / 2), 0.9 * length / cells)
        steps = np.arange(-reach, reach + STEP_PX / 2, STEP_PX)
        share = np.linspace(0.12, 0.88, int(np.clip(length, 12, 200)))  # blur rounds corners
        base = start + share[:, None] * (end - start)
        x, y = (base[:, None] + steps[:, None] * out).astype(np.float32).transpose(2, 0, 1)
        values = cv2.remap(grey.astype(np.float32), x, y, cv2.INTER_LINEAR) / 255
        quarter = max(2, len(steps) // 4)
        black, white = np.median(values[:, :quarter]), np.median(values[:, -quarter:])
        if white - black < LEAST_CONTRAST:
            return None
        found = [
            edge(share, steps, across, (low + high) / 2)
            for across, low, high in (
                (values**GAMMA, black**GAMMA, white**GAMMA),
                (values, black, white),
            )
        ]
        if found[0] is None or found[1] is None:
            return None
        (offsets, noise), (other, _) = found
        lines.append((start + offsets[0] * out, end + offsets[1] * out))
        noises.append(noise)
        moves.append(abs(float((offsets - other).mean())))
    before = np.roll(np.array(lines), 1, axis=0)
    meets = [crossing(one, other) for one, other in zip(before, lines, strict=True)]
    return np.array(meets), float(np.sqrt(np.mean(np.square(noises)))), float(np.mean(moves))


def edge(
    share: Float64, steps: Float64, values: Float64, level: float
) -> tuple[Float64, float] | None:
    """How far outwards from the start and the end of a side it lies (2,), and the standard
    uncertainty of that; None where too few profiles go from black to white.

    ``values`` (P, N) are the P profiles at ``share`` (P,) of the side, at ``steps`` (N,) outwards.
    """
    above = values > level
    first = above.argmax(axis=1)
    clear = (first > 0) & (above.sum(axis=1) == len(steps) - first)  # one step, from black
    rows = np.flatnonzero(clear)
    if len(rows) < len(share) / 2:
        return None
    last = first[rows] - 1
    low, high = values[rows, last], values[rows, last + 1]
    offsets = steps[last] + STEP_PX * (level - low) / (high - low)
    places = share[rows]
    near = np.full(len(rows), True)
    for _ in range(3):  # again without what lies aside
        slope, begin = np.polyfit(places[near], offsets[near], 1)
        aside = np.abs(offsets - slope * places - begin)
        near = aside <= max(0.1, 3 * float(np.median(aside)))
    spread = float(np.std(aside[near]))
    return np.array([begin, begin + slope]), spread / math.sqrt(int(near.sum()))


def crossing(one: Float64, other: Float64) -> Float64:
    """Where two lines meet, each through two points."""
    (a, b), (c, d) = one, other
    matrix = np.column_stack([b - a, c - d])
    t, _ = np.linalg.solve(matrix, c - a)
    return a + t * (b - a)
