"""Cloud-Optimised GeoTIFFs of one band, written strip by strip: scores and masks."""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning

from crackcli.errors import OutputError
from crackcli.files import written_apart
from crackcli.grid import Window
from crackcli.raster import ENVIRONMENT, NODATA, Bytes, RasterInfo, in_file, reason


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
    with (
        written_apart(path) as aside,
        warnings.catch_warnings(),
        rasterio.Env(**ENVIRONMENT, GDAL_PAM_ENABLED=False),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        plain = aside.with_name("plain.tif")
        with writable(path):
            target = rasterio.open(plain, "w", **profile)
        with contextlib.closing(target):
            row = 0
            for strip in strips:
                with writable(path):
                    target.write(strip, 1, window=in_file(Window(row, 0, *strip.shape)))
                row += strip.shape[0]
            with writable(path):
                target.update_tags(**tags)
                target.close()
        with writable(path):
            rasterio.shutil.copy(
                plain,
                aside,
                driver="COG",
                COMPRESS="DEFLATE",
                OVERVIEW_RESAMPLING=resampling,
                BIGTIFF="IF_SAFER",
            )
            with rasterio.open(aside) as written:  # a full disk shows here at the latest
                written.read(1, window=in_file(Window(info.rows - 1, 0, 1, info.cols)))


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns whatever GDAL reports while it writes into an `OutputError`; what its libraries print
    past Python on a full disk is not shown."""
    spoken, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    except Exception as error:
        raise OutputError(
            f"{path} cannot be written ({reason(error)}); free space or choose another output"
        ) from error
    finally:
        os.dup2(spoken, 2)
        os.close(spoken)
        os.close(nowhere)
