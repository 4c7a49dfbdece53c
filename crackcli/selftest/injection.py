"""Cracks injected into the sound areas of a photograph that was scanned: where, how dark, copies.

A crack is drawn into a copy of the photograph's surroundings of its place, so large that every tile
over the crack lies within it.
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
from crackcli.rasters.crops import write_pixels
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import fill_nodata
from crackcli.rasters.reader import Pixels, Raster, RasterInfo
from crackcli.scenes.scene import Scene
from crackcli.selftest.sound_areas import CELL_PX, Cells, Place, choose_places
from crackcli.synthesis.cover import CrackPath
from crackcli.synthesis.known_cracks import (
    REACH_PX,
    draw_known,
    known_crack,
    photograph_blur,
    relative_darkness,
)
from crackcli.synthesis.visibility import Camera, grain_of

log = logging.getLogger(__name__)

MARKED_PX, SUSPECTED_PX = 64.0, 16.0  # between a crack and what is marked, and suspected
EDGE_PX = 16.0
LEAST_PX = int(2 * (REACH_PX + EDGE_PX)) + CELL_PX  # side of a photograph
STEP_PX = 32  # sides of a copy are multiples of this
CONTRAST = 0.4  # relative darkness, where the photograph has no cracks to learn it from
CONTRASTS = (0.2, 0.6)  # what is learnt is kept within
LEAST_CRACKS, LEAST_LENGTH_PX, LEAST_WIDTH_PX = 5, 50.0, 3.0  # to learn it from
MOST_CRACKS = 40
QUANTILE = 0.25  # of the length of these cracks: so much is fainter
AROUND_PX = 24  # around a crack whose darkness is learnt
MOST_BLURS = 64  # windows that tell the blur of the photograph
LARGEST_PX = 2000  # side of the window that is read for that


@dataclass(frozen=True)
class Injection:
    """What is drawn: how many cracks of which widths, how dark (None: learnt from the photograph),
    by which seed."""

    widths_px: tuple[float, ...]
    count: int
    contrast: float | None
    seed: int


@dataclass(frozen=True, eq=False)
class Part:
    """What was scanned as it is: a window of the photograph, its finished scene, its cracks."""

    window: Window
    scene: Scene
    cracks: list[Crack]
    assessed_px: int


@dataclass(frozen=True, eq=False)
class Drawn:
    """A crack at a place: its path (x, y) in the ``window`` of the photograph that is copied, and
    its width in the median along it; ``part`` is what that window was scanned as before."""

    number: int
    part: Part
    place: Place
    window: Window
    path: CrackPath
    width_px: float

    @property
    def name(self) -> str:
        return f"crack_{self.number:04d}"


def copy_side(tile_px: int, zooms: tuple[float, ...], look: float | list | None) -> int:
    """Side in px of a copy in which all tiles over a crack lie, at the smallest zoom too, and in
    a first ``look``, if there is one."""
    least = min(*zooms, ZOOM if look else 1.0)
    return -(-int(2 * REACH_PX + tile_px / least) // STEP_PX) * STEP_PX


def chosen(
    plan: Injection, info: RasterInfo, parts: list[Part], side_px: int
) -> tuple[list[Drawn], float]:
    """The cracks to be drawn, spread over all parts as their sound areas are, and the least
    distance between two of them.  Raises `InputError` where there is no room for them."""
    rng = np.random.default_rng(plan.seed)
    gated = parts[0].scene.record.engine["kind"] not in DIRECT_KINDS
    cells = [Cells.of(part.scene.mask, part.scene.score, gated=gated) for part in parts]
    near = REACH_PX + MARKED_PX, REACH_PX + SUSPECTED_PX, REACH_PX + EDGE_PX
    sound = [each.clear(near[0], 0.0, near[2]) for each in cells]
    quiet = [each.clear(*near) for each in cells]
    width = sum(each.shape[1] for each in sound)
    tall = max(each.shape[0] for each in sound)
    # Side by side, as one field of cells: in each part alone few places would be found.
    fields = [np.zeros((tall, width), bool) for _ in range(2)]
    starts = np.cumsum([0, *(each.shape[1] for each in sound)])
    for field, layers in zip(fields, (quiet, sound), strict=True):
        for layer, start in zip(layers, starts, strict=False):
            field[: layer.shape[0], start : start + layer.shape[1]] = layer
    places, apart_px = choose_places(rng, *fields, plan.count)
    if len(places) < len(plan.widths_px):
        raise InputError(too_little(plan, info, len(places)))
    if len(places) < plan.count:
        log.warning("%s has sound places for %d of %d cracks", info.path, len(places), plan.count)
    turns = [plan.widths_px[n % len(plan.widths_px)] for n in range(len(places))]
    widths = rng.permutation(turns).tolist()
    found = []
    for number, (place, width_px) in enumerate(zip(places, widths, strict=True), start=1):
        which = int(np.searchsorted(starts, place.x / CELL_PX, "right")) - 1
        part = parts[which]
        own = replace(place, x=place.x - float(starts[which]) * CELL_PX)
        window = around(own, part.window, side_px)
        middle = own.x + part.window.col - window.col, own.y + part.window.row - window.row
        path = known_crack(np.random.default_rng([plan.seed, 2, number]), middle, width_px)
        found.append(Drawn(number, part, own, window, path, width_px))
    return found, apart_px


def too_little(plan: Injection, info: RasterInfo, places: int) -> str:
    """What to say where too few cracks can be drawn."""
    return (
        f"{info.path} has sound places for {places} cracks, too few for {len(plan.widths_px)} "
        "widths: cracks are marked nearly everywhere; give a photograph of a sounder part, or a "
        "model that marks less"
    )


def around(place: Place, part: Window, side_px: int) -> Window:
    """The window of the photograph about a place of a part, moved to lie within that part."""
    rows, cols = min(side_px, part.rows), min(side_px, part.cols)
    row = int(np.clip(round(place.y) - rows // 2, 0, part.rows - rows))
    col = int(np.clip(round(place.x) - cols // 2, 0, part.cols - cols))
    return Window(part.row + row, part.col + col, rows, cols)


def own_contrast(info: RasterInfo, parts: list[Part]) -> tuple[float, int]:
    """The relative darkness of cracks of this photograph, on the low side, and how many tell it;
    `CONTRAST` and 0 where there are too few that fill a pixel.  Long ones count more: they are
    less often none."""
    clear = [
        (part, crack)
        for part in parts
        for crack in part.cracks
        if crack.main_length_px >= LEAST_LENGTH_PX and crack.widths.median_px >= LEAST_WIDTH_PX
    ]
    clear.sort(key=lambda pair: -pair[1].main_length_px)
    found, lengths = [], []
    with Raster(info) as raster:
        for part, crack in clear[:MOST_CRACKS]:
            col, row, last_col, last_row = crack.bbox
            box = Window(row, col, last_row - row + 1, last_col - col + 1).grown(AROUND_PX)
            box = box.clipped(part.window.rows, part.window.cols)
            if max(box.shape) > LARGEST_PX:
                continue
            pixels = raster.read(moved(box, part.window.row, part.window.col))
            lines = np.concatenate(crack.centreline) - (box.col, box.row)
            lengths.append(crack.main_length_px)
            found.append(relative_darkness(fill_nodata(pixels.rgb, pixels.valid), lines))
    if len(found) < LEAST_CRACKS:
        return CONTRAST, 0
    order = np.argsort(found)
    share = np.cumsum(np.array(lengths)[order]) / sum(lengths)
    faint = found[order[np.searchsorted(share, QUANTILE)]]
    return round(float(np.clip(faint, *CONTRASTS)), 2), len(found)


def moved(window: Window, rows: int, cols: int) -> Window:
    return replace(window, row=window.row + rows, col=window.col + cols)


def write_copies(
    plan: Injection, info: RasterInfo, drawn: list[Drawn], contrast: float, folder: Path
) -> float:
    """Write the windows of the cracks into ``folder``, each with its crack in it, and return the
    blur of the photograph.  Files of other cracks are removed; the same cracks are the same
    bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    with Raster(info) as raster:

        def filled(each: Drawn) -> Pixels:
            pixels = raster.read(each.window)
            return Pixels(fill_nodata(pixels.rgb, pixels.valid), pixels.valid)

        blur_px = photograph_blur([filled(each).rgb for each in drawn[:MOST_BLURS]])
        for each in drawn:
            pixels = filled(each)
            rng = np.random.default_rng([plan.seed, 3, each.number])
            camera = Camera(blur_px, grain_of(pixels.rgb.astype(np.float32)))
            cracked = draw_known(rng, pixels.rgb, each.path, contrast, camera)
            path = folder / f"{each.name}.tif"
            write_pixels(path, Pixels(cracked, pixels.valid), each.window, info)
    return blur_px
