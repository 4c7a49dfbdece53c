"""Inspect raster files and read windows of them; `crackcli.rasters.writing.cog` writes rasters.

Whatever a file contains (8 or 16 bits, grey, palette, RGB, alpha, nodata, EXIF orientation), a
window is upright RGB, uint8, with a mask of valid pixels. Zero is a valid grey value: only a mask
band, alpha or declared nodata makes a pixel invalid. Invalid pixels are black in the result.
"""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
import rasterio.warp
import rasterio.windows
from affine import Affine
from rasterio.enums import ColorInterp, Resampling

from crackcli.arrays import Bools, UInt8
from crackcli.errors import InputError
from crackcli.rasters.access.complete import check_complete, check_declared_size
from crackcli.rasters.access.frames import check_one_frame
from crackcli.rasters.access.opening import (
    check_beside,
    input_errors,
    open_raster,
    pixel_errors,
)
from crackcli.rasters.access.pages import find_page
from crackcli.rasters.access.state import FileState, digest_of, files_of
from crackcli.rasters.access.tiff import check_colour_map
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.bands import (
    chosen_bands,
    colour_bands,
    find_gamma,
    find_palette,
    find_stretch,
    has_nodata_value,
    is_all_valid,
    read_mask,
    to_rgb,
)
from crackcli.rasters.decoding.decoded import HEIF_SUFFIXES, RAW_SUFFIXES, kind_of_photograph
from crackcli.rasters.grid import ORIENTATIONS, Window, reflect_window
from crackcli.rasters.orientation import find_orientation
from crackcli.rasters.validity.find import Validity, find_validity

log = logging.getLogger(__name__)

GDAL_SUFFIXES = {
    *(".tif", ".tiff", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp"),
    *(".jp2", ".j2k", ".jpx", ".vrt"),
}
SUFFIXES = GDAL_SUFFIXES | HEIF_SUFFIXES | RAW_SUFFIXES  # of photographs, in a folder
MIN_SIDE_PX = 32  # smaller images are refused
PIECE_PX = 2**20  # pixels that are converted to RGB at once
MAX_BLOCK_ROWS = 1024  # files with taller blocks are not decoded in parts by several threads


@dataclass(frozen=True)
class RasterInfo:
    """Size, place on the map and content of a raster, known before its pixels are read."""

    path: Path
    rows: int
    cols: int
    transform: Affine  # pixel (col, row) to map (x, y); identity without a map
    crs_wkt: str | None
    orientation: int  # EXIF, 1 upright
    stretch: tuple[float, float] | None  # values that become 0 and 255; None: 8 bits as they are
    digest: str  # SHA-256 of all files that the pixels come from, and of which page
    masked: bool = True  # False: all pixels are valid
    bands: tuple[int, ...] = ()  # chosen as colours, from 1; none: those that the file declares
    page: int | None = None  # which full-size page of the file, from 1; None: it has only one
    gamma: float | None = None  # exponent that the file says encodes light; None: as sRGB
    files: tuple[FileState, ...] = ()  # that the pixels come from, as they were inspected
    excluded: ExcludedAreas | None = None  # not valid, as the user excludes them
    validity: Validity | None = field(default=None, compare=False)  # beyond what the file says

    @property
    def georeferenced(self) -> bool:
        """Return True if the raster has a place on a map."""
        return self.transform != Affine.identity()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return in words what was found about its pixels beyond what the file says."""
        return () if self.validity is None else self.validity.notes

    @property
    def megapixels(self) -> float:
        """Return the number of pixels in millions, nodata included."""
        return self.rows * self.cols / 1e6

    @property
    def content(self) -> str:
        """Return a text that is the same for rasters with the same pixels, all of them valid in
        both or in neither."""
        areas = self.excluded.digest if self.excluded else ""
        return f"{self.digest} {self.bands} {areas}"

    def excluding(self, areas: ExcludedAreas | None) -> "RasterInfo":
        """Return the same raster without valid pixels in some areas."""
        return self if areas is None else replace(self, excluded=areas, masked=True)


@dataclass(frozen=True)
class Pixels:
    """A window of a raster: ``rgb`` (rows, cols, 3) uint8 and ``valid`` (rows, cols)."""

    rgb: UInt8
    valid: Bools


def inspect(path: Path, bands: tuple[int, ...] = (), page: int | None = None) -> RasterInfo:
    """Return the size, place and content of the raster ``path``, after reading its pixels once: all
    of them if it declares nodata or may have a flat border.

    Raises `InputError` if it cannot be scanned: see `inspect_header`, or damaged where it was read.
    """
    info = inspect_header(path, bands, page)
    found = validity_of(info)
    return info if found is None else replace(info, masked=True, validity=found)


@lru_cache(maxsize=8)
def validity_of(info: RasterInfo) -> Validity | None:
    """Return what the file of a raster does not say about its pixels; None if there is nothing."""
    with Raster(info) as raster:
        return find_validity(raster, by_value=has_nodata_value(raster.source))


def inspect_header(path: Path, bands: tuple[int, ...] = (), page: int | None = None) -> RasterInfo:
    """Return the size, place and content of the raster ``path``, as far as its file states them.

    ``bands`` (from 1) are those to read as colours; none: those that the file declares. ``page``
    is one of its full-size pages; None: its only one. Raises `InputError` if it cannot be scanned:
    not an image, several pages, unsupported colours, or too small.
    """
    began = FileState.of(path)
    check_beside(path)
    with open_raster(path, page=page) as source:
        files = tuple(map(FileState.of, files_of(path, source)))
        directory = find_page(path, page)[0] if source.driver == "GTiff" else None
        check_colour_map(path, directory)
        check_one_frame(path, source.driver)
        if source.count == 0:
            raise InputError(f"{path}: no bands; give one of the rasters that it refers to")
        if any(kind.startswith("complex") for kind in source.dtypes):
            raise InputError(f"{path}: complex numbers; give a photograph or an orthophoto")
        if ColorInterp.cyan in source.colorinterp:
            raise InputError(f"{path}: CMYK colours; save it as RGB")
        plain = source.transform == Affine.identity() and source.crs is None
        if plain and source.gcps[0]:
            log.warning("%s: ground control points but no grid; warp it for a map", path.name)
        tag = source.tags().get("EXIF_Orientation")
        turned = plain and kind_of_photograph(path) is None  # others are decoded upright
        orientation = find_orientation(path, source.driver, tag, directory) if turned else 1
        rows, cols = ORIENTATIONS[orientation].shape(source.shape)
        if min(rows, cols) < MIN_SIDE_PX:
            raise InputError(
                f"{path}: is too small ({cols} x {rows} px); give an image with sides of at least "
                f"{MIN_SIDE_PX} px"
            )
        if not 0 < abs(source.transform.determinant) < math.inf:
            raise InputError(
                f"{path}: its geotransform gives pixels without a size "
                f"({', '.join(f'{value:g}' for value in source.transform[:6])}); export it again"
            )
        check_declared_size(path, source, files)
        with input_errors(path):
            for each in files:
                check_complete(each.path, source if each.path == path else None)
        colours, gamma = chosen_bands(path, source, bands), find_gamma(source)
        with pixel_errors(path):
            stretch = find_stretch(source, colours, gamma)
        info = RasterInfo(
            path=path,
            rows=rows,
            cols=cols,
            transform=source.transform,
            crs_wkt=source.crs.to_wkt() if source.crs else None,
            orientation=orientation,
            stretch=stretch,
            digest=digest_of((each.path for each in files), page),
            masked=not is_all_valid(source) or has_nodata_values(source),
            gamma=gamma,
            bands=bands,
            page=page,
            files=files,
        )
    if files[0] != began:
        raise changed(path)
    check_unchanged(info)
    return info


def check_unchanged(info: RasterInfo, *, thorough: bool = False) -> None:
    """Raise an `InputError` if a file of a raster was changed, or replaced, since `inspect`.

    Compares sizes and times; with ``thorough``, or if a file has another identity (some network
    drives give a new one to the same file), the digest too.
    """
    now = [FileState.of(each.path) for each in info.files]
    before = [(each.size, each.modified_ns) for each in info.files]
    same = [(each.size, each.modified_ns) for each in now] == before
    if same and (thorough or tuple(now) != info.files):
        same = not now or digest_of([each.path for each in now], info.page) == info.digest
    if not same:
        raise changed(info.path)


def changed(path: Path) -> InputError:
    """Return the error for a file that changes while it is read."""
    return InputError(f"{path}: was changed while it was read; scan it again when it is complete")


def has_nodata_values(source: rasterio.DatasetReader) -> bool:
    """Return True if values without colour mean nodata: a palette with alpha, or NaN in float
    data."""
    return find_palette(source) is not None or source.dtypes[0].startswith("float")


class Raster:
    """A raster opened for reading windows; a context manager."""

    zoom = 1.0
    keeps_decoded = False

    def __init__(self, info: RasterInfo) -> None:
        self.info = info
        self.orientation = ORIENTATIONS[info.orientation]
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Raster":
        self.source = self.stack.enter_context(open_raster(self.info.path, page=self.info.page))
        self.bands = list(self.info.bands) or colour_bands(self.source)
        self.palette = find_palette(self.source)
        self.block: tuple[int, int] = self.source.block_shapes[0]
        # True if threads may decode parts of the file; other files are read from top to bottom.
        upright = self.info.orientation == 1
        self.in_parts = (
            upright and self.source.driver == "GTiff" and self.block[0] <= MAX_BLOCK_ROWS
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self.stack.__exit__(kind, error, traceback)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the rows and columns of the file."""
        rows, cols = self.source.shape
        return rows, cols

    def read(self, window: Window) -> Pixels:
        """Read a window; beyond the edges, the raster is reflected."""
        inside, (rows, cols) = reflect_window(window, self.info.rows, self.info.cols)
        pixels = self.read_inside(inside)
        return Pixels(pixels.rgb[rows][:, cols], pixels.valid[rows][:, cols])

    def read_rgb(self, window: Window) -> UInt8:
        """Read the colours (rows, cols, 3) of a window like `read`."""
        return self.read(window).rgb

    def read_valid(self, window: Window) -> Bools:
        """Return the valid pixels (rows, cols) of a window inside the raster."""
        if has_nodata_values(self.source):
            return self.read_inside(window).valid
        if not self.info.masked:
            return np.ones(window.shape, bool)
        with pixel_errors(self.info.path):
            stored = self.orientation.stored(window, self.source.shape)
            return self.orientation.upright(self.stored_valid(stored))

    def stored_valid(self, stored: Window) -> Bools:
        """Return the pixels (rows, cols) of a window of the file that are valid, but for values
        without colour, and in no excluded area."""
        valid = read_mask(self.source, window=to_rasterio_window(stored))
        if self.info.validity is not None:
            valid = self.info.validity.of(stored, valid)
        if self.info.excluded is None:
            return valid
        upright = self.orientation.upright_window(stored, self.source.shape)
        return valid & ~self.orientation.as_stored(self.info.excluded.flags(upright))

    def read_reduced(self, rows: int, cols: int) -> Pixels:
        """Read the whole raster at a size of ``rows`` by ``cols``, from overviews if there are any.

        Each pixel is the mean of the pixels that it covers; with a palette, the nearest one.
        """
        shape = self.orientation.shape((rows, cols))
        resampling = Resampling.nearest if self.palette is not None else Resampling.average
        with pixel_errors(self.info.path):
            values = self.source.read(
                self.bands, out_shape=(len(self.bands), *shape), resampling=resampling
            )
            valid = read_mask(self.source, out_shape=shape)
        if self.info.validity is not None:
            valid = self.info.validity.reduced(valid)
        colours, known = to_rgb(values, self.palette, self.info.stretch, self.info.gamma)
        rgb = np.ascontiguousarray(np.moveaxis(colours, 0, -1))
        if known is not None:
            valid &= known
        valid = self.orientation.upright(valid)
        if self.info.excluded is not None:
            whole = Window(0, 0, self.info.rows, self.info.cols)
            valid &= ~self.info.excluded.flags(whole, valid.shape)
        return Pixels(self.orientation.upright(rgb), valid)

    def read_inside(self, window: Window) -> Pixels:
        """Read a window inside the raster."""
        stored = self.orientation.stored(window, self.source.shape)
        rgb = np.zeros((*stored.shape, 3), np.uint8)
        valid = (np.zeros if self.info.masked else np.ones)(stored.shape, bool)
        for piece in self.pieces(stored):
            place = piece.within(stored)
            self.read_piece(piece, rgb[place], valid[place] if self.info.masked else None)
        return Pixels(self.orientation.upright(rgb), self.orientation.upright(valid))

    def read_piece(self, piece: Window, rgb: UInt8, valid: Bools | None) -> None:
        """Read a window of the file into ``rgb`` (rows, cols, 3) and ``valid`` (rows, cols).

        Both must be zero; invalid pixels stay black. ``valid`` is None if all pixels of the raster
        are valid. A piece without valid pixels writes nothing: the empty area around a survey then
        takes no memory, as the pages of the zeroed arrays stay untouched.
        """
        as_it_is = self.info.stretch is None and self.info.gamma is None and self.palette is None
        is_plain_rgb = len(self.bands) == 3 and as_it_is
        with pixel_errors(self.info.path):
            mask = None if valid is None else self.stored_valid(piece)
            if mask is not None and not mask.any():
                return
            if is_plain_rgb:
                planes = np.moveaxis(rgb, -1, 0)
                self.source.read(self.bands, window=to_rasterio_window(piece), out=planes)
            else:
                values = self.source.read(self.bands, window=to_rasterio_window(piece))
        known = None
        if not is_plain_rgb:
            colours, known = to_rgb(values, self.palette, self.info.stretch, self.info.gamma)
            rgb[:] = np.moveaxis(colours, 0, -1)
        if valid is not None:
            valid[:] = mask if known is None or mask is None else mask & known
            if not valid.all():
                rgb[~valid] = 0

    def read_stored(self, window: Window) -> tuple[UInt8, Bools | None]:
        """Read a window of the file: its colours (rows, cols, 3), and its valid pixels (rows,
        cols), None if all of the raster are."""
        rgb = np.zeros((*window.shape, 3), np.uint8)
        valid = np.zeros(window.shape, bool) if self.info.masked else None
        self.read_piece(window, rgb, valid)
        return rgb, valid

    def pieces(self, stored: Window) -> Iterator[Window]:
        """Split a window of the file so that no tile of the file is decoded twice.

        Pieces are a few rows, or a few columns where the file is tiled.
        """
        high, wide = self.block
        if wide >= self.orientation.shape((self.info.rows, self.info.cols))[1]:
            step = max(1, PIECE_PX // stored.cols)
            step -= step % high if high <= step else 0
            first = stored.row - stored.row % step
            for row in range(first, stored.end_row, step):
                begin, end = max(row, stored.row), min(row + step, stored.end_row)
                yield Window(begin, stored.col, end - begin, stored.cols)
            return
        step = max(1, PIECE_PX // (stored.rows * wide)) * wide
        first = stored.col - stored.col % step
        for col in range(first, stored.end_col, step):
            begin, end = max(col, stored.col), min(col + step, stored.end_col)
            yield Window(stored.row, begin, stored.rows, end - begin)


def read_windows(info: RasterInfo, windows: Iterable[Window]) -> Iterator[tuple[Window, UInt8]]:
    """Yield windows with their colours (rows, cols, 3), sorted from top to bottom to read fast."""
    with Raster(info) as raster:
        for window in sorted(windows, key=lambda w: (w.row, w.col)):
            yield window, np.ascontiguousarray(raster.read(window).rgb)


def to_rasterio_window(window: Window) -> rasterio.windows.Window:
    """Return a window in the form that rasterio takes."""
    return rasterio.windows.Window(window.col, window.row, window.cols, window.rows)
