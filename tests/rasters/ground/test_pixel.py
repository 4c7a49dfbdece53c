"""The size of a pixel on the ground, compared with geodesic distances by another library."""

import math

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from crackcli.rasters.ground.pixel import SQUARE, PixelShape, find_ground_pixel

pyproj = pytest.importorskip("pyproj")

GEOD = pyproj.Geod(ellps="WGS84")
ROWS, COLS = 400, 600
ESRI_MERCATOR = (
    'PROJCS["WGS_1984_Web_Mercator_Auxiliary_Sphere",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",'
    'SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",'
    '0.0174532925199433]],PROJECTION["Mercator_Auxiliary_Sphere"],PARAMETER["False_Easting",0.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",0.0],'
    'PARAMETER["Standard_Parallel_1",0.0],PARAMETER["Auxiliary_Sphere_Type",0.0],UNIT["Meter",1.0]]'
)
CONFORMAL_FAR = "+proj=lcc +lat_1=60 +lat_2=65 +lat_0=62 +lon_0=10 +datum=WGS84 +units=m"
PLACES = [
    ("EPSG:3857", 9, 50),
    ("EPSG:3857", -70, -35),
    ("EPSG:3857+5773", 9, 50),
    ("EPSG:900913", 9, 50),
    (ESRI_MERCATOR, 9, 50),
    ("EPSG:3395", 9, 50),
    ("EPSG:4087", 9, 50),
    ("+proj=eqc +lat_ts=40 +datum=WGS84", 9, 50),
    ("+proj=sinu +datum=WGS84", 30, 50),
    ("+proj=aeqd +lat_0=50 +lon_0=9 +datum=WGS84", 30, 40),
    (CONFORMAL_FAR, 9, 40),
    ("EPSG:2154", 2, 40),
    ("EPSG:3413", -45, 89.99999),
    ("EPSG:3413", 10, 60),
    ("EPSG:3031", 60, -70),
    ("EPSG:3035", 9, 50),
    ("EPSG:3035", 28, 38),
    ("EPSG:32632", 9, 50),
    ("EPSG:32632", 14, 50),
    ("EPSG:32660", 179.99999, 10),
    ("EPSG:2056", 7.5, 47),
    ("EPSG:27700", -1, 52),
    ("EPSG:2263", -74, 40.7),
    ("EPSG:4326", 9, 60),
    ("EPSG:4326", 9, -1),
    ("EPSG:4979", 9, 60),
    ("EPSG:4326+5773", 9, 60),
    ("EPSG:4258", 9, 60),
    ("EPSG:4807", 2, 46),  # in grads, from Paris
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=40 +lon_0=10 +datum=WGS84", 12, 45),
]


def raster(crs, lon, lat, stretch=(1.0, 1.0), turn=0.0):
    """The transform of a raster with its middle at a place, and the CRS in both libraries."""
    theirs = pyproj.CRS(crs)
    ours = CRS.from_user_input(crs).to_wkt()
    middle = pyproj.Transformer.from_crs("EPSG:4326", theirs, always_xy=True).transform(lon, lat)
    angle = theirs.is_geographic
    size = math.degrees(1.5e-10) if angle else 0.001
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    plane = size * np.diag([stretch[0], -stretch[1]]) @ [[cos, -sin], [sin, cos]]
    x, y = np.array(middle) - plane @ [COLS / 2, ROWS / 2]
    return Affine(*plane[0], x, *plane[1], y), ours


def geodesic_mm(crs, transform, step, count=20_000):
    """The length of a step (col, row) of pixels in the middle of the raster, as a mean."""
    to_degrees = pyproj.Transformer.from_crs(pyproj.CRS(crs), "EPSG:4326", always_xy=True)
    ends = []
    for sign in (-1, 1):
        col, row = np.array([COLS / 2, ROWS / 2]) + sign * count * np.array(step)
        a, b, c, d, e, f = transform[:6]
        ends.append(to_degrees.transform(a * col + b * row + c, d * col + e * row + f))
    return 1000 * GEOD.inv(*ends[0], *ends[1])[2] / (2 * count)


@pytest.mark.parametrize(("stretch", "turn"), [((1, 1), 0), ((1, 2), 0), ((1.5, 1), 33)])
@pytest.mark.parametrize(("crs", "lon", "lat"), PLACES)
def test_steps_of_a_pixel_are_as_long_as_the_geodesic(crs, lon, lat, stretch, turn):
    transform, wkt = raster(crs, lon, lat, stretch, turn)

    pixel = find_ground_pixel(transform, wkt, ROWS, COLS)

    for step in ((1, 0), (0, 1), (0.6, 0.8), (0.6, -0.8)):
        expected = geodesic_mm(crs, transform, step)
        found = pixel.side_mm * pixel.shape.stretch(np.array([step]))[0]
        assert found == pytest.approx(expected, rel=2e-4)


def test_web_mercator_at_50_degrees_north():
    pixel = find_ground_pixel(*raster("EPSG:3857", 9, 50), ROWS, COLS)

    assert [pixel.side_mm * side for side in pixel.shape.sides] == pytest.approx(
        [0.64405, 0.64227], rel=1e-4
    )


def test_degrees_at_60_degrees_north():
    transform = Affine(1e-8, 0, 9, 0, -1e-8, 60)
    pixel = find_ground_pixel(transform, CRS.from_epsg(4326).to_wkt(), ROWS, COLS)

    assert [pixel.side_mm * side for side in pixel.shape.sides] == pytest.approx(
        [0.558, 1.11412], rel=1e-4
    )


def test_conformal_maps_have_square_pixels():
    for crs in ("EPSG:32632", "EPSG:3395", "EPSG:3413", CONFORMAL_FAR):
        assert find_ground_pixel(*raster(crs, 9, 50), ROWS, COLS).shape is SQUARE


@pytest.mark.parametrize(
    ("transform", "crs", "words"),
    [
        (Affine.identity(), "EPSG:32632", "no map"),
        (Affine(0.001, 0, 0, 0, 0, 0), "EPSG:32632", "not a grid"),
        (Affine(0.001, 0, 0, 0, -0.002, 0), None, "no coordinate reference system"),
        (Affine(0.001, 0, 0, 0, -0.002, 0), "nonsense", "cannot be read"),
        (Affine(0.001, 0, 0, 0, -0.002, 0), 'LOCAL_CS["a",UNIT["unknown",1]]', "units"),
        (Affine(0.001, 0, 0, 0, -0.002, 0), "EPSG:4978", "not that of a plane"),
        (Affine(0.001, 0, 0, 0, -0.002, 0), "EPSG:5773", "not that of a plane"),
        (Affine(0.001, 0, 9e9, 0, -0.001, 9e9), "EPSG:32632", "place on the Earth"),
        (Affine(1e-8, 0, 9, 0, -1e-8, 95), "EPSG:4326", "place on the Earth"),
        (Affine(1e-8, 0, 9, 0, -1e-8, 5), "IAU_2015:49900", "place on the Earth"),  # Mars
    ],
)
def test_a_pixel_of_unknown_size_has_a_reason(transform, crs, words):
    wkt = crs if crs is None or ":" not in crs else CRS.from_user_input(crs).to_wkt()

    pixel = find_ground_pixel(transform, wkt, ROWS, COLS)

    assert pixel.side_mm is None
    assert words in pixel.unknown
    assert pixel.shape.sides[1] / pixel.shape.sides[0] == pytest.approx(
        2 if transform.e == -0.002 else 1
    )


def test_a_plane_of_its_own_is_measured_in_its_units():
    plane = 'LOCAL_CS["wall",UNIT["millimetre",0.001]]'

    pixel = find_ground_pixel(Affine.scale(0.2, -0.4), plane, ROWS, COLS)

    assert [pixel.side_mm * side for side in pixel.shape.sides] == pytest.approx([0.2, 0.4])


def test_squares_keep_areas_and_do_not_turn():
    shape = PixelShape.of(np.array([[1.0, 0.3], [0.0, 2.0]]))
    corners = shape.in_squares(np.eye(2))

    assert np.linalg.det(corners) == pytest.approx(1)
    assert corners[0, 1] == pytest.approx(corners[1, 0])
    assert np.hypot(*corners.T) == pytest.approx(shape.stretch(np.eye(2)))
    turned = np.array([np.cos(np.arange(0, 3.2, 0.01)), np.sin(np.arange(0, 3.2, 0.01))]).T
    assert shape.stretch(turned).max() == pytest.approx(shape.largest_stretch, rel=1e-4)
