"""How much memory a process holds, and how much a scan will.

A scan holds three things: the program with its model, the activations of one block of the
network, and the pixels and cells of a few strips, those read ahead among them.  The last is counted
from the grid, array by array.  The second is what was measured of the shipped networks on their
largest blocks, since a block small enough to be computed in an instant takes memory that the
program has anyway.
"""

import math
from collections.abc import Sequence

from crackcli.engines.engine import EngineFacts
from crackcli.inference.explainer import Explainer
from crackcli.inference.strips import StripScorer
from crackcli.inference.views import View
from crackcli.masking.scene_mask import CORE_PX, HALO_PX
from crackcli.masking.scene_mask import STRIPS as MASK_STRIPS
from crackcli.rasters.read_ahead import BLOCK_ROWS
from crackcli.rasters.reader import ENVIRONMENT, RasterInfo
from crackcli.scan.dry_run.workload import WorkloadCount
from crackcli.scan.process_memory import MB
from crackcli.threads import thread_count

CHANNELS = 512  # of the cells of the network that was measured
# Bytes of a pixel of the largest block, by engine and kind of method: of cells, of maps.
ACTIVATIONS = {
    ("onnx", "propagation"): (560, 1800),
    ("onnx", "window"): (0, 700),
    ("onnx", "tiles"): (0, 280),
    ("raw", "window"): (0, 12),
    ("torch", "propagation"): (560, 1850),
    ("torch", "passes"): (560, 1450),
    ("torch", "window"): (0, 700),
    ("torch", "tiles"): (0, 600),
    ("zennit", "propagation"): (560, 3600),
}
UNKNOWN = (560, 1850)  # of other engines
QUICK = 390  # of a pixel of cells in whole numbers, which their engine keeps
TRAVELLING = (12, 16)  # of any on a GPU, which has the rest: pixels, cells and maps, and copies
REFINED = 60  # bytes of a pixel of a block of which the mask is made: fifteen float32 images
SCORE_STRIPS = 2  # that are coded at once
IN_PARTS = {".tif", ".tiff"}  # files that several threads may read
LOOK_PX = 512  # that a first look reads below what is looked at in full
RIM_PX = 64  # that are read around a strip in which pixels have no data


def peak_mb(
    explainer: StripScorer,
    info: RasterInfo,
    views: Sequence[View],
    counts: Sequence[WorkloadCount],
    at_rest_mb: float,
) -> float:
    """The most memory a process holds that scans a raster which is explained all over, if it holds
    ``at_rest_mb`` with the model loaded; ``counts`` are those of the views."""
    facts = explainer.engine.facts
    channels = len(explainer.blank) if isinstance(explainer, Explainer) else 0
    looks = explainer.look is not None
    strips = max(strip_bytes(facts, channels, view, info, looks=looks) for view in views)
    rows = max(view.window(0, info).rows for view in views)
    score = (3 * len(views) + 5 * SCORE_STRIPS) * rows * info.cols
    blocks = math.ceil(info.rows / CORE_PX) * math.ceil(info.cols / CORE_PX)
    refined = min(thread_count(), blocks) if info.path.suffix.lower() in IN_PARTS else 1
    block_px = min(CORE_PX, info.rows) + 2 * HALO_PX, min(CORE_PX, info.cols) + 2 * HALO_PX
    mask = (6 + MASK_STRIPS) * min(CORE_PX, info.rows) * info.cols
    mask += refined * REFINED * math.prod(block_px)
    cache = min(ENVIRONMENT["GDAL_CACHEMAX"], 4 * info.rows * info.cols)
    engine = max(engine_bytes(facts, channels, each) for each in counts)
    engine += QUICK * max(each.largest_look_px for each in counts)
    return at_rest_mb + (engine + max(strips, score, mask) + cache) / MB


def engine_bytes(facts: EngineFacts, channels: int, counts: WorkloadCount) -> float:
    """Activations of the largest image that the engine sees at once."""
    if facts.device == "cuda":
        of_cells, of_maps = TRAVELLING
        return max(counts.largest_cells_px * of_cells, counts.largest_maps_px * of_maps)
    of_cells, of_maps = ACTIVATIONS.get((facts.engine.split()[0], facts.kind), UNKNOWN)
    share = channels / CHANNELS if channels else 1.0
    share /= 2 if facts.precision == "bfloat16" else 1
    both = counts.largest_cells_px * of_cells, counts.largest_maps_px * of_maps
    # ONNX Runtime keeps what each graph has needed.
    return share * (sum(both) if facts.engine.startswith("onnx") else max(both))


def strip_bytes(
    facts: EngineFacts, channels: int, view: View, info: RasterInfo, *, looks: bool
) -> float:
    """Pixels, cells and relevance of the widest strips that are held at once; a first look has
    cells of its own, and reads further."""
    grid, stride = view.grid, facts.stride_px
    rows = max(rows for _, rows in grid.row_spans)
    reach, tile = -(-facts.reach_px // stride), facts.tile_px // stride
    rim = grid.halo_px + RIM_PX + (facts.tile_px if facts.kind == "passes" else 0)
    band, around = -(-rows // stride), tile - 1 + reach
    lattice = [-(-side // stride) + tile for side in (grid.rows, grid.cols)]
    held = min(lattice[0], band * (1 + -(-2 * around // band)))  # of all strips it touches
    seen = min(lattice[0], band + 2 * around)
    cells = 4 * channels * lattice[1] * (held + seen + (held if looks else 0))
    wide = (rows + 2 * rim) * (grid.cols + 2 * rim)
    whole = view.zoom != 1  # else pixels are put together window by window
    pixels = (2 * 4 if whole else info.masked) * wide
    below = around * stride + (LOOK_PX if looks else 0)
    read = math.ceil((2 * rows + 2 * rim + below) / min(1.0, view.zoom))
    bands = (3 + info.masked) * min(info.rows, read + 2 * BLOCK_ROWS) * info.cols
    window = view.window(0, info)
    return cells + pixels + bands + 11 * window.rows * window.cols  # one is being written
