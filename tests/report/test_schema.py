"""The schema of a report: uncertainties, widths along cracks, grades, provenance, QGIS styles."""

import contextlib
import json
import sqlite3
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from affine import Affine
from pyogrio import list_layers, raw
from rasterio.crs import CRS
from rasterio.warp import transform as to_crs
from walls import polyline, trace_array

from crackcli.cracks.widths import WidthProfile
from crackcli.report.formats import csv as csv_format
from crackcli.report.formats import geojson, geopackage
from crackcli.report.severity import find_profiles
from crackcli.report.tables.columns import COLUMNS
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.frames import apply_affine
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scale import Scale, find_scale
from crackcli.scenes.scene import Scene

UTM = CRS.from_epsg(25832)
TENTH = Affine(0.0001, 0, 319_717, 0, -0.0001, 5_500_000)
LAYERS = ("cracks", "crack_areas", "joints")


@pytest.fixture
def mask():
    """Three cracks of different widths, one with a branch."""
    mask = polyline((100, 140), [(5.0, 20.0), (60.0, 30.0), (130.0, 15.0)], 4)
    mask |= polyline((100, 140), [(60.0, 30.0), (70.0, 50.0)], 2)
    mask |= polyline((100, 140), [(10.0, 60.0), (50.0, 90.0)], 1.5)
    return mask | polyline((100, 140), [(80.0, 70.0), (130.0, 85.0)], 9)


def table(mask, folder, transform=None, crs_wkt=None, gsd_mm=None, **record):
    transform = transform or Affine.identity()
    scene = Scene(folder / "wall", *mask.shape, transform, crs_wkt, SceneRecord(record))
    return SceneCracks(scene, find_scale(scene, gsd_mm), trace_array(mask), mask.size)


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def measured_on_the_photograph(table, sigma_px=0.2):
    """The same scene with uncertainties, and a width profile for each crack but the last."""

    def crack(one, number):
        line = one.centreline[0]
        count = len(line)
        profile = WidthProfile(
            np.zeros(count, int),
            np.arange(count) + 0.5,
            line,
            np.linspace(2, 3, count),
            np.where(np.arange(count) % 2, np.nan, sigma_px),
            np.where(np.arange(count) % 2, np.nan, sigma_px / 2),
        )
        sigmas = dict.fromkeys(
            (f"{n}_sigma_px" for n in ("mean", "median", "p95", "max")), sigma_px
        )
        last = number == len(table.cracks) - 1
        return replace(
            one,
            widths=replace(
                one.widths, method="photometric", profile=None if last else profile, **sigmas
            ),
        )

    return replace(table, cracks=[crack(one, n) for n, one in enumerate(table.cracks)])


def test_an_uncertainty_in_millimetres_includes_that_of_the_scale(mask, tmp_path):
    tables = measured_on_the_photograph(table(mask, tmp_path, gsd_mm=0.5))
    tables = replace(tables, scale=Scale(0.5, 0.02, "marker"))

    csv_format.write(tmp_path, [tables])

    for row in csv_format.read_rows(tmp_path / "cracks.csv"):
        for name in ("mean", "median", "p95", "max"):
            width = float(row[f"width_{name}_px"])
            assert float(row[f"width_{name}_unc_px"]) == 0.2
            expected = np.hypot(0.2 * 0.5, width * 0.02)
            assert float(row[f"width_{name}_unc_mm"]) == pytest.approx(expected, abs=1e-4)
    (scene,) = csv_format.read_rows(tmp_path / "scenes.csv")
    assert (scene["gsd_mm"], scene["gsd_unc_mm"], scene["scale_source"]) == (
        "0.5",
        "0.02",
        "marker",
    )


def test_width_profiles_have_a_row_per_sample_and_lie_on_the_map(mask, tmp_path):
    cracks = measured_on_the_photograph(table(mask, tmp_path, TENTH, UTM.to_wkt()))
    tables = replace(cracks, cracks=cracks.cracks[1:], joints=cracks.cracks[:1])

    (path,) = geopackage.write(tmp_path, [tables, tables])

    facts, _, shapes, fields = raw.read(path, layer="width_profiles")
    found = dict(zip(facts["fields"], fields, strict=True))
    assert shapes is None
    profiles = {one.id: one.widths.profile for one in cracks.cracks}
    assert profiles.pop(cracks.cracks[-1].id) is None
    assert len(found["x"]) == 2 * sum(len(profile.line) for profile in profiles.values())
    for name, profile in profiles.items():
        own = np.flatnonzero(found["crack_id"] == name)[: len(profile.line)]
        there = apply_affine(~TENTH, np.column_stack([found["x"][own], found["y"][own]])) - 0.5
        np.testing.assert_allclose(there, profile.points, atol=0.02)
        np.testing.assert_allclose(found["width_px"][own], profile.width_px, atol=1e-4)
        np.testing.assert_allclose(found["width_mm"][own], profile.width_px / 10, atol=1e-4)
        assert np.isnan(found["unc_px"][own]).tolist() == np.isnan(profile.sigma_px).tolist()
        np.testing.assert_allclose(found["unc_common_px"][own], profile.systematic_px)


def test_a_report_from_masks_alone_has_no_table_of_widths(mask, tmp_path):
    (path,) = geopackage.write(tmp_path, [table(mask, tmp_path)])

    assert "width_profiles" not in list_layers(path)[:, 0]


def test_places_are_given_in_map_coordinates_and_in_degrees(mask, tmp_path):
    cracks = table(mask, tmp_path, TENTH, UTM.to_wkt())

    csv_format.write(tmp_path, [cracks])

    row = csv_format.read_rows(tmp_path / "cracks.csv")[0]
    lon, lat, x, y = (float(row[name]) for name in ("lon", "lat", "centroid_x", "centroid_y"))
    (there_x,), (there_y,) = to_crs(CRS.from_epsg(4326), UTM, [lon], [lat])
    assert (there_x, there_y) == pytest.approx((x, y), abs=2e-5)
    col, row_px = ~TENTH @ (x, y)
    assert cracks.cracks[0].outline.envelope.contains(shapely.Point(col, row_px))


def test_no_file_contains_a_grade_without_its_caveat(mask, tmp_path):
    profiles = find_profiles(["burland", "en1992-xc3"])
    tables = [
        table(mask, tmp_path, TENTH, UTM.to_wkt()),
        table(mask, tmp_path, gsd_mm=0.1),
        table(mask, tmp_path),
    ]

    paths = [
        path
        for module in (csv_format, geojson, geopackage)
        for path in module.write(tmp_path, tables, profiles)
    ]

    assert len(paths) == 9
    for path in paths:
        content = path.read_bytes().decode("utf-8", "replace")
        if "sev_burland_class" in content or '"burland": {"class"' in content:
            for profile in profiles:
                assert profile.caveat in content, path
    graded = [path.name for path in paths if b"very slight" in path.read_bytes()]
    assert {"cracks.csv", "cracks.gpkg", "cracks.geojson", "cracks.local.geojson"} <= set(graded)


def test_grades_are_the_same_in_every_format(mask, tmp_path):
    profiles = find_profiles(["burland"])
    tables = [measured_on_the_photograph(table(mask, tmp_path, TENTH, UTM.to_wkt()))]

    for module in (csv_format, geojson, geopackage):
        module.write(tmp_path, tables, profiles)

    rows = csv_format.read_rows(tmp_path / "cracks.csv")
    features = read_json(tmp_path / "cracks.geojson")["features"]
    facts, _, _, fields = raw.read(tmp_path / "cracks.gpkg", layer="cracks")
    columns = dict(zip(facts["fields"], fields, strict=True))
    for field in ("class", "status", "label"):
        values = [row[f"sev_burland_{field}"] for row in rows]
        assert values == [f["properties"]["severity"]["burland"][field] for f in features]
        assert values == columns[f"sev_burland_{field}"].tolist()
    assert set(columns["sev_burland_status"]) == {"exceeded"}
    joints = raw.read(tmp_path / "cracks.gpkg", layer="joints")[0]["fields"]
    assert joints.tolist() == list(COLUMNS)  # not graded


def test_geojson_contains_the_provenance_of_its_cracks(mask, tmp_path):
    record = {
        "source": {"file": "a.tif", "sha256": "12"},
        "scored": {"engine": {"model_sha256": "ab", "method": "lrp"}},
        "threshold": 0.4,
    }
    mapped = table(mask, tmp_path, TENTH, UTM.to_wkt(), **record)
    local = table(mask, tmp_path, gsd_mm=0.5)

    for path in geojson.write(tmp_path, [mapped, local, mapped]):
        about = read_json(path)["crackcli"]
        assert about["schema_version"] == 1
        if "local" in path.name:
            (scene,) = about["scenes"]
            assert (scene["coordinate_space"], scene["gsd_mm"]) == ("local_px", 0.5)
            assert scene["source_sha256"] is None
        else:
            scene, again = about["scenes"]
            assert scene == again
            assert (scene["source_sha256"], scene["model_sha256"]) == ("12", "ab")
            assert scene["transform"] == list(TENTH)[:6]
            assert CRS.from_wkt(scene["crs_wkt"]) == UTM
            assert len(scene["parameters_sha256"]) == 64
            assert scene["area_assessed_m2"] == pytest.approx(mask.size * 1e-8)


def styles_of(path):
    """Rows of layer_styles by layer, read with SQLite."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.row_factory = sqlite3.Row
        return {row["f_table_name"]: row for row in file.execute("SELECT * FROM layer_styles")}


@pytest.mark.parametrize("names", [[], ["burland"], ["en1992-xc3", "burland"]])
def test_every_layer_has_a_default_style_where_qgis_looks_for_it(mask, tmp_path, names):
    profiles = find_profiles(names)
    tables = [table(mask, tmp_path, TENTH, UTM.to_wkt()), table(mask, tmp_path, gsd_mm=0.5)]

    (path,) = geopackage.write(tmp_path, tables, profiles)

    styles = styles_of(path)
    assert set(styles) == {f"{name}{n}" for n in ("", "_2") for name in LAYERS}
    for layer, row in styles.items():
        facts = raw.read(path, layer=layer, max_features=1)[0]
        assert (row["f_table_catalog"], row["f_table_schema"]) == ("", "")
        assert (row["f_geometry_column"], row["useAsDefault"]) == ("geom", 1)
        assert len(row["styleName"]) <= 30
        qml = ElementTree.fromstring(row["styleQML"].partition("\n")[2])
        symbols = {s.get("name"): s.get("type") for s in qml.iterfind("renderer-v2/symbols/symbol")}
        used = {e.get("symbol") for e in qml.iter() if e.tag in ("rule", "range")} or {"0"}
        assert used == set(symbols)
        kind = "fill" if "areas" in layer else "line"
        assert set(symbols.values()) == {kind}
        filters = " ".join(rule.get("filter") for rule in qml.iter("rule"))
        fields = set(facts["fields"])
        if names and "joints" not in layer:
            assert f"sev_{profiles[0].column}_class" in filters
            assert f"sev_{profiles[0].column}_class" in fields
        if layer.startswith("cracks"):
            label = qml.find("labeling/settings/text-style").get("fieldName")
            assert '"width_max_mm"' in label
    with contextlib.closing(sqlite3.connect(path)) as file:
        kinds = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents").fetchall())
    assert kinds["layer_styles"] == "attributes"


@pytest.mark.parametrize("names", [[], ["burland"], ["en1992-xc3"], ["d6433-ac"]])
def test_a_style_draws_every_crack_once(mask, tmp_path, names):
    """Its rules and ranges are evaluated as SQL, independently of this package."""
    profiles = find_profiles(names)
    mapped = table(mask, tmp_path, gsd_mm=0.7)
    (path,) = geopackage.write(tmp_path, [mapped, table(mask, tmp_path / "b", gsd_mm=8)], profiles)

    qml = ElementTree.fromstring(styles_of(path)["cracks"]["styleQML"].partition("\n")[2])
    conditions = [rule.get("filter") for rule in qml.iter("rule") if rule.get("filter") != "ELSE"]
    conditions += [
        f"width_max_mm > {one.get('lower')} AND width_max_mm <= {one.get('upper')}"
        for one in qml.iter("range")
    ]
    drawn = " + ".join(f"({condition})" for condition in conditions)
    with contextlib.closing(sqlite3.connect(path)) as file:
        counts = [count for (count,) in file.execute(f"SELECT {drawn} FROM cracks")]
    assert counts == [1] * (2 * len(mapped.cracks))
