"""Windows of a photograph as files of their own, changed or not, on their place of the map."""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from crackcli.arrays import UInt8
from crackcli.errors import OutputError
from crackcli.files import atomic_write_in_folder, atomic_write
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import ENVIRONMENT, Pixels, Raster, RasterInfo, error_on_one_line

OPAQUE = 255


def write_pixels(path: Path, pixels: Pixels, window: Window, info: RasterInfo) -> None:
    """The ``pixels`` of a ``window`` of the raster ``info`` as a file: red, green, blue, and alpha
    where some are no data; whole, or not at all, and the same bytes for the same pixels."""
    bands = np.moveaxis(pixels.rgb, -1, 0)
    alpha = not pixels.valid.all()
    if alpha:
        bands = np.concatenate([bands, np.where(pixels.valid, OPAQUE, 0).astype(np.uint8)[None]])
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(bands),
        "height": window.rows,
        "width": window.cols,
        "photometric": "rgb",
        "compress": "deflate",
        "transform": window_transform(info, window),
        "crs": info.crs_wkt,
    }
    if alpha:
        profile["alpha"] = "non-premultiplied"
    with (
        atomic_write_in_folder(path) as aside,
        warnings.catch_warnings(),
        rasterio.Env(**ENVIRONMENT, GDAL_PAM_ENABLED=False),
        gdal_output_errors(path),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with contextlib.closing(rasterio.open(aside, "w", **profile)) as target:
            target.write(bands)


def window_transform(info: RasterInfo, window: Window) -> Affine:
    """The transform of a window; of a photograph without a map it has none either."""
    if not info.georeferenced:
        return info.transform
    a, b, c, d, e, f = info.transform[:6]
    col, row = window.col, window.row
    return Affine(a, b, a * col + b * row + c, d, e, d * col + e * row + f)


@contextlib.contextmanager
def gdal_output_errors(path: Path) -> Iterator[None]:
    """Turns whatever GDAL reports while it writes into an `OutputError`; what its libraries print
    past Python on a full disk is not shown."""
    spoken, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    except Exception as error:
        raise OutputError(
            f"{path} cannot be written ({error_on_one_line(error)}); free space or choose another output"
        ) from error
    finally:
        os.dup2(spoken, 2)
        os.close(spoken)
        os.close(nowhere)


def read_windows(info: RasterInfo, windows: Iterable[Window]) -> Iterator[tuple[Window, UInt8]]:
    """Windows of a photograph (rows, cols, 3), from top to bottom, as files are best read."""
    with Raster(info) as raster:
        for window in sorted(windows, key=lambda w: (w.row, w.col)):
            yield window, np.ascontiguousarray(raster.read(window).rgb)


def write_png(path: Path, image: UInt8) -> None:
    """A tile (rows, cols, 3) as a whole file, or no file."""
    _, file = cv2.imencode(".png", image[..., ::-1])
    with atomic_write(path) as aside:
        aside.write_bytes(file.tobytes())
