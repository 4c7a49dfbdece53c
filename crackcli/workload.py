"""What a scan has to compute, in pixels and tiles, told from the grid alone.

The counts follow `crackcli.explainer` and `crackcli.direct_explainer` call by call: cells in wide
blocks with their reach around them, once for each strip; tiles in every block, with those of its
neighbours that reach into it; maps in blocks with their halo.  How long one of each takes tells
`crackcli.pace`.
"""

from collections.abc import Collection
from dataclasses import astuple, dataclass
from functools import cached_property

from crackcli import explainer as tiled
from crackcli.explainer import Explainer, StripExplainer, grown, span
from crackcli.grid import Window
from crackcli.zoom import View

BACK_AND_FORTH = 3.0  # a pass carries its core forth and back, in forward passes over as much


@dataclass(frozen=True)
class Load:
    """Of some strips of one view.

    ``cells_px``   pixels of which cells are computed, with what is computed twice
    ``head``       cells that the head sees, with those that it sees twice
    ``maps_px``    pixels that are explained if all are, with their halo; of passes weighed by what
                   a pass costs, of all passes; of a method by tiles the pixels of all tiles
    ``blocks``     blocks that are explained, or not
    ``read_px``    pixels of the view that are read whatever it shows
    ``again_px``   pixels that are read once more where something is explained
    """

    cells_px: int
    head: int
    maps_px: float
    blocks: int
    read_px: int
    again_px: int

    def __add__(self, other: "Load") -> "Load":
        return Load(
            *(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )


NOTHING = Load(0, 0, 0.0, 0, 0, 0)


def pass_px(window_px: float, core_px: float) -> float:
    """What one pass over a window costs, in pixels that go forth once: all of the window goes
    forth to its cells, only the padded block in its middle goes forth again and back."""
    return window_px + BACK_AND_FORTH * core_px


class Gated:
    """Loads of a method that explains a classifier behind its gate."""

    def __init__(self, explainer: Explainer, view: View) -> None:
        self.explainer, self.grid = explainer, view.grid
        self.lattice = explainer.lattice(view.grid)
        self.bands = [explainer.band_of(index, view.grid) for index in range(len(view.grid))]

    def of(self, index: int) -> Load:
        """Head and maps of a strip; its cells are counted by `cells_px`."""
        engine = self.explainer
        facts = engine.engine.facts
        head, maps_px = 0, 0.0
        strip = self.grid.strip(index)
        for block in strip.blocks:
            own = engine.cells_of(block.core)
            part = grown(own, engine.tile - 1 + engine.reach, self.lattice)
            head += area(part)
            padded_px = area(block.padded)
            if facts.kind == "passes":
                window_px = area(block.padded.grown(engine.further_px))
                maps_px += facts.passes * pass_px(window_px, padded_px)
            else:
                maps_px += padded_px
        again_px = area(span(strip).grown(engine.further_px))
        return Load(0, head, maps_px, len(strip.blocks), 0, again_px)

    def cells_px(self, indices: Collection[int]) -> int:
        """Pixels of the cells of strips that are explained in this order: those of a strip's
        neighbours too, unless the strip before has left them."""
        total, held = 0, set[int]()
        for index in indices:
            core = self.explainer.cells_of(self.grid.strip(index).window)
            seen = grown(core, self.explainer.tile - 1 + self.explainer.reach, self.lattice)
            touched = {
                number
                for number, band in enumerate(self.bands)
                if band.row < seen.end_row and band.end_row > seen.row
            }
            total += sum(self.band_px[number] for number in touched - held)
            held = touched
        return total

    @cached_property
    def band_px(self) -> list[int]:
        return [self.of_band(band) for band in self.bands]

    def of_band(self, band: Window) -> int:
        """Pixels of the wide blocks in which the cells of a band are computed."""
        stride, reach = self.explainer.stride, self.explainer.reach
        step = tiled.WIDE_PX // stride
        total = 0
        for col in range(band.col, band.end_col, step):
            cols = min(step, band.end_col - col)
            total += (band.rows + 2 * reach) * (cols + 2 * reach) * stride**2
        return total


def load_of(explainer: StripExplainer, view: View, indices: Collection[int]) -> Load:
    """What the strips ``indices`` of a view take, one after the other."""
    total = NOTHING
    if isinstance(explainer, Explainer):
        gated = Gated(explainer, view)
        for index in indices:
            total += gated.of(index)
        cells_px = gated.cells_px(indices)
        return total + Load(cells_px, 0, 0.0, 0, cells_px, 0)
    facts = explainer.engine.facts
    for index in indices:
        strip = view.grid.strip(index)
        total += Load(0, 0, 0.0, 0, area(span(strip)), 0)
        for block in strip.blocks:
            seen = block.padded
            if facts.kind == "tiles":
                steps = [(side - facts.tile_px) // facts.stride_px + 1 for side in seen.shape]
                maps_px = max(0, steps[0]) * max(0, steps[1]) * facts.tile_px**2
            else:
                maps_px = area(seen)
            total += Load(0, 0, float(maps_px), 1, 0, 0)
    return total


def area(window: Window) -> int:
    return window.rows * window.cols
