"""Photographs that GDAL does not read, decoded by the libraries of two extras.

``heif`` reads HEIC, HEIF and AVIF, ``raw`` the raw files of cameras. Their content decides, not
their name. The whole photograph is decoded, upright, into a TIFF in memory, which is then read by
the same rules as any other file. The last one is kept: a scan opens its photograph several times.
"""

import contextlib
import io
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from crackcli.errors import CrackError, InputError
from crackcli.files import is_regular, utf8_path
from crackcli.rasters.access.tiff import (
    DNG_VERSION,
    LINEAR_RAW,
    MOSAIC,
    PHOTOMETRIC,
    Directory,
    directories_of,
)
from crackcli.rasters.access.warned import no_grid_expected
from crackcli.rasters.decoding.boxes import boxes
from crackcli.rasters.decoding.exif_tags import exif_in_file, gdal_tags

log = logging.getLogger(__name__)

HEIF, AVIF, RAW = "HEIC", "AVIF", "camera raw"  # kinds
EXTRAS = {HEIF: "heif", AVIF: "heif", RAW: "raw"}
HEIF_SUFFIXES = {".heic", ".heif", ".hif", ".avif"}
RAW_SUFFIXES = {  # Adobe, Canon, Nikon, Sony, Fujifilm, Olympus, Panasonic, Pentax, Hasselblad, ...
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".orf"),
    *(".rw2", ".rwl", ".pef", ".3fr", ".fff", ".iiq", ".mos", ".mef", ".srw", ".x3f", ".mrw"),
    *(".erf", ".kdc", ".dcr", ".gpr"),
}
HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
RAW_BEGINS = (  # raw files that are no plain TIFF
    *(b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM"),
)
GDAL_BEGINS = (b"\xff\xd8\xff", b"\x89PNG")  # JPEG, PNG: of any name
HOLE = bytes(512)  # no encoder of HEIC or AVIF writes so many zeros into the pixels
HEIF_ERRORS = (OSError, ValueError, RuntimeError, EOFError, SyntaxError)  # of both decoders
EMPTY_ROWS = 16  # of a sensor that has recorded nothing; photographs have noise
SRGB_CURVE = (2.4, 12.92)  # exponent, and slope in the dark

Pixels = NDArray[Any]  # (rows, cols, bands), uint8 or uint16, upright


@dataclass
class Decoded:
    """A decoded photograph: a TIFF in memory, which exists as long as this object."""

    memory: MemoryFile
    _closing: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._closing = weakref.finalize(self, self.memory.close)


def kind_of_photograph(path: Path) -> str | None:
    """Return the kind, one of `EXTRAS`, of a file that GDAL does not read as a photograph; None for
    all others."""
    with contextlib.suppress(OSError):
        if not is_regular(path):
            return None
        with path.open("rb") as file:
            head = file.read(64)
        if head.startswith(GDAL_BEGINS):
            return None
        if head[4:8] == b"ftyp":
            return kind_of_brands(head)
        raw = head.startswith(RAW_BEGINS) or path.suffix.lower() in RAW_SUFFIXES
        if raw or any(is_raw(each) for each in directories_of(path)):
            return RAW
    return None


def kind_of_brands(head: bytes) -> str | None:
    """Return the kind of an ISO media file by the brands in the box that it begins with."""
    size = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))}
    if b"crx " in brands:
        return RAW
    if AVIF_BRANDS & brands:
        return AVIF
    return HEIF if HEIF_BRANDS & brands else None


def is_raw(image: Directory) -> bool:
    """Return True for an image of a TIFF that is the values of a sensor."""
    return DNG_VERSION in image.values or image.number(PHOTOMETRIC) in (MOSAIC, LINEAR_RAW)


@contextlib.contextmanager
def decoded(path: Path) -> Iterator[str | None]:
    """Yield the name by which GDAL opens the decoded photograph; None if it reads the file itself.

    Raises an `InputError` if the photograph is damaged, or the library that reads it is missing.
    """
    kind = kind_of_photograph(path)
    if kind is None:
        yield None
        return
    now = path.stat()
    with ONE_AT_A_TIME:
        held = decode(path, kind, now.st_size, now.st_mtime_ns, now.st_ino)
    yield held.memory.name


ONE_AT_A_TIME = threading.Lock()  # so that a photograph is not decoded by each thread


@lru_cache(maxsize=1)
def decode(path: Path, kind: str, *state: int) -> Decoded:
    """Decode a photograph of this ``kind`` in its present ``state``."""
    pixels, tags = DECODERS[kind](path)
    memory = MemoryFile()
    rows, cols, bands = pixels.shape
    profile = {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": bands,
        "dtype": pixels.dtype,
        "photometric": "RGB" if bands >= 3 else "MINISBLACK",
        "ALPHA": "YES" if bands in (2, 4) else "NO",
        "BIGTIFF": "IF_SAFER",
    }
    try:
        with no_grid_expected():
            file = memory.open(**profile)
        with file:
            file.write(np.moveaxis(pixels, -1, 0))
            file.update_tags(**tags)
    except BaseException:
        memory.close()
        raise
    return Decoded(memory)


def decode_heif(path: Path) -> tuple[Pixels, dict[str, str]]:
    """Decode the main image of a HEIC or HEIF file; its own turn counts, not that of EXIF."""
    with library(path, HEIF):
        import pillow_heif
    with decoding_errors(path, HEIF_ERRORS):
        file = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        image = file[file.primary_index]
        pixels, exif = np.asarray(image), exif_of(image.info)
    check_no_hole(path, exif)
    if len(file) > 1:
        log.warning("%s: holds %d images; its main one is read", path.name, len(file))
    return with_bands(pixels), gdal_tags(exif, pixels.shape[:2])


def decode_avif(path: Path) -> tuple[Pixels, dict[str, str]]:
    """Decode an AVIF file; Pillow reports the turn of the file in EXIF."""
    with library(path, AVIF):
        from PIL import AvifImagePlugin, ImageOps
    with (
        decoding_errors(path, HEIF_ERRORS),
        AvifImagePlugin.AvifImageFile(path) as image,
    ):
        frames, exif = getattr(image, "n_frames", 1), exif_of(image.info)
        pixels = np.asarray(ImageOps.exif_transpose(image))
    check_no_hole(path, exif)
    if frames > 1:
        raise InputError(f"{path}: has {frames} frames; save the one to scan as PNG")
    return with_bands(pixels), gdal_tags(exif, pixels.shape[:2])


def decode_raw(path: Path) -> tuple[Pixels, dict[str, str]]:
    """Develop a raw file with the white balance of the camera, in sRGB with 16 bits and without a
    change of brightness, so that nothing bright is cut off."""
    with library(path, RAW):
        import rawpy
    with (
        decoding_errors(path, (OSError, rawpy.LibRawError)),
        utf8_path(path) as named,
        rawpy.imread(str(named)) as raw,
    ):
        if raw.raw_type == rawpy.RawType.Flat:
            check_recorded(path, raw.raw_image_visible)
        pixels = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=SRGB_CURVE,
        )
    return with_bands(pixels), exif_in_file(path)


DECODERS: dict[str, Callable[[Path], tuple[Pixels, dict[str, str]]]] = {
    HEIF: decode_heif,
    AVIF: decode_avif,
    RAW: decode_raw,
}


@contextlib.contextmanager
def library(path: Path, kind: str) -> Iterator[None]:
    """Turn a missing library into an `InputError` that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{path}: {kind} is read with another library; pip install 'crackcli[{EXTRAS[kind]}]'"
        ) from error


@contextlib.contextmanager
def decoding_errors(path: Path, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn errors of these kinds into an `InputError`."""
    try:
        yield
    except CrackError:
        raise
    except kinds as error:
        reason = error.args[0] if error.args else type(error).__name__
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InputError(
            f"{path}: not a readable photograph, or damaged ({' '.join(text.split()).rstrip('.')});"
            " copy it again"
        ) from error


def exif_of(info: Mapping[Any, Any]) -> bytes:
    """Return the EXIF in what Pillow knows about an image; empty if there is none."""
    exif = info.get("exif")
    return exif if isinstance(exif, bytes) else b""


def check_no_hole(path: Path, exif: bytes) -> None:
    """Raise an `InputError` for a HEIC or AVIF file with a part that was not copied, from which
    decoders make grey or coloured blocks. Only its ``exif`` may contain many zeros."""
    content = path.read_bytes()
    for kind, start, end in boxes(io.BytesIO(content)):
        if kind == b"mdat" and HOLE in content[start:end].replace(exif or HOLE[:0], b""):
            raise InputError(f"{path}: damaged, a part of it is empty; copy it again")


def check_recorded(path: Path, mosaic: Pixels) -> None:
    """Raise an `InputError` if successive rows of a sensor are all 0: they were not copied."""
    empty = ~mosaic.any(axis=1)
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate(([0], empty, [0])))))[::2]
    if runs.max(initial=0) >= EMPTY_ROWS:
        raise InputError(f"{path}: damaged, {runs.max()} rows of it are empty; copy it again")


def with_bands(pixels: Pixels) -> Pixels:
    """Return pixels (rows, cols) or (rows, cols, bands) with the axis of bands."""
    return pixels[..., None] if pixels.ndim == 2 else pixels
