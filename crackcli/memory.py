"""How much memory a process holds, and how much a scan will.

A scan holds three things: the program with its model, the activations of one block of the
network, and the pixels and cells of a few strips.  The last is counted from the grid, array by
array.  The second is what was measured of the shipped networks on their largest blocks, since a
block small enough to be computed in an instant takes memory that the program has anyway.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from crackcli.explainer import FAR_PX, WIDE_PX, Explainer, StripExplainer
from crackcli.mask_scene import CORE_PX, HALO_PX
from crackcli.raster import ENVIRONMENT, RasterInfo
from crackcli.workload import area
from crackcli.zoom import View

MB = 1024**2
CHANNELS = 512  # of the cells of the network that was measured
# Bytes of a pixel of the largest block, by engine and kind of method: of cells, of maps.
ACTIVATIONS = {
    ("onnx", "propagation"): (520, 1600),
    ("onnx", "window"): (0, 700),
    ("onnx", "tiles"): (0, 280),
    ("raw", "window"): (0, 12),
    ("torch", "propagation"): (560, 1850),
    ("torch", "passes"): (560, 1450),
    ("torch", "window"): (0, 700),
    ("torch", "tiles"): (0, 600),
}
UNKNOWN = (560, 1850)  # of other engines
REFINED = 60  # bytes of a pixel of a block of which the mask is made: fifteen float32 images
BATCH = 4  # tiles of a method by tiles


def peak_memory_mb() -> float | None:
    """The most memory this process has held so far; None where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def resident_mb() -> float:
    """The memory that this process holds now; its peak where the system does not tell."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (ModuleNotFoundError, OSError, ValueError, IndexError):
        return peak_memory_mb() or 0.0
    return pages * resource.getpagesize() / MB


def peak_mb(
    explainer: StripExplainer, info: RasterInfo, views: Sequence[View], at_rest_mb: float
) -> float:
    """The most memory a process holds that scans a raster which is explained all over, if it holds
    ``at_rest_mb`` with the model loaded."""
    strips = max(strip_bytes(explainer, view, info) for view in views)
    rows = max(view.window(0, info).rows for view in views)
    score = (3 * len(views) + 5) * rows * info.cols
    mask = 10 * min(CORE_PX, info.rows) * info.cols + REFINED * (CORE_PX + 2 * HALO_PX) ** 2
    cache = min(ENVIRONMENT["GDAL_CACHEMAX"], 4 * info.rows * info.cols)
    engine = max(engine_bytes(explainer, view) for view in views)
    return at_rest_mb + (engine + max(strips, score, mask) + cache) / MB


def engine_bytes(explainer: StripExplainer, view: View) -> float:
    """Activations of the largest block of a view."""
    facts = explainer.engine.facts
    of_cells, of_maps = ACTIVATIONS.get((facts.engine.split()[0], facts.kind), UNKNOWN)
    if facts.kind == "tiles":
        return BATCH * facts.tile_px**2 * of_maps
    block = max((block.padded for block in view.grid.strip(0).blocks), key=area)
    if not isinstance(explainer, Explainer):
        return area(block) * of_maps
    stride, reach = explainer.stride, explainer.reach
    lattice, band = explainer.lattice(view.grid), explainer.band_of(0, view.grid)
    wide = min(WIDE_PX // stride, lattice.cols) + 2 * reach
    cells_px = (band.rows + 2 * reach) * wide * stride**2
    maps_px = area(block.grown(explainer.further_px))
    share = len(explainer.blank) / CHANNELS
    return share * max(cells_px * of_cells, maps_px * of_maps)


def strip_bytes(explainer: StripExplainer, view: View, info: RasterInfo) -> float:
    """Pixels, cells and relevance of the widest strips that are held at once."""
    grid = view.grid
    rows = max(rows for _, rows in grid.row_spans)
    rim = grid.halo_px + FAR_PX
    cells = 0.0
    if isinstance(explainer, Explainer):
        rim += explainer.further_px
        lattice = explainer.lattice(grid)
        band = -(-rows // explainer.stride)
        around = explainer.tile - 1 + explainer.reach
        held = min(lattice.rows, band * (1 + 2 * -(-around // band)))  # of all strips it touches
        seen = min(lattice.rows, band + 2 * around)
        cells = 4 * len(explainer.blank) * lattice.cols * (held + seen)
    pixels = 2 * 4 * (rows + 2 * rim) * (grid.cols + 2 * rim)  # mirrored at the edges: a copy
    window = view.window(0, info)
    return cells + pixels + 8 * window.rows * window.cols
