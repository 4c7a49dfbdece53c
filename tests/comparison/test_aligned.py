"""Comparisons of photographs from different places, which are aligned first."""

import json

import cv2
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from walls import crackcli, photographed, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.errors import InputError
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.synthesis.second_photograph import MEDIUM, in_other_light, random_viewpoint
from crackcli.synthesis.surfaces import developed, lit, plaster

SHAPE = 400, 600
CRACKS = {"long": ((120, 90), (420, 300)), "short": ((420, 80), (520, 180))}
UTM = CRS.from_epsg(25832).to_wkt()


@pytest.fixture(scope="module")
def wall():
    return developed(lit(plaster(np.random.default_rng(5), SHAPE), 225.0, 48.0))


def with_cracks(image, cracks, width_px=3):
    """The image with dark lines, and the mask of these."""
    mask = np.zeros(image.shape[:2], np.uint8)
    for line in cracks:
        points = np.rint(np.array(line) - 0.5).astype(np.int32)
        cv2.polylines(mask, [points], False, 1, width_px)
    return np.where(mask[..., None] > 0, image // 3, image).astype(np.uint8), mask


def campaign(folder, scenes):
    """A reported scan of images with cracks, by the name of the scene."""
    (folder / "out").mkdir(parents=True)
    for name, (image, cracks) in scenes.items():
        photograph, mask = with_cracks(image, cracks)
        photographed(folder / "out", name, mask, photograph[..., ::-1])
    write_report(ReportTask(folder / "out", joint_likelihood=1))
    return folder / "out"


@pytest.fixture(scope="module")
def moved(wall):
    """The wall from another place, and the function that carries points over."""
    rng = np.random.default_rng(2)
    viewpoint = random_viewpoint(rng, SHAPE, MEDIUM)
    return in_other_light(rng, viewpoint.photograph(wall), MEDIUM), viewpoint.to_second


@pytest.fixture(scope="module")
def compared(wall, moved, tmp_path_factory):
    """A comparison in which one crack stayed, one is gone and one is new, and its folder."""
    folder = tmp_path_factory.mktemp("moved")
    image, carried = moved
    new = ((200, 250), (300, 340))
    later = [carried(np.array(line, float)) for line in (CRACKS["long"], new)]
    before = campaign(folder / "before", {"wall": (wall, CRACKS.values())})
    after = campaign(folder / "after", {"facade": (image, later)})
    return write_comparison(CompareTask(before, after, folder / "out")), folder / "out"


def test_a_photograph_from_another_place_is_aligned(compared):
    summary, folder = compared

    kinds = {row["kind"] for row in read_rows(folder / "changes.csv")}
    assert summary.failed == {}
    assert summary.scenes[0].new <= 1
    assert "stable" in kinds or "grown" in kinds or "shrunk" in kinds
    assert summary.scenes[0].gone + summary.scenes[0].hidden >= 1
    assert len(read_rows(folder / "changes.csv")) == 3


def test_the_residual_is_stated(compared):
    summary, folder = compared

    facts = summary.alignments["facade"]
    stored = json.loads((folder / "changes.json").read_text())
    image = cv2.imread(str(folder / "residual_facade.png"))
    assert 0 < facts["residual_median_px"] < facts["residual_p95_px"] < 1
    assert facts["residual_median_mm"] is None  # neither photograph has a scale
    assert stored["alignments"]["facade"]["inliers"] == facts["inliers"] >= 12
    assert folder / "residual_facade.png" in summary.paths
    assert image.ndim == 3
    (stable,) = [row for row in read_rows(folder / "changes.csv") if row["matched_share"] > "0.5"]
    assert 0 < float(stable["alignment_sigma_px"]) < 0.5


def test_a_pair_that_cannot_be_aligned_fails_and_the_others_are_done(wall, moved, tmp_path):
    image, carried = moved
    other = developed(lit(plaster(np.random.default_rng(9), SHAPE), 225.0, 48.0))
    line = CRACKS["long"]
    before = campaign(tmp_path / "a", {"east": (wall, [line]), "west": (wall[::-1], [line])})
    later = {"east": (image, [carried(np.array(line, float))]), "west": (other, [line])}
    after = campaign(tmp_path / "b", later)

    run = crackcli("compare", before, after, "-o", tmp_path / "changes", "--json")

    assert run.returncode == 3, run.stderr
    summary = json.loads(run.stdout)
    assert [scene["after"] for scene in summary["scenes"]] == ["east"]
    assert "west.png: cannot be aligned with west.png" in summary["failed"]["west"]
    assert "if both are on one pixel grid already, add --same-grid" in summary["failed"]["west"]
    assert not (tmp_path / "changes" / "residual_west.png").exists()


def test_the_same_grid_is_not_aligned_if_it_is_said(wall, tmp_path):
    blank = np.full_like(wall, 160)
    folders = [campaign(tmp_path / name, {"wall": (blank, CRACKS.values())}) for name in ("a", "b")]
    task = CompareTask(*folders, tmp_path / "changes", same_grid=True)

    summary = write_comparison(task)

    assert summary.alignments == {}
    assert summary.scenes[0].new == summary.scenes[0].gone == 0


def test_photographs_on_two_grids_of_a_map_start_from_it(wall, tmp_path):
    pixel = 0.001  # m
    later = cv2.resize(wall[:, 40:], None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    parts = {
        "a": (wall, CRACKS["long"], Affine(pixel, 0, 500_000, 0, -pixel, 5_500_000)),
        "b": (
            later,
            (np.array(CRACKS["long"]) - (40, 0)) * 0.8,
            Affine(pixel / 0.8, 0, 500_000 + 47 * pixel, 0, -pixel / 0.8, 5_500_000),  # 7 px off
        ),
    }
    for name, (image, line, place) in parts.items():
        photograph, mask = with_cracks(image, [line])
        (tmp_path / name / "out").mkdir(parents=True)
        photographed(tmp_path / name / "out", "wall", mask, photograph[..., ::-1], place, UTM)
        write_report(ReportTask(tmp_path / name / "out", joint_likelihood=1))
    task = CompareTask(tmp_path / "a" / "out", tmp_path / "b" / "out", tmp_path / "changes")

    summary = write_comparison(task)

    facts = summary.alignments["wall"]
    assert facts["inliers"] == 0  # no search for features
    assert facts["scale"] == pytest.approx(0.8, rel=0.001)
    assert facts["residual_p95_mm"] == pytest.approx(facts["residual_p95_px"] / 0.8, rel=0.01)
    (row,) = read_rows(task.output / "changes.csv")
    assert float(row["matched_share"]) > 0.95


def scene_at(folder, name, east_m):
    """A scene without photograph on a map, moved to the east."""
    place = Affine(0.001, 0, 500_000 + east_m, 0, -0.001, 5_500_000)
    mask = with_cracks(np.zeros((*SHAPE, 3), np.uint8), [CRACKS["long"]])[1]
    write_scene(folder / name, mask, place, UTM)


def test_scenes_are_paired_by_their_maps(tmp_path):
    for name, place in (("first", 0.0), ("second", 10.0)):
        scene_at(tmp_path / "a", name, place)
    for name, place in (("x", 10.0), ("y", 0.0)):
        scene_at(tmp_path / "b", name, place)
    for folder in ("a", "b"):
        write_report(ReportTask(tmp_path / folder, joint_likelihood=1))

    summary = write_comparison(CompareTask(tmp_path / "a", tmp_path / "b", tmp_path / "out"))

    pairs = {(pair.before, pair.after, pair.by) for pair in summary.pairs}
    assert pairs == {("first", "y", "map"), ("second", "x", "map")}
    assert [pair.confidence for pair in summary.pairs] == [1.0, 1.0]


def test_scenes_are_paired_by_what_they_show(wall, moved, tmp_path):
    other = developed(lit(plaster(np.random.default_rng(9), SHAPE), 225.0, 48.0))
    line = CRACKS["long"]
    before = campaign(tmp_path / "a", {"one": (wall, [line]), "two": (other, [line])})
    image, carried = moved
    later = {"x": (other // 2 + 60, [line]), "y": (image, [carried(np.array(line, float))])}
    after = campaign(tmp_path / "b", later)

    summary = write_comparison(CompareTask(before, after, tmp_path / "out"))

    assert {(pair.before, pair.after, pair.by) for pair in summary.pairs} == {
        ("one", "y", "content"),
        ("two", "x", "content"),
    }
    assert min(pair.confidence for pair in summary.pairs) > 0.5


def test_scenes_are_paired_by_a_file(tmp_path):
    for folder, names in (("a", ("first", "second")), ("b", ("x", "first"))):
        for name in names:
            scene_at(tmp_path / folder, name, 0.0)
        write_report(ReportTask(tmp_path / folder, joint_likelihood=1))
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("before,after\nfirst,x\n")
    task = CompareTask(tmp_path / "a", tmp_path / "b", tmp_path / "out", pairs=pairs)

    summary = write_comparison(task)

    assert [(pair.before, pair.after, pair.by) for pair in summary.pairs] == [
        ("first", "x", "file")
    ]
    assert summary.only_before == ["second"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("earlier,later\nfirst,x\n", r"--pairs .*pairs.csv: needs the columns before and after"),
        ("before,after\nthird,x\n", "third in column before is no scene; give one of: first"),
        ("before,after\nfirst,x\nfirst,x\n", "first is in column before twice"),
    ],
)
def test_a_wrong_file_of_pairs_is_an_error(tmp_path, text, message):
    for folder, name in (("a", "first"), ("b", "x")):
        scene_at(tmp_path / folder, name, 0.0)
        write_report(ReportTask(tmp_path / folder, joint_likelihood=1))
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)

    with pytest.raises(InputError, match=message):
        write_comparison(CompareTask(tmp_path / "a", tmp_path / "b", tmp_path / "out", pairs=pairs))


def test_a_missing_photograph_of_another_grid_is_named(wall, moved, tmp_path):
    image, carried = moved
    line = CRACKS["long"]
    before = campaign(tmp_path / "a", {"wall": (wall, [line])})
    after = campaign(tmp_path / "b", {"wall": (image, [carried(np.array(line, float))])})
    (tmp_path / "b" / "wall.png").unlink()

    with pytest.raises(InputError, match=r"wall.png, the photograph of wall, does not exist"):
        write_comparison(CompareTask(before, after, tmp_path / "out"))


def test_a_single_pair_of_different_walls_is_refused(wall, tmp_path):
    other = developed(lit(plaster(np.random.default_rng(9), (360, 600)), 225.0, 48.0))
    before = campaign(tmp_path / "a", {"wall": (wall, [CRACKS["long"]])})
    after = campaign(tmp_path / "b", {"wall": (other, [CRACKS["long"]])})

    with pytest.raises(InputError, match="cannot be aligned"):
        write_comparison(CompareTask(before, after, tmp_path / "out"))
    assert not (tmp_path / "out" / "changes.csv").exists()
