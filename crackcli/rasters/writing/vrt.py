"""Write a VRT that shows a photograph upright, where GDAL and QGIS would show it as it is stored.

They ignore the EXIF orientation, open the first page of a file with several, and turn a TIFF upside
down that states the identity as its transform.
"""

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from affine import Affine

from crackcli.files import write_text
from crackcli.rasters.access.opening import open_raster
from crackcli.rasters.access.pages import name_for_gdal
from crackcli.rasters.bands import find_palette
from crackcli.rasters.grid import ORIENTATIONS, Window
from crackcli.rasters.reader import RasterInfo

TIFF = (".tif", ".tiff")
TYPES = {  # names of GDAL
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
}


def needs_vrt(info: RasterInfo) -> bool:
    """Return True if GIS programs may show a photograph otherwise than upright from (0, 0) on."""
    if info.georeferenced:
        return info.page is not None
    return info.orientation != 1 or info.page is not None or info.path.suffix.lower() in TIFF


def write_vrt(path: Path, info: RasterInfo, placed: Affine, final: Path) -> None:
    """Write a VRT of a photograph whose upright pixels lie where ``placed`` takes them.

    Paths in it are relative to ``final``, where it will be moved to.
    """
    with open_raster(info.path, page=info.page) as source:
        kinds = list(zip(source.dtypes, source.colorinterp, strict=True))
        shape, palette = source.shape, find_palette(source)
    turned = upright_transform(info, shape)
    both = np.array([*placed]).reshape(3, 3) @ np.array([*turned]).reshape(3, 3)
    root = ElementTree.Element("VRTDataset", rasterXSize=str(shape[1]), rasterYSize=str(shape[0]))
    if info.crs_wkt:
        ElementTree.SubElement(root, "SRS").text = info.crs_wkt
    numbers = (repr(float(value)) for value in Affine(*both[:2].ravel()).to_gdal())
    ElementTree.SubElement(root, "GeoTransform").text = ", ".join(numbers)
    name, relative = source_name(info, final)
    for number, (kind, colour) in enumerate(kinds, 1):
        band = ElementTree.SubElement(root, "VRTRasterBand", dataType=TYPES[kind], band=str(number))
        ElementTree.SubElement(band, "ColorInterp").text = colour.name.capitalize()
        if palette is not None:
            table = ElementTree.SubElement(band, "ColorTable")
            for entry in palette.tolist():
                parts = {f"c{part}": str(value) for part, value in enumerate(entry, 1)}
                ElementTree.SubElement(table, "Entry", parts)
        drawn = ElementTree.SubElement(band, "SimpleSource")
        file = ElementTree.SubElement(drawn, "SourceFilename", relativeToVRT=str(int(relative)))
        file.text = name
        ElementTree.SubElement(drawn, "SourceBand").text = str(number)
    write_text(path, ElementTree.tostring(root, encoding="unicode"))


def source_name(info: RasterInfo, final: Path) -> tuple[str, bool]:
    """Return the name of a photograph for a VRT at ``final``, and whether it is relative to it."""
    name = name_for_gdal(info.path, info.page)
    if isinstance(name, str):  # of a page
        return name, False
    try:
        return Path(os.path.relpath(info.path.resolve(), final.parent.resolve())).as_posix(), True
    except ValueError:  # on another drive
        return name.as_posix(), False


def upright_transform(info: RasterInfo, shape: tuple[int, int]) -> Affine:
    """Return the transform from pixel edges (col, row) as they are stored, with ``shape``, to those
    of the upright photograph."""
    orientation = ORIENTATIONS[info.orientation]
    places = [
        orientation.stored(Window(row, col, 0, 0), shape) for row, col in ((0, 0), (0, 1), (1, 0))
    ]
    (x, y), right, down = ((one.col, one.row) for one in places)
    stored = Affine(right[0] - x, down[0] - x, x, right[1] - y, down[1] - y, y)
    upright: Affine = ~stored
    return upright
