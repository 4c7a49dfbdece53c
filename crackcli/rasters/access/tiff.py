"""The directories of a TIFF, and of EXIF, which is a small TIFF.

A TIFF begins with its byte order and the place of its first directory. A directory has an entry
for each tag, then the place of the next one; an entry has a type, the number of its values, and
the values, or their place if they do not fit in. BigTIFF has wider places and counts.
"""

import contextlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from crackcli.errors import InputError
from crackcli.files import is_regular

SUBFILE, OLD_SUBFILE, COLS, ROWS, PHOTOMETRIC = 254, 255, 256, 257, 262  # tags
ORIENTATION, COLOUR_MAP, SUB_DIRECTORIES, EXIF = 274, 320, 330, 34665
DNG_VERSION = 50706
PALETTE, MASK, MOSAIC, LINEAR_RAW = 3, 4, 32803, 34892  # values of the tag Photometric
FORMS = dict(  # of the values of a type
    enumerate(("B", "s", "H", "I", "II", "b", "s", "h", "i", "ii", "f", "d", "I"), start=1)
) | {16: "Q", 17: "q", 18: "Q"}
MAX_BYTES = 2**16  # of values that are read
MAX_DIRECTORIES = 10_000
BROKEN = (OSError, struct.error, ValueError, OverflowError)  # raised where a file breaks the rules

Value = tuple[int | float | bytes, ...]


@dataclass(frozen=True)
class Directory:
    """One image of a TIFF: the place of its directory in the file, and its values by tag.

    The two numbers of a fraction stand one after the other. Text is one value of bytes. Of a tag
    with more than `MAX_BYTES` there are no values.
    """

    place: int
    values: Mapping[int, Value]

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag; ``default`` if it is missing or no integer."""
        first = next(iter(self.values.get(tag, ())), default)
        return first if isinstance(first, int) else default


def directories(
    file: BinaryIO, start: int = 0, follow: int = SUB_DIRECTORIES
) -> Iterator[Directory]:
    """Yield the directories of the TIFF that begins at ``start``, each followed by those that its
    tag ``follow`` names; none if it is not a TIFF.

    Raises one of the errors `BROKEN` where the file is damaged.
    """
    file.seek(start)
    header = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(header[:2])
    version = struct.unpack(f"{order}H", header[2:4])[0] if order and len(header) >= 8 else 0
    if version not in (42, 43):
        return
    form = f"{order}Q" if version == 43 else f"{order}I"
    first = struct.unpack_from(form, header, 8 if version == 43 else 4)[0]
    waiting, seen = [first], set[int]()
    while waiting and len(seen) < MAX_DIRECTORIES:
        place = waiting.pop()
        if not place or place in seen:  # the end, or a circle
            continue
        seen.add(place)
        found, after = read_directory(file, start, place, form)
        yield found
        below = found.values.get(follow, ())
        waiting += [after, *(each for each in below[::-1] if isinstance(each, int))]


def read_directory(file: BinaryIO, start: int, place: int, form: str) -> tuple[Directory, int]:
    """Return the directory at ``place`` and the place of the next one; ``form`` is that of places
    in this file."""
    order, big = form[0], form[1] == "Q"
    file.seek(start + place)
    (count,) = struct.unpack(f"{order}Q" if big else f"{order}H", file.read(8 if big else 2))
    size = 20 if big else 12
    if count * size > 2**16 * 12:
        raise struct.error(f"{count} tags")
    entries = file.read(count * size)
    tail = file.read(8 if big else 4)
    after = struct.unpack(form, tail)[0] if tail else 0  # some programs leave the last one out
    values = {}
    for at in range(0, count * size, size):
        tag, kind = struct.unpack_from(f"{order}HH", entries, at)
        (number,) = struct.unpack_from(form, entries, at + 4)
        own = entries[at + size - (8 if big else 4) : at + size]
        values[tag] = read_values(file, start, own, kind, number, form)
    return Directory(place, values), after


def read_values(file: BinaryIO, start: int, own: bytes, kind: int, number: int, form: str) -> Value:
    """Return the ``number`` values of an entry, which stand in its ``own`` bytes or where these
    say; none of an unknown type, or if they are too many or lie beyond the end."""
    if kind not in FORMS:
        return ()
    letters, order = FORMS[kind], form[0]
    size = struct.calcsize(f"{order}{letters}") * number
    if size > MAX_BYTES:
        return ()
    if size > len(own):
        file.seek(start + struct.unpack(form, own)[0])
        own = file.read(size)
    if len(own) < size:
        return ()
    if letters == "s":
        return (own[:size],)
    return struct.unpack(f"{order}{letters * number}", own[:size])


def directories_of(path: Path) -> tuple[Directory, ...]:
    """Return the directories of a TIFF, up to the first damaged one; none of another file."""
    with contextlib.suppress(OSError):
        if is_regular(path):  # a pipe would be waited for
            now = path.stat()
            return read_directories(path, now.st_size, now.st_mtime_ns, now.st_ino)
    return ()


@lru_cache(maxsize=4)
def read_directories(path: Path, *state: int) -> tuple[Directory, ...]:
    """Read the directories of a file in its present ``state``: a file is opened several times, and
    each of its pages."""
    found = []
    with contextlib.suppress(*BROKEN), path.open("rb") as file:
        for each in directories(file):
            found.append(each)  # noqa: PERF402 (keeps those before the damage)
    return tuple(found)


def check_colour_map(path: Path, found: Directory | None) -> None:
    """Raise an `InputError` for a paletted image without colours, which GDAL reads as grey."""
    if found and found.number(PHOTOMETRIC) == PALETTE and COLOUR_MAP not in found.values:
        raise InputError(f"{path}: has lost the colours of its palette; export it again")
