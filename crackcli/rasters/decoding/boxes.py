"""The boxes of JPEG 2000, HEIC and AVIF: a size, a kind of four letters, the content."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from crackcli.rasters.access.tiff import BROKEN

MAX_BOXES = 100_000


def boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int | None]]:
    """Yield the kind, the start and the end of the content of each box of a file, up to the first
    damaged one; the end is None if it is that of the file."""
    place = 0
    for _ in range(MAX_BOXES):
        try:
            file.seek(place)
            size, kind = struct.unpack(">I4s", file.read(8))
            if size == 1:
                (size,) = struct.unpack(">Q", file.read(8))
        except BROKEN:
            return
        yield kind, file.tell(), place + size if size else None
        if size == 0:
            return
        place += max(size, 8)
