"""Files of a report: a GIS and a spreadsheet read from them the values that were measured."""

import contextlib
import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import shapely
from affine import Affine
from pyogrio import list_layers, raw
from rasterio.crs import CRS
from rasterio.warp import transform as to_crs
from walls import picture, polyline, trace_array

from crackcli.errors import InputError
from crackcli.report.formats import csv as csv_format
from crackcli.report.formats import geojson, geopackage, geopackage_reader
from crackcli.report.tables.columns import COLUMNS, SCENE_COLUMNS
from crackcli.report.tables.rows import SceneCracks, rows
from crackcli.scenes.frames import apply_affine
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scale import find_scale
from crackcli.scenes.scene import Scene

UTM = CRS.from_epsg(25832)
# Pixels of 0.1 mm, rotated by 17 degrees.
COS, SIN = 0.0001 * np.cos(np.radians(17)), 0.0001 * np.sin(np.radians(17))
TENTH = Affine(COS, -SIN, 319_717, -SIN, -COS, 5_500_000)
LAYERS = ("cracks", "crack_areas", "joints")
LOCAL = 'LOCAL_CS["wall",UNIT["metre",1]]'


@pytest.fixture
def mask():
    """A crack with a branch, a ring, and pixels that touch in corners."""
    mask = polyline((100, 140), [(5.0, 20.0), (60.0, 30.0), (130.0, 15.0)], 4)
    mask |= polyline((100, 140), [(60.0, 30.0), (70.0, 80.0)], 2)
    mask[60:90, 20:50] = 1
    mask[65:85, 25:45] = 0
    mask[90:97, 100:130] = picture("#.#.#." * 5 + "\n" + ".#.#.#" * 5).repeat(4, axis=0)[:7]
    return mask


def table(mask, folder, transform=None, crs_wkt=None, gsd_mm=None, **record):
    transform = transform or Affine.identity()
    scene = Scene(folder / "wall", *mask.shape, transform, crs_wkt, SceneRecord(record))
    cracks = trace_array(mask)
    return SceneCracks(scene, find_scale(scene, gsd_mm), cracks, int((mask != 255).sum()))


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_cracks_csv_has_a_row_per_crack_and_empty_millimetres_without_a_scale(mask, tmp_path):
    cracks = table(mask, tmp_path)

    csv_format.write(tmp_path, [cracks])

    rows = csv_format.read_rows(tmp_path / "cracks.csv")
    assert list(rows[0]) == list(COLUMNS)
    assert [row["crack_id"] for row in rows] == [crack.id for crack in cracks.cracks]
    assert float(rows[0]["length_px"]) == pytest.approx(cracks.cracks[0].length_px, abs=1e-3)
    assert {value for row in rows for name, value in row.items() if "_mm" in name} == {""}
    assert {row["touches_edge"] for row in rows} <= {"true", "false"}


def test_millimetres_are_pixels_times_the_scale(mask, tmp_path):
    csv_format.write(tmp_path, [table(mask, tmp_path, gsd_mm=0.25)])

    for row in csv_format.read_rows(tmp_path / "cracks.csv"):
        assert float(row["length_mm"]) == pytest.approx(float(row["length_px"]) / 4, abs=1e-3)
        assert float(row["width_max_mm"]) == pytest.approx(float(row["width_max_px"]) / 4, abs=1e-3)
        assert float(row["area_mm2"]) == pytest.approx(int(row["area_px"]) / 16, abs=1e-3)


def test_scenes_csv_contains_the_severity_measures_and_the_provenance(mask, tmp_path):
    record = {
        "source": {"file": "facade, north.tif"},
        "scored": {"engine": {"model": "m.onnx", "model_sha256": "ab", "method": "lrp"}},
        "threshold": 0.4,
    }
    cracks = table(mask, tmp_path, TENTH, UTM.to_wkt(), **record)

    csv_format.write(tmp_path, [cracks, table(0 * mask, tmp_path)])

    full, empty = csv_format.read_rows(tmp_path / "scenes.csv")
    assert list(full) == list(SCENE_COLUMNS)
    assert int(full["n_cracks"]) == len(cracks.cracks)
    assert int(full["total_area_px"]) == mask.sum()
    assert float(full["area_fraction"]) == pytest.approx(mask.mean(), abs=1e-6)
    widest = max(cracks.cracks, key=lambda crack: crack.widths.max_px)
    assert float(full["width_max_mm"]) == pytest.approx(widest.widths.max_px / 10, abs=1e-3)
    assert full["worst_crack_id"] == widest.id
    assert (full["file"], full["method"], full["threshold"]) == ("facade, north.tif", "lrp", "0.4")
    assert (full["scale_source"], empty["gsd_mm"], empty["n_cracks"]) == ("crs", "", "0")


def test_geojson_coordinates_are_those_of_the_cracks_on_earth(mask, tmp_path):
    cracks = table(mask, tmp_path, TENTH, UTM.to_wkt())

    paths = geojson.write(tmp_path, [cracks])

    assert [path.name for path in paths] == [
        "cracks.geojson",
        "crack_areas.geojson",
        "joints.geojson",
    ]
    collection = read_json(paths[0])
    assert "crs" not in collection
    feature = collection["features"][0]
    assert feature["geometry"]["type"] == "MultiLineString"
    lon, lat = np.concatenate(feature["geometry"]["coordinates"]).T
    x, y = to_crs(CRS.from_epsg(4326), UTM, lon, lat)
    here = shapely.multipoints(apply_affine(~TENTH, np.column_stack([x, y])))
    assert here.within(cracks.cracks[0].outline.buffer(0.2))
    assert len(x) >= 4


def test_polygons_of_tenth_millimetre_pixels_stay_valid_and_right_handed(mask, tmp_path):
    cracks = table(mask, tmp_path, TENTH, UTM.to_wkt())

    collection = read_json(geojson.write(tmp_path, [cracks])[1])

    areas = np.array([shapely.geometry.shape(f["geometry"]) for f in collection["features"]])
    assert shapely.is_valid(areas).all()
    assert shapely.get_num_geometries(areas).max() > 10  # the corners that touch
    for polygon in shapely.get_parts(areas):
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)
    ring = max(shapely.get_num_interior_rings(shapely.get_parts(areas)))
    assert ring >= 1


@pytest.mark.parametrize("gsd_mm", [0.5, None])
def test_a_scene_without_a_map_lies_on_its_photograph_as_qgis_shows_it(tmp_path, gsd_mm):
    mask = np.zeros((40, 60), np.uint8)
    mask[30:33, 10:50] = 1

    paths = geojson.write(tmp_path, [table(mask, tmp_path, gsd_mm=gsd_mm)])

    assert [path.name for path in paths] == [
        "cracks.local.geojson",
        "crack_areas.local.geojson",
        "joints.local.geojson",
    ]
    collection = read_json(paths[1])
    assert collection["coordinate_space"] == "local_px"
    assert "not rfc 7946" in collection["note"].lower()
    area = shapely.geometry.shape(collection["features"][0]["geometry"])
    assert area.bounds == (10, -33, 50, -30)


def test_three_kinds_of_coordinates_make_nine_files(mask, tmp_path):
    tables = [
        table(mask, tmp_path, TENTH, UTM.to_wkt()),
        table(mask, tmp_path, Affine(0.001, 0, 10, 0, -0.001, 20)),
        table(mask, tmp_path, gsd_mm=1),
    ]

    names = [path.name for path in geojson.write(tmp_path, tables)]

    assert len(set(names)) == len(names) == 9
    assert "joints.local_px.geojson" in names


@pytest.mark.parametrize("crs_wkt", [LOCAL, None], ids=["local", "no crs"])
def test_a_map_without_a_place_on_the_earth_keeps_its_coordinates(tmp_path, crs_wkt):
    mask = np.zeros((450, 450), np.uint8)
    mask[100:103, :] = 1
    cracks = table(mask, tmp_path, Affine(0.001, 0, 10, 0, -0.001, 20), crs_wkt)

    path, areas, _ = geojson.write(tmp_path, [cracks])
    (row,) = rows(cracks, cracks.cracks)

    assert path.name == "cracks.local.geojson"
    collection = read_json(areas)
    assert collection["coordinate_space"] == "grid"
    assert "transform" in collection["note"]
    area = shapely.geometry.shape(collection["features"][0]["geometry"])
    assert area.bounds == pytest.approx((10, 20 - 0.103, 10.45, 20 - 0.1))
    assert (row["centroid_x"], row["centroid_y"]) == pytest.approx((10.225, 19.8985), abs=1e-3)
    assert (row["lon"], row["lat"]) == (None, None)


def test_scenes_with_and_without_a_map_go_to_separate_files(mask, tmp_path):
    (tmp_path / "cracks.local_px.geojson").write_text("left from an earlier report")
    tables = [table(mask, tmp_path, TENTH, UTM.to_wkt()), table(mask, tmp_path, gsd_mm=1)]

    paths = geojson.write(tmp_path, [*tables, tables[0]])

    assert [path.name for path in paths] == [
        "cracks.geojson",
        "crack_areas.geojson",
        "joints.geojson",
        "cracks.local.geojson",
        "crack_areas.local.geojson",
        "joints.local.geojson",
    ]
    counts = [len(read_json(path)["features"]) for path in paths]
    first, second = len(tables[0].cracks), len(tables[1].cracks)
    assert counts == [2 * first, 2 * first, 0, second, second, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


def test_a_geopackage_contains_map_coordinates_and_nulls(mask, tmp_path):
    cracks = table(mask, tmp_path, TENTH, UTM.to_wkt())

    (path,) = geopackage.write(tmp_path, [cracks])

    assert list_layers(path)[:, 0].tolist() == [*LAYERS, "reports", "layer_styles"]
    facts, _, shapes, _ = raw.read(path, layer="crack_areas")
    assert CRS.from_user_input(facts["crs"]) == UTM
    assert facts["fields"].tolist() == list(COLUMNS)
    area = shapely.from_wkb(shapes)[0].area * 1e8  # m2 to pixels of 0.1 mm
    assert area == pytest.approx(cracks.cracks[0].area_px, rel=0.01)


def test_a_geopackage_is_of_a_version_that_older_programs_know(mask, tmp_path):
    (path,) = geopackage.write(tmp_path, [table(mask, tmp_path)])

    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (10200,)  # 1.2.0


def test_a_geopackage_is_read_back_as_written(mask, tmp_path):
    cracks = table(mask, tmp_path)
    geopackage.write(tmp_path, [cracks])

    found = geopackage_reader.read(tmp_path)["cracks"]["wall"]

    assert found.columns["crack_id"].tolist() == [crack.id for crack in cracks.cracks]
    assert np.isnan(found.columns["length_mm"]).all()
    lengths = [crack.length_px for crack in cracks.cracks]
    np.testing.assert_allclose(found.columns["length_px"], lengths, atol=1e-3)
    np.testing.assert_allclose(shapely.length(found.geometries), lengths, rtol=0.01)


def test_each_crs_has_its_own_layers(mask, tmp_path):
    other = CRS.from_epsg(32633).to_wkt()
    tables = [
        table(mask, tmp_path, TENTH, UTM.to_wkt()),
        table(mask, tmp_path, TENTH, other),
        table(mask, tmp_path),
        table(0 * mask, tmp_path, TENTH, UTM.to_wkt()),
    ]

    (path,) = geopackage.write(tmp_path, tables)

    *layers, styles = list_layers(path)[:, 0].tolist()
    layers.remove("reports")
    assert styles == "layer_styles"
    assert layers == [f"{name}{n}" for n in ("", "_2", "_3") for name in LAYERS]
    assert "Undefined Cartesian SRS" in raw.read(path, layer="cracks_3")[0]["crs"]
    assert len(raw.read(path, layer="cracks")[2]) == len(tables[0].cracks)


def test_joints_are_read_back_from_the_layers_of_every_crs(mask, tmp_path):
    other = CRS.from_epsg(32633).to_wkt()
    tables = [
        with_joint(table(mask, tmp_path / name, TENTH, crs))
        for name, crs in (("a", UTM.to_wkt()), ("b", other))
    ]
    tables[1] = replace(tables[1], scene=replace(tables[1].scene, folder=tmp_path / "b" / "east"))

    geopackage.write(tmp_path, tables)
    found = geopackage_reader.read(tmp_path)

    assert {layer: sorted(scenes) for layer, scenes in found.items()} == {
        "cracks": ["east", "wall"],
        "joints": ["east", "wall"],
    }
    assert len(found["joints"]["east"].geometries) == 1


def test_a_scene_without_cracks_has_files_without_features(tmp_path):
    empty = table(np.zeros((40, 50), np.uint8), tmp_path)

    paths = [
        path
        for module in (csv_format, geojson, geopackage)
        for path in module.write(tmp_path, [empty])
    ]

    assert len(paths) == 6
    assert read_json(tmp_path / "cracks.local.geojson")["features"] == []
    layers = list_layers(tmp_path / "cracks.gpkg")[:, 0].tolist()
    assert layers == [*LAYERS, "reports", "layer_styles"]
    assert geopackage_reader.read(tmp_path) == {"cracks": {}, "joints": {}}


def with_joint(table):
    """The same scene with its first crack classified as a joint."""
    return replace(table, cracks=table.cracks[1:], joints=table.cracks[:1])


def test_joints_are_in_their_own_layer_only(mask, tmp_path):
    every = table(mask, tmp_path, TENTH, UTM.to_wkt())
    first = every.cracks[0].id
    rest = [crack.id for crack in every.cracks[1:]]
    tables = [with_joint(every)]

    paths = [
        path
        for module in (csv_format, geojson, geopackage)
        for path in module.write(tmp_path, tables)
    ]

    files = {path.name: path for path in paths}
    for name, ids in (("cracks", rest), ("crack_areas", rest), ("joints", [first])):
        features = read_json(files[f"{name}.geojson"])["features"]
        assert [feature["properties"]["crack_id"] for feature in features] == ids
        layer = raw.read(files["cracks.gpkg"], layer=name)
        assert layer[0]["fields"].tolist() == list(COLUMNS)
        assert layer[3][0].tolist() == ids
    rows = csv_format.read_rows(files["cracks.csv"])
    assert [row["crack_id"] for row in rows] == rest
    found = geopackage_reader.read(tmp_path)
    assert found["cracks"]["wall"].columns["crack_id"].tolist() == rest
    assert found["joints"]["wall"].columns["crack_id"].tolist() == [first]


def test_scenes_csv_counts_joints_separately(mask, tmp_path):
    every = table(mask, tmp_path, gsd_mm=0.5)
    joint = every.cracks[0]

    csv_format.write(tmp_path, [every, with_joint(every)])

    before, after = csv_format.read_rows(tmp_path / "scenes.csv")
    assert (before["n_joints"], before["joints_length_px"]) == ("0", "0.0")
    assert after["n_joints"] == "1"
    assert float(after["joints_length_px"]) == pytest.approx(joint.length_px, abs=1e-3)
    assert float(after["joints_length_mm"]) == pytest.approx(0.5 * joint.length_px, abs=1e-3)
    assert int(before["n_cracks"]) - int(after["n_cracks"]) == 1
    assert int(before["total_area_px"]) - int(after["total_area_px"]) == joint.area_px


def test_the_error_for_a_report_without_joints_proposes_a_remedy(mask, tmp_path, monkeypatch):
    older = {name: kind for name, kind in COLUMNS.items() if name != "joint_likelihood"}
    with monkeypatch.context() as then:
        then.setattr(geopackage, "COLUMNS", older)
        geopackage.write(tmp_path, [table(mask, tmp_path)])

    with pytest.raises(InputError, match=r"lacks joint_likelihood; run crackcli report .* again"):
        geopackage_reader.read(tmp_path)
