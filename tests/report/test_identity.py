"""Identity of a report: names as given, facts of the scan, empty if unknown."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import shapely
from affine import Affine
from pyogrio import raw
from rasterio.crs import CRS
from walls import polyline, trace_array

from crackcli.cracks.tracing import trace_runs
from crackcli.errors import UsageError
from crackcli.masking.runs import find_runs
from crackcli.report.formats import csv as csv_format
from crackcli.report.formats import geojson, geopackage, geopackage_reader
from crackcli.report.identity import Identity, check_names, identify, relevance_top, scan_facts
from crackcli.report.severity import find_profiles
from crackcli.report.tables.columns import COLUMNS
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene

UTM = CRS.from_epsg(25832).to_wkt()
TENTH = Affine(0.0001, 0, 319_717, 0, -0.0001, 5_500_000)
RECORD = SceneRecord(
    {
        "device": "cpu",
        "probability": [
            {"rows": 5, "cols": 4, "share_at_gate": 0.35},
            {"rows": 2, "cols": 2, "share_at_gate": 0.25},
        ],
        "seconds": {"explain": 2.5, "score": 0.25, "mask": 0.75},
    }
)
NAMED = Identity("pier 3", "<2026>", "0123456789abcdef", "2026-05-01T10:00:00+00:00")


def table(folder, transform=None, crs_wkt=None, **given):
    mask = polyline((100, 140), [(5.0, 20.0), (60.0, 30.0), (130.0, 15.0)], 4)
    mask |= polyline((100, 140), [(60.0, 30.0), (70.0, 50.0)], 2)
    mask |= polyline((100, 140), [(10.0, 60.0), (50.0, 90.0)], 1.5)
    scene = Scene(folder / "wall", *mask.shape, transform or Affine.identity(), crs_wkt, RECORD)
    scale = Scale(0.1, None, "crs")
    return SceneCracks(scene, scale, trace_array(mask), mask.size - 700, **given)


def test_names_are_in_every_format_as_given(tmp_path):
    tables = [table(tmp_path, TENTH, UTM, identity=NAMED)]

    for module in (csv_format, geojson, geopackage):
        module.write(tmp_path, tables)

    (scene,) = csv_format.read_rows(tmp_path / "scenes.csv")
    collection = json.loads((tmp_path / "cracks.geojson").read_text())
    facts, _, _, fields = raw.read(tmp_path / "cracks.gpkg", layer="cracks")
    columns = dict(zip(facts["fields"], fields, strict=True))
    rows = csv_format.read_rows(tmp_path / "cracks.csv")
    rows += [feature["properties"] for feature in collection["features"]]
    assert {(row["asset_id"], row["campaign_id"]) for row in rows} == {("pier 3", "<2026>")}
    assert set(columns["asset_id"]) == {"pier 3"}
    assert set(columns["campaign_id"]) == {"<2026>"}
    (provenance,) = collection["crackcli"]["scenes"]
    for where in (scene, provenance):
        assert (where["run_id"], where["created_utc"]) == (NAMED.run_id, NAMED.created_utc)


def test_without_names_columns_are_empty(tmp_path):
    csv_format.write(tmp_path, [table(tmp_path)])

    rows = csv_format.read_rows(tmp_path / "cracks.csv")
    (scene,) = csv_format.read_rows(tmp_path / "scenes.csv")
    for row in (*rows, scene):
        assert {row.get(name) or "" for name in ("asset_id", "run_id", "note")} == {""}
    assert scene["status"] == "mask only"


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "\x00", "=HYPERLINK(1)", " @x", "-1", "pier\udcff"]
)
def test_a_name_that_is_unfit_for_a_table_is_refused(name):
    with pytest.raises(
        UsageError,
        match=r"^--asset-id .*: must be text without control characters .*; choose another name",
    ):
        check_names(asset_id=name)


def test_facts_of_the_scan_are_those_of_scene_json(tmp_path):
    found = scan_facts(table(tmp_path).scene, 14_000 - 700, 3)

    assert found == {
        "nodata_pct": 5.0,
        "excluded_px": 0,
        "excluded_pct": 0.0,
        "cracks_per_mp": pytest.approx(3 / 0.0133, abs=1e-4),
        "tiles": 24,
        "tiles_positive": 8,
        "seconds": 3.5,
        "device": "cpu",
    }
    bare = scan_facts(replace(table(tmp_path).scene, record=SceneRecord()), 0, 0)
    known = ("nodata_pct", "excluded_px", "excluded_pct")
    assert {value for name, value in bare.items() if name not in known} == {None}


def test_a_run_is_identified_by_run_json_for_the_scenes_listed_there(tmp_path):
    scene = Scene(tmp_path / "wall", 10, 10, Affine.identity(), None)
    assert identify(tmp_path, scene, "a", None) == Identity("a")

    run = {"written_utc": "2026-05-01T10:00:00+00:00", "scenes": [{"scene": "wall"}]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    first = identify(tmp_path, scene, None, None)
    assert first.created_utc == run["written_utc"]
    assert len(first.run_id) == 16
    assert identify(tmp_path, replace(scene, folder=tmp_path / "other"), None, "b") == Identity(
        campaign_id="b"
    )
    (tmp_path / "run.json").write_text(json.dumps(run | {"exit_code": 0}))
    assert identify(tmp_path, scene, None, None).run_id != first.run_id


def test_the_area_by_widths_is_the_mean_width_times_the_length(tmp_path):
    tables = table(tmp_path)
    first, *others = tables.cracks
    light = replace(first, widths=replace(first.widths, method="photometric", mean_px=2.5))
    tables = replace(tables, cracks=[light, *others])

    csv_format.write(tmp_path, [tables])

    row, *rest = csv_format.read_rows(tmp_path / "cracks.csv")
    assert float(row["area_width_px"]) == pytest.approx(2.5 * first.length_px, abs=2e-3)
    assert float(row["area_width_mm2"]) == pytest.approx(0.025 * first.length_px, abs=2e-3)
    assert {other["area_width_px"] for other in rest} == {""}


def test_relevance_is_summed_over_the_pixels_of_a_crack_if_scores_are_of_relevance(tmp_path):
    """Scores are the square root of relevance; the largest is 1."""
    tags = {"CRACKCLI_SCORE": "root of positive relevance", "CRACKCLI_SCORE_TOP": "0.5"}
    mask = np.zeros((20, 40), np.uint8)
    mask[8:12, 5:35] = 1
    score = np.full(mask.shape, 127, np.uint8)  # half of 254
    (crack,) = trace_runs(find_runs([(mask, score)], *mask.shape), "wall")
    scene = Scene(tmp_path / "wall", *mask.shape, Affine.identity(), None)
    top = relevance_top(tags)

    csv_format.write(tmp_path, [SceneCracks(scene, None, [crack], mask.size, relevance_top=top)])

    (row,) = csv_format.read_rows(tmp_path / "cracks.csv")
    assert float(row["relevance_sum"]) == pytest.approx(4 * 30 * 0.25**2, abs=1e-5)
    assert float(row["score"]) == pytest.approx(0.5)
    assert relevance_top(tags | {"CRACKCLI_SCORE": "root of P(crack)"}) is None
    assert relevance_top({}) is None


def test_a_grade_names_its_clause(tmp_path):
    (profile,) = find_profiles(["burland"])

    csv_format.write(tmp_path, [table(tmp_path)], (profile,))

    rows = csv_format.read_rows(tmp_path / "cracks.csv")
    assert {row["sev_burland_clause"] for row in rows} == {profile.clause}


def test_a_report_of_an_earlier_version_is_still_read(tmp_path, monkeypatch):
    older = {name: kind for name, kind in COLUMNS.items() if name not in geopackage_reader.NEWER}
    with monkeypatch.context() as then:
        then.setattr(geopackage, "COLUMNS", older)
        geopackage.write(tmp_path, [table(tmp_path)])

    found = geopackage_reader.read(tmp_path)

    assert len(found["cracks"]["wall"].geometries) == len(table(tmp_path).cracks)


@pytest.mark.parametrize(("transform", "crs"), [(TENTH, UTM), (None, None)])
def test_all_written_geometries_are_valid(tmp_path, transform, crs):
    tables = [table(tmp_path, transform, crs)]
    paths = [*geojson.write(tmp_path, tables), *geopackage.write(tmp_path, tables)]

    assert len(paths) == 4
    for path in paths[:3]:
        features = json.loads(path.read_text())["features"]
        shapes = shapely.from_geojson([json.dumps(one["geometry"]) for one in features])
        assert shapely.is_valid(shapes).all()
        assert not shapely.is_empty(shapes).any()
        kinds = {one["geometry"]["type"] for one in features}
        assert kinds <= {"MultiPolygon" if "areas" in path.name else "MultiLineString"}
    for layer in ("cracks", "crack_areas"):
        shapes = shapely.from_wkb(raw.read(paths[3], layer=layer)[2])
        assert shapely.is_valid(shapes).all()
        assert not shapely.is_empty(shapes).any()


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="GDAL's programs are not installed")
def test_the_programs_of_gdal_read_the_files(tmp_path):
    """They are another build of GDAL than the one that writes."""
    tables = [table(tmp_path, TENTH, UTM, identity=NAMED)]
    paths = [*geojson.write(tmp_path, tables), *geopackage.write(tmp_path, tables)]

    for path in paths:
        done = subprocess.run(
            ["ogrinfo", "-ro", "-al", str(path)], capture_output=True, text=True, check=True
        )
        assert "ERROR" not in done.stderr
        if "joints" not in path.name:
            assert done.stdout.count("OGRFeature(") >= len(tables[0].cracks)
            assert "pier 3" in done.stdout
    other_crs = tmp_path / "other_crs.geojson"
    command = ["ogr2ogr", "-t_srs", "EPSG:4326", str(other_crs), str(paths[3]), "cracks"]
    subprocess.run(command, check=True, capture_output=True)
    own = json.loads((tmp_path / "cracks.geojson").read_text())["features"]
    other = json.loads(other_crs.read_text())["features"]
    for one, same in zip(own, other, strict=True):
        ends = [np.concatenate(f["geometry"]["coordinates"])[0] for f in (one, same)]
        assert ends[0] == pytest.approx(ends[1], abs=1e-7)
