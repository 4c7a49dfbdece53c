"""Coordinate reference systems: their units, and conversion to longitude and latitude."""

import re
from functools import lru_cache

import numpy as np
import rasterio
import rasterio.warp
import rasterio.windows
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, RasterioError

from crackcli.arrays import Float64

UNKNOWN_UNITS = ("", "unknown")
# Codes that name a CRS. Other texts are not given to GDAL, which would open files and addresses.
CODE = re.compile(r"(?:urn:ogc:def:crs:)?(EPSG|OGC):(?:[\w.]*:)?(\w+)", re.IGNORECASE)
MAX_SHIFT = 1e-6  # of the coordinates; there and back again is nearer than that
LOCAL_PLANES = ("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")  # keywords of WKT


class UnknownUnits(ValueError):
    """The units of a map are unknown; the text says why."""


def map_units(crs_wkt: str | None) -> tuple[str, float]:
    """Return the kind of a map and the size of its unit: "geographic" in radians, "projected" or
    "local", a plane with an origin of its own as of a building, in metres.

    Raises `UnknownUnits`.
    """
    if crs_wkt is None:
        raise UnknownUnits("its map has no coordinate reference system, so its units are unknown")
    try:
        crs = rasterio.crs.CRS.from_wkt(crs_wkt)
        unit, size = crs.units_factor
    except CRSError as error:
        raise UnknownUnits("its coordinate reference system cannot be read") from error
    if unit in UNKNOWN_UNITS:
        raise UnknownUnits("the units of its map are unknown")
    if crs.is_geographic or crs.is_projected:
        return "geographic" if crs.is_geographic else "projected", float(size)
    if crs_wkt.startswith(LOCAL_PLANES):
        return "local", float(size)
    raise UnknownUnits("its coordinate reference system is not that of a plane")


def to_wgs84(crs_wkt: str, xs: Float64, ys: Float64) -> tuple[Float64, Float64] | None:
    """Convert map coordinates to longitudes and latitudes in degrees (EPSG:4326).

    They are those that a GIS takes back to the same coordinates. A shift between ellipsoids ignores
    heights, so that its two directions do not cancel: 1.3 mm between WGS 84 and EPSG:2056.

    Returns None if the CRS is neither geographic nor projected, is not of the Earth, or if a
    coordinate has no finite counterpart.
    """
    try:
        crs = rasterio.crs.CRS.from_wkt(crs_wkt)
        if not (crs.is_projected or crs.is_geographic):
            return None
        wgs84 = rasterio.crs.CRS.from_epsg(4326)
        degrees = rasterio.warp.transform(crs, wgs84, xs, ys)
        if not np.isfinite(degrees).all():
            return None
        back = rasterio.warp.transform(wgs84, crs, *degrees)
        off = np.array([xs, ys]) - np.array(back)
        off[:, ~(np.abs(off) <= MAX_SHIFT * np.hypot(xs, ys).clip(1)).all(axis=0)] = 0
        lon, lat = rasterio.warp.transform(crs, wgs84, *(np.array([xs, ys]) + off))
    except (CRSError, RasterioError, CPLE_BaseError):
        return None
    lon, lat = np.asarray(lon), np.asarray(lat)
    return (lon, lat) if np.isfinite(lon).all() and np.isfinite(lat).all() else None


def crs_of_code(name: str) -> str:
    """Return the WKT of a CRS that is named by a code, such as "EPSG:25832" or
    "urn:ogc:def:crs:OGC:1.3:CRS84"; raises `ValueError` for others."""
    known = CODE.fullmatch(name.strip())
    if known is None:
        raise ValueError(f"{name}: no code of a CRS")
    authority, code = known[1].upper(), known[2].upper()
    if authority == "OGC" and code != "CRS84":
        raise ValueError(f"{name}: no code of a CRS")
    try:
        crs = rasterio.crs.CRS.from_epsg(4326 if authority == "OGC" else int(code))
        return str(crs.to_wkt())
    except CRSError as error:
        raise ValueError(f"{name}: unknown") from error


@lru_cache
def check_crs(wkt: str) -> None:
    """Raise a `ValueError` if the WKT of a CRS cannot be read."""
    try:
        with rasterio.Env():  # else GDAL prints its errors
            rasterio.crs.CRS.from_wkt(wkt)
    except CRSError as error:
        raise ValueError("its coordinate reference system cannot be read") from error


def transform_points(from_wkt: str, to_wkt: str, points: Float64) -> Float64 | None:
    """Return points (N, 2) of one CRS, x before y, in another; None if that is not possible."""
    try:
        both = [rasterio.crs.CRS.from_wkt(wkt) for wkt in (from_wkt, to_wkt)]
        if both[0] == both[1]:
            return points
        placed = np.transpose(rasterio.warp.transform(*both, *points.T))
    except (CRSError, RasterioError, CPLE_BaseError):
        return None
    return placed if np.isfinite(placed).all() else None
