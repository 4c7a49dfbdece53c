"""Draws known cracks into copies of the crack-free areas of a scanned photograph.

A copy is a window of the photograph around one crack, large enough to contain every tile over the
crack.
"""

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crackcli.cracks.crack import Crack
from crackcli.engines.engine import DIRECT_KINDS
from crackcli.errors import InputError
from crackcli.inference.prescreen import ZOOM
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import fill_nodata
from crackcli.rasters.reader import Pixels, Raster, RasterInfo
from crackcli.rasters.writing.images import write_pixels
from crackcli.scenes.record import Prescreening
from crackcli.scenes.scene import Scene
from crackcli.selftest.crack_free_areas import CELL_PX, Cells, Place, choose_places
from crackcli.synthesis.cover import CrackPath
from crackcli.synthesis.known_cracks import (
    MAX_REACH_PX,
    draw_known,
    known_crack,
    photograph_blur,
    relative_contrast,
)
from crackcli.synthesis.visibility import Camera, grain_of

log = logging.getLogger(__name__)

MARKED_PX, SUSPECTED_PX = 64.0, 16.0  # distance of a drawn crack from marked and suspected cells
EDGE_PX = 16.0
MIN_SIDE_PX = int(2 * (MAX_REACH_PX + EDGE_PX)) + CELL_PX  # of a photograph
STEP_PX = 32  # sides of a copy are multiples of this
CONTRAST = 0.4  # relative darkness, if the photograph has too few cracks to estimate it
CONTRAST_RANGE = 0.2, 0.6  # of an estimate
MIN_CRACKS, MIN_LENGTH_PX, MIN_WIDTH_PX = 5, 50.0, 3.0  # to estimate the contrast from
MAX_CRACKS = 40
QUANTILE = 0.25  # of the contrast, by length: this fraction of these cracks is fainter
MARGIN_PX = 24  # around a crack whose contrast is estimated
BLUR_WINDOWS = 64  # at most; the blur of the photograph is estimated from them
MAX_WINDOW_PX = 2000  # side of the window around a crack whose contrast is estimated


@dataclass(frozen=True)
class Injection:
    """The cracks to draw: widths, their number, contrast and seed; ``contrast`` None is estimated
    from the cracks of the photograph."""

    widths_px: tuple[float, ...]
    count: int
    contrast: float | None
    seed: int


@dataclass(frozen=True, eq=False)
class ScannedPart:
    """A window of the photograph that was scanned without changes: its scene and its cracks."""

    window: Window
    scene: Scene
    cracks: list[Crack]
    assessed_px: int


@dataclass(frozen=True, eq=False)
class DrawnCrack:
    """A drawn crack.

    part      the scanned part of the photograph in which it lies
    place     its centre, in pixels of the part
    window    the window of the photograph that is copied
    path      its centreline and widths, in pixels of the copy
    width_px  its median width
    """

    number: int
    part: ScannedPart
    place: Place
    window: Window
    path: CrackPath
    width_px: float

    @property
    def name(self) -> str:
        return f"crack_{self.number:04d}"


def copy_side(tile_px: int, zooms: tuple[float, ...], look: Prescreening) -> int:
    """Return the side in px of a copy that contains all tiles over a crack.

    Tiles at the smallest zoom and those of a prescreen at half resolution are the largest.
    """
    least = min(*zooms, ZOOM if look else 1.0)
    return -(-int(2 * MAX_REACH_PX + tile_px / least) // STEP_PX) * STEP_PX


def place_cracks(
    plan: Injection, info: RasterInfo, parts: list[ScannedPart], side_px: int
) -> tuple[list[DrawnCrack], float]:
    """Return cracks at random places in the crack-free areas of all parts, and the smallest
    distance of two places in px.

    Log a warning if there is room for fewer than ``plan.count``; raise an `InputError` if there is
    room for fewer cracks than widths.
    """
    rng = np.random.default_rng(plan.seed)
    gated = parts[0].scene.record.engine["kind"] not in DIRECT_KINDS
    cells = [Cells.read(part.scene.mask, part.scene.score, gated=gated) for part in parts]
    marked_px, suspected_px, edge_px = (
        MAX_REACH_PX + px for px in (MARKED_PX, SUSPECTED_PX, EDGE_PX)
    )
    crack_free = [each.clear(marked_px, 0.0, edge_px) for each in cells]
    unsuspected = [each.clear(marked_px, suspected_px, edge_px) for each in cells]
    width = sum(each.shape[1] for each in crack_free)
    tall = max(each.shape[0] for each in crack_free)
    # Lay the parts side by side as one field of cells: a single part may have few places.
    starts = np.cumsum([0, *(each.shape[1] for each in crack_free)])
    unsuspected_field, crack_free_field = np.zeros((2, tall, width), bool)
    for field, layers in ((unsuspected_field, unsuspected), (crack_free_field, crack_free)):
        for layer, start in zip(layers, starts, strict=False):
            field[: layer.shape[0], start : start + layer.shape[1]] = layer
    places, apart_px = choose_places(rng, unsuspected_field, crack_free_field, plan.count)
    if len(places) < len(plan.widths_px):
        raise InputError(
            f"{info.path}: has crack-free places for {len(places)} cracks, too few for "
            f"{len(plan.widths_px)} widths; give a photograph of a part with fewer cracks, or a "
            "model that marks less"
        )
    if len(places) < plan.count:
        log.warning(
            "%s has crack-free places for %d of %d cracks", info.path, len(places), plan.count
        )
    turns = [plan.widths_px[n % len(plan.widths_px)] for n in range(len(places))]
    widths = rng.permutation(turns).tolist()
    found = []
    for number, (place, width_px) in enumerate(zip(places, widths, strict=True), start=1):
        which = int(np.searchsorted(starts, place.x / CELL_PX, "right")) - 1
        part = parts[which]
        own = replace(place, x=place.x - float(starts[which]) * CELL_PX)
        window = window_around(own, part.window, side_px)
        middle = own.x + part.window.col - window.col, own.y + part.window.row - window.row
        path = known_crack(np.random.default_rng([plan.seed, 2, number]), middle, width_px)
        found.append(DrawnCrack(number, part, own, window, path, width_px))
    return found, apart_px


def window_around(place: Place, part: Window, side_px: int) -> Window:
    """Return the window of the photograph around a place of a part, shifted to lie inside it."""
    rows, cols = min(side_px, part.rows), min(side_px, part.cols)
    row = int(np.clip(round(place.y) - rows // 2, 0, part.rows - rows))
    col = int(np.clip(round(place.x) - cols // 2, 0, part.cols - cols))
    return Window(part.row + row, part.col + col, rows, cols)


def estimate_contrast(info: RasterInfo, parts: list[ScannedPart]) -> tuple[float, int]:
    """Return the relative darkness of faint cracks of the photograph, and the number of cracks that
    it was estimated from.

    Only cracks that fill a pixel are used. They are weighted by length, as long ones are less often
    false positives. Return `CONTRAST` and 0 if there are too few.
    """
    clear = [
        (part, crack)
        for part in parts
        for crack in part.cracks
        if crack.main_length_px >= MIN_LENGTH_PX and crack.widths.median_px >= MIN_WIDTH_PX
    ]
    clear.sort(key=lambda pair: -pair[1].main_length_px)
    found, lengths = [], []
    with Raster(info) as raster:
        for part, crack in clear[:MAX_CRACKS]:
            col, row, last_col, last_row = crack.bbox
            box = Window(row, col, last_row - row + 1, last_col - col + 1).grown(MARGIN_PX)
            box = box.clipped(part.window.rows, part.window.cols)
            if max(box.shape) > MAX_WINDOW_PX:
                continue
            pixels = raster.read(shifted(box, part.window.row, part.window.col))
            lines = np.concatenate(crack.centreline) - (box.col, box.row)
            lengths.append(crack.main_length_px)
            found.append(relative_contrast(fill_nodata(pixels.rgb, pixels.valid), lines))
    if len(found) < MIN_CRACKS:
        return CONTRAST, 0
    order = np.argsort(found)
    fraction = np.cumsum(np.array(lengths)[order]) / sum(lengths)
    faint = found[order[np.searchsorted(fraction, QUANTILE)]]
    return round(float(np.clip(faint, *CONTRAST_RANGE)), 2), len(found)


def shifted(window: Window, rows: int, cols: int) -> Window:
    """Return a window moved by this many rows and columns."""
    return replace(window, row=window.row + rows, col=window.col + cols)


def write_copies(
    plan: Injection, info: RasterInfo, drawn: list[DrawnCrack], contrast: float, folder: Path
) -> float:
    """Write a copy with its crack for each drawn crack; return the blur of the photograph in px.

    ``folder`` is emptied first. The same cracks give the same bytes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with Raster(info) as raster:

        def read_filled(each: DrawnCrack) -> Pixels:
            pixels = raster.read(each.window)
            return Pixels(fill_nodata(pixels.rgb, pixels.valid), pixels.valid)

        blur_px = photograph_blur([read_filled(each).rgb for each in drawn[:BLUR_WINDOWS]])
        for each in drawn:
            pixels = read_filled(each)
            rng = np.random.default_rng([plan.seed, 3, each.number])
            camera = Camera(blur_px, grain_of(pixels.rgb.astype(np.float32)))
            cracked = draw_known(rng, pixels.rgb, each.path, contrast, camera)
            path = folder / f"{each.name}.tif"
            write_pixels(path, Pixels(cracked, pixels.valid), each.window, info)
    return blur_px
