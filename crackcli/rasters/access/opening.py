"""Open raster files for reading, with errors of GDAL as errors of ours.

What a file contains decides what GDAL does with it: a text may stand for a web service, or for
other files of this machine. So only regular files are opened, by the drivers of `DRIVERS`;
`crackcli.rasters.access.vrt` checks the files that a VRT refers to; and GDAL gets no network.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError, CPLE_OutOfMemoryError
from rasterio.errors import CRSError, RasterioError

from crackcli.errors import InputError, OutOfMemory
from crackcli.files import kind_of, refuse_special, utf8_path
from crackcli.rasters.access.pages import find_page, name_for_gdal
from crackcli.rasters.access.vrt import check_vrt, is_vrt
from crackcli.rasters.access.warned import collected_warnings, no_grid_expected
from crackcli.rasters.decoding.decoded import decoded

EXPORT_AGAIN = "export it again"  # remedy for a damaged photograph

DRIVERS = (
    *("GTiff", "JPEG", "PNG", "WEBP", "BMP", "GIF", "BIGGIF"),
    *("JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2Lura"),  # those that an installation has
)

CACHE_BYTES = 128 * 1024**2  # decoded blocks that GDAL keeps; within the memory bound of a scan

# Options of GDAL. A damaged JPEG must be an error: by default its missing part is read as grey.
ENVIRONMENT: dict[str, str | int | bool] = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": False,  # it does not notice a truncated file
    "CPL_LOG": os.devnull,  # what threads of GDAL print beside the error that they cause
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    # No remote files: GDAL has no switch for all, but none has this suffix or answers here.
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_HTTP_PROXY": "127.0.0.1:9",  # port of the discard protocol
    "GDAL_HTTP_MAX_RETRY": 0,
}

OWN_OVERVIEWS = ":::BASE:::"  # begins the name of an overview file beside the image


@contextlib.contextmanager
def open_raster(
    path: Path, remedy: str = EXPORT_AGAIN, page: int | None = None
) -> Iterator[rasterio.DatasetReader]:
    """Open a dataset, or one full-size ``page`` of a file with several, for reading.

    Errors of GDAL become an `InputError` that ends in ``remedy``.
    """
    check_regular(path)
    drivers = [*DRIVERS, "VRT"] if is_vrt(path) else [*DRIVERS]
    find_page(path, page)  # raises if there is no such page
    with (
        input_errors(path, remedy),
        rasterio.Env(**ENVIRONMENT),
        decoded(path) as in_memory,
        utf8_path(path) as named,
    ):
        if is_vrt(path):
            check_vrt(path)
        name = in_memory or name_for_gdal(named, page)
        with no_grid_expected():
            source = rasterio.DatasetReader(name, driver=drivers)
        with source:
            overviews = source.tags(ns="OVERVIEWS").get("OVERVIEW_FILE", OWN_OVERVIEWS)
            if not overviews.startswith(OWN_OVERVIEWS):
                raise InputError(
                    f"{path}: takes its overviews from another file, {overviews}; {remedy}"
                )
            yield source


def check_exists(path: Path) -> Path:
    """Return ``path``; raise an `InputError` if it does not exist."""
    if not path.exists():
        raise InputError(f"{path}: does not exist; check the name")
    return path


def check_regular(path: Path) -> None:
    """Raise an `InputError` if ``path`` is not a file with content of its own.

    A pipe would let the program wait for ever, a device has no end.
    """
    kind = kind_of(check_exists(path))
    if kind != "file":
        raise InputError(f"{path}: is a {kind}; give an image file")


def check_beside(path: Path) -> None:
    """Raise an `InputError` if the image, or whatever has a name that begins like its name, is a
    pipe or a device: GDAL would read a side file of such a name, and wait."""
    check_regular(path)
    stem, names = path.stem.casefold(), list[str]()
    with contextlib.suppress(OSError), os.scandir(path.parent) as beside:
        names = [
            each.name
            for each in beside
            if each.name.casefold().startswith(stem) and not (each.is_file() or each.is_dir())
        ]
    for name in names:
        refuse_special(path.with_name(name), InputError, f"move it away from {path.name}")


@contextlib.contextmanager
def input_errors(path: Path, remedy: str = EXPORT_AGAIN) -> Iterator[None]:
    """Turn errors in reading ``path`` into an `InputError` that ends in ``remedy``."""
    try:
        yield
    except (RasterioError, CRSError, CPLE_BaseError, UnicodeError) as error:
        if any(isinstance(each, CPLE_OutOfMemoryError) for each in causes(error)):
            raise OutOfMemory(f"{path}: not enough free memory to read it; free some") from error
        raise InputError(
            f"{path}: not a readable image, or damaged ({error_on_one_line(error)}); {remedy}"
        ) from error
    except FileNotFoundError:  # deleted while it is read
        check_exists(path)
        raise
    except PermissionError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); change its permissions"
        ) from error


@contextlib.contextmanager
def pixel_errors(path: Path, remedy: str = EXPORT_AGAIN) -> Iterator[None]:
    """Turn errors in reading pixels of ``path``, and warnings of GDAL about them, into an
    `InputError` that ends in ``remedy``."""
    with input_errors(path, remedy), collected_warnings() as found:
        yield
    if found:
        raise InputError(f"{path}: damaged ({one_line(found[0])}); {remedy}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause of this, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def error_on_one_line(error: Exception) -> str:
    """Return the message of GDAL on one line."""
    return one_line(str(error.__cause__ or error))


def one_line(message: str) -> str:
    """Return a message of GDAL on one line, without its kind."""
    return " ".join(message.removeprefix("CPLE_AppDefined:").split()).rstrip(".")
