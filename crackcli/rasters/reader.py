"""The door to raster files: inspect, read windows; `crackcli.rasters.cog` writes.

Whatever lies in a file (8 or 16 bits, grey, palette, RGB, alpha, nodata, EXIF orientation), what
comes out is upright RGB, uint8, and a mask of valid pixels.  Zero is a grey value like any other:
only a mask band, alpha or declared nodata makes a pixel invalid, and black; cracks are the darkest
pixels.
"""

import contextlib
import hashlib
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.warp
import rasterio.windows
from affine import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

from crackcli.arrays import Bools, Int64, UInt8
from crackcli.errors import InputError
from crackcli.files import sha256
from crackcli.rasters.bands import (
    is_all_valid,
    colour_bands,
    find_palette,
    find_stretch,
    read_mask,
    to_rgb,
)
from crackcli.rasters.grid import Window
from crackcli.rasters.orientation import ORIENTATIONS

log = logging.getLogger(__name__)

SUFFIXES = {".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".jp2", ".vrt"}
MIN_SIDE_PX = 32
NODATA = 255  # of score and mask rasters
PIECE_PX = 2**20  # pixels that are turned into RGB at once
BLOCK_PX = 1024  # rows of a block of a file that a thread may decode by itself

EXPORT_AGAIN = "export it again"  # what to do about a damaged photograph
SCAN_AGAIN = "scan its photograph again with --overwrite"  # about a damaged score or mask

# The block cache counts against the memory bound of a scan; a damaged JPEG must not pass as grey.
ENVIRONMENT = {
    "GDAL_CACHEMAX": 128 * 1024**2,  # bytes, to rasterio
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": False,  # that way does not notice a file that was cut off
}

WARNINGS_LOCK = threading.Lock()  # which warnings are shown is one setting for all threads

Index = slice | Int64


@dataclass(frozen=True)
class RasterInfo:
    """What is known of a raster before its pixels are read."""

    path: Path
    rows: int
    cols: int
    transform: Affine  # pixel (col, row) to map (x, y); identity where there is no map
    crs_wkt: str | None
    orientation: int  # EXIF, 1 upright
    stretch: tuple[float, float] | None  # values that become 0 and 255; None: 8-bit as it is
    digest: str  # SHA-256 of the file, or of all that its pixels come from
    masked: bool = True  # whether there may be pixels without data

    @property
    def georeferenced(self) -> bool:
        return self.transform != Affine.identity()

    @property
    def megapixels(self) -> float:
        return self.rows * self.cols / 1e6


@dataclass(frozen=True)
class Pixels:
    """A window of a raster: ``rgb`` (rows, cols, 3) uint8 and ``valid`` (rows, cols)."""

    rgb: UInt8
    valid: Bools


def inspect(path: Path) -> RasterInfo:
    """What ``path`` holds, or an `InputError` that says why it cannot be scanned."""
    with open_raster(path) as source:
        if source.count == 0:
            raise InputError(f"{path} has no bands; give one of the rasters it refers to")
        if any(kind.startswith("complex") for kind in source.dtypes):
            raise InputError(f"{path} holds complex numbers; give a photograph or an orthophoto")
        if ColorInterp.cyan in source.colorinterp:
            raise InputError(f"{path} is in CMYK colours; save it as RGB")
        plain = source.transform == Affine.identity() and source.crs is None
        if plain and source.gcps[0]:
            log.warning("%s has ground control points but no grid; warp it for a map", path.name)
        orientation = orientation_of(source) if plain else 1
        rows, cols = ORIENTATIONS[orientation].shape(source.shape)
        if min(rows, cols) < MIN_SIDE_PX:
            raise InputError(f"{path} is {cols} x {rows} px; at least {MIN_SIDE_PX} px are needed")
        return RasterInfo(
            path=path,
            rows=rows,
            cols=cols,
            transform=source.transform,
            crs_wkt=source.crs.to_wkt() if source.crs else None,
            orientation=orientation,
            stretch=find_stretch(source),
            digest=digest_of(path, source.files),
            masked=not is_all_valid(source) or has_nodata_values(source),
        )


def orientation_of(source: rasterio.DatasetReader) -> int:
    """EXIF orientation, as far as GDAL tells it (of JPEG); what is not one counts as upright."""
    tag = source.tags().get("EXIF_Orientation", "1")
    return int(tag) if tag.isdigit() and int(tag) in ORIENTATIONS else 1


def digest_of(path: Path, files: Iterable[str]) -> str:
    """SHA-256 of a file's content; with mask files or the sources of a VRT, of all together."""
    own = sha256(path)
    beside = (".aux.xml", ".ovr")  # which programs that only look at an image write
    others = [
        sha256(Path(file))
        for file in sorted(files)
        if Path(file).is_file() and not Path(file).samefile(path) and not file.endswith(beside)
    ]
    return hashlib.sha256("".join([own, *others]).encode()).hexdigest() if others else own


@contextlib.contextmanager
def open_raster(path: Path, remedy: str = EXPORT_AGAIN) -> Iterator[rasterio.DatasetReader]:
    """A dataset for reading; what GDAL cannot open or decode becomes an `InputError`."""
    with input_errors(path, remedy), rasterio.Env(**ENVIRONMENT):
        with WARNINGS_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            source = rasterio.open(check_exists(path).absolute())
        with source:
            yield source


def check_exists(path: Path) -> Path:
    """A path that something lies at, or an `InputError`."""
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name")
    return path


@contextlib.contextmanager
def input_errors(path: Path, remedy: str = EXPORT_AGAIN) -> Iterator[None]:
    """Turns what is wrong with a file that is read into an `InputError`."""
    try:
        yield
    except (RasterioError, CRSError) as error:
        raise InputError(
            f"{path} is not a readable image or is damaged ({error_on_one_line(error)}); {remedy}"
        ) from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); change its rights") from error


def error_on_one_line(error: Exception) -> str:
    """What GDAL says, on one line."""
    return " ".join(str(error.__cause__ or error).split()).rstrip(".")


def has_nodata_values(source: rasterio.DatasetReader) -> bool:
    """Whether some values are no colour."""
    return find_palette(source) is not None or source.dtypes[0].startswith("float")


class Raster:
    """A raster opened for reading windows; use as a context manager."""

    zoom = 1.0

    def __init__(self, info: RasterInfo) -> None:
        self.info = info
        self.turn = ORIENTATIONS[info.orientation]
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Raster":
        self.source = self.stack.enter_context(open_raster(self.info.path))
        self.bands = colour_bands(self.source)
        self.palette = find_palette(self.source)
        self.block: tuple[int, int] = self.source.block_shapes[0]
        # Whether parts may be decoded by themselves; other files are read from top to bottom.
        upright = self.info.orientation == 1
        self.in_parts = upright and self.source.driver == "GTiff" and self.block[0] <= BLOCK_PX
        return self

    def __exit__(self, *exception: object) -> bool | None:
        return self.stack.__exit__(*exception)

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the raster: what lies outside is reflected from inside."""
        inside, (rows, cols) = reflect_window(window, self.info.rows, self.info.cols)
        pixels = self.read_inside(inside)
        return Pixels(pixels.rgb[rows][:, cols], pixels.valid[rows][:, cols])

    def read_valid(self, window: Window) -> Bools:
        """Only which pixels are valid, of a window inside the raster."""
        if has_nodata_values(self.source):
            return self.read_inside(window).valid
        if not self.info.masked:
            return np.ones(window.shape, bool)
        with input_errors(self.info.path):
            stored = self.turn.stored(window, self.source.shape)
            return self.turn.upright(read_mask(self.source, window=to_rasterio_window(stored)))

    def read_reduced(self, rows: int, cols: int) -> Pixels:
        """Return the whole raster reduced to ``rows`` by ``cols``, from its overviews where it has
        some.

        A pixel is the mean of the pixels that it covers; of a palette, the nearest.
        """
        shape = self.turn.shape((rows, cols))
        resampling = Resampling.nearest if self.palette is not None else Resampling.average
        with input_errors(self.info.path):
            values = self.source.read(
                self.bands, out_shape=(len(self.bands), *shape), resampling=resampling
            )
            valid = read_mask(self.source, out_shape=shape)
        colours, known = to_rgb(values, self.palette, self.info.stretch)
        rgb = np.ascontiguousarray(np.moveaxis(colours, 0, -1))
        if known is not None:
            valid &= known
        return Pixels(self.turn.upright(rgb), self.turn.upright(valid))

    def read_inside(self, window: Window) -> Pixels:
        stored = self.turn.stored(window, self.source.shape)
        rgb = np.zeros((*stored.shape, 3), np.uint8)
        valid = (np.zeros if self.info.masked else np.ones)(stored.shape, bool)
        for piece in self.pieces(stored):
            place = piece.within(stored)
            self.read_piece(piece, rgb[place], valid[place] if self.info.masked else None)
        return Pixels(self.turn.upright(rgb), self.turn.upright(valid))

    def read_piece(self, piece: Window, rgb: UInt8, valid: Bools | None) -> None:
        """A window of the file into ``rgb`` (rows, cols, 3) and ``valid`` (rows, cols), both zero
        so far; the latter may be None where all pixels of the raster are valid.  Others stay
        black, and where none is valid nothing is touched: what lies around a survey takes no
        memory."""
        as_it_is = len(self.bands) == 3 and self.info.stretch is None and self.palette is None
        with input_errors(self.info.path):
            mask = None if valid is None else read_mask(self.source, window=to_rasterio_window(piece))
            if mask is not None and not mask.any():
                return
            if as_it_is:
                planes = np.moveaxis(rgb, -1, 0)
                self.source.read(self.bands, window=to_rasterio_window(piece), out=planes)
            else:
                values = self.source.read(self.bands, window=to_rasterio_window(piece))
        known = None
        if not as_it_is:
            colours, known = to_rgb(values, self.palette, self.info.stretch)
            rgb[:] = np.moveaxis(colours, 0, -1)
        if valid is not None:
            valid[:] = mask if known is None else mask & known
            if not valid.all():
                rgb[~valid] = 0

    def pieces(self, stored: Window) -> Iterator[Window]:
        """A window of the file in pieces of a few rows, or columns where the file is tiled, so that
        none of its tiles is decoded twice."""
        high, wide = self.block
        if wide >= self.turn.shape((self.info.rows, self.info.cols))[1]:
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


def to_rasterio_window(window: Window) -> rasterio.windows.Window:
    return rasterio.windows.Window(window.col, window.row, window.cols, window.rows)


def reflect_window(window: Window, rows: int, cols: int) -> tuple[Window, tuple[Index, Index]]:
    """The part of a raster of ``rows`` by ``cols`` that fills a window which may reach beyond it,
    mirrored at its edges, and which rows and columns of that part come where in the window.

    The part holds all that is mirrored: so a pixel beyond an edge is the same in any window.
    """
    row, height, row_index = reflect_side(window.row, window.rows, rows)
    col, width, col_index = reflect_side(window.col, window.cols, cols)
    return Window(row, col, height, width), (row_index, col_index)


def reflect_side(start: int, length: int, side: int) -> tuple[int, int, Index]:
    """First and number of the rows (columns) that are needed, and which of them comes where."""
    way = np.arange(start + side - 1, start + length + side - 1)
    way = np.abs(way % (2 * (side - 1)) - (side - 1))
    first, needed = int(way.min()), int(np.ptp(way)) + 1
    as_it_is = needed == length and way[0] == first
    return first, needed, slice(None) if as_it_is else way - first


class Band:
    """The single band of a score or mask raster, opened for reading windows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Band":
        self.source = self.stack.enter_context(open_raster(self.path, SCAN_AGAIN))
        return self

    def __exit__(self, *exception: object) -> bool | None:
        return self.stack.__exit__(*exception)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.source.shape

    def read(self, window: Window) -> UInt8:
        """A window (rows, cols) that may reach beyond the raster, as `Raster.read`."""
        inside, (rows, cols) = reflect_window(window, *self.source.shape)
        with input_errors(self.path, SCAN_AGAIN):
            values = self.source.read(1, window=to_rasterio_window(inside))
        return values[rows][:, cols]


def read_band(path: Path, window: Window | None = None) -> UInt8:
    """One window of the single band of a score or mask raster, or all of it."""
    with Band(path) as band:
        return band.read(window or Window(0, 0, *band.shape))


def read_tags(path: Path) -> dict[str, str]:
    """The tags that a score or mask raster was written with."""
    with open_raster(path) as source:
        return dict(source.tags())


CRACK = 1
SCORE_MAX = 254
