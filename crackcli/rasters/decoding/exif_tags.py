"""The EXIF tags that a scale and a time follow from, in the form in which GDAL reports them.

GDAL names them ``EXIF_FocalLength`` and writes fractions as ``(4.25)``. Photographs that it does
not read get them from here.
"""

import contextlib
import io
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from crackcli.rasters.access.tiff import BROKEN, EXIF, Value, directories

NAMES = {
    0x9003: "DateTimeOriginal",
    0x9011: "OffsetTimeOriginal",
    0x9206: "SubjectDistance",
    0x920A: "FocalLength",
    0xA002: "PixelXDimension",
    0xA003: "PixelYDimension",
    0xA20E: "FocalPlaneXResolution",
    0xA20F: "FocalPlaneYResolution",
    0xA210: "FocalPlaneResolutionUnit",
    0xA404: "DigitalZoomRatio",
    0xA405: "FocalLengthIn35mmFilm",
}
SIZE = ("EXIF_PixelXDimension", "EXIF_PixelYDimension")
PREFIX = b"Exif\0\0"  # that EXIF may have in a container
FRACTIONS = {0x9206, 0x920A, 0xA20E, 0xA20F, 0xA404}


def gdal_tags(exif: bytes, shape: tuple[int, int] | None = None) -> dict[str, str]:
    """Return the tags of EXIF as GDAL names and writes them.

    ``shape`` (rows, cols) is that of the upright photograph: the size that the camera noted is
    turned, too, if it was taken upright.
    """
    tags = read_tags(io.BytesIO(exif.removeprefix(PREFIX)))
    if shape is not None and tuple(map(tags.get, SIZE)) == tuple(map(str, shape)):
        tags |= dict(zip(SIZE, map(str, shape[::-1]), strict=True))
    return tags


def exif_in_file(path: Path) -> dict[str, str]:
    """Return the tags of a raw file that is a TIFF.

    Without the size that the camera noted: a raw file has some pixels more, which are as large.
    """
    with path.open("rb") as file:
        tags = read_tags(file)
    return {name: text for name, text in tags.items() if name not in SIZE}


def read_tags(file: BinaryIO) -> dict[str, str]:
    """Return the tags of the EXIF, or TIFF, that a file begins with; none if it is damaged."""
    tags = {}
    with contextlib.suppress(*BROKEN):
        for directory in islice(directories(file, follow=EXIF), 2):  # the image's, and its EXIF
            for tag in NAMES.keys() & directory.values.keys():
                text = written(tag, directory.values[tag])
                if text:
                    tags[f"EXIF_{NAMES[tag]}"] = text
    return tags


def written(tag: int, value: Value) -> str:
    """Return a value as GDAL writes it; empty if it is of no use."""
    if tag in FRACTIONS:
        numbers = [each for each in value if isinstance(each, int | float)]
        number, divisor = [*numbers, 1, 0][:2] if numbers else (0, 0)
        return f"({number / divisor:.15g})" if divisor else ""
    first = next(iter(value), "")
    if isinstance(first, bytes):
        return first.split(b"\0")[0].decode("ascii", errors="replace").strip()
    return str(first)
