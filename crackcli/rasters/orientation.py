"""EXIF orientation of a photograph in any container.

GDAL reports it for JPEG only. PNG keeps EXIF in the chunk ``eXIf``, WebP in the chunk ``EXIF`` of
its RIFF, JPEG 2000 in a box ``uuid``; TIFF itself has the tag, in each page. EXIF is a TIFF, too.
A file that breaks these rules has no orientation; if it is damaged, its pixels show that.
"""

import contextlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from crackcli.rasters.access.tiff import BROKEN, ORIENTATION, Directory, directories
from crackcli.rasters.decoding.boxes import boxes
from crackcli.rasters.grid import ORIENTATIONS, Orientation

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JP2_EXIF = b"JpgTiffExif->JP2"
MAX_PARTS = 100_000  # chunks that are searched


def find_orientation(
    path: Path, driver: str, tag: str | None, page: Directory | None = None
) -> int:
    """Return the EXIF orientation of a file that GDAL reads by ``driver``, 1 to 8; 1 if it is
    missing or invalid. ``tag`` is the value that GDAL reports, if it does; ``page`` is that of a
    TIFF."""
    value = 1
    if tag is not None:
        value = int(tag) if tag.isdigit() else 1
    elif page is not None:
        value = page.number(ORIENTATION, 1)
    elif driver in READERS and path.is_file():
        with (
            contextlib.suppress(*BROKEN),
            path.open("rb") as file,
        ):
            value = READERS[driver](file)
    return value if value in ORIENTATIONS else 1


def orientation_of(path: Path, driver: str, tags: Mapping[str, str]) -> Orientation:
    """Return how an image of one page, which GDAL reads by ``driver`` and with these ``tags``, is
    turned upright."""
    return ORIENTATIONS[find_orientation(path, driver, tags.get("EXIF_Orientation"))]


def of_tiff(file: BinaryIO, start: int = 0) -> int:
    """Return the orientation of a TIFF, or EXIF, that begins at ``start``."""
    first = next(directories(file, start), None)
    return 1 if first is None else first.number(ORIENTATION, 1)


def of_png(file: BinaryIO) -> int:
    """Return the orientation in the chunk ``eXIf`` of a PNG."""
    if file.read(8) != PNG_SIGNATURE:
        return 1
    for _ in range(MAX_PARTS):
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf":
            return of_tiff(file, file.tell())
        if kind == b"IEND":
            break
        file.seek(size + 4, 1)  # and its checksum
    return 1


def of_webp(file: BinaryIO) -> int:
    """Return the orientation in the chunk ``EXIF`` of a WebP."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        return 1
    for _ in range(MAX_PARTS):
        kind, size = struct.unpack("<4sI", file.read(8))
        if kind == b"EXIF":
            start = file.tell()
            prefixed = file.read(6) == b"Exif\0\0"  # some programs leave it in
            return of_tiff(file, start + 6 * prefixed)
        file.seek(size + size % 2, 1)
    return 1


def of_jp2(file: BinaryIO) -> int:
    """Return the orientation in the ``uuid`` box with EXIF of a JPEG 2000 file."""
    for kind, start, _ in boxes(file):
        if kind == b"uuid":
            file.seek(start)
            if file.read(16) == JP2_EXIF:
                return of_tiff(file, start + 16)
    return 1


READERS = {
    "GTiff": of_tiff,
    "PNG": of_png,
    "WEBP": of_webp,
    "JP2OpenJPEG": of_jp2,
    "JP2KAK": of_jp2,
    "JP2ECW": of_jp2,
}
