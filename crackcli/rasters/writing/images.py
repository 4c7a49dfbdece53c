"""Write windows of a photograph as georeferenced GeoTIFFs, and images as PNG."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from crackcli.arrays import UInt8
from crackcli.errors import OutputError
from crackcli.files import atomic_write, atomic_write_in_folder
from crackcli.rasters.access.opening import ENVIRONMENT, error_on_one_line
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Pixels, RasterInfo

OPAQUE = 255


def write_pixels(path: Path, pixels: Pixels, window: Window, info: RasterInfo) -> None:
    """Write the ``pixels`` of a ``window`` of the raster ``info`` as a GeoTIFF.

    The file has red, green and blue, and alpha if there is nodata. It is written whole or not at
    all, and equal pixels give equal bytes.
    """
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
        atomic_write_in_folder(path) as temporary,
        warnings.catch_warnings(),
        rasterio.Env(**ENVIRONMENT, GDAL_PAM_ENABLED=False),
        gdal_output_errors(path),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with contextlib.closing(rasterio.open(temporary, "w", **profile)) as target:
            target.write(bands)


def window_transform(info: RasterInfo, window: Window) -> Affine:
    """Return the transform of a window; without a map, that of the raster (identity)."""
    if not info.georeferenced:
        return info.transform
    a, b, c, d, e, f = info.transform[:6]
    col, row = window.col, window.row
    return Affine(a, b, a * col + b * row + c, d, e, d * col + e * row + f)


@contextlib.contextmanager
def gdal_output_errors(path: Path) -> Iterator[None]:
    """Turn every exception in the block into an `OutputError` for ``path``.

    Hides stderr meanwhile: on a full disk, libraries of GDAL print to it directly.
    """
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    except Exception as error:
        raise OutputError(
            f"{path}: cannot be written ({error_on_one_line(error)}); free space or choose "
            "another output"
        ) from error
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def write_png(path: Path, image: UInt8) -> None:
    """Write an image, grey (rows, cols) or RGB (rows, cols, 3), as PNG, wholly or not at all."""
    _, file = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])
    with atomic_write(path) as temporary:
        temporary.write_bytes(file.tobytes())
