"""Predict how much memory a scan holds.

A scan holds three things: the program with its model, the activations of one window of the network,
and the pixels and cells of a few strips, those read ahead included. The last is counted from the
grid, array by array. The second is measured on the largest windows of the shipped networks, as a
window small enough to run in an instant takes memory that the program has anyway.

The bytes per pixel below are of arrays that live in local variables of other modules (score, mask,
read-ahead), so they cannot be imported; ``benchmarks/estimate.py`` compares them with real scans.
Sizes of blocks, halos and strips are those of the modules that use them.
"""

import math
from collections.abc import Sequence

from crackcli.engines.engine import EngineFacts
from crackcli.inference.lattice import Lattice
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View
from crackcli.masking.refinement import HALO_PX
from crackcli.masking.scene_mask import CORE_PX
from crackcli.masking.scene_mask import STRIPS as MASK_STRIPS
from crackcli.rasters.access.opening import CACHE_BYTES
from crackcli.rasters.decoding.decoded import AVIF, HEIF, RAW, kind_of_photograph
from crackcli.rasters.nodata import FADE_PX
from crackcli.rasters.read_ahead import BLOCK_ROWS
from crackcli.rasters.reader import RasterInfo
from crackcli.scan.dry_run.workload import WorkloadCount
from crackcli.scan.process_memory import MB
from crackcli.scan.raster import STRIPS as SCORE_STRIPS
from crackcli.threads import thread_count

CHANNELS = 512  # of the cells of the network that was measured
# Bytes per pixel of the largest window, by engine and kind of method: for cells, for maps.
ACTIVATIONS = {
    ("onnx", "propagation"): (560, 1800),
    ("onnx", "stages"): (0, 500),
    ("onnx", "window"): (0, 700),
    ("onnx", "tiles"): (0, 280),
    ("raw", "window"): (0, 12),
    ("torch", "propagation"): (560, 1850),
    ("torch", "passes"): (560, 1450),
    ("torch", "stages"): (0, 500),
    ("torch", "window"): (0, 700),
    ("torch", "tiles"): (0, 600),
    ("zennit", "propagation"): (560, 3600),
}
OTHER_ENGINE = (560, 1850)
INT8_BYTES = 390  # per pixel of cells in int8, which their engine keeps
FEATURE_BYTES = 14  # per pixel, of the features that a scorer of stages keeps
GPU_BYTES = (12, 16)  # per pixel, on the host: pixels, cells and maps, and copies; the GPU has more
REFINE_BYTES = 60  # per pixel of a block whose mask is made: fifteen float32 images
# Files that several threads may read at once. Not all of them are, which only opening would show.
IN_PARTS = {".tif", ".tiff"}
DECODED_BYTES = {HEIF: 12, AVIF: 12, RAW: 21}  # per pixel, while a library decodes all of it
LOOK_PX = 512  # rows that a prescreen reads below those of the full pass, at most


def peak_mb(
    scorer: StripScorer,
    info: RasterInfo,
    views: Sequence[View],
    counts: Sequence[WorkloadCount],
    at_rest_mb: float,
) -> float:
    """Return the peak memory (MB) of a process that scans a raster which is explained all over.

    ``at_rest_mb`` is what the process holds with the model loaded; ``counts`` are those of the
    views.
    """
    facts, channels = scorer.engine.facts, scorer.channels
    prescreens = scorer.prescreen is not None
    strips = max(strip_bytes(facts, channels, view, info, prescreens=prescreens) for view in views)
    rows = max(view.window(0, info).rows for view in views)
    score = (3 * len(views) + 5 * SCORE_STRIPS) * rows * info.cols
    blocks = math.ceil(info.rows / CORE_PX) * math.ceil(info.cols / CORE_PX)
    refined = min(thread_count(), blocks) if info.path.suffix.lower() in IN_PARTS else 1
    block_px = min(CORE_PX, info.rows) + 2 * HALO_PX, min(CORE_PX, info.cols) + 2 * HALO_PX
    mask = (6 + MASK_STRIPS) * min(CORE_PX, info.rows) * info.cols
    mask += refined * REFINE_BYTES * math.prod(block_px)
    cache = min(CACHE_BYTES, 4 * info.rows * info.cols)
    engine = max(engine_bytes(facts, channels, each) for each in counts)
    engine += INT8_BYTES * max(each.largest_look_px for each in counts)
    decoded = DECODED_BYTES.get(kind_of_photograph(info.path) or "", 0) * info.rows * info.cols
    return at_rest_mb + (engine + max(strips, score, mask) + cache + decoded) / MB


def engine_bytes(facts: EngineFacts, channels: int, counts: WorkloadCount) -> float:
    """Return the bytes of the activations of the largest image that the engine computes at once."""
    if facts.device == "cuda":
        for_cells, for_maps = GPU_BYTES
        return max(counts.largest_cells_px * for_cells, counts.largest_maps_px * for_maps)
    for_cells, for_maps = ACTIVATIONS.get((facts.engine.split()[0], facts.kind), OTHER_ENGINE)
    fraction = channels / CHANNELS if channels else 1.0
    fraction /= 2 if facts.precision == "bfloat16" else 1
    both = counts.largest_cells_px * for_cells, counts.largest_maps_px * for_maps
    # ONNX Runtime keeps the memory that each of its graphs has needed.
    return fraction * (sum(both) if facts.engine.startswith("onnx") else max(both))


def strip_bytes(
    facts: EngineFacts, channels: int, view: View, info: RasterInfo, *, prescreens: bool
) -> float:
    """Return the bytes of pixels, cells and relevance of the strips that are held at once.

    A prescreen has cells of its own, and reads further down.
    """
    grid, stride = view.grid, facts.stride_px
    lattice = Lattice.of(facts)
    rows = max(rows for _, rows in grid.row_spans)
    rim = grid.halo_px + FADE_PX + (facts.tile_px if facts.kind == "passes" else 0)
    strip_cells, around = -(-rows // stride), lattice.rows_below
    shape = [-(-side // stride) + lattice.tile for side in (grid.rows, grid.cols)]
    held = min(shape[0], strip_cells * (1 + -(-2 * around // strip_cells)))  # strips it touches
    gathered = min(shape[0], strip_cells + 2 * around)
    cells = 4 * channels * shape[1] * (held + gathered + (held if prescreens else 0))
    padded_px = (rows + 2 * rim) * (grid.cols + 2 * rim)
    cells += FEATURE_BYTES * padded_px if facts.kind == "stages" else 0
    resampled = view.zoom != 1  # otherwise pixels are put together window by window
    pixels = (2 * 4 if resampled else info.masked) * padded_px
    below = around * stride + (LOOK_PX if prescreens else 0)
    read = math.ceil((2 * rows + 2 * rim + below) / min(1.0, view.zoom))
    decoded = (3 + info.masked) * min(info.rows, read + 2 * BLOCK_ROWS) * info.cols
    window = view.window(0, info)
    return cells + pixels + decoded + 11 * window.rows * window.cols  # one is being written
