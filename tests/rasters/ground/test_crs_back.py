"""Degrees of a map lie where a GIS takes them back to: on the same pixel."""

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.warp import transform

from crackcli.rasters.ground.crs import to_wgs84


@pytest.mark.parametrize(
    ("code", "x", "y"),
    [
        (2056, 2_600_000, 1_200_000),  # Switzerland; 1.3 mm off without a second step
        (27700, 400_000, 300_000),
        (28992, 150_000, 460_000),
        (31468, 4_468_000, 5_333_000),
        (3857, 1_000_000, 6_000_000),
        (3995, 0, 0),  # the pole
        (4258, 9, 50),
    ],
)
def test_degrees_lead_back_to_the_same_place_on_the_map(code, x, y):
    crs = CRS.from_epsg(code)

    lon, lat = to_wgs84(crs.to_wkt(), np.array([x]), np.array([y]))

    back = transform(CRS.from_epsg(4326), crs, lon, lat)
    assert np.ravel(back) == pytest.approx([x, y], abs=1e-5)
