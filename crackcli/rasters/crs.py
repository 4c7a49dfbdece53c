"""Coordinate reference systems: metres per map unit, and conversion to longitude and latitude."""

import numpy as np
import rasterio
import rasterio.warp
import rasterio.windows
from rasterio.errors import CRSError, RasterioError

from crackcli.arrays import Float64


def metres_per_unit(crs_wkt: str) -> float | None:
    """Return the length of one map unit in metres; None if units are degrees or unknown."""
    try:
        crs = rasterio.crs.CRS.from_wkt(crs_wkt)
        if crs.is_geographic:
            return None
        return float(crs.units_factor[1])  # also of a local CRS, which is not a projected one
    except CRSError:
        return None


def to_wgs84(crs_wkt: str, xs: Float64, ys: Float64) -> tuple[Float64, Float64] | None:
    """Convert map coordinates to longitudes and latitudes in degrees (EPSG:4326).

    Returns None if the CRS is neither geographic nor projected, or if a coordinate has no finite
    counterpart.
    """
    try:
        crs = rasterio.crs.CRS.from_wkt(crs_wkt)
        if not (crs.is_projected or crs.is_geographic):
            return None
        lon, lat = rasterio.warp.transform(crs, rasterio.crs.CRS.from_epsg(4326), xs, ys)
    except (CRSError, RasterioError):
        return None
    lon, lat = np.asarray(lon), np.asarray(lat)
    return (lon, lat) if np.isfinite(lon).all() and np.isfinite(lat).all() else None
