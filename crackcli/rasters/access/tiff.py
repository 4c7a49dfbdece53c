"""Tags of a TIFF that GDAL does not report."""

import contextlib
import struct
from pathlib import Path

from crackcli.errors import InputError

PHOTOMETRIC, COLOUR_MAP = 262, 320
PALETTE = 3  # value of the tag Photometric
SHORT = 3  # type of a tag


def check_colour_map(path: Path) -> None:
    """Raise an `InputError` for a paletted TIFF without colours, which GDAL reads as grey."""
    tags = first_directory(path)
    if tags.get(PHOTOMETRIC) == PALETTE and COLOUR_MAP not in tags:
        raise InputError(f"{path}: has lost the colours of its palette; export it again")


def first_directory(path: Path) -> dict[int, int]:
    """Return the tags of the first image of a TIFF with the numbers that they hold; 0 for those
    that hold something else. Empty for a file of another kind, or a damaged one."""
    tags: dict[int, int] = {}
    with contextlib.suppress(OSError, struct.error, OverflowError), path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None:
            return tags
        big = struct.unpack(f"{order}H", head[2:4])[0] == 43
        place, entry = (f"{order}Q", f"{order}HHQ8s") if big else (f"{order}I", f"{order}HHI4s")
        file.seek(*struct.unpack(place, head[8:16] if big else head[4:8]))
        counter = f"{order}Q" if big else f"{order}H"
        (count,) = struct.unpack(counter, file.read(struct.calcsize(counter)))
        for _ in range(min(count, 2**16)):
            tag, kind, _, value = struct.unpack(entry, file.read(struct.calcsize(entry)))
            tags[tag] = struct.unpack(f"{order}H", value[:2])[0] if kind == SHORT else 0
    return tags
