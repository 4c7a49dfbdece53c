"""Interpret the bands of a photograph: find the colour bands, convert their values to RGB bytes.

Functions take opened datasets. Only `find_stretch` (a preview) and `read_mask` read pixels.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, MaskFlags

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.errors import InputError, UsageError
from crackcli.rasters.srgb import to_srgb

PHOTOGRAPH_TYPES = ("uint8", "uint16")
STRETCH = (0.1, 99.9)  # percentiles of values other than 8 bits that become 0 and 255
PREVIEW_PX = 1024  # longest side of the preview that they are computed on
SRGB_GAMMA = 1 / 2.2  # exponent of a PNG that is about that of sRGB
SAME_GAMMA = 0.1  # relative difference of exponents that makes none


def colour_bands(source: DatasetReader) -> list[int]:
    """Return the bands (from 1) to read as red, green, blue; one band for grey and palette."""
    kinds = list(source.colorinterp)
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(kind in kinds for kind in wanted):
        return [kinds.index(kind) + 1 for kind in wanted]
    colours = [i + 1 for i, kind in enumerate(kinds) if kind != ColorInterp.alpha]
    return colours[:3] if len(colours) >= 3 else colours[:1] or [1]


def parse_bands(text: str) -> tuple[int, ...]:
    """Parse the bands of ``--bands``: "1" or "4,3,2"; raises `UsageError`."""
    try:
        bands = tuple(int(part) for part in text.split(","))
    except ValueError:
        bands = ()
    if len(bands) not in (1, 3) or min(bands) < 1:
        raise UsageError(
            f"--bands {text}: give the number of one band, or of those for red, green and blue, "
            "counted from 1: --bands 3,2,1"
        )
    return bands


def chosen_bands(path: Path, source: DatasetReader, bands: tuple[int, ...]) -> list[int]:
    """Return ``bands``, or if there are none, the colour bands.

    Raises `InputError` if a band is missing, or if without a choice they are not of a photograph:
    floats and signed or 32-bit integers are elevations and other measurements, unless the file
    declares them to be red, green and blue.
    """
    if bands:
        if max(bands) > source.count:
            raise InputError(f"{path}: has {source.count} bands; --bands names {max(bands)}")
        return list(bands)
    found = colour_bands(source)
    kinds = {source.dtypes[band - 1] for band in found} - set(PHOTOGRAPH_TYPES)
    if kinds and ColorInterp.red not in source.colorinterp:
        raise InputError(
            f"{path}: may hold elevations or other measurements ({', '.join(sorted(kinds))}); if "
            "they are the values of a photograph, scan it with --bands "
            f"{','.join(map(str, found))}"
        )
    return found


def find_unmasked_alpha(source: DatasetReader) -> int | None:
    """Return the alpha band if GDAL does not use it as the mask (beside more than three bands)."""
    kinds, flags = list(source.colorinterp), source.mask_flag_enums[0]
    masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
    return None if masked or ColorInterp.alpha not in kinds else kinds.index(ColorInterp.alpha) + 1


def is_all_valid(source: DatasetReader) -> bool:
    """Return True if the dataset has no mask, no alpha band and no declared nodata value."""
    masked = any(flags != [MaskFlags.all_valid] for flags in source.mask_flag_enums)
    return not masked and find_unmasked_alpha(source) is None


def has_nodata_value(source: DatasetReader) -> bool:
    """Return True if a declared value alone means nodata, and it may be a colour as well."""
    return (
        all(flags == [MaskFlags.nodata] for flags in source.mask_flag_enums)
        and set(source.dtypes) <= set(PHOTOGRAPH_TYPES)
        and find_palette(source) is None
        and find_unmasked_alpha(source) is None
    )


def find_palette(source: DatasetReader) -> UInt8 | None:
    """Return the colours (N, 4), alpha last, of the N values of a paletted raster, else None."""
    if source.colorinterp[0] != ColorInterp.palette:
        return None
    colours = source.colormap(1)
    table = np.zeros((max(colours) + 1, 4), np.uint8)
    table[list(colours)] = list(colours.values())
    return table


def find_gamma(source: DatasetReader) -> float | None:
    """Return the exponent by which the file says that it encodes light (chunk ``gAMA`` of PNG,
    without a colour profile): 1 is linear. None if it says nothing, or about that of sRGB."""
    text = source.tags(ns="COLOR_PROFILE").get("PNG_GAMMA", "")
    try:
        gamma = float(text)
    except ValueError:
        return None
    if not 0.1 <= gamma <= 10 or source.dtypes[0] not in ("uint8", "uint16"):
        return None
    same = abs(gamma / SRGB_GAMMA - 1) < SAME_GAMMA or find_palette(source) is not None
    return None if same else gamma


def encode_srgb(values: NDArray[Any], gamma: float | None) -> NDArray[Any]:
    """Return values of 8 or 16 bits, which encode light by an exponent ``gamma``, encoded as sRGB
    on the same scale, not rounded; unchanged if it is None."""
    if gamma is None:
        return values
    encoded: Float32 = srgb_table(int(np.iinfo(values.dtype).max), gamma)[values]
    return encoded


@lru_cache(maxsize=8)
def srgb_table(white: int, gamma: float) -> Float32:
    """Return the sRGB-encoded values of 0 to ``white``, which encode light by ``gamma``."""
    light = (np.arange(white + 1) / white) ** (1 / gamma)
    table: Float32 = (white * to_srgb(light)).astype(np.float32)
    return table


def find_stretch(
    source: DatasetReader, bands: list[int], gamma: float | None = None
) -> tuple[float, float] | None:
    """Return the values that become 0 and 255, from a preview; None for 8 bits as they are.

    With ``gamma`` they are of values that are encoded as sRGB.
    """
    if {source.dtypes[band - 1] for band in bands} == {"uint8"}:
        bits = int(source.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
        white = 2.0 ** min(bits, 8) - 1
        if source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            return white, 0.0
        return None if bits >= 8 else (0.0, white)
    shape = tuple(min(side, PREVIEW_PX) for side in source.shape)
    preview = encode_srgb(source.read(bands, out_shape=(len(bands), *shape)), gamma)
    preview = preview.astype(np.float64)
    valid = read_mask(source, out_shape=shape) & np.isfinite(preview).all(axis=0)
    if not valid.any():
        return 0.0, 1.0
    low, high = np.percentile(preview[:, valid], STRETCH)
    return float(low), float(max(high, low + 1e-6 * max(1.0, abs(low))))


def read_mask(source: DatasetReader, **where: object) -> Bools:
    """Return the valid pixels (rows, cols) by mask band, alpha or declared nodata value.

    ``where`` are arguments of ``rasterio.DatasetReader.read``: a window or an output shape.
    """
    valid: Bools = source.dataset_mask(**where) > 0
    alpha = find_unmasked_alpha(source)
    if alpha is not None:
        valid &= source.read(alpha, **where) > 0
    return valid


def to_rgb(
    values: NDArray[Any],
    palette: UInt8 | None,
    stretch: tuple[float, float] | None,
    gamma: float | None = None,
) -> tuple[UInt8, Bools | None]:
    """Convert bands (1 or 3, rows, cols) of any type to RGB (3, rows, cols) uint8.

    Also returns the pixels (rows, cols) that have a value, or None if all have one: transparent
    palette entries and values that are not finite have none. ``gamma`` is that of `encode_srgb`.
    """
    if palette is not None:
        colours = palette[np.minimum(values[0], len(palette) - 1)]
        return np.moveaxis(colours[..., :3], -1, 0), colours[..., 3] > 0
    known = np.isfinite(values).all(axis=0) if values.dtype.kind == "f" else None
    if gamma is not None:
        values = encode_srgb(values, gamma)
        if stretch is None:
            values = np.rint(values).astype(np.uint8)
    if stretch is not None:
        low, high = stretch
        with np.errstate(over="ignore", invalid="ignore"):
            exact: NDArray[Any] = values.astype(
                np.float32 if values.dtype.itemsize <= 2 else np.float64
            )
            exact -= low
            exact *= 255 / (high - low)
            np.nan_to_num(exact, copy=False, posinf=255, neginf=0)
            values = exact.clip(0, 255, out=exact).astype(np.uint8)
    return (np.repeat(values, 3, axis=0) if len(values) == 1 else values), known
