"""Every photograph has a scene of its own, and keeps it on every later run."""

import json
import shutil
from unicodedata import normalize

import cv2
import pytest
from fakes import LocalEngine, photograph

from crackcli.inference import opening
from crackcli.scan.inputs import find_rasters
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.scenes.scene import Scene


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    made = LocalEngine()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    return made


def scan(out, *sources, **options):
    result = scan_survey(SurveyTask(sources, out, **options))
    assert result.failures == []
    return {one.scene: one.status for one in result.scenes}


def source_of(scene):
    return (scene.parent / Scene.read(scene).record.source_path).resolve()


def test_equal_names_of_two_folders_do_not_replace_each_other(tmp_path):
    out = tmp_path / "out"
    first = photograph(tmp_path / "100MEDIA/DJI_0001.JPG", 1)
    second = photograph(tmp_path / "101MEDIA/DJI_0001.JPG", 2)

    assert scan(out, first.parent) == {"DJI_0001": "done"}
    before = (out / "DJI_0001/mask.tif").read_bytes()
    assert scan(out, second.parent) == {"101MEDIA_DJI_0001": "done"}

    assert (out / "DJI_0001/mask.tif").read_bytes() == before
    assert source_of(out / "DJI_0001") == first
    assert source_of(out / "101MEDIA_DJI_0001") == second
    for sources in ([second.parent, first.parent], [tmp_path], [second], [first, second]):
        again = scan(out, *sources)
        assert set(again.values()) == {"unchanged"}
        assert len(again) == len({path.parent for path in sources if path.suffix} or again)


def test_overwrite_replaces_no_other_photograph_either(tmp_path):
    out = tmp_path / "out"
    photograph(tmp_path / "a/wall.png", 1)
    photograph(tmp_path / "b/wall.png", 2)
    scan(out, tmp_path / "a")

    assert scan(out, tmp_path / "b", overwrite=True) == {"b_wall": "done"}
    assert source_of(out / "wall") == tmp_path / "a/wall.png"


def test_a_photograph_that_was_replaced_is_scanned_again_under_its_name(tmp_path):
    out, path = tmp_path / "out", photograph(tmp_path / "in/wall.png", 1)
    scan(out, path.parent)

    photograph(path, 2)

    assert scan(out, path.parent) == {"wall": "done"}


@pytest.mark.parametrize("move", ["folder", "both"])
def test_photographs_that_were_moved_keep_their_scenes(tmp_path, move):
    out, survey = tmp_path / "x/out", tmp_path / "x/survey"
    for number in (1, 2):
        photograph(survey / f"10{number}MEDIA/DJI_0001.JPG", number)
        scan(out, survey / f"10{number}MEDIA")
    known = {"DJI_0001": "unchanged", "102MEDIA_DJI_0001": "unchanged"}

    if move == "folder":
        survey.rename(tmp_path / "archive")
        assert scan(out, tmp_path / "archive") == known
    else:
        (tmp_path / "x").rename(tmp_path / "y")
        assert scan(tmp_path / "y/out", tmp_path / "y/survey") == known


def test_another_photograph_in_place_of_a_moved_one_gets_a_scene_of_its_own(tmp_path):
    """The results of the first are not replaced only because its file is gone."""
    out = tmp_path / "out"
    first = photograph(tmp_path / "card/wall.png", 1)
    scan(out, first)
    first.rename(tmp_path / "archived.png")
    photograph(tmp_path / "inbox/wall.png", 2)

    assert scan(out, tmp_path / "inbox") == {"inbox_wall": "done"}


def test_a_copy_of_a_photograph_is_the_same_scene(tmp_path):
    out, first = tmp_path / "out", photograph(tmp_path / "a/wall.png")
    scan(out, first)
    (tmp_path / "b").mkdir()
    shutil.copy(first, tmp_path / "b/wall.png")

    assert scan(out, tmp_path / "b") == {"wall": "unchanged"}


def test_a_copy_does_not_take_the_scene_of_the_photograph_beside_it(tmp_path):
    out, first = tmp_path / "out", photograph(tmp_path / "in/b/wall.png")
    scan(out, first)
    (tmp_path / "in/a").mkdir()
    shutil.copy(first, tmp_path / "in/a/wall.png")

    assert scan(out, tmp_path / "in") == {"a_wall": "done", "wall": "unchanged"}
    assert source_of(out / "wall") == first


def test_a_photograph_that_was_converted_is_warned_of(tmp_path, caplog):
    first = photograph(tmp_path / "in/wall.png")
    cv2.imwrite(str(first.with_suffix(".jpg")), cv2.imread(str(first)))
    photograph(tmp_path / "in/third.png", 1)

    assert len(find_rasters([tmp_path / "in"]).photographs) == 3

    (warning,) = [record.getMessage() for record in caplog.records]
    assert "wall.jpg and wall.png have one name; if one was converted" in warning
    assert "third" not in warning


def test_a_link_to_a_photograph_is_not_scanned_again(tmp_path):
    path = photograph(tmp_path / "in/wall.png")
    (tmp_path / "in/link.png").symlink_to(path)
    (tmp_path / "in/also.png").symlink_to(path)

    found = find_rasters([tmp_path / "in"])

    assert len(found.named()) == 1
    assert len(found.skipped["links to photographs found before"]) == 2


def test_a_scene_is_named_after_its_subfolders_whatever_else_there_is(tmp_path):
    for path in ("wall.png", "north/wall.png", "north/upper/wall.png", "south/tower.png"):
        photograph(tmp_path / "in" / path)

    found = find_rasters([tmp_path / "in"]).named()

    assert list(found) == ["wall", "north_wall", "north_upper_wall", "south_tower"]
    assert list(find_rasters([tmp_path / "in"], recurse=False).named()) == ["wall"]


def test_results_inside_the_folder_are_not_scanned(tmp_path):
    photograph(tmp_path / "wall.png")
    photograph(tmp_path / "out/of ours/chart.png")

    for _ in range(2):
        assert list(scan(tmp_path / "out", tmp_path)) == ["wall"]
    found = find_rasters([tmp_path], tmp_path / "out")
    assert found.skipped == {"results of crackcli": [tmp_path / "out"]}


def test_names_that_are_equal_when_joined_get_more_folders(tmp_path):
    for path in ("a_b/c.png", "a/b_c.png", "A/B_C.png"):
        photograph(tmp_path / "in" / path)

    found = find_rasters([tmp_path / "in"]).named()

    assert len(found) == len({name.casefold() for name in found}) == 3
    assert "in_a_b_c_png" not in found  # a suffix tells nothing here


def test_composed_and_decomposed_letters_are_told_apart(tmp_path):
    """Some file systems take both names for one."""
    for name in ("gro\u0308sse.png", "gr\u00f6sse.png"):
        photograph(tmp_path / "wall.png").rename(tmp_path / name)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does")

    found = find_rasters([tmp_path]).named()

    assert len({normalize("NFC", name) for name in found}) == 2


def test_the_same_folders_in_two_places_get_names_of_their_own(tmp_path):
    for folder in ("1/a", "2/a"):
        photograph(tmp_path / folder / "wall.png")

    found = find_rasters([tmp_path / "1/a", tmp_path / "2/a"]).named()

    assert list(found) == ["1_a_wall", "2_a_wall"]


def test_names_that_differ_in_unprintable_characters_only_are_told_apart(tmp_path):
    for name in ("a\x1b.png", "a\x07.png", "a_.png"):
        photograph(tmp_path / "wall.png").rename(tmp_path / name)

    found = find_rasters([tmp_path]).named()

    assert len(found) == 3
    assert all(name.isprintable() for name in found)
    assert found == find_rasters([tmp_path]).named()


def test_a_long_path_gives_a_name_that_a_file_system_takes(tmp_path):
    folder = tmp_path / ("n" * 150) / ("m" * 150)
    photograph(folder / "wall.png")

    (name,) = find_rasters([tmp_path]).named()

    assert len(name) <= 200
    assert name.endswith("m_wall")


def test_scenes_of_an_old_scan_are_found_by_the_record_of_the_run(tmp_path):
    """Their scene.json does not say where the photograph is."""
    out, path = tmp_path / "out", photograph(tmp_path / "a/wall.png", 1)
    scan(out, path)
    scene = json.loads((out / "wall/scene.json").read_text())
    del scene["source"]["path"]
    (out / "wall/scene.json").write_text(json.dumps(scene))
    photograph(tmp_path / "b/wall.png", 2)

    assert scan(out, tmp_path / "b") == {"b_wall": "done"}
    photograph(path, 3)
    assert set(scan(out, path)) < {"wall", "a_wall"}


TILE = """<VRTDataset rasterXSize="{cols}" rasterYSize="96">{bands}</VRTDataset>"""
BAND = """<VRTRasterBand dataType="Byte" band="{band}">{sources}</VRTRasterBand>"""
SOURCE = """<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>
<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="130" ySize="96"/>
<DstRect xOff="{at}" yOff="0" xSize="130" ySize="96"/></SimpleSource>"""


def mosaic(path, *names):
    bands = "".join(
        BAND.format(
            band=band,
            sources="".join(
                SOURCE.format(name=name, band=band, at=130 * number)
                for number, name in enumerate(names)
            ),
        )
        for band in (1, 2, 3)
    )
    path.write_text(TILE.format(cols=130 * len(names), bands=bands))
    return path


def test_a_mosaic_stands_for_its_tiles(tmp_path):
    for name in ("a", "b", "other"):
        photograph(tmp_path / "in" / f"{name}.png", 1)
    mosaic(tmp_path / "in/part.vrt", "b.png")
    mosaic(tmp_path / "in/all.vrt", "a.png", "part.vrt")

    found = find_rasters([tmp_path / "in"])

    assert list(found.named()) == ["all", "other"]
    names = sorted(path.name for path in found.skipped["tiles that a VRT refers to"])
    assert names == ["a.png", "b.png", "part.vrt"]
    result = scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"))
    assert [scene.megapixels for scene in result.scenes] == [0.025, 0.012]


def test_tiles_that_were_scanned_before_their_mosaic_are_named(tmp_path, caplog):
    photograph(tmp_path / "in/a.png")
    scan(tmp_path / "out", tmp_path / "in")
    mosaic(tmp_path / "in/all.vrt", "a.png")

    assert scan(tmp_path / "out", tmp_path / "in") == {"all": "done"}
    assert "a: tiles of a VRT that were scanned before: cracks there count twice" in caplog.text


def test_tiles_are_scanned_where_their_mosaic_cannot_be_read(tmp_path):
    photograph(tmp_path / "in/a.png")
    mosaic(tmp_path / "in/all.vrt", "a.png", "missing.png")

    assert list(find_rasters([tmp_path / "in"]).named()) == ["a", "all"]
