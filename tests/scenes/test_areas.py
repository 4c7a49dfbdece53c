"""Areas of people: read from GeoJSON and GeoPackage, placed on photographs, bad files named."""

import contextlib
import json
import os
import sqlite3
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from fakes import at_most
from pyogrio import raw

from crackcli.errors import InputError, UsageError
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import inspect
from crackcli.scenes.areas import polygons
from crackcli.scenes.areas.polygons import read_area_file
from crackcli.scenes.areas.survey_areas import AreaOptions, SurveyAreas
from crackcli.scenes.scale import Scale

ROWS, COLS = 60, 100
UTM = Affine(0.01, 0, 691_000, 0, -0.01, 5_335_000)
BOX = [(20, 10), (70, 10), (70, 40), (20, 40)]  # pixels


def geojson(path, *corners, crs=None, scenes=None):
    """Write polygons; a crs is named by its code."""
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    features = [
        {
            "type": "Feature",
            "properties": {"scene": scene},
            "geometry": {"type": "Polygon", "coordinates": [[*map(list, ring), list(ring[0])]]},
        }
        for ring, scene in zip(corners, scenes or [None] * len(corners), strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", **named, "features": features}))
    return str(path)


def geopackage(path, ring, layer="windows", crs="EPSG:25832", kind="Polygon"):
    shape = shapely.Polygon(ring) if kind == "Polygon" else shapely.LineString(ring)
    raw.write(
        path,
        shapely.to_wkb(np.array([shape])),
        [np.array(["wall"], object)],
        ["scene"],
        layer=layer,
        driver="GPKG",
        geometry_type=kind,
        crs=crs,
        append=path.exists(),
        layer_options={} if crs else {"SRID": "-1"},
    )
    return str(path)


@pytest.fixture
def plain(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((ROWS, COLS), 200, np.uint8))
    return inspect(tmp_path / "wall.png")


@pytest.fixture
def on_map(tmp_path):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": ROWS, "width": COLS}
    path = tmp_path / "facade.tif"
    with rasterio.open(path, "w", crs="EPSG:25832", transform=UTM, **profile) as file:
        file.write(np.full((1, ROWS, COLS), 200, np.uint8))
    return inspect(path)


def mapped(ring, crs="EPSG:25832"):
    """Pixels in coordinates of a CRS."""
    xs, ys = np.transpose([(UTM.c + UTM.a * x, UTM.f + UTM.e * y) for x, y in ring])
    return list(zip(*rasterio.warp.transform("EPSG:25832", crs, xs, ys), strict=True))


def flags(info, *, scene=None, scale=None, **options):
    """The pixels that are excluded; None if there are none."""
    given = {name: (value,) if name != "areas_in" else value for name, value in options.items()}
    areas = SurveyAreas.read(AreaOptions(**given))
    found = areas.excluded(info, scene or info.path.stem, lambda: scale)
    return None if found is None else found.flags(Window(0, 0, ROWS, COLS))


EXPECTED = np.zeros((ROWS, COLS), bool)
EXPECTED[10:40, 20:70] = True


@pytest.mark.parametrize(
    "crs",
    [
        "urn:ogc:def:crs:EPSG::25832",
        "EPSG:3857",
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        None,
        "EPSG:2056",
    ],
)
def test_areas_are_transformed_to_the_map_of_the_photograph(tmp_path, on_map, crs):
    code = {"urn:ogc:def:crs:EPSG::25832": "EPSG:25832"}.get(crs, crs)
    code = "EPSG:4326" if crs is None or "CRS84" in crs else code
    path = geojson(tmp_path / "a.geojson", mapped(BOX, code), crs=crs)

    assert np.array_equal(flags(on_map, exclude=path), EXPECTED)


MAPS = {
    "rotated": ("EPSG:25832", Affine(0.004, 0.002, 691_000, 0.002, -0.004, 5_335_000)),
    "south up": ("EPSG:25832", Affine(0.01, 0, 691_000, 0, 0.01, 5_335_000)),
    "Web Mercator": ("EPSG:3857", Affine(0.01, 0, 1_288_000, 0, -0.01, 6_130_000)),
    "degrees": ("EPSG:4326", Affine(1e-7, 0, 11.57, 0, -1e-7, 48.13)),
    "Antarctica": ("EPSG:3031", Affine(0.01, 0, 1_200_000, 0, -0.01, 800_000)),
    "feet": ("EPSG:2263", Affine(0.01, 0, 980_000, 0, -0.01, 200_000)),
}


@pytest.mark.parametrize("name", MAPS)
def test_areas_lie_right_on_other_maps(tmp_path, on_map, name):
    crs, transform = MAPS[name]
    info = replace(on_map, transform=transform, crs_wkt=rasterio.crs.CRS.from_string(crs).to_wkt())
    a, b, c, d, e, f = transform[:6]
    corners = [(a * x + b * y + c, d * x + e * y + f) for x, y in BOX]
    degrees = rasterio.warp.transform(crs, "EPSG:4326", *np.transpose(corners))
    own = geojson(tmp_path / "own.geojson", corners, crs=crs)
    wgs84 = geojson(tmp_path / "wgs84.geojson", list(zip(*degrees, strict=True)))

    assert np.array_equal(flags(info, exclude=own), EXPECTED)
    assert np.array_equal(flags(info, exclude=wgs84), EXPECTED)


@pytest.mark.parametrize("crs", ["EPSG:25832", "EPSG:4326"])
def test_a_geopackage_gives_the_same(tmp_path, on_map, crs):
    path = geopackage(tmp_path / "a.gpkg", mapped(BOX, crs), crs=crs)

    assert np.array_equal(flags(on_map, scene="wall", exclude=path), EXPECTED)
    assert flags(on_map, exclude=path) is None  # its polygon is for the scene "wall"


def test_a_geopackage_may_have_computed_columns(tmp_path, on_map):
    path = geopackage(tmp_path / "a.gpkg", mapped(BOX))
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE windows ADD COLUMN twice AS (2 * fid)")
        file.commit()

    assert np.array_equal(flags(on_map, scene="wall", exclude=path), EXPECTED)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_layer_of_a_geopackage_is_named_as_in_qgis(tmp_path, plain):
    path = tmp_path / "a.gpkg"
    geopackage(path, BOX, crs=None)
    geopackage(path, [(0, 0), (9, 9), (0, 9)], layer="doors", crs=None)
    geopackage(path, BOX, layer="lines", crs=None, kind="LineString")

    assert np.array_equal(flags(plain, exclude=f"{path}|layername=windows"), EXPECTED)
    with pytest.raises(InputError) as error:
        flags(plain, exclude=str(path))
    assert str(error.value) == (
        f"{path}: has several layers of polygons (doors, windows); name one: {path}|layername=doors"
    )


def test_pixels_count_down_and_those_of_qgis_up(tmp_path, plain):
    down = geojson(tmp_path / "down.geojson", BOX)
    up = geojson(tmp_path / "up.geojson", [(x, -y) for x, y in BOX])
    at_the_top = geojson(tmp_path / "top.geojson", [(0, 0), (50, 0), (50, -9), (0, -9)])

    assert np.array_equal(flags(plain, exclude=down), EXPECTED)
    assert np.array_equal(flags(plain, exclude=up), EXPECTED)
    assert flags(plain, exclude=at_the_top)[:9, :50].all()


def test_areas_may_be_in_millimetres(tmp_path, plain):
    path = geojson(tmp_path / "a.geojson", [(x / 2, y / 2) for x, y in BOX])
    scale = Scale(0.5, None, "marker")

    assert np.array_equal(flags(plain, exclude=path, areas_in="mm", scale=scale), EXPECTED)
    with pytest.raises(InputError) as error:
        flags(plain, exclude=path, areas_in="mm")
    assert str(error.value) == (
        f"{path}: --areas-in mm needs the size of a pixel of wall, which is unknown; give "
        "--marker-mm or --distance-m, or areas in px"
    )


def test_include_keeps_what_exclude_leaves_of_it(tmp_path, plain):
    include = geojson(tmp_path / "in.geojson", BOX)
    exclude = geojson(tmp_path / "out.geojson", [(0, 0), (50, 0), (50, 60), (0, 60)])
    expected = ~EXPECTED
    expected[:, :50] = True

    assert np.array_equal(flags(plain, include=include), ~EXPECTED)
    assert np.array_equal(flags(plain, include=include, exclude=exclude), expected)


def test_an_area_elsewhere_includes_nothing(tmp_path, plain):
    path = geojson(tmp_path / "in.geojson", [(500, 0), (600, 0), (600, 9)])

    assert flags(plain, include=path).all()


def test_polygons_for_other_scenes_do_not_count(tmp_path, plain):
    rings = [BOX, [(0, 0), (99, 0), (0, 59)], [(80, 45), (90, 45), (90, 55), (80, 55)]]
    path = geojson(tmp_path / "a.geojson", *rings, scenes=["wall.png", "tower", None])
    expected = EXPECTED.copy()
    expected[45:55, 80:90] = True
    areas = SurveyAreas.read(AreaOptions(exclude=(path,)))

    assert np.array_equal(flags(plain, exclude=path), expected)
    assert areas.unknown_scenes(["wall", "wall.png"]) == ["tower"]
    only_tower = geojson(tmp_path / "b.geojson", BOX, scenes=["tower"])
    assert flags(plain, include=only_tower) is None


def test_areas_in_map_are_in_the_crs_of_the_photograph(tmp_path, on_map):
    path = geojson(tmp_path / "a.geojson", mapped(BOX))  # GeoJSON without a crs is in degrees

    with pytest.raises(InputError) as error:
        flags(on_map, exclude=path)
    assert "add --areas-in map if they are those of the map of the photograph" in str(error.value)
    assert np.array_equal(flags(on_map, exclude=path, areas_in="map"), EXPECTED)
    assert np.array_equal(
        flags(on_map, exclude=geojson(tmp_path / "b.geojson", BOX), areas_in="px"), EXPECTED
    )


def test_areas_of_a_map_are_not_taken_for_pixels(tmp_path, plain):
    path = geojson(tmp_path / "a.geojson", BOX, crs="EPSG:25832")

    with pytest.raises(InputError, match=r"is on a map, but wall is not; add --areas-in px"):
        flags(plain, exclude=path)
    assert np.array_equal(flags(plain, exclude=path, areas_in="px"), EXPECTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is neither GeoJSON nor a GeoPackage, or damaged"),
        ("[1, 2]", "is neither GeoJSON nor a GeoPackage, or damaged"),
        ("[" * 100_000, "is neither GeoJSON nor a GeoPackage, or damaged"),
        ('{"type": "Point", "coordinates": [1, 2]}', "geometry 1 is a Point; give polygons only"),
        ('{"type": "FeatureCollection", "features": []}', "contains no polygon"),
        ('{"type": "Feature", "geometry": null}', "contains no polygon"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, "x"], [2, 2]]]}', "damaged"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "damaged"),
        (
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, NaN], [2, 2], [0, 0]]]}',
            "geometry 1 has a corner that is not finite; draw it again",
        ),
        (
            '{"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]]}',
            "geometry 1 is no valid polygon (Self-intersection[4.5 4.5]); mend it",
        ),
        (
            '{"type": "Polygon", "crs": {"type": "link", "properties": {"href": "http://a.b"}}, '
            '"coordinates": [[[0, 0], [9, 9], [9, 0], [0, 0]]]}',
            "damaged ('name'); export it again",
        ),
        (
            '{"type": "Polygon", "crs": {"type": "name", "properties": {"name": '
            '"http://127.0.0.1/a.wkt"}}, "coordinates": [[[0, 0], [9, 9], [9, 0], [0, 0]]]}',
            "its coordinate reference system 'http://127.0.0.1/a.wkt' is unknown; export it in WGS",
        ),
        (
            '{"type": "Polygon", "crs": {"type": "name", "properties": {"name": "EPSG:1"}}, '
            '"coordinates": [[[0, 0], [9, 9], [9, 0], [0, 0]]]}',
            "its coordinate reference system 'EPSG:1' is unknown",
        ),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, text, message):
    path = tmp_path / "areas.geojson"
    path.write_text(text)

    with pytest.raises(InputError) as error:
        read_area_file(str(path))

    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "areas.geojson")

    with at_most(5), pytest.raises(InputError, match="is a pipe; give a GeoJSON"):
        read_area_file(str(tmp_path / "areas.geojson"))
    with pytest.raises(InputError, match="is a folder; give a GeoJSON"):
        read_area_file(str(tmp_path))
    with pytest.raises(InputError, match=r"cannot be read .* check the name"):
        read_area_file(str(tmp_path / "none.geojson"))


def test_a_huge_file_is_refused(tmp_path, monkeypatch):
    path = geojson(tmp_path / "a.geojson", BOX)
    monkeypatch.setattr(polygons, "MAX_POINTS", 4)
    with pytest.raises(InputError, match="more than 4 corners; simplify them"):
        read_area_file(path)
    with (tmp_path / "b.geojson").open("wb") as file:
        file.truncate(polygons.MAX_BYTES + 1)
    with pytest.raises(InputError, match="larger than 200 MB; simplify its polygons"):
        read_area_file(str(tmp_path / "b.geojson"))


def test_a_damaged_geopackage_is_an_error(tmp_path):
    path = tmp_path / "a.gpkg"
    geopackage(path, BOX)
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(InputError, match=r"a\.gpkg: cannot be read .* export it again"):
        read_area_file(str(path))


def test_a_curve_is_not_passed_over(tmp_path):
    path = tmp_path / "a.gpkg"
    geopackage(path, BOX)
    curve = b"GP\x00\x01" + (0).to_bytes(4, "little") + b"\x01\xff\x00\x00\x00"
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            file.execute(f'DROP TRIGGER "{name}"')
        file.execute("INSERT INTO windows (geom, scene) VALUES (?, NULL)", (curve,))

    with pytest.raises(InputError) as error:
        read_area_file(str(path))

    assert str(error.value) == (
        f"{path}: geometry 2 of windows cannot be read, as a curve; make it a polygon (in QGIS: "
        "Segmentize)"
    )


def test_options_that_do_not_fit_together_are_refused():
    with pytest.raises(UsageError, match="--areas-in cm: unknown; use map, px or mm"):
        AreaOptions(exclude=("a",), areas_in="cm")
    with pytest.raises(UsageError, match="--areas-in needs --exclude or --include"):
        AreaOptions(areas_in="px")
