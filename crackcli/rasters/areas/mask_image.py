"""Mask images beside photographs: ``<stem>.exclude.png`` marks the pixels to exclude."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
from rasterio.enums import ColorInterp

from crackcli.arrays import Bools
from crackcli.errors import InputError
from crackcli.rasters.access.opening import open_raster, pixel_errors
from crackcli.rasters.access.pages import Page
from crackcli.rasters.bands import find_palette
from crackcli.rasters.orientation import orientation_of
from crackcli.rasters.reader import RasterInfo

ENDING = ".exclude.png"
PAGE = re.compile(r"_page\d+$")  # ending of the stem of a further page
MAX_MP = 1_000  # a mask image is held in memory as a whole


def is_mask_image(path: Path) -> bool:
    """Return True for the name of a mask image."""
    return path.name.lower().endswith(ENDING)


def mask_image_of(path: Path, page: int | None = None) -> Path:
    """Return the path at which the mask image of a photograph lies, if there is one.

    That of a further page of a file is named ``<stem>_page2.exclude.png``.
    """
    return path.with_name(f"{Page(path, page).stem}{ENDING}")


def without_photograph(paths: Sequence[Path]) -> list[Path]:
    """Return the mask images among the files of a folder that belong to no other file."""
    known = {path.stem for path in paths if not is_mask_image(path)}
    masks = {path: path.name[: -len(ENDING)] for path in paths if is_mask_image(path)}
    return [path for path, stem in masks.items() if not {stem, PAGE.sub("", stem)} & known]


def read_mask_image(info: RasterInfo) -> list[shapely.Geometry]:
    """Return the areas that the mask image of a photograph marks, as polygons of whole pixels; none
    if there is no mask image.

    Pixels that are neither black nor transparent are marked. Raises `InputError` if the image
    cannot be read, or has another size than the photograph as it is seen.
    """
    path = mask_image_of(info.path, info.page)
    if not path.exists() and not path.is_symlink():
        return []
    with open_raster(path) as source:
        orientation = orientation_of(path, source.driver, source.tags())
        rows, cols = orientation.shape(source.shape)
        if (rows, cols) != (info.rows, info.cols):
            raise InputError(
                f"{path}: is {cols} x {rows} px, but {info.path.name} is {info.cols} x {info.rows} "
                "px as it is seen; draw the mask on the photograph in its upright form"
            )
        if info.megapixels > MAX_MP:
            raise InputError(
                f"{path}: has more than {MAX_MP} megapixels; give polygons with --exclude"
            )
        with pixel_errors(path):
            values = source.read()
        palette, kinds = find_palette(source), list(source.colorinterp)
    if palette is not None:
        values = np.moveaxis(palette[np.minimum(values[0], len(palette) - 1)], -1, 0)
        kinds = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    colours = [band for band, kind in zip(values, kinds, strict=True) if kind != ColorInterp.alpha]
    marked: Bools = np.logical_or.reduce([band > 0 for band in colours])
    for band, kind in zip(values, kinds, strict=True):
        if kind == ColorInterp.alpha:
            marked = marked & (band > 0)
    upright = orientation.upright(marked).astype(np.uint8)
    found = rasterio.features.shapes(upright, mask=upright > 0)
    return [shapely.geometry.shape(shape) for shape, _ in found]
