"""Check that an image file is complete, where its decoder does not notice that it is not.

An interrupted copy has the size of the whole file, and zeros in place of what is missing. Zeros
are valid codes: a decoder turns them into grey, or into the last block again and again.

* JPEG: the decoder stops when it has all rows, and never looks for the marker at the end. A run of
  zeros inside is the code of one colour only if the tables say so (ITU T.81, annex C).
* WebP: its arithmetic code has no check at all.
* TIFF with deflate: libtiff stops when a block is full, before the checksum. With WebP as above.

PNG and GIF have checks of their own, JPEG 2000 markers, and other TIFF codes fail on zeros. Where a
file breaks the rules of its container in another way, its decoder says so.
"""

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import rasterio

from crackcli.errors import InputError
from crackcli.rasters.access.opening import open_raster
from crackcli.rasters.access.state import FileState

COPY_AGAIN = "copy it again from the camera or the original"

JPEG, RIFF, WEBP = b"\xff\xd8\xff", b"RIFF", b"WEBP"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded data: none, but at its end
SCAN, TABLES, END, FILL = 0xDA, 0xC4, 0xD9, 0xFF
BETWEEN_SCANS = {SCAN, TABLES, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # tables, comments
ZEROS_AT_END = re.compile(rb"\x00+\Z")
JPEG_HOLE = re.compile(rb"\x00{64,}")
FEWEST_ZEROS = 16  # at the end of a JPEG without its last marker; other such files may be whole

# Zeros in a row that a WebP never has, unless it shows one colour: then a byte holds more pixels.
WEBP_ZEROS = re.compile(rb"\x00{256,}")
WEBP_MAX_PX_PER_BYTE = 250

# A raster that declares more pixels per byte of its files is refused if it has many. Photographs
# have about 1; a PNG or deflated TIFF of one colour has at most 1032.
MAX_PX_PER_BYTE = 2_000
MAX_UNCHECKED_PX = 10**8


def check_complete(path: Path, source: rasterio.DatasetReader | None = None) -> None:
    """Raise an `InputError` if an image file has lost a part of its data.

    ``source`` is the opened dataset, None for another file that its pixels come from. Raises an
    `OSError` if the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(JPEG):
        lost = lost_of_jpeg(path.read_bytes())
    elif head[:4] == RIFF and head[8:] == WEBP:
        lost = lost_of_webp(path.read_bytes())
    elif source is not None and source.driver == "GTiff":
        lost = lost_of_tiff(path, source)
    elif source is None and head.startswith(TIFF):
        with open_raster(path) as opened:
            lost = lost_of_tiff(path, opened)
    else:
        return
    if lost:
        raise InputError(f"{path}: damaged ({lost}); {COPY_AGAIN}")


def check_declared_size(
    path: Path, source: rasterio.DatasetReader, files: Sequence[FileState]
) -> None:
    """Raise an `InputError` if a raster declares far more pixels than its files can hold."""
    pixels, held = source.width * source.height, sum(each.size for each in files)
    if pixels > MAX_UNCHECKED_PX and pixels > MAX_PX_PER_BYTE * held:
        raise InputError(
            f"{path}: declares {pixels / 1e6:,.0f} megapixels in {held:,} bytes, so nearly all of "
            "it is empty; cut out the part with the photograph"
        )


def lost_of_jpeg(data: bytes) -> str:
    """Return what a JPEG has lost in words, empty if it is complete."""
    place, flat_is_zero = 2, True
    with contextlib.suppress(struct.error, IndexError):
        while True:
            filled, marker = struct.unpack_from(">BB", data, place)
            if filled == marker == FILL:
                place += 1
                continue
            if marker == END:
                return ""
            (length,) = struct.unpack_from(">H", data, place + 2)
            if marker == TABLES:
                flat_is_zero &= all(flat_codes(data[place + 4 : place + 2 + length]))
            place += 2 + length
            if marker == SCAN:
                found = MARKER.search(data, place)
                if found is None:
                    break
                hole = None if flat_is_zero else JPEG_HOLE.search(data, place, found.start())
                if hole is not None:
                    return f"{len(hole[0]):,} of its {len(data):,} bytes are zero"
                place = found.start()
                if data[place + 1] not in BETWEEN_SCANS | {END}:
                    return f"foreign data from byte {place:,} of {len(data):,}"
    zeros = ZEROS_AT_END.search(data)
    count = len(zeros[0]) if zeros else 0
    return f"the last {count:,} of its {len(data):,} bytes are zero" if count > FEWEST_ZEROS else ""


def flat_codes(tables: bytes) -> Iterator[bool]:
    """Yield, for each Huffman table of a segment, whether zeros code a block without texture."""
    place = 0
    while place < len(tables):
        count = sum(tables[place + 1 : place + 17])
        yield tables[place + 17] == 0  # of the shortest code, which is all zeros
        place += 17 + count


def lost_of_webp(data: bytes) -> str:
    """Return what a WebP has lost in words, empty if it is complete."""
    for start, end, pixels in webp_images(data):
        if pixels <= WEBP_MAX_PX_PER_BYTE * (end - start):
            zeros = sum(len(found[0]) for found in WEBP_ZEROS.finditer(data, start, end))
            if zeros:
                return f"{zeros:,} of its {len(data):,} bytes are zero"
    return ""


def webp_images(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start and end in ``data`` and the number of pixels of each coded image of a WebP."""
    place = 12
    with contextlib.suppress(struct.error):
        while True:
            kind, size = struct.unpack_from("<4sI", data, place)
            start, end = place + 8, place + 8 + size
            if kind == b"VP8 ":
                cols, rows = struct.unpack_from("<HH", data, start + 6)
                yield start + 10, end, (cols & 0x3FFF) * (rows & 0x3FFF)
            elif kind == b"VP8L":
                (packed,) = struct.unpack_from("<I", data, start + 1)
                yield start + 5, end, ((packed & 0x3FFF) + 1) * ((packed >> 14 & 0x3FFF) + 1)
            place = end + size % 2


def lost_of_tiff(path: Path, source: rasterio.DatasetReader) -> str:
    """Return which block of a TIFF with deflate or WebP is damaged, empty if none is."""
    is_whole = BLOCK_CHECKS.get(source.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", ""))
    if is_whole is None:
        return ""
    high, wide = source.block_shapes[0]
    by_band = source.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "BAND"
    with path.open("rb") as file:
        for band in range(1, source.count + 1 if by_band else 2):
            for row in range(-(-source.height // high)):
                for col in range(-(-source.width // wide)):
                    at, size = (
                        source.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band)
                        for what in ("OFFSET", "SIZE")
                    )
                    if at is None or size is None:  # sparse: no data, by intent
                        continue
                    file.seek(int(at))
                    if not is_whole(file.read(int(size))):
                        return f"block {col} of row {row}"
    return ""


def is_whole_deflate(data: bytes) -> bool:
    """Return True if a zlib stream ends in ``data`` with the right checksum."""
    stream = zlib.decompressobj()
    try:
        rest = data
        while rest and not stream.eof:
            stream.decompress(rest, 2**22)
            rest = stream.unconsumed_tail
    except zlib.error:
        return False
    return stream.eof


def is_whole_webp(data: bytes) -> bool:
    """Return True if a WebP has lost nothing."""
    return not lost_of_webp(data)


BLOCK_CHECKS = {"DEFLATE": is_whole_deflate, "WEBP": is_whole_webp}  # by compression of a TIFF
