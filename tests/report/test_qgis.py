"""What QGIS shows of a report. The XML is checked everywhere; tests marked ``qgis`` open it in QGIS
where that is installed, by the interpreter of the system or that which QGIS_PYTHON names."""

import contextlib
import functools
import json
import os
import shutil
import sqlite3
import struct
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import rasterio
import walls
from affine import Affine
from walls import polyline, write_scene

from crackcli.errors import InputError
from crackcli.files import sha256
from crackcli.report import ReportTask, write_report
from crackcli.report.formats import qgis_project
from crackcli.report.tables.columns import COLUMNS
from crackcli.report.tables.labels import SHAPEFILE_CHARACTERS, short_name

LV95 = rasterio.crs.CRS.from_epsg(2056).to_wkt()
MAP = Affine(0.001, 0, 2_600_000, 0, -0.001, 1_200_000)
GRID = Affine(0.001, 0, 10, 0, -0.001, 20)
SOUND, DARK = 170, 40
SCRIPT = Path(walls.__file__).with_name("in_qgis.py")
TURNED = 6  # EXIF: the camera was upright


def cracked(rows, cols):
    """A mask with one bent crack that lies on itself in no mirror image."""
    points = [(0.1 * cols, 0.2 * rows), (0.5 * cols, 0.3 * rows), (0.8 * cols, 0.9 * rows)]
    return polyline((rows, cols), points, 5)


def with_orientation(jpeg, value):
    """A JPEG with an EXIF orientation."""
    exif = b"Exif\0\0" + struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x112, 3, 1, value, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def photograph(path, mask, orientation=1, transform=None, crs=None):
    """Write the photograph of a mask."""
    path.parent.mkdir(exist_ok=True)
    image = np.where(mask == 1, DARK, SOUND).astype(np.uint8)
    if transform is not None:
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1}
        profile |= {"height": len(mask), "width": mask.shape[1], "transform": transform}
        with rasterio.open(path, "w", **profile, crs=crs) as file:
            file.write(image, 1)
        return
    if orientation == TURNED:
        image = np.rot90(image)
    _, encoded = cv2.imencode(path.suffix, image)
    path.write_bytes(with_orientation(encoded.tobytes(), orientation))


def scanned(out, name, mask, suffix=".jpg", **options):
    """Write a photograph and its finished scan."""
    path = out.parent / "photographs" / f"{name}{suffix}"
    photograph(path, mask, **options)
    where = {"transform": options.get("transform"), "crs_wkt": options.get("crs")}
    source = {"file": path.name, "sha256": sha256(path)}
    source["path"] = os.path.relpath(path, out)
    write_scene(out / name, mask, **where, source=source)
    (out / "run.json").write_text(json.dumps({"scenes": []}))


@pytest.fixture
def plain(tmp_path):
    """Three photographs without a map: an odd name, one turned by its EXIF."""
    out = tmp_path / "out"
    scanned(out, "IMG_0001", cracked(160, 240))
    scanned(out, "l'été & <b>", cracked(200, 170))
    scanned(out, "turned", cracked(240, 160), orientation=TURNED)
    write_report(ReportTask(out, gsd_mm=0.5, joint_likelihood=1))
    return out


def mapped(tmp_path, name, transform, crs=None):
    out = tmp_path / "out"
    scanned(out, name, cracked(160, 240), ".tif", transform=transform, crs=crs)
    write_report(ReportTask(out, joint_likelihood=1))
    return out


def styles_of(out):
    """The default style of each layer, and its digest in words."""
    with contextlib.closing(sqlite3.connect(out / "cracks.gpkg")) as file:
        query = "SELECT f_table_name, styleQML FROM layer_styles WHERE useAsDefault = 1"
        return {name: ElementTree.fromstring(qml) for name, qml in file.execute(query)}


def project_of(out):
    return ElementTree.parse(out / "cracks.qgs").getroot()


def test_the_layers_of_a_project_are_files_of_the_report_and_its_photographs(plain):
    root = project_of(plain)

    sources = {node.get("id"): node.get("source") for node in root.iter("layer-tree-layer")}
    assert {one.findtext("id"): one.findtext("datasource") for one in root.iter("maplayer")} == (
        sources
    )
    for source in sources.values():
        assert (plain / source.partition("|")[0]).is_file(), source
        assert not Path(source).is_absolute()
    assert root.find("properties/Paths/Absolute").text == "false"
    assert root.find("properties/SpatialRefSys/ProjectionsEnabled").text == "0"


def test_one_photograph_without_a_map_is_shown_with_its_own_cracks(plain):
    root = project_of(plain)

    (parent,) = root.findall("layer-tree-group/layer-tree-group")
    groups = parent.findall("layer-tree-group")
    assert parent.get("mutually-exclusive") == "1"
    assert [one.get("checked") for one in groups] == ["Qt::Checked", *2 * ["Qt::Unchecked"]]
    cracks = groups[1].find("layer-tree-layer[@name='cracks']")
    assert cracks.get("source") == (
        "./cracks.gpkg|layername=cracks|subset=\"scene_id\" = 'l''été & <b>'"
    )
    (layer,) = [one for one in root.iter("maplayer") if one.findtext("id") == cracks.get("id")]
    assert layer.find("defaults/default").get("expression") == "'l''été & <b>'"


def test_a_map_has_its_layers_once_and_its_rasters_in_groups(tmp_path):
    root = project_of(mapped(tmp_path, "bridge", MAP, LV95))

    tree = root.find("layer-tree-group")
    assert [one.get("name") for one in tree] == [
        *("cracks", "joints", "crack_areas", "measurability"),
        *("masks", "scores", "photographs"),
    ]
    assert "CH1903+ / LV95" in root.find("projectCrs/spatialrefsys/wkt").text
    low, high = (float(root.findtext(f"mapcanvas/extent/{side}")) for side in ("xmin", "xmax"))
    assert low < 2_600_000 < 2_600_000.24 < high < 2_600_001


def test_a_project_of_many_photographs_shows_the_first_ones_and_says_so(plain, monkeypatch, caplog):
    monkeypatch.setattr(qgis_project, "MAX_SCENES", 1)

    with caplog.at_level("INFO", "crackcli"):
        write_report(ReportTask(plain))

    groups = project_of(plain).findall("layer-tree-group/layer-tree-group/layer-tree-group")
    assert [one.get("name") for one in groups] == ["IMG_0001"]
    assert "cracks.qgs has no photographs of 2 of 3 scenes" in caplog.text


def test_a_photograph_that_is_missing_is_no_layer(plain):
    (plain.parent / "photographs" / "IMG_0001.jpg").unlink()

    write_report(ReportTask(plain))

    (parent,) = project_of(plain).findall("layer-tree-group/layer-tree-group")
    names = [[one.get("name") for one in group] for group in parent]
    assert [("photograph" in group, "mask" in group) for group in names] == [
        *((False, True), (True, True), (True, True))
    ]


def test_a_photograph_that_goes_missing_meanwhile_is_a_warning(plain, monkeypatch, caplog):
    def missing(*_):
        raise InputError("walls/wall.jpg: does not exist; check the name")

    monkeypatch.setattr(qgis_project, "photograph_renderer", missing)
    write_report(ReportTask(plain))

    assert "not shown in cracks.qgs (walls/wall.jpg: does not exist; check" in caplog.text
    assert (plain / "cracks.csv").is_file()


def test_a_project_that_was_changed_in_qgis_stays_and_an_unchanged_one_is_new(plain, caplog):
    before = (plain / "cracks.qgs").read_text(encoding="utf-8")
    scanned(plain, "fourth", cracked(100, 130))
    write_report(ReportTask(plain))
    after = (plain / "cracks.qgs").read_text(encoding="utf-8")
    (plain / "cracks.qgs").write_text("<qgis/>", encoding="utf-8")
    assert (plain / "turned" / "photograph.vrt").exists()

    with caplog.at_level("INFO", "crackcli"):
        for _ in range(2):
            write_report(ReportTask(plain))

    assert "fourth" not in before
    assert "fourth" in after
    assert (plain / "cracks.qgs").read_text(encoding="utf-8") == "<qgis/>"
    assert list(plain.glob("*.edited*")) == []
    assert (plain / "turned" / "photograph.vrt").exists()
    assert "changed in QGIS, and left as it is" in caplog.text


def test_a_style_that_was_changed_is_that_of_the_next_project_too(plain):
    mine = '<qgis version="3.22.0" labelsEnabled="0"><renderer-v2 type="mine"/></qgis>'
    with contextlib.closing(sqlite3.connect(plain / "cracks.gpkg")) as file, file:
        changed = "UPDATE layer_styles SET styleQML = ? WHERE f_table_name = 'cracks'"
        file.execute(changed, (mine,))
    (plain / "IMG_0001" / "mask.qml").write_text('<qgis><pipe><mine alpha="1"/></pipe></qgis>')

    for _ in range(2):
        write_report(ReportTask(plain))

        found = [one.get("type") for one in project_of(plain).iter("renderer-v2")]
        assert found.count("mine") == 3
        assert len(project_of(plain).findall(".//pipe/mine")) == 1


def test_labels_are_readable_and_in_the_unit_of_the_classes(plain):
    in_mm = styles_of(plain)["cracks"]
    scanned(plain.parent / "px", "without_scale", cracked(100, 130))
    write_report(ReportTask(plain.parent / "px", joint_likelihood=1))
    in_px = styles_of(plain.parent / "px")["cracks"]

    for style, unit in ((in_mm, "mm"), (in_px, "px")):
        text = style.find("labeling/settings/text-style")
        assert text.get("fontWeight") == "50"
        assert f"width_max_{unit}" in text.get("fieldName")
        assert style.find("renderer-v2").get("attr") == f"width_max_{unit}"
        assert style.find("renderer-v2/ranges/range").get("label").endswith(f" {unit}")


def test_joints_have_no_labels_and_only_what_is_not_assessable_is_shaded(plain):
    styles = styles_of(plain)

    assert styles["cracks"].get("labelsEnabled") == "1"
    assert styles["joints"].get("labelsEnabled") == "0"
    assert styles["joints"].find("labeling") is None
    rules = styles["measurability"].findall("renderer-v2/rules/rule")
    shown = [rule.get("label") for rule in rules if rule.get("checkstate") != "0"]
    assert shown == ["not assessable", "excluded by the user"]
    assert len(rules) > len(shown)


def test_fields_have_names_for_people_and_reviews_a_menu(plain):
    for layer in ("cracks", "joints", "crack_areas"):
        style = styles_of(plain)[layer]
        names = {one.get("field"): one.get("name") for one in style.findall("aliases/alias")}
        menu = style.find("fieldConfiguration/field[@name='review']/editWidget")

        assert names["width_max_unc_mm"] == "largest width, uncertainty (mm)"
        assert all(names[column] for column in COLUMNS)
        assert menu.get("type") == "ValueMap"
        words = [one.get("value") for one in menu.findall(".//Option[@type='QString']")]
        assert words == ["unreviewed", "accepted", "rejected"]


def test_short_names_of_columns_differ_and_keep_their_units():
    names = {column: short_name(column) for column in COLUMNS}

    assert len(set(names.values())) == len(names)
    assert max(map(len, names.values())) <= SHAPEFILE_CHARACTERS
    for column, name in names.items():
        assert column.rpartition("_")[2] not in ("px", "mm", "mm2") or (
            name.endswith(column.rpartition("_")[2])
        )


@functools.cache
def python_with_qgis():
    """The interpreter of QGIS; None if there is none."""
    found = os.environ.get("QGIS_PYTHON") or shutil.which("python3", path=os.defpath)
    check = [found, "-c", "import qgis.core"]
    works = found and subprocess.run(check, capture_output=True, check=False).returncode == 0
    return found if works else None


def in_qgis(*arguments):
    """Run a command of ``in_qgis.py``; return what it prints."""
    if python_with_qgis() is None:
        pytest.skip("QGIS is not installed")
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    environment.pop("PYTHONPATH", None)
    command = [python_with_qgis(), SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def coincide(layer):
    """True if cracks lie on the mask, the score and the dark line of their photograph."""
    mask, score, dark = (np.array(values) for values in layer["under"])
    return (
        min(map(len, (mask, score, dark))) >= 30
        and (mask == 1).mean() > 0.9
        and (score == 127).all()
        and (dark < (DARK + SOUND) / 2).mean() > 0.9
    )


@pytest.mark.qgis
@pytest.mark.parametrize(
    ("transform", "crs", "authority"),
    [(MAP, LV95, "EPSG:2056"), (GRID, None, "")],
    ids=["map", "grid"],
)
def test_qgis_shows_cracks_of_a_map_on_their_photograph(tmp_path, transform, crs, authority):
    out = mapped(tmp_path, "wall", transform, crs)
    photo = tmp_path / "photographs" / "wall.tif"

    project = in_qgis("project", out / "cracks.qgs")
    rasters = (out / "wall" / "mask.tif", out / "wall" / "score.tif", photo)
    dropped = in_qgis("files", out / "cracks.gpkg", *rasters)

    assert (project["read"], project["crs"]) == (True, authority)
    for layers in ([one for group in project["groups"] for one in group["layers"]], dropped):
        assert all(layer["valid"] for layer in layers)
        assert coincide(next(layer for layer in layers if layer["name"] == "cracks"))


@pytest.mark.qgis
def test_qgis_shows_photographs_without_a_map_one_by_one_with_their_cracks(plain):
    project = in_qgis("project", plain / "cracks.qgs")

    groups = project["groups"]
    assert [group["name"] for group in groups] == ["IMG_0001", "l'été & <b>", "turned"]
    assert [bool(group["shown"]) for group in groups] == [True, False, False]
    for group in groups:
        layers = {layer["name"]: layer for layer in group["layers"]}
        assert all(layer["valid"] for layer in layers.values())
        assert layers["cracks"]["features"] == 1
        assert coincide(layers["cracks"])


@pytest.mark.qgis
def test_qgis_shows_the_files_of_one_photograph_on_each_other(tmp_path):
    out = tmp_path / "out"
    scanned(out, "IMG_0001", cracked(160, 240))
    write_report(ReportTask(out, gsd_mm=0.5, joint_likelihood=1))
    photo = tmp_path / "photographs" / "IMG_0001.jpg"
    rasters = (out / "IMG_0001" / "mask.tif", out / "IMG_0001" / "score.tif", photo)

    found = in_qgis("files", out / "cracks.gpkg", out / "cracks.local.geojson", *rasters)

    layers = {layer["name"]: layer for layer in found}
    assert coincide(layers["cracks"])
    assert coincide(layers["cracks.local"])
    assert (layers["cracks"]["labels"], layers["joints"]["labels"]) == (True, False)
    assert layers["cracks"]["font_weight"] == 50
    assert layers["cracks"]["aliases"]["width_max_mm"] == "largest width (mm)"
    assert layers["cracks"]["menus"] == ["review"]


@pytest.mark.qgis
def test_work_in_qgis_survives_the_next_reports(plain):
    done = in_qgis("review", plain / "cracks.qgs")
    assert (done["saved"], done["error"]) == (True, "")

    for _ in range(2):
        write_report(ReportTask(plain, joint_likelihood=1))

        with contextlib.closing(sqlite3.connect(plain / "cracks.gpkg")) as file:
            rows = file.execute(
                "SELECT crack_id, review FROM cracks WHERE scene_id LIKE 'l%' ORDER BY crack_id"
            ).fetchall()
            style = file.execute(
                "SELECT styleName, description FROM layer_styles "
                "WHERE f_table_name = 'cracks' AND useAsDefault = 1"
            ).fetchall()
        assert rows == [("l'été & <b>-0001", "accepted"), ("l'été & <b>-d0001", "unreviewed")]
        assert style == [("mine", "as I like it")]
