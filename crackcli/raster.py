"""The only door to raster files: inspect, read windows, write whole files.

Whatever lies in a file (8 or 16 bits, grey, palette, RGB, alpha, nodata, EXIF orientation), what
comes out is upright RGB, uint8, and a mask of valid pixels.  Zero is a grey value like any other:
only a mask band, alpha or declared nodata makes a pixel invalid; cracks are the darkest pixels.
"""

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.warp
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError, RasterioIOError

from crackcli.errors import InputError, OutputError
from crackcli.files import sha256, written_aside
from crackcli.grid import Window

SUFFIXES = {".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".jp2", ".vrt"}
LEAST_PX = 32
NODATA = 255  # of score and mask rasters
STRETCH = (0.1, 99.9)  # percentiles of 16-bit data that become 0 and 255
PREVIEW_PX = 1024

# The block cache counts against the memory bound of a scan; a damaged JPEG must not pass as grey.
ENVIRONMENT = {
    "GDAL_CACHEMAX": 128,
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
    "GDAL_PAM_ENABLED": False,
}

# EXIF orientation: whether rows and columns are swapped, and which stored axes are flipped.
ORIENTATIONS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


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
    digest: str  # SHA-256 of the file

    @property
    def georeferenced(self) -> bool:
        return self.transform != Affine.identity()

    @property
    def megapixels(self) -> float:
        return self.rows * self.cols / 1e6


@dataclass(frozen=True)
class Pixels:
    """A window of a raster: ``rgb`` (rows, cols, 3) uint8 and ``valid`` (rows, cols)."""

    rgb: Bytes
    valid: Flags


def inspect(path: Path) -> RasterInfo:
    """What ``path`` holds, or an `InputError` that says why it cannot be scanned."""
    with opened(path) as source:
        if source.count == 0:
            raise InputError(f"{path} has no bands; give one of the rasters it refers to")
        kinds = set(source.dtypes)
        if any(kind.startswith("complex") for kind in kinds):
            raise InputError(f"{path} holds complex numbers; give a photograph or an orthophoto")
        plain = source.transform == Affine.identity() and source.crs is None
        orientation = int(source.tags().get("EXIF_Orientation", 1)) if plain else 1
        if orientation not in ORIENTATIONS:
            orientation = 1
        rows, cols = source.shape
        if ORIENTATIONS[orientation][0]:
            rows, cols = cols, rows
        if min(rows, cols) < LEAST_PX:
            raise InputError(f"{path} is {cols} x {rows} px; at least {LEAST_PX} px are needed")
        return RasterInfo(
            path=path,
            rows=rows,
            cols=cols,
            transform=source.transform,
            crs_wkt=source.crs.to_wkt() if source.crs else None,
            orientation=orientation,
            stretch=None if kinds == {"uint8"} else find_stretch(source),
            digest=sha256(path),
        )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[rasterio.DatasetReader]:
    """A dataset for reading; what GDAL cannot open or decode becomes an `InputError`."""
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name")
    try:
        with (
            warnings.catch_warnings(),
            rasterio.Env(**ENVIRONMENT),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                yield source
    except RasterioIOError as error:
        detail = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise InputError(
            f"{path} is not a readable image or is damaged ({detail}); export it again"
        ) from error


def find_stretch(source: rasterio.DatasetReader) -> tuple[float, float]:
    """The values of a dataset that become black and white, from a preview of it."""
    shape = tuple(min(side, PREVIEW_PX) for side in source.shape)
    bands = colour_bands(source)
    preview = source.read(bands, out_shape=(len(bands), *shape)).astype(np.float32)
    valid = source.dataset_mask(out_shape=shape) > 0
    values = preview[:, valid & np.isfinite(preview).all(axis=0)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, STRETCH)
    return float(low), float(max(high, low + 1e-6))


def colour_bands(source: rasterio.DatasetReader) -> list[int]:
    """The bands (from 1) to be read as red, green, blue; one band for grey and palette."""
    kinds = list(source.colorinterp)
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(kind in kinds for kind in wanted):
        return [kinds.index(kind) + 1 for kind in wanted]
    colours = [i + 1 for i, kind in enumerate(kinds) if kind != ColorInterp.alpha]
    return colours[:3] if len(colours) >= 3 else colours[:1] or [1]


class Raster:
    """A raster opened for reading windows; use as a context manager."""

    def __init__(self, info: RasterInfo) -> None:
        self.info = info
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Raster":
        self.source = self.stack.enter_context(opened(self.info.path))
        self.bands = colour_bands(self.source)
        self.palette = self.find_palette()
        return self

    def __exit__(self, *exception: object) -> bool | None:
        return self.stack.__exit__(*exception)

    def find_palette(self) -> Bytes | None:
        """Colours (256, 3) of a paletted raster."""
        if self.source.colorinterp[0] != ColorInterp.palette:
            return None
        table = np.zeros((256, 3), np.uint8)
        for value, colour in self.source.colormap(1).items():
            if value < 256:
                table[value] = colour[:3]
        return table

    def read(self, window: Window) -> Pixels:
        """A window that may reach beyond the raster: what lies outside is reflected from inside."""
        inside = window.clipped(self.info.rows, self.info.cols)
        pixels = self.read_inside(inside)
        return Pixels(*(reflect(array, inside, window) for array in (pixels.rgb, pixels.valid)))

    def read_valid(self, window: Window) -> Flags:
        """Only which pixels are valid, of a window inside the raster."""
        return self.turned(self.source.dataset_mask(window=self.stored(window)) > 0)

    def read_inside(self, window: Window) -> Pixels:
        stored = self.stored(window)
        values = self.source.read(self.bands, window=stored)
        valid = self.source.dataset_mask(window=stored) > 0
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return Pixels(self.turned(np.moveaxis(self.to_rgb(values), 0, -1)), self.turned(valid))

    def stored(self, window: Window) -> rasterio.windows.Window:
        """Where a window of the upright raster lies in the file."""
        swap, flip_rows, flip_cols = ORIENTATIONS[self.info.orientation]
        row, col, rows, cols = window.row, window.col, window.rows, window.cols
        if swap:
            row, col, rows, cols = col, row, cols, rows
        if flip_rows:
            row = self.source.height - row - rows
        if flip_cols:
            col = self.source.width - col - cols
        return rasterio.windows.Window(col, row, cols, rows)

    def turned(self, array: NDArray) -> NDArray:
        """A stored array (rows, cols, ...) upright."""
        swap, flip_rows, flip_cols = ORIENTATIONS[self.info.orientation]
        if flip_rows:
            array = array[::-1]
        if flip_cols:
            array = array[:, ::-1]
        return np.ascontiguousarray(array.swapaxes(0, 1) if swap else array)

    def to_rgb(self, values: NDArray) -> Bytes:
        """Bands (1 or 3, rows, cols) of any type to RGB (3, rows, cols)."""
        if self.palette is not None:
            return np.moveaxis(self.palette[values[0]], -1, 0)
        if self.info.stretch is not None:
            low, high = self.info.stretch
            scaled = (values.astype(np.float32) - low) * (255 / (high - low))
            values = np.nan_to_num(scaled).clip(0, 255).astype(np.uint8)
        return np.repeat(values, 3, axis=0) if len(values) == 1 else values


def reflect(array: NDArray, inside: Window, window: Window) -> NDArray:
    """An array (rows, cols, ...) of ``inside``, mirrored at its sides to fill ``window``."""
    rim = [
        (inside.row - window.row, window.end_row - inside.end_row),
        (inside.col - window.col, window.end_col - inside.end_col),
    ]
    if not np.any(rim):
        return array
    return np.pad(array, rim + [(0, 0)] * (array.ndim - 2), mode="reflect")


def write_cog(
    path: Path, strips: Iterable[Bytes], info: RasterInfo, tags: dict[str, str], resampling: str
) -> None:
    """One band of ``strips`` (rows, cols), from top to bottom, as a Cloud-Optimised GeoTIFF on
    the grid of ``info``; whole, or not at all.  ``resampling`` is that of the overviews."""
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": info.rows,
        "width": info.cols,
        "nodata": NODATA,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "bigtiff": "if_safer",
        "transform": info.transform,
        "crs": info.crs_wkt,
    }
    plain = path.with_name(f".{path.stem}.plain.tif")
    try:
        with (
            written_aside(path) as aside,
            warnings.catch_warnings(),
            rasterio.Env(**ENVIRONMENT),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(plain, "w", **profile) as target:
                row = 0
                for strip in strips:
                    window = rasterio.windows.Window(0, row, info.cols, strip.shape[0])
                    target.write(strip, 1, window=window)
                    row += strip.shape[0]
                target.update_tags(**tags)
            rasterio.shutil.copy(
                plain,
                aside,
                driver="COG",
                COMPRESS="DEFLATE",
                OVERVIEW_RESAMPLING=resampling,
                BIGTIFF="IF_SAFER",
            )
            with rasterio.open(aside) as written:  # a full disk shows here at the latest
                written.read(1, window=rasterio.windows.Window(0, info.rows - 1, info.cols, 1))
    except RasterioError as error:
        raise OutputError(
            f"{path} cannot be written ({error}); free space or choose another output"
        ) from error
    finally:
        plain.unlink(missing_ok=True)


class Band:
    """The single band of a score or mask raster, opened for reading windows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Band":
        self.source = self.stack.enter_context(opened(self.path))
        return self

    def __exit__(self, *exception: object) -> bool | None:
        return self.stack.__exit__(*exception)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.source.shape

    def read(self, window: Window) -> Bytes:
        """A window (rows, cols) that may reach beyond the raster, as `Raster.read`."""
        inside = window.clipped(*self.source.shape)
        stored = rasterio.windows.Window(inside.col, inside.row, inside.cols, inside.rows)
        return reflect(self.source.read(1, window=stored), inside, window)


def read_band(path: Path, window: Window) -> Bytes:
    """One window of the single band of a score or mask raster."""
    with Band(path) as band:
        return band.read(window)


def read_tags(path: Path) -> dict[str, str]:
    """The tags that a score or mask raster was written with."""
    with opened(path) as source:
        return dict(source.tags())


def metres_per_unit(crs_wkt: str) -> float | None:
    """Metres of one map unit; None where map units are degrees or unknown."""
    try:
        crs = rasterio.crs.CRS.from_wkt(crs_wkt)
        if crs.is_geographic:
            return None
        return float(crs.units_factor[1])  # of a local CRS too, which is not a projected one
    except CRSError:
        return None


def to_wgs84(
    crs_wkt: str, xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Map coordinates to longitudes and latitudes; None where the CRS is not tied to the Earth."""
    try:
        crs = rasterio.crs.CRS.from_wkt(crs_wkt)
        if not (crs.is_projected or crs.is_geographic):
            return None
        lon, lat = rasterio.warp.transform(crs, rasterio.crs.CRS.from_epsg(4326), xs, ys)
    except (CRSError, RasterioError):
        return None
    lon, lat = np.asarray(lon), np.asarray(lat)
    return (lon, lat) if np.isfinite(lon).all() and np.isfinite(lat).all() else None
