"""Score the strips of a raster with a segmentation network that is computed in three stages.

A pixel depends on hundreds of pixels around it, so blocks with such a halo would spend most of
their time on halos. But nearly all of that receptive field comes from the coarse layers, which
need little time and memory. So each stage (see `crackcli.engines.engine.Engine`) has windows of its
own:

- `encode` gives features at 1/2, 1/4 and 1/8 of the resolution, with a halo of 40 px. Those of a
  strip and of the rows around it are kept, so that each is computed once;
- `context` takes those at 1/8 of a whole strip, as far as the halo of the network extends;
- `decode` gives P(crack) in windows with a halo of 24 px. They leave out the blocks that the
  prescreen of the model, if it has one, rules out by their context: P(crack) is 0 there.

Beyond its edges the raster is reflected. For nodata see `crackcli.rasters.nodata`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from functools import cached_property, partial

import numpy as np

from crackcli.arrays import Bools, Float16, Float32, UInt8
from crackcli.engines.engine import DECODE_HALO_PX, ENCODE_HALO_PX, Engine
from crackcli.inference.strips import Int8TileEngine, Prescreen, StripScores, as_half, check_finite
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.covering import cover_cheaply, grow_within
from crackcli.rasters.grid import Grid, Window, spans
from crackcli.rasters.nodata import FILL_GREY, FilledWindow, RasterReader
from crackcli.threads import BackgroundWorker, ThreadPool

TALL_PX = 1024  # height of a strip
STRIP_PX = 2**23  # pixels of a strip: wider rasters get lower strips, which bounds the memory
LOW_PX = 256  # height that no strip goes below, as the context around it is computed anew
WINDOW_PX = 768  # side of the windows that are encoded and decoded at once
CONTEXT_PX = 2**23  # pixels of the largest window, halo included, that gets its context at once
STEPS_PX = (2, 4, 8)  # sides of a cell of the features
CONTEXT_STEP_PX = 8
EDGE_PX = 64  # that the raster is reflected beyond its edges at most
CALL_PX = 4096  # cost of a call that decodes a window, in pixels
AHEAD = 2  # windows that are put together while one is computed
ENCODED, WITH_CONTEXT = 0.35, 0.6  # fractions of the time, after these stages


class FeatureRows:
    """Features of full-width rows of a raster, in cells of ``step_px``.

    They are kept in half precision, like the weights of a network.
    """

    def __init__(self, step_px: int, channels: int, cols: Window) -> None:
        self.step_px = step_px
        self.window = Window(cols.row, cols.col, 0, cols.cols)  # pixels
        self.values: Float16 = np.empty((channels, 0, cols.cols // step_px), np.float16)

    def advance(self, row: int, end_row: int) -> None:
        """Drop the rows above ``row``, and make room down to ``end_row``."""
        old = self.window
        row = min(max(row, old.row), old.end_row)
        kept = self.values[:, (row - old.row) // self.step_px :]
        self.window = Window(row, old.col, end_row - row, old.cols)
        shape = len(kept), self.window.rows // self.step_px, kept.shape[2]
        self.values = np.empty(shape, np.float16)
        self.values[:, : kept.shape[1]] = kept

    def put(self, window: Window, values: Float32) -> None:
        """Store the features (C, h, w) of a window."""
        self.values[(slice(None), *cells(window, self.window, self.step_px))] = values

    def get(self, window: Window) -> Float32:
        """Return the features (1, C, h, w) of a window."""
        part = self.values[(slice(None), *cells(window, self.window, self.step_px))]
        return part[None].astype(np.float32)


class Encoded:
    """The features of the rows of a raster that were encoded last, down to ``end_row``."""

    def __init__(self, raster: tuple[str, Grid], area: Window, channels: Sequence[int]) -> None:
        self.raster, self.end_row = raster, area.row
        self.halves, self.quarters, self.eighths = (
            FeatureRows(step_px, count, area)
            for step_px, count in zip(STEPS_PX, channels, strict=True)
        )

    def continues(self, raster: tuple[str, Grid], near: Window) -> bool:
        """Return True if the rows of a window of this raster are here, or are the next ones."""
        return self.raster == raster and self.eighths.window.row <= near.row <= self.end_row

    def put(self, window: Window, features: Sequence[Float32], rim_px: int) -> None:
        """Store the features (1, C, h, w) of a window that was encoded with a rim."""
        for rows, values in zip((self.halves, self.quarters, self.eighths), features, strict=True):
            rim = rim_px // rows.step_px
            rows.put(window, values[0, :, rim : values.shape[2] - rim, rim : values.shape[3] - rim])


class StagedScorer:
    """Scores strips with an engine of kind stages."""

    gate = 0.0
    channels = 0
    core_px = TALL_PX
    prescreen: Prescreen | None = None

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stride_px = engine.facts.stride_px
        self.reach_px = -(-engine.facts.reach_px // self.stride_px) * self.stride_px
        self.halo_px = self.stride_px + self.reach_px  # of a strip: what it decodes, and around it
        self.encoded: Encoded | None = None

    def on(self, engine: Engine, int8_engine: Int8TileEngine) -> "StagedScorer":
        """Return the same on another engine."""
        return StagedScorer(engine)

    def grid(self, rows: int, cols: int, core_px: int) -> Grid:
        """Return the strips in which a raster is scored."""
        fitting = max(LOW_PX, STRIP_PX // cols) // self.stride_px * self.stride_px
        return Grid(rows, cols, min(core_px, fitting), self.halo_px, self.stride_px)

    def whole_cells(self, window: Window) -> Window:
        """Return a window with its sides rounded up to multiples of the stride."""
        rows, cols = (-(-side // self.stride_px) * self.stride_px for side in window.shape)
        return Window(window.row, window.col, rows, cols)

    def score_strip(
        self, raster: RasterReader, grid: Grid, index: int, report: FractionDone = ignore
    ) -> StripScores:
        """Return the score of every pixel of a strip; P(crack) is empty."""
        row, rows = grid.row_spans[index]
        strip = Window(row, 0, rows, grid.cols)
        area = self.whole_cells(Window(0, 0, grid.rows, grid.cols)).grown(
            min(EDGE_PX, self.reach_px)
        )
        core = self.whole_cells(strip)
        near = grow_within(core, self.halo_px, area)
        filled = FilledWindow(raster, near.grown(ENCODE_HALO_PX))
        valid = filled.valid(strip)
        encoded = self.encode(raster, grid, filled, core, near, area, report)
        relevance = np.zeros(strip.shape, np.float16)
        if valid.any():
            around = core.grown(self.stride_px)
            context = self.context(encoded, near, around, strip, valid)
            report(WITH_CONTEXT)
            self.decode(filled, encoded, context, around, strip, valid, relevance, report)
        if not valid.all():
            relevance[~valid] = 0
        return StripScores(relevance, valid, np.zeros((0, 0), np.float32))

    def encode(
        self,
        raster: RasterReader,
        grid: Grid,
        filled: FilledWindow,
        core: Window,
        near: Window,
        area: Window,
        report: FractionDone,
    ) -> Encoded:
        """Return the features of the rows ``near`` a strip; those of strips above are kept."""
        source = raster.info.content, grid
        if self.encoded is None or not self.encoded.continues(source, near):
            first = Window(near.row, area.col, near.rows, area.cols)
            self.encoded = Encoded(source, first, [len(cell) for cell in self.fill])
        encoded = self.encoded
        encoded.eighths.advance(near.row, near.end_row)
        for rows in (encoded.halves, encoded.quarters):
            rows.advance(core.row - self.stride_px, near.end_row)
        new = Window(encoded.end_row, near.col, near.end_row - encoded.end_row, near.cols)

        def read(_: None, window: Window) -> UInt8 | None:
            return filled.filled(window.grown(ENCODE_HALO_PX))

        def put(window: Window, rgb: UInt8 | None) -> Callable[[], None]:
            if rgb is None:
                return partial(encoded.put, window, [cell[None] for cell in self.fill], 0)
            return partial(encoded.put, window, self.engine.encode(rgb[None]), ENCODE_HALO_PX)

        windows = list(parts(new, WINDOW_PX, self.stride_px))
        with (
            ThreadPool(nullcontext, 1) as pool,
            closing(pool.imap(read, windows, AHEAD)) as images,
            BackgroundWorker() as behind,
        ):
            for number, (window, rgb) in enumerate(zip(windows, images, strict=True)):
                behind.hand_over(put(window, rgb))
                report(ENCODED * (number + 1) / len(windows))
        encoded.end_row = near.end_row  # only now: an interrupted strip is encoded again
        return encoded

    def context(
        self, encoded: Encoded, near: Window, around: Window, strip: Window, valid: Bools
    ) -> Float32:
        """Return the context (1, C, h, w) ``around`` a strip; 0 far from valid pixels."""
        context = np.zeros((1, 0, 0, 0), np.float32)
        widest = CONTEXT_PX // near.rows - 2 * self.reach_px
        for part in parts(around, max(around.rows, widest), self.stride_px):
            if not valid[grow_within(part, 0, strip).within(strip)].any():
                continue
            window = grow_within(part, self.reach_px, near)
            found = self.engine.context(encoded.eighths.get(window))
            if not context.size:
                shape = (side // CONTEXT_STEP_PX for side in around.shape)
                context = np.zeros((1, found.shape[1], *shape), np.float32)
            at = cells(part, around, CONTEXT_STEP_PX)
            context[(..., *at)] = found[(..., *cells(part, window, CONTEXT_STEP_PX))]
        return context

    def decode(
        self,
        filled: FilledWindow,
        encoded: Encoded,
        context: Float32,
        around: Window,
        strip: Window,
        valid: Bools,
        relevance: Float16,
        report: FractionDone,
    ) -> None:
        """Write P(crack) of the pixels of a strip to ``relevance``."""
        windows = list(self.windows_to_decode(context, around, strip, valid))

        def gather(_: None, window: Window) -> tuple[UInt8 | None, Float32, Float32, Float32]:
            outer = window.grown(DECODE_HALO_PX)
            near = context[(..., *cells(outer, around, CONTEXT_STEP_PX))]
            features = encoded.halves.get(outer), encoded.quarters.get(outer)
            return filled.filled(outer), *features, np.ascontiguousarray(near)

        def put(window: Window, maps: Float32) -> None:
            check_finite(maps, self.engine)
            inside, outer = grow_within(window, 0, strip), window.grown(DECODE_HALO_PX)
            relevance[inside.within(strip)] = as_half(maps[0][inside.within(outer)])

        with (
            ThreadPool(nullcontext, 1) as pool,
            closing(pool.imap(gather, windows, AHEAD)) as gathered,
            BackgroundWorker() as behind,
        ):
            for number, (window, (rgb, *given)) in enumerate(zip(windows, gathered, strict=True)):
                if rgb is not None:
                    maps = self.engine.decode(rgb[None], *given)
                    behind.hand_over(partial(put, window, maps))
                report(WITH_CONTEXT + (1 - WITH_CONTEXT) * (number + 1) / len(windows))

    def windows_to_decode(
        self, context: Float32, around: Window, strip: Window, valid: Bools
    ) -> Iterator[Window]:
        """Yield windows with all pixels of a strip that are valid and may be crack."""
        step = self.stride_px
        core = self.whole_cells(strip)
        rows, cols = core.rows // step, core.cols // step
        blocks = np.zeros((rows * step, cols * step), bool)
        blocks[: strip.rows, : strip.cols] = valid
        wanted = np.asarray(blocks.reshape(rows, step, cols, step).any(axis=(1, 3)))
        prescreen = self.engine.facts.prescreen
        if prescreen is not None:
            near = prescreen.may_be_crack(context[0])
            near = near[cells(core, around, CONTEXT_STEP_PX)]
            each = step // CONTEXT_STEP_PX
            wanted &= near.reshape(rows, each, cols, each).any(axis=(1, 3))
        most, halo = (WINDOW_PX // step) ** 2, DECODE_HALO_PX / step
        for window in cover_cheaply(wanted, most, halo, CALL_PX / step**2):
            yield Window(
                *(core.row + window.row * step, core.col + window.col * step),
                *(window.rows * step, window.cols * step),
            )

    @cached_property
    def fill(self) -> tuple[Float32, ...]:
        """The features (C, 1, 1) of grey fill only, at 1/2, 1/4 and 1/8 of the resolution."""
        side = 2 * ENCODE_HALO_PX + CONTEXT_STEP_PX
        grey = np.full((1, side, side, 3), FILL_GREY, np.uint8)
        middle = (side // 2 // step_px for step_px in STEPS_PX)
        found = zip(self.engine.encode(grey), middle, strict=True)
        return tuple(values[0, :, at : at + 1, at : at + 1] for values, at in found)


def parts(window: Window, side_px: int, step_px: int) -> Iterator[Window]:
    """Yield parts of a window, which may have no rows, of at most ``side_px`` along each side."""
    if not window.rows:
        return
    for row, rows in spans(window.rows, side_px, step_px):
        for col, cols in spans(window.cols, side_px, step_px):
            yield Window(window.row + row, window.col + col, rows, cols)


def cells(window: Window, outer: Window, step_px: int) -> tuple[slice, slice]:
    """Return the position of a window of pixels in an array of the cells of ``outer``."""
    rows, cols = window.within(outer)
    return (
        slice(rows.start // step_px, rows.stop // step_px),
        slice(cols.start // step_px, cols.stop // step_px),
    )
