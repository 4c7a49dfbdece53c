"""Write Cloud-Optimised GeoTIFFs of one band (score, mask), strip by strip in several threads.

GDAL's COG driver copies a raster twice and computes overviews in one thread: on an image without
cracks that took longer than reading it. Here each tile is compressed and halved once, in any free
thread; a tile of one value is neither.

The layout is GDAL's COG layout: all directories, then the overviews from the smallest, then the
full raster. Each tile has its size before it and its last four bytes repeated after it. The
georeference is copied from a tiny GeoTIFF that GDAL writes.
"""

import contextlib
import shutil
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
import rasterio
from rasterio.io import MemoryFile

from crackcli.arrays import UInt8
from crackcli.files import atomic_write_in_folder
from crackcli.rasters.access.opening import ENVIRONMENT
from crackcli.rasters.access.warned import no_grid_expected
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.score_mask import NODATA
from crackcli.threads import ThreadPool, thread_count

TILE_PX = 512
OVERVIEW_PX = 512  # longest side of a raster that needs no overview
COMPRESSION = 1  # of deflate: a quarter of the time of the default, for 4 % more bytes
MAX_PENDING_ROWS = 2  # rows of tiles of one level being compressed
CLASSIC_BYTES = 2**32 - 1  # largest classic TIFF; beyond it BigTIFF is needed
COPIED = {33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113}  # georeference, metadata, nodata
STRUCTURE = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
STRUCTURE = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(STRUCTURE) + STRUCTURE
SHORT, LONG, LONG8 = 3, 4, 16  # TIFF types of tag values
SIZES = {1: 1, 2: 1, SHORT: 2, LONG: 4, 12: 8, LONG8: 8}  # bytes of each type

Downsampler = Callable[[UInt8], UInt8]
EncodedTile = tuple[bytes, UInt8 | None]  # compressed, and at half the size if asked for
Tag = tuple[int, int, int, bytes]  # number, type, count and packed values


def write_cog(
    path: Path, strips: Iterable[UInt8], info: RasterInfo, tags: dict[str, str], resampling: str
) -> None:
    """Write ``strips`` (rows, cols), from top to bottom, as a COG on the grid of ``info``.

    The file is written whole or not at all. ``resampling`` names the entry of `DOWNSAMPLERS` for
    the overviews: each of their pixels is made of four pixels, nodata ignored.
    """
    georeference = gdal_tags(info, tags)
    with (
        atomic_write_in_folder(path) as temporary,
        contextlib.ExitStack() as stack,
        ThreadPool(contextlib.nullcontext, thread_count()) as pool,
    ):
        levels = [
            Level(
                rows,
                cols,
                stack.enter_context(temporary.with_name(f"level{number}").open("w+b")),
                pool,
                DOWNSAMPLERS[resampling],
            )
            for number, (rows, cols) in enumerate(level_shapes(info.rows, info.cols))
        ]
        for level, smaller in pairwise(levels):
            level.smaller = smaller
        for strip in strips:
            levels[0].add(strip)
        levels[0].end()
        with temporary.open("wb") as file:
            file.write(file_head(levels, georeference))
            for level in reversed(levels):
                level.file.seek(0)
                shutil.copyfileobj(level.file, file, 2**20)


def level_shapes(rows: int, cols: int) -> Iterator[tuple[int, int]]:
    """Yield the rows and columns of a raster and of its overviews."""
    yield rows, cols
    while max(rows, cols) > OVERVIEW_PX:
        rows, cols = -(-rows // 2), -(-cols // 2)
        yield rows, cols


class Level:
    """A raster of ``rows`` by ``cols`` that receives strips and writes tiles to ``file``.

    ``smaller`` is the next overview: each row of tiles is passed on to it at half the size.
    """

    def __init__(
        self, rows: int, cols: int, file: IO[bytes], pool: ThreadPool[None], halve: Downsampler
    ) -> None:
        self.rows, self.cols, self.file, self.pool, self.halve = rows, cols, file, pool, halve
        self.smaller: Level | None = None
        self.held: list[UInt8] = []  # rows that do not fill a row of tiles yet
        self.pending: deque[list[Future[EncodedTile]]] = deque()
        self.sizes: list[int] = []  # bytes of each compressed tile

    def add(self, strip: UInt8) -> None:
        """Add the next rows (rows, cols)."""
        self.held.append(strip)
        while (count := sum(map(len, self.held))) >= TILE_PX:
            whole = self.held[0] if len(self.held) == 1 else np.concatenate(self.held)
            self.held = [whole[TILE_PX:]] if count > TILE_PX else []
            self.begin(whole[:TILE_PX])

    def end(self) -> None:
        """Write what is left; there are no more rows."""
        if self.held:
            self.begin(np.concatenate(self.held))
        while self.pending:
            self.finish()
        if self.smaller is not None:
            self.smaller.end()
        self.file.flush()

    def begin(self, row: UInt8) -> None:
        """Start compressing a row of tiles (at most 512, cols)."""
        halve = None if self.smaller is None else self.halve
        tiles = (row[:, col : col + TILE_PX] for col in range(0, self.cols, TILE_PX))
        self.pending.append([self.pool.submit(partial(encode_tile, tile, halve)) for tile in tiles])
        if len(self.pending) > MAX_PENDING_ROWS:
            self.finish()

    def finish(self) -> None:
        """Write the oldest pending row of tiles, and pass it on at half the size."""
        done = [tile.result() for tile in self.pending.popleft()]
        for stored, _ in done:
            self.file.write(struct.pack("<I", len(stored)) + stored + stored[-4:])
            self.sizes.append(len(stored))
        if self.smaller is not None:
            self.smaller.add(np.concatenate([half for _, half in done], axis=1))


def encode_tile(tile: UInt8, halve: Downsampler | None, _: None) -> EncodedTile:
    """Return a tile compressed, and at half the size if ``halve`` is given."""
    value = int(tile[0, 0])
    same = int(tile.max()) == int(tile.min()) == value
    if same:
        half = np.full([-(-side // 2) for side in tile.shape], value, np.uint8)
        return constant_tile(value), None if halve is None else half
    whole = np.zeros((TILE_PX, TILE_PX), np.uint8)
    whole[: tile.shape[0], : tile.shape[1]] = tile
    return zlib.compress(whole.tobytes(), COMPRESSION), None if halve is None else halve(tile)


@cache
def constant_tile(value: int) -> bytes:
    """Return a tile of one value, compressed."""
    return zlib.compress(np.full((TILE_PX, TILE_PX), value, np.uint8).tobytes(), COMPRESSION)


def split_quads(tile: UInt8) -> list[UInt8]:
    """Return the four pixels of each 2 x 2 square as arrays (rows / 2, cols / 2), row by row.

    Beyond the edges there is nodata.
    """
    rows, cols = tile.shape
    even = np.pad(tile, ((0, rows % 2), (0, cols % 2)), constant_values=NODATA)
    return [even[row::2, col::2] for row in (0, 1) for col in (0, 1)]


def average(tile: UInt8) -> UInt8:
    """Halve a tile: each pixel is the mean of the valid ones of four, rounded half up."""
    total, count = np.zeros((2, *(-(-side // 2) for side in tile.shape)), np.uint16)
    for each in split_quads(tile):
        known = each != NODATA
        total += np.where(known, each, 0)
        count += known
    mean = (2 * total + count) // (2 * count).clip(min=1)
    result: UInt8 = np.where(count > 0, mean, NODATA).astype(np.uint8)
    return result


def mode(tile: UInt8) -> UInt8:
    """Halve a mask tile of 0 and 1: each pixel is the commonest valid value of four.

    Of two equally common values, it is the one whose count is reached first, reading the square row
    by row: [[0, 1], [1, 0]] gives 1, as the second 1 comes before the second 0; [[1, 0], [nodata,
    nodata]] gives 1, as the only 1 comes before the only 0.
    """
    four = split_quads(tile)
    clear, crack = (sum((each == value).astype(np.int8) for each in four) for value in (0, 1))
    result: UInt8 = (crack > clear).astype(np.uint8)
    for each in four[::-1]:
        first = (crack == 1) & (clear == 1) & (each != NODATA)
        result[first] = each[first]
    both = (crack == 2) & (clear == 2)
    result[both] = 1 - four[-1][both]
    result[crack + clear == 0] = NODATA
    return result


def nearest(tile: UInt8) -> UInt8:
    """Halve a tile: each pixel is the upper left one of four."""
    return tile[::2, ::2]


DOWNSAMPLERS: dict[str, Downsampler] = {"average": average, "mode": mode, "nearest": nearest}


def gdal_tags(info: RasterInfo, tags: dict[str, str]) -> list[Tag]:
    """Return the TIFF tags that GDAL writes for the georeference, nodata and ``tags``."""
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 16, "width": 16}
    profile |= {"nodata": NODATA, "crs": info.crs_wkt}
    if info.georeferenced:  # QGIS would turn a raster with the identity upside down
        profile["transform"] = info.transform
    with (
        rasterio.Env(**ENVIRONMENT, GDAL_PAM_ENABLED=False),
        MemoryFile() as memory,
    ):
        with no_grid_expected(), memory.open(**profile) as target:
            target.update_tags(**tags)
        content = memory.read()
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    found = []
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        number, kind, values, where = struct.unpack_from("<HHII", content, entry)
        if number in COPIED:
            size = values * SIZES[kind]
            begin = where if size > 4 else entry + 8
            found.append((number, kind, values, content[begin : begin + size]))
    return found


def file_head(levels: list[Level], georeference: list[Tag]) -> bytes:
    """Return all bytes before the tiles: the TIFF header and the directories."""
    stored = sum(sum(level.sizes) + 8 * len(level.sizes) for level in levels)
    tiles = sum(len(level.sizes) for level in levels)
    room = 2**16 + 16 * tiles + sum(len(values) for *_, values in georeference)
    big = stored + room > CLASSIC_BYTES
    size = 0  # of the header; tile offsets depend on it, so that it is built twice
    for _ in range(2):
        begin = (
            struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0)
            if big
            else struct.pack("<2sHI", b"II", 42, 0)
        )
        content = bytearray(begin + STRUCTURE)
        offsets, at = {}, size
        for level in reversed(levels):
            offsets[level], at = offsets_of(level, at)
        link = 8 if big else 4  # position of the offset of the next directory
        for number, level in enumerate(levels):
            content += bytes(len(content) % 2)
            struct.pack_into("<Q" if big else "<I", content, link, len(content))
            entries = entries_of(level, offsets[level], georeference, big=big, overview=number > 0)
            link = add_directory(content, entries, big=big)
        content += bytes(len(content) % 2)
        size = len(content)
    return bytes(content)


def offsets_of(level: Level, at: int) -> tuple[list[int], int]:
    """Return the offset of each tile of a level that starts ``at``, and the offset of its end."""
    ends = at + np.cumsum(np.array(level.sizes, np.int64) + 8)
    return (ends - np.array(level.sizes) - 4).tolist(), int(ends[-1])


def entries_of(
    level: Level, offsets: list[int], georeference: list[Tag], *, big: bool, overview: bool
) -> list[Tag]:
    """Return the tags of the directory of one level, by number."""

    def tag(number: int, kind: int, *values: int) -> Tag:
        letter = {SHORT: "H", LONG: "I", LONG8: "Q"}[kind]
        return number, kind, len(values), struct.pack(f"<{len(values)}{letter}", *values)

    entries = [
        tag(256, LONG, level.cols),
        tag(257, LONG, level.rows),
        tag(258, SHORT, 8),  # bits
        tag(259, SHORT, 8),  # deflate
        tag(262, SHORT, 1),  # zero is black
        tag(277, SHORT, 1),  # bands
        tag(284, SHORT, 1),
        tag(317, SHORT, 1),  # no predictor
        tag(322, SHORT, TILE_PX),
        tag(323, SHORT, TILE_PX),
        tag(324, LONG8 if big else LONG, *offsets),
        tag(325, LONG, *level.sizes),
        tag(339, SHORT, 1),  # unsigned
    ]
    if overview:
        return [tag(254, LONG, 1), *entries, *(each for each in georeference if each[0] == 42113)]
    return [*entries, *sorted(georeference)]


def add_directory(content: bytearray, entries: list[Tag], *, big: bool) -> int:
    """Append a directory and the values that do not fit into it.

    Returns the position of the offset of the next directory.
    """
    count, entry, inline = ("<Q", "<HHQ", 8) if big else ("<H", "<HHI", 4)
    link = len(content) + struct.calcsize(count) + len(entries) * (4 + 2 * inline)
    behind, values_at = bytearray(), link + inline
    content += struct.pack(count, len(entries))
    for number, kind, values, packed in entries:
        content += struct.pack(entry, number, kind, values)
        if len(packed) <= inline:
            content += packed.ljust(inline, b"\0")
        else:
            behind += bytes((values_at + len(behind)) % 2)
            content += struct.pack("<Q" if big else "<I", values_at + len(behind))
            behind += packed
    content += bytes(inline) + behind
    return link
