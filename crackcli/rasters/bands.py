"""Interpret the bands of a photograph: find the colour bands, convert their values to RGB bytes.

Functions take opened datasets. Only `find_stretch` (a preview) and `read_mask` read pixels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, MaskFlags

from crackcli.arrays import Bools, UInt8

STRETCH = (0.1, 99.9)  # percentiles of values other than 8 bits that become 0 and 255
PREVIEW_PX = 1024  # longest side of the preview that they are computed on


def colour_bands(source: DatasetReader) -> list[int]:
    """Return the bands (from 1) to read as red, green, blue; one band for grey and palette."""
    kinds = list(source.colorinterp)
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(kind in kinds for kind in wanted):
        return [kinds.index(kind) + 1 for kind in wanted]
    colours = [i + 1 for i, kind in enumerate(kinds) if kind != ColorInterp.alpha]
    return colours[:3] if len(colours) >= 3 else colours[:1] or [1]


def find_unmasked_alpha(source: DatasetReader) -> int | None:
    """Return the alpha band if GDAL does not use it as the mask (beside more than three bands)."""
    kinds, flags = list(source.colorinterp), source.mask_flag_enums[0]
    masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
    return None if masked or ColorInterp.alpha not in kinds else kinds.index(ColorInterp.alpha) + 1


def is_all_valid(source: DatasetReader) -> bool:
    """Return True if the dataset has no mask, no alpha band and no declared nodata value."""
    masked = any(flags != [MaskFlags.all_valid] for flags in source.mask_flag_enums)
    return not masked and find_unmasked_alpha(source) is None


def find_palette(source: DatasetReader) -> UInt8 | None:
    """Return the colours (N, 4), alpha last, of the N values of a paletted raster, else None."""
    if source.colorinterp[0] != ColorInterp.palette:
        return None
    colours = source.colormap(1)
    table = np.zeros((max(colours) + 1, 4), np.uint8)
    table[list(colours)] = list(colours.values())
    return table


def find_stretch(source: DatasetReader) -> tuple[float, float] | None:
    """Return the values that become 0 and 255, from a preview; None for 8 bits as they are."""
    bands = colour_bands(source)
    if {source.dtypes[band - 1] for band in bands} == {"uint8"}:
        bits = int(source.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
        white = 2.0 ** min(bits, 8) - 1
        if source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            return white, 0.0
        return None if bits >= 8 else (0.0, white)
    shape = tuple(min(side, PREVIEW_PX) for side in source.shape)
    preview = source.read(bands, out_shape=(len(bands), *shape)).astype(np.float64)
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
    values: NDArray[Any], palette: UInt8 | None, stretch: tuple[float, float] | None
) -> tuple[UInt8, Bools | None]:
    """Convert bands (1 or 3, rows, cols) of any type to RGB (3, rows, cols) uint8.

    Also returns the pixels (rows, cols) that have a value, or None if all have one: transparent
    palette entries and values that are not finite have none.
    """
    if palette is not None:
        colours = palette[np.minimum(values[0], len(palette) - 1)]
        return np.moveaxis(colours[..., :3], -1, 0), colours[..., 3] > 0
    known = np.isfinite(values).all(axis=0) if values.dtype.kind == "f" else None
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
