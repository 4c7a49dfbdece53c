"""Read images whose values are labels: masks, class numbers, palettes, colours.

Values are neither stretched nor converted, so that each stays what a labelling program wrote. A
palette of greys is read as its greys, another one as its numbers, as in the masks of PASCAL VOC.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from crackcli.arrays import Bools, Int64
from crackcli.errors import InputError
from crackcli.rasters.access.opening import open_raster, pixel_errors
from crackcli.rasters.bands import find_palette
from crackcli.rasters.orientation import orientation_of

LOSSY = ("JPEG", "WEBP")
SAVE_AGAIN = "remove it or save it again as PNG"
MAX_LOSSY_COLOUR = 32  # levels between channels that compression makes of grey


class Kind(Enum):
    """What the values of a label image stand for."""

    GREY = "grey"
    NUMBER = "number"  # of a palette
    COLOUR = "colour"  # red * 65536 + green * 256 + blue


@dataclass(frozen=True, eq=False)
class LabelImage:
    """Values (rows, cols), upright, and what they are; ``lossy`` if the file may have changed them.

    ``depth`` is the largest value that the file can hold.
    """

    values: Int64
    kind: Kind
    lossy: bool
    depth: int


def read_label_image(path: Path) -> LabelImage:
    """Read a label image; raise an `InputError` if it is damaged or does not hold whole numbers."""
    with open_raster(path, SAVE_AGAIN) as source:
        with pixel_errors(path, SAVE_AGAIN):
            bands = source.read()
        palette = find_palette(source)
        alpha = ColorInterp.alpha in source.colorinterp
        lossy = source.driver in LOSSY
        orientation = orientation_of(path, source.driver, source.tags())
        depth = largest_value(source)
    whole = np.isfinite(bands).all() and np.array_equal(bands, np.floor(bands))
    if not whole or bands.min() < 0:
        raise InputError(
            f"{path}: holds fractions or negative numbers; save whole numbers, 255 for crack"
        )
    bands = bands.astype(np.int64)
    kind = Kind.GREY
    if palette is not None:
        values, kind = of_palette(bands[0], palette)
        depth = 255 if kind is Kind.GREY else depth
    else:
        colours, opaque = (bands[:-1], bands[-1]) if alpha else (bands, None)
        values, kind = of_colours(colours, lossy)
        if opaque is not None and (opaque != opaque.flat[0]).any():
            if (values == values.flat[0]).all():
                values, kind = opaque, Kind.GREY  # only alpha tells something apart
            else:
                values = np.where(opaque == 0, 0, values)
    return LabelImage(orientation.upright(values), kind, lossy, depth)


def largest_value(source: rasterio.DatasetReader) -> int:
    """Return the largest value that a raster of whole numbers can hold, 1 for one bit."""
    bits = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    if bits is not None:
        return int(2 ** int(bits) - 1)
    kind = np.dtype(source.dtypes[0])
    return int(np.iinfo(kind).max) if kind.kind in "iu" else 255


def of_palette(values: Int64, palette: NDArray[np.uint8]) -> tuple[Int64, Kind]:
    """Return the greys of values of a palette (N, 4) if those that occur are grey, else them."""
    used = np.unique(values)
    colours = palette[used.clip(max=len(palette) - 1), :3]
    if (colours == colours[:, :1]).all():
        return palette[values.clip(max=len(palette) - 1), 0].astype(np.int64), Kind.GREY
    return values, Kind.NUMBER


def of_colours(bands: Int64, lossy: bool) -> tuple[Int64, Kind]:
    """Return the greys of bands (B, rows, cols) if they are grey, else their colours."""
    if len(bands) < 3:
        return bands[0], Kind.GREY
    red, green, blue = bands[:3]
    spread: Int64 = np.max(bands[:3], axis=0) - np.min(bands[:3], axis=0)
    coloured: Bools = spread > (MAX_LOSSY_COLOUR if lossy else 0)
    if not coloured.any():
        return green, Kind.GREY
    return (red << 16) + (green << 8) + blue, Kind.COLOUR
