"""Windows of cells that fit the memory of the device, computed one after the other."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Generic, TypeVar

from crackcli.arrays import Bools, UInt8
from crackcli.errors import DeviceError
from crackcli.inference.lattice import Lattice
from crackcli.progress import FractionDone
from crackcli.rasters.covering import cover, halve
from crackcli.rasters.grid import Window
from crackcli.rasters.nodata import FilledWindow
from crackcli.threads import ThreadPool

Result = TypeVar("Result")


class WindowRunner(Generic[Result]):
    """Runs one step of an engine on windows of cells.

    A window and its halo have at most ``max_cells`` cells. When the device runs out of memory,
    the window is halved and ``max_cells`` lowered, so that none as large is tried again.
    """

    def __init__(self, lattice: Lattice, max_cells: int, device: str) -> None:
        self.lattice, self.max_cells, self.device = lattice, max_cells, device

    def run(
        self,
        needed: Bools,
        origin: Window,
        filled: FilledWindow,
        step: Callable[[Window, UInt8 | None], Result],
        report: FractionDone,
    ) -> Generator[tuple[Window, Result], None, None]:
        """Yield windows that hold every ``needed`` cell of ``origin`` once, each with its result.

        ``step`` gets a window and the pixels (H, W, 3) of its receptive field, None if all of them
        are nodata; it may raise a `MemoryError`. The pixels of the next window are put together
        while one is computed. Raises a `DeviceError` if not even one cell fits.
        """
        waiting = list(cover(needed, self.max_cells, self.lattice.reach))[::-1]
        done, total = 0, sum(part.rows * part.cols for part in waiting)
        with ThreadPool(nullcontext, 1) as pool:

            def begin(part: Window) -> Future[UInt8 | None]:
                return pool.submit(lambda _: filled.filled(self.lattice.receptive_field(part)))

            following: tuple[Window, Future[UInt8 | None]] | None = None
            for part in self.fitting(waiting):
                window = shifted(part, origin)
                if following is None or following[0] != window:
                    following = window, begin(window)
                rgb = following[1].result()
                following = None
                if waiting:
                    after = shifted(waiting[-1], origin)
                    following = after, begin(after)
                try:
                    result = step(window, rgb)
                except MemoryError:  # numpy's, or an `OutOfMemory`
                    waiting += self.smaller(part)
                    continue
                yield window, result
                done += part.rows * part.cols
                report(done / total)

    def fitting(self, waiting: list[Window]) -> Iterator[Window]:
        """Take windows from a stack, which may grow meanwhile; halve those that are too large."""
        while waiting:
            part = waiting.pop()
            too_large = self.lattice.area_with_halo(part) > self.max_cells
            if too_large and part.rows * part.cols > 1:
                waiting += halve(part)[::-1]
            else:
                yield part

    def smaller(self, part: Window) -> list[Window]:
        """Lower the limit below a window that did not fit, and return its halves."""
        if part.rows * part.cols == 1:
            remedy = "" if str(self.device) == "cpu" else ", or use --device cpu"
            raise DeviceError(
                f"{self.device}: not enough free memory for a single tile; free some{remedy}"
            )
        self.max_cells = min(self.max_cells, self.lattice.area_with_halo(part) - 1)
        return halve(part)[::-1]


def shifted(part: Window, origin: Window) -> Window:
    """Return a window that counts from the corner of ``origin`` as one of the raster."""
    return Window(part.row + origin.row, part.col + origin.col, *part.shape)
