"""Comparisons: grown, new and gone cracks, and no changes between equal campaigns."""

import json

import cv2
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from walls import crackcli, photographed, polyline, random_mask, write_scene

from crackcli.comparison import CompareTask, write_comparison
from crackcli.errors import InputError
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows

SHAPE = (120, 200)
UTM = CRS.from_epsg(25832).to_wkt()
HALF = Affine(0.0005, 0, 500_000, 0, -0.0005, 5_500_000)
MOVED = Affine(0.0005, 0, 500_000.0015, 0, -0.0005, 5_499_999.998)  # by 3 and 4 px
LEFT, MIDDLE, RIGHT = (20.0, 30.0), (90.0, 40.0), (170.0, 30.0)


def campaign(folder, mask, name="wall", transform=None, crs_wkt=None, report=True):
    write_scene(folder / name, mask, transform, crs_wkt)
    if report:
        write_report(ReportTask(folder, joint_likelihood=1))  # the cracks here are straight
    return folder


def changes(tmp_path, before, after, transform=HALF, crs_wkt=UTM, **options):
    """Rows of changes.csv for two masks."""
    folders = [
        campaign(tmp_path / name, mask, transform=transform, crs_wkt=crs_wkt)
        for name, mask in (("before", before), ("after", after))
    ]
    write_comparison(CompareTask(*folders, tmp_path / "changes", **options))
    return read_rows(tmp_path / "changes" / "changes.csv")


def line(*points, width_px=3):
    return polyline(SHAPE, points, width_px)


@pytest.mark.parametrize("crs_wkt", [UTM, None], ids=["map", "no map"])
def test_two_identical_campaigns_have_no_change(tmp_path, crs_wkt):
    mask = random_mask(8, SHAPE) | line(LEFT, MIDDLE, RIGHT)

    rows = changes(tmp_path, mask, mask, transform=HALF if crs_wkt else None, crs_wkt=crs_wkt)

    assert len(rows) > 3
    assert {row["kind"] for row in rows} == {"stable"}
    assert {row["matched_share"] for row in rows} == {"1.0"}
    differences = {
        value
        for row in rows
        for name, value in row.items()
        if name[:2] == "d_" and "_unc_" not in name and "_year" not in name
    }
    assert differences == ({"0.0"} if crs_wkt else {"0.0", ""})


def test_a_longer_crack_has_grown_by_the_difference(tmp_path):
    (row,) = changes(tmp_path, line(LEFT, MIDDLE), line(LEFT, MIDDLE, RIGHT))

    assert (row["kind"], row["ids_before"], row["ids_after"]) == ("grown", "wall-0001", "wall-0001")
    assert float(row["d_length_px"]) == pytest.approx(np.hypot(80, 10), abs=1.5)
    assert float(row["d_length_mm"]) == pytest.approx(
        float(row["d_length_px"]) * 0.5002,
        rel=1e-4,  # a metre is 0.9996 units of this map
    )
    assert float(row["matched_share"]) == pytest.approx((71 + 76) / (71 + 151), abs=0.03)


def test_a_wider_crack_has_grown_by_the_difference_of_its_widths(tmp_path):
    (row,) = changes(tmp_path, line(LEFT, RIGHT), line(LEFT, RIGHT, width_px=5))

    assert row["kind"] == "grown"
    assert float(row["d_width_mean_px"]) == pytest.approx(2, abs=0.15)
    assert float(row["d_width_mean_mm"]) == pytest.approx(1, abs=0.1)
    assert float(row["d_length_px"]) == pytest.approx(0, abs=1)


def test_thresholds_of_growth_are_options(tmp_path):
    (row,) = changes(tmp_path, line(LEFT, RIGHT), line(LEFT, RIGHT, width_px=5), grown_width_px=9)

    assert row["kind"] == "stable"


def test_new_and_gone_cracks_have_the_geometry_of_their_campaign(tmp_path):
    gone, new = line((20.0, 100.0), (90.0, 110.0)), line((120.0, 60.0), (180.0, 110.0))

    rows = changes(tmp_path, line(LEFT, RIGHT) | gone, line(LEFT, RIGHT) | new)

    assert [row["kind"] for row in rows] == ["stable", "gone", "new"]
    assert (rows[1]["ids_after"], rows[2]["ids_before"]) == ("", "")
    assert float(rows[1]["d_length_px"]) < -65
    features = json.loads((tmp_path / "changes" / "changes.geojson").read_text())["features"]
    for feature, middle in zip(features, [95, 55, 150], strict=True):
        lon, _ = np.concatenate(feature["geometry"]["coordinates"]).mean(axis=0)
        col = (lon - 9) * 111_320 * np.cos(np.radians(49.65)) / 0.0005
        assert col == pytest.approx(middle, abs=8)


def test_two_pieces_that_became_one_crack_are_one_change(tmp_path):
    whole = line(LEFT, RIGHT, width_px=4)
    pieces = whole.copy()
    pieces[:, 90:95] = 0

    (row,) = changes(tmp_path, pieces, whole)

    assert row["ids_before"] == "wall-0001;wall-0002"
    assert row["ids_after"] == "wall-0001"
    assert row["kind"] == "stable"
    assert float(row["before_length_px"]) == pytest.approx(145, abs=2)


def test_parallel_cracks_match_within_the_tolerance_only(tmp_path):
    before, after = line(LEFT, (170.0, 30.0)), line((20.0, 38.0), (170.0, 38.0))

    near = changes(tmp_path / "near", before, after, tolerance_px=9)
    far = changes(tmp_path / "far", before, after, tolerance_px=7)

    assert [row["kind"] for row in near] == ["stable"]
    assert [row["kind"] for row in far] == ["gone", "new"]


def test_a_short_crossing_does_not_join_two_cracks(tmp_path):
    before = line(LEFT, RIGHT)
    after = before | line((95.0, 5.0), (95.0, 27.0))  # ends above the first, within tolerance

    rows = changes(tmp_path, before, after)

    assert [row["kind"] for row in rows] == ["stable", "new"]


def test_differences_are_in_mm_by_the_scale_of_the_later_photograph(tmp_path):
    mask = line(LEFT, RIGHT)
    before = campaign(tmp_path / "before", mask)
    after = campaign(tmp_path / "after", mask, report=False)
    write_report(ReportTask(after, gsd_mm=0.5, joint_likelihood=1))

    summary = write_comparison(CompareTask(before, after, tmp_path / "changes"))

    (row,) = read_rows(summary.paths[0])
    assert (row["kind"], row["d_length_px"], row["d_length_mm"]) == ("stable", "0.0", "0.0")
    assert (row["before_length_mm"], float(row["after_length_mm"]) > 0) == ("", True)


def test_walls_without_cracks_are_compared(tmp_path):
    clean = np.zeros(SHAPE, np.uint8)

    assert changes(tmp_path / "none", clean, clean) == []
    assert [r["kind"] for r in changes(tmp_path / "one", clean, line(LEFT, RIGHT))] == ["new"]
    assert [r["kind"] for r in changes(tmp_path / "two", line(LEFT, RIGHT), clean)] == ["gone"]


def test_scenes_match_by_name_or_if_each_folder_has_one(tmp_path):
    mask = line(LEFT, RIGHT)
    one, other = campaign(tmp_path / "one", mask, "2024"), campaign(tmp_path / "two", mask, "2026")
    task = CompareTask(one, other, tmp_path / "changes")

    alone = write_comparison(task)
    campaign(other, mask, "2024")
    named = write_comparison(task)

    assert [(scene.before, scene.after) for scene in alone.scenes] == [("2024", "2026")]
    assert [(scene.before, scene.after) for scene in named.scenes] == [("2024", "2024")]
    assert named.only_after == ["2026"]


def test_the_error_for_a_missing_report_names_the_command(tmp_path):
    mask = line(LEFT, RIGHT)
    before = campaign(tmp_path / "before", mask, report=False)
    after = campaign(tmp_path / "after", mask)

    with pytest.raises(
        InputError, match=r"before: contains no cracks.gpkg; run crackcli report .*before first"
    ):
        write_comparison(CompareTask(before, after, tmp_path / "changes"))


@pytest.mark.parametrize(
    ("shape", "transform", "crs_wkt", "message"),
    [
        ((120, 210), HALF, UTM, "differ in size: 200 x 120 px and 210 x 120 px"),
        (SHAPE, HALF, CRS.from_epsg(32632).to_wkt(), "differ in their coordinate reference system"),
        (SHAPE, MOVED, UTM, "differ in their transform, by up to 5 px"),
    ],
    ids=["size", "crs", "transform"],
)
def test_the_error_for_different_grids_names_the_difference(
    tmp_path, shape, transform, crs_wkt, message
):
    before = campaign(tmp_path / "before", line(LEFT, RIGHT), transform=HALF, crs_wkt=UTM)
    other = np.zeros(shape, np.uint8)
    after = campaign(tmp_path / "after", other, transform=transform, crs_wkt=crs_wkt)

    with pytest.raises(InputError, match=message):
        write_comparison(CompareTask(before, after, tmp_path / "changes"))


def test_the_command_writes_into_after_and_counts_on_stderr(tmp_path):
    before = campaign(tmp_path / "before", line(LEFT, MIDDLE))
    after = campaign(tmp_path / "after", line(LEFT, MIDDLE, RIGHT))

    done = crackcli("compare", before, after)
    quiet = crackcli("compare", before, after, "--json", "-q", "-o", tmp_path / "changes")

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        str(after / "changes.csv"),
        str(after / "changes.local.geojson"),
        str(after / "changes.gpkg"),
    ]
    assert done.stderr.strip() == ("wall: 0 new, 1 grown, 0 shrunk, 0 stable, 0 gone, 0 hidden")
    assert json.loads(quiet.stdout)["scenes"][0]["grown"] == 1
    assert quiet.stderr == ""


def test_the_command_ends_with_4_if_a_report_is_missing(tmp_path):
    before = campaign(tmp_path / "before", line(LEFT, MIDDLE), report=False)

    done = crackcli("compare", before, before)

    assert done.returncode == 4
    assert done.stderr.startswith("Error: ")
    assert "run crackcli report" in done.stderr


def test_joints_are_not_compared_as_cracks(tmp_path):
    clean = np.zeros(SHAPE, np.uint8)
    joints = line((0.0, 30.0), (199.0, 30.0)) | line((0.0, 60.0), (199.0, 60.0))
    folders = [
        campaign(
            tmp_path / name, mask | line((20.0, 90.0), (60.0, 100.0), (90.0, 88.0)), report=False
        )
        for name, mask in (("before", clean), ("after", joints))
    ]
    for folder in folders:
        write_report(ReportTask(folder))

    (scene,) = write_comparison(CompareTask(*folders, tmp_path / "changes")).scenes

    assert (scene.new, scene.stable) == (0, 1)


@pytest.mark.parametrize("likelihoods", [(0.5, 1.0), (1.0, 0.5)], ids=["before", "after"])
def test_a_joint_of_one_report_only_is_neither_new_nor_gone(tmp_path, likelihoods):
    mask = line((0.0, 30.0), (199.0, 30.0)) | line((0.0, 60.0), (199.0, 60.0))
    folders = [campaign(tmp_path / name, mask, report=False) for name in ("before", "after")]
    for folder, likelihood in zip(folders, likelihoods, strict=True):
        write_report(ReportTask(folder, joint_likelihood=likelihood))

    (scene,) = write_comparison(CompareTask(*folders, tmp_path / "changes")).scenes

    assert (scene.new, scene.grown, scene.stable, scene.gone) == (0, 0, 2, 0)


WIDE = (400, 1000)


def scene_changes(tmp_path, before, after, **options):
    """The counts of `write_comparison` for two masks reported with default options."""
    folders = [
        campaign(tmp_path / name, mask, report=False)
        for name, mask in (("before", before), ("after", after))
    ]
    for folder in folders:
        write_report(ReportTask(folder))
    return write_comparison(CompareTask(*folders, tmp_path / "changes", **options)).scenes[0]


def counts(scene):
    return scene.new, scene.grown, scene.stable, scene.gone


def two_lines(gaps=()):
    mask = np.zeros(WIDE, np.uint8)
    for row in (100, 200):
        mask[row - 1 : row + 2, 5:995] = 1
    for gap in gaps:
        mask[:, gap : gap + 12] = 0
    return mask


@pytest.mark.parametrize("mirrored", [False, True], ids=["split", "merged"])
def test_a_joint_that_falls_into_pieces_is_neither_new_nor_gone(tmp_path, mirrored):
    masks = two_lines(), two_lines(gaps=(450, 500))  # the piece between two gaps is short

    scene = scene_changes(tmp_path, *(masks[::-1] if mirrored else masks))

    assert len(read_rows(tmp_path / ("before" if mirrored else "after") / "cracks.csv")) == 2
    assert counts(scene) == (0, 0, 0, 0)
    assert scene.joints == 2
    assert scene.joints_length_px == pytest.approx(2 * 990, abs=4)


def test_a_joint_that_grows_by_much_has_grown_as_a_crack(tmp_path):
    before = polyline(WIDE, [(100.0, 200.0), (501.0, 200.0)], 3)
    after = polyline(WIDE, [(100.0, 200.0), (800.0, 200.0)], 9)

    scene = scene_changes(tmp_path, before, after)

    (row,) = read_rows(tmp_path / "changes" / "changes.csv")
    assert read_rows(tmp_path / "before" / "cracks.csv") == []
    assert read_rows(tmp_path / "after" / "cracks.csv") == []
    assert counts(scene) == (0, 1, 0, 0)
    assert float(row["d_length_px"]) == pytest.approx(300, abs=6)
    assert (scene.joints, scene.joints_changed) == (0, 0)


def test_a_joint_that_is_somewhat_longer_is_counted_as_a_joint(tmp_path):
    before = polyline(WIDE, [(100.0, 200.0), (800.0, 200.0)], 3)
    after = polyline(WIDE, [(80.0, 200.0), (820.0, 200.0)], 3)

    scene = scene_changes(tmp_path, before, after)

    assert counts(scene) == (0, 0, 0, 0)
    assert (scene.joints, scene.joints_changed) == (1, 1)
    assert read_rows(tmp_path / "changes" / "changes.csv") == []


def test_the_number_of_joints_is_logged(tmp_path):
    clean, joints = np.zeros(WIDE, np.uint8), two_lines()
    scene_changes(tmp_path, clean, joints)

    done = crackcli("compare", tmp_path / "before", tmp_path / "after")
    quiet = crackcli("compare", tmp_path / "before", tmp_path / "after", "--json", "-q")

    assert "2 joints (1980 px) not compared" in done.stderr
    assert "2 of them would be new, grown or gone as cracks" in done.stderr
    (scene,) = json.loads(quiet.stdout)["scenes"]
    assert (scene["new"], scene["joints"], scene["joints_changed"]) == (0, 2, 2)
    assert scene["joints_length_px"] == pytest.approx(1980, abs=4)
    assert quiet.stderr == ""


def photographed_twice(tmp_path, tones=(None, None), lengths=(180.0, 180.0)):
    """Two campaigns with photographs of a crack 3 px wide, 6 px by its masks, and each reported by
    one of the tones."""
    folders = []
    for name, tone, end in zip(("before", "after"), tones, lengths, strict=True):
        points = [(20.0, 31.3), (90.0, 52.0), (end, 40.4)]
        mask, out = polyline(SHAPE, points, 6), tmp_path / name / "out"
        image = np.full(SHAPE, 160.0) - 110 * polyline(SHAPE, points, 3)
        noise = np.random.default_rng(1).normal(0, 2, SHAPE)
        image = np.rint(cv2.GaussianBlur(image, (0, 0), 1.0) + noise).astype(np.uint8)
        out.mkdir(parents=True)
        photographed(out, "wall", mask, image)
        write_report(ReportTask(out, joint_likelihood=1, tone=tone))
        folders.append(out)
    return folders


def compare_widths(folders, output, caplog):
    """The one change of two campaigns, and the warnings."""
    caplog.clear()
    write_comparison(CompareTask(*folders, output, grown_width_px=0.2))
    (row,) = read_rows(output / "changes.csv")
    return row, [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]


def test_widths_of_a_mask_and_of_a_photograph_are_not_compared(tmp_path, caplog):
    folders = photographed_twice(tmp_path, lengths=(150.0, 150.0))
    same, none = compare_widths(folders, tmp_path / "same", caplog)
    (tmp_path / "after" / "wall.png").unlink()
    write_report(ReportTask(folders[1], joint_likelihood=1))

    row, (warning,) = compare_widths(folders, tmp_path / "other", caplog)

    assert (same["kind"], same["d_width_mean_px"], none) == ("stable", "0.0", [])
    assert row["kind"] == "stable"
    assert float(row["after_width_mean_px"]) - float(row["before_width_mean_px"]) > 2
    assert {row[name] for name in row if name.startswith("d_width")} == {""}
    assert float(row["d_length_px"]) == pytest.approx(0, abs=5)
    assert warning.startswith(
        "wall: the widths of 1 of 1 matches were measured by different methods"
    )
    assert "(wall-0001 by photometric, tone edges; wall-0001 by area_length)" in warning
    assert f"on {folders[0]} and {folders[1]} with the photographs available" in warning


def test_widths_by_different_tones_are_not_compared_but_lengths_are(tmp_path, caplog):
    tones = ("encoded", "linear")
    folders = photographed_twice(tmp_path / "same", tones)
    longer = photographed_twice(tmp_path / "longer", tones, (130.0, 180.0))

    row, (warning,) = compare_widths(folders, tmp_path / "one", caplog)
    grown, _ = compare_widths(longer, tmp_path / "two", caplog)

    assert float(row["after_width_mean_px"]) - float(row["before_width_mean_px"]) > 0.2
    assert (row["kind"], row["d_width_max_px"]) == ("stable", "")
    assert (
        "(wall-0001 by photometric, tone encoded; wall-0001 by photometric, tone linear)" in warning
    )
    assert grown["kind"] == "grown"


def two_scenes(tmp_path, names):
    """Reports of two scenes with a crack in folders before and after, by their names."""
    for folder, scenes in names.items():
        for name in scenes:
            write_scene(tmp_path / folder / name, line(LEFT, MIDDLE, RIGHT))
        write_report(ReportTask(tmp_path / folder, joint_likelihood=1, formats=("csv", "gpkg")))
    return CompareTask(tmp_path / "before", tmp_path / "after", tmp_path / "changes")


def test_scenes_match_by_name_in_composed_and_decomposed_letters(tmp_path):
    names = {"before": ("Fu\u0308ssen", "Ulm"), "after": ("F\u00fcssen", "Ulm")}

    summary = write_comparison(two_scenes(tmp_path, names))

    assert [(one.before, one.after, one.stable) for one in summary.scenes] == [
        ("Fu\u0308ssen", "F\u00fcssen", 1),
        ("Ulm", "Ulm", 1),
    ]
    assert (summary.only_before, summary.only_after) == ([], [])


def test_a_scene_of_another_size_fails_and_the_others_are_compared(tmp_path):
    task = two_scenes(tmp_path, {"before": ("east", "west"), "after": ("west",)})
    write_scene(task.after / "east", np.zeros((90, 90), np.uint8))
    write_report(ReportTask(task.after, joint_likelihood=1, formats=("csv", "gpkg")))

    done = crackcli("compare", task.before, task.after, "-o", task.output)

    assert done.returncode == 3
    assert "east differ in size: 200 x 120 px and 90 x 90 px" in done.stderr
    assert "1 of 2 scenes could not be compared; the others are done" in done.stderr
    assert [row["scene_id"] for row in read_rows(task.output / "changes.csv")] == ["west"]

    alarmed = crackcli(
        *("compare", task.before, task.after, "-o", task.output, "--fail-on", "kind == stable")
    )

    assert alarmed.returncode == 10  # a failed scene silences no alarm
    assert "1 of 2 scenes could not be compared; the others are done" in alarmed.stderr
    assert "--fail-on kind == stable: west-c0001; look at these changes" in alarmed.stderr


def test_changes_that_were_edited_are_kept_aside(tmp_path, caplog):
    task = two_scenes(tmp_path, {"before": ("west",), "after": ("west",)})
    write_comparison(task)
    (task.output / "changes.csv").write_text("with my remarks")

    write_comparison(task)
    write_comparison(task)

    assert (task.output / "changes.edited.csv").read_text() == "with my remarks"
    assert "changes.csv: not as crackcli left it; kept as changes.edited.csv" in caplog.text
    assert {path.name for path in task.output.iterdir()} == {
        *(
            "changes.csv",
            "changes.edited.csv",
            "changes.json",
            "changes.local.geojson",
            "changes.gpkg",
            ".lock",
        ),
    }


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_damaged_scene_fails_and_the_others_are_compared(tmp_path, side):
    for name in ("before", "after"):
        for scene in ("north", "south"):
            campaign(tmp_path / name, line(LEFT, MIDDLE), name=scene, report=scene == "south")
    (tmp_path / side / "north" / "scene.json").write_text("{")

    summary = write_comparison(CompareTask(tmp_path / "before", tmp_path / "after", tmp_path / "c"))

    assert [scene.after for scene in summary.scenes] == ["south"]
    assert list(summary.failed) == ["north"]
    assert "scene.json: cannot be read" in summary.failed["north"]
    assert (summary.only_before, summary.only_after) == ([], [])


def test_a_report_whose_mask_is_missing_is_named(tmp_path):
    for name in ("before", "after"):
        campaign(tmp_path / name, line(LEFT, MIDDLE))
    (tmp_path / "before" / "wall" / "mask.tif").unlink()

    with pytest.raises(InputError, match=r"before: its report is older than the masks of wall"):
        write_comparison(CompareTask(tmp_path / "before", tmp_path / "after", tmp_path / "c"))
