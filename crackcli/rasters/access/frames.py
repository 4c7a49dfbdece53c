"""Refuse animations. GDAL reads the first frame of a GIF or PNG, and none of a WebP."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from crackcli.errors import InputError
from crackcli.rasters.access.tiff import BROKEN

IMAGE, EXTENSION = b"\x2c", b"\x21"  # blocks of a GIF
HAS_TABLE, TABLE_SIZE = 0x80, 7  # in the flags of a GIF and of its images
MAX_BLOCKS = 100_000


def check_one_frame(path: Path, driver: str) -> None:
    """Raise an `InputError` if a file that GDAL reads by ``driver`` is an animation."""
    if driver not in COUNTERS:
        return
    try:
        with path.open("rb") as file:
            frames = COUNTERS[driver](file)
    except BROKEN:
        return  # damaged, which its pixels show
    if frames > 1:
        raise InputError(f"{path}: has {frames} frames; save the one to scan as PNG")


def frames_of_gif(file: BinaryIO) -> int:
    """Return the number of images in a GIF."""
    found = 0
    (flags,) = struct.unpack("10xB2x", file.read(13))
    skip_table(file, flags)
    for _ in range(MAX_BLOCKS):
        kind = file.read(1)
        if kind == IMAGE:
            found += 1
            (flags,) = struct.unpack("8xB", file.read(9))
            skip_table(file, flags)
        elif kind != EXTENSION:
            break
        file.seek(1, 1)
        while size := file.read(1):  # parts of its data, then an empty one
            if size == b"\0":
                break
            file.seek(size[0], 1)
    return found


def skip_table(file: BinaryIO, flags: int) -> None:
    """Move beyond the table of colours, if there is one."""
    if flags & HAS_TABLE:
        file.seek(3 * 2 ** ((flags & TABLE_SIZE) + 1), 1)


def frames_of_png(file: BinaryIO) -> int:
    """Return the number of frames in a PNG, which its chunk ``acTL`` says."""
    file.seek(8)
    for _ in range(MAX_BLOCKS):
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"acTL":
            frames: int = struct.unpack(">I", file.read(4))[0]
            return frames
        if kind == b"IDAT":
            break
        file.seek(size + 4, 1)  # and its checksum
    return 1


def frames_of_webp(file: BinaryIO) -> int:
    """Return the number of frames in a WebP: its chunks ``ANMF``, if it has any."""
    found = 0
    file.seek(12)
    for _ in range(MAX_BLOCKS):
        head = file.read(8)
        if len(head) < 8:
            break
        kind, size = struct.unpack("<4sI", head)
        found += kind == b"ANMF"
        file.seek(size + size % 2, 1)
    return max(1, found)


COUNTERS: dict[str, Callable[[BinaryIO], int]] = {
    "GIF": frames_of_gif,
    "BIGGIF": frames_of_gif,
    "PNG": frames_of_png,
    "WEBP": frames_of_webp,
}
