"""The self-test: known cracks are drawn, and detected or missed by the whole pipeline."""

import csv
import hashlib
import json
import math
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import LocalEngine, wall
from walls import crackcli

from crackcli.errors import InputError, OutputError, UsageError
from crackcli.inference import opening
from crackcli.inference.options import ModelOptions
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.selftest import run as selftest
from crackcli.selftest import write as selftest_report
from crackcli.selftest.run import SelftestTask, scan_options
from crackcli.selftest.write import WidthErrors, claimed_a9095, notes, sentence, write_selftest

WIDTHS = (0.25, 1.0, 4.0)
MAP = Affine(0.002, 0, 2600000, 0, -0.002, 1200000)  # 2 mm


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    made = LocalEngine()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    return made


def write(path, image, transform=None, alpha=None):
    if transform is None:
        cv2.imwrite(str(path), image[..., ::-1])
        return path
    bands = np.moveaxis(image, -1, 0)
    profile = {"driver": "GTiff", "dtype": "uint8", "photometric": "rgb"}
    profile |= {"crs": "EPSG:2056", "transform": transform}
    if alpha is not None:
        bands = np.concatenate([bands, alpha[None]])
        profile["alpha"] = "non-premultiplied"
    shape = {"count": len(bands), "height": image.shape[0], "width": image.shape[1]}
    with rasterio.open(path, "w", **profile, **shape) as file:
        file.write(bands)
    return path


@pytest.fixture
def photograph(tmp_path):
    return write(tmp_path / "wall.tif", wall(420, 560, cracks=0), MAP)


def run(photograph, output, progress=lambda share, words: None, **options):
    settings = {"widths_px": WIDTHS, "count": 6, "contrast": 0.5} | options
    return write_selftest(SelftestTask(photograph, output, **settings), progress)


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run a test with nine cracks, at 2 mm per pixel; return its folder, its summary, the bytes of
    its photograph before, the number of attributions of the engine, and its result."""
    folder, engine = tmp_path_factory.mktemp("selftest"), LocalEngine()
    photograph = write(folder / "wall.tif", wall(420, 560, cracks=0), MAP)
    before = photograph.read_bytes()
    tests = []

    def record_test(*arguments):
        tests.append(selftest.run_selftest(*arguments))
        return tests[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_engine", lambda *arguments: engine)
        patch.setattr(selftest_report, "run_selftest", record_test)
        summary = run(photograph, folder / "out", count=9)
    return folder / "out", summary, before, engine.backs, tests[0]


def test_wide_cracks_are_found_and_hairlines_are_not(finished):
    folder, summary, before, _, _ = finished

    rows = rows_of(folder / "pod.csv")
    found = {w: [r["detected"] for r in rows if float(r["width_px"]) == w] for w in WIDTHS}
    assert found == {0.25: 3 * ["false"], 1.0: 3 * ["true"], 4.0: 3 * ["true"]}
    for row in rows:
        assert float(row["width_mm"]) == pytest.approx(2 * float(row["width_px"]), rel=1e-4)
        assert 75 < float(row["col"]) < 485
        assert 75 < float(row["row"]) < 345
        if row["width_px"] == "4.0":
            assert abs(float(row["error_px"])) < 0.9
            assert float(row["measured_width_px"]) > 3.5
    assert [path.name for path in summary.paths] == [
        *("pod.csv", "curve.csv", "pod.png", "overlay.png", "selftest.json")
    ]
    assert all(path.is_file() for path in summary.paths)
    assert not (folder / ".crackcli-work").exists()
    assert (folder.parent / "wall.tif").read_bytes() == before


def test_the_curve_and_the_record_agree_with_the_rows(finished):
    folder, summary, before, _, _ = finished

    curve = rows_of(folder / "curve.csv")
    record = json.loads((folder / "selftest.json").read_text())
    counted = {float(r["width_px"]): (r["n"], r["detected"]) for r in curve if r["n"]}
    assert counted == {0.25: ("3", "0"), 1.0: ("3", "3"), 4.0: ("3", "3")}
    pod = [float(row["pod"]) for row in curve]
    assert pod == sorted(pod)
    assert all(float(r["lower_95"]) <= float(r["pod"]) <= float(r["upper_95"]) for r in curve)
    assert record["detected"] == 6
    assert record["seed"] == 0
    assert record["a90_mm"] == pytest.approx(2 * record["a90_px"], abs=1e-3)
    assert record["image"]["sha256"] == hashlib.sha256(before).hexdigest()
    assert record["engine"]["model_sha256"] == "0" * 64
    assert record["contrast"] == 0.5
    assert record["options"]["most_mp"] == 30
    assert record["unexplained_indications"] == 0
    assert record["sentence"] == summary.sentence
    for name in ("pod.png", "overlay.png"):
        assert cv2.imread(str(folder / name)).std() > 5


def test_the_sentence_does_not_claim_what_nine_cracks_cannot_show(finished):
    _, summary, _, _, _ = finished

    assert summary.sentence.startswith(
        "The test does not show that cracks up to 4 px (8 mm) are found in 90 % of cases "
    )
    assert (
        "6 of 9 drawn cracks were found, drawn 50 % darker than the surface; " in summary.sentence
    )
    assert summary.sentence.endswith(" 0 unexplained indications per megapixel.")
    assert summary.record["a90_95_px"] is None


def test_more_cracks_are_proposed_only_where_there_is_room(finished):
    folder, summary, _, _, test = finished
    task = SelftestTask(folder, folder, count=9)
    proof = "but so few cracks do not prove it: add "

    assert test.apart_px < 100
    assert any(note.endswith(f"{proof}wider --widths.") for note in summary.notes)
    roomy = notes(replace(test, apart_px=500.0), task, None)
    assert any(note.endswith(f"{proof}--count 18, or wider --widths.") for note in roomy)


def test_the_sentence_claims_what_many_cracks_show(finished):
    _, _, _, _, test = finished
    many = replace(test, tested=[*test.tested] * 8)

    words = sentence(many, WidthErrors.of(many.tested))

    assert 0.25 < many.pod.a9095 < 1.5
    shown = math.ceil(10 * many.pod.a9095) / 10
    assert words.startswith(
        f"Cracks of {shown:g} px ({2 * shown:g} mm) or wider are found in at least 90 % of cases "
        "with 95 % confidence in crack-free areas of wall.tif, drawn 50 % darker than the surface; "
    )
    assert re.search(r"; widths are measured 0\.\d px too (wide|narrow) \(sd 0\.\d\); ", words)


def test_cracks_that_contradict_the_curve_are_not_claimed(finished):
    _, _, _, _, test = finished
    hairlines, fine, wide = (
        [each for each in test.tested if each.drawn.width_px == width] for width in WIDTHS
    )
    lost = [replace(each, hit=replace(each.hit, detected=False)) for each in wide]
    odd = replace(test, tested=[*hairlines * 8, *fine * 100, *wide * 7, *lost * 3])

    assert odd.pod.a9095 < 1
    assert math.isnan(claimed_a9095(odd)[0])
    assert claimed_a9095(odd)[1] == (4.0, 21, 30)
    shown = "The test does not show that cracks up to 4 px (8 mm) are found"
    assert sentence(odd, WidthErrors.of([])).startswith(shown)


def test_a_seed_gives_the_same_files_and_another_seed_others(finished, photograph, tmp_path):
    folder, _, _, _, _ = finished
    for name, seed in (("same", 0), ("other", 1)):
        run(photograph, tmp_path / name, seed=seed, count=9)

    for name in ("pod.csv", "curve.csv", "pod.png", "overlay.png"):
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()
    assert (tmp_path / "other/pod.csv").read_bytes() != (folder / "pod.csv").read_bytes()


class Stopped(BaseException):
    """Simulates a signal."""


def test_an_interrupted_test_resumes_where_it_stopped(finished, photograph, tmp_path, engine):
    folder, _, _, backs, _ = finished

    def stop(share, words):
        drawn = tmp_path / "out" / ".crackcli-work" / "drawn"
        if len(list(drawn.glob("*/scene.json"))) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run(photograph, tmp_path / "out", stop, count=9)
    assert 0 < engine.backs < backs
    run(photograph, tmp_path / "out", count=9)

    assert engine.backs == backs
    assert (tmp_path / "out/pod.csv").read_bytes() == (folder / "pod.csv").read_bytes()


def test_progress_rises_to_the_end(photograph, tmp_path):
    shares = []

    run(photograph, tmp_path / "out", lambda share, words: shares.append(share))

    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_cracks_of_the_photograph_are_avoided_and_counted(tmp_path):
    image = wall(420, 760, cracks=0)
    cv2.polylines(
        image,
        [np.int32([(80, 20), (130, 120), (70, 230), (120, 330), (80, 400)])],
        False,
        (25,) * 3,
        6,
    )
    photograph = write(tmp_path / "wall.tif", image)

    summary = run(photograph, tmp_path / "out")

    assert summary.record["unexplained_indications"] == 1
    assert summary.record["unexplained_indications_per_mp"] == pytest.approx(1 / 0.3192, rel=0.01)
    assert summary.record["a90_mm"] is None
    assert "mm" not in summary.sentence
    assert min(float(row["col"]) for row in rows_of(tmp_path / "out/pod.csv")) > 200


def test_no_crack_is_drawn_beside_nodata(tmp_path):
    alpha = np.full((420, 760), 255, np.uint8)
    alpha[:, :300] = 0
    photograph = write(tmp_path / "wall.tif", wall(420, 760, cracks=0), MAP, alpha)

    summary = run(photograph, tmp_path / "out")

    assert summary.record["assessed_mp"] == pytest.approx(420 * 460 / 1e6, abs=1e-4)
    assert min(float(row["col"]) for row in rows_of(tmp_path / "out/pod.csv")) > 400


def test_only_windows_of_a_large_photograph_are_tested_and_a_note_explains_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(selftest, "WINDOW_PX", 320)
    photograph = write(tmp_path / "wall.tif", wall(660, 700, cracks=0), MAP)

    summary = run(photograph, tmp_path / "out", max_megapixels=0.21)

    windows = summary.record["image"]["windows"]
    assert len(windows) == 2
    assert {window["rows"] for window in windows} == {320}
    assert any("2 random windows of it" in note for note in summary.notes)
    assert summary.record["assessed_mp"] == pytest.approx(2 * 0.1024, abs=1e-3)
    for row in rows_of(tmp_path / "out/pod.csv"):
        at = float(row["row"]), float(row["col"])
        assert any(
            w["row"] < at[0] < w["row"] + 320 and w["col"] < at[1] < w["col"] + 320 for w in windows
        )


def test_a_finished_scan_is_used_with_its_options(photograph, tmp_path, engine):
    scan_survey(SurveyTask((photograph,), tmp_path / "scan", ModelOptions(gate=0.6)))
    task = SelftestTask(photograph, tmp_path / "out", scan=tmp_path / "scan")
    used = scan_options(task).model_options
    assert (used.method, used.gate) == (
        "lrp",
        0.6,
    )  # the method that ran, though not named
    files = {path: path.read_bytes() for path in (tmp_path / "scan").rglob("*") if path.is_file()}

    summary = run(photograph, tmp_path / "out", scan=tmp_path / "scan")

    assert summary.record["drawn"] == 6
    assert files == {
        path: path.read_bytes() for path in (tmp_path / "scan").rglob("*") if path.is_file()
    }


def test_a_scan_of_another_photograph_is_refused(photograph, tmp_path):
    other = write(tmp_path / "other.tif", wall(200, 200, seed=3))
    scan_survey(SurveyTask((other,), tmp_path / "scan"))

    with pytest.raises(
        InputError, match=r"--scan .*: contains no finished scan of .*wall\.tif.*leave --scan out"
    ):
        run(photograph, tmp_path / "out", scan=tmp_path / "scan")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            wall(150, 600, cracks=0),
            r"wall\.tif: 600 x 150 px are too small; a crack and its surroundings need 214",
        ),
        (
            wall(400, 600, cracks=3),
            "has crack-free places for 0 cracks.*; give a photograph of a part with fewer cracks",
        ),
    ],
)
def test_without_room_for_cracks_the_error_is_clear_and_no_result_is_written(
    tmp_path, image, message
):
    with pytest.raises(InputError, match=message):
        run(write(tmp_path / "wall.tif", image), tmp_path / "out")

    assert not (tmp_path / "out/selftest.json").exists()


def test_a_missing_photograph_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"nothere\.jpg: does not exist"):
        run(tmp_path / "nothere.jpg", tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["pod.csv", "curve.csv", "pod.png", "overlay.png"])
def test_a_file_that_is_in_the_way_is_refused_at_once(photograph, tmp_path, engine, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("my notes")

    with pytest.raises(OutputError, match=f"{name}: exists already; .* --overwrite"):
        run(photograph, tmp_path / "out")

    assert engine.backs == 0
    assert (tmp_path / "out" / name).read_text() == "my notes"


def test_a_folder_called_work_is_not_ours(photograph, tmp_path):
    mine = tmp_path / "out" / "work" / "copies"
    mine.mkdir(parents=True)
    (mine / "notes.txt").touch()

    run(photograph, tmp_path / "out")

    assert (mine / "notes.txt").exists()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *(".lock", "curve.csv", "overlay.png", "pod.csv", "pod.png", "selftest.json", "work")
    ]


def test_a_work_folder_without_our_note_is_kept_and_refused(photograph, tmp_path, engine):
    mine = tmp_path / "out" / ".crackcli-work" / "copies"
    mine.mkdir(parents=True)
    (mine / "notes.txt").touch()

    with pytest.raises(OutputError, match=r"\.crackcli-work: was not made by crackcli; move it"):
        run(photograph, tmp_path / "out")

    assert engine.backs == 0
    assert (mine / "notes.txt").exists()


def test_a_finished_test_is_overwritten_only_with_overwrite(photograph, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/selftest.json").write_text("{}")

    with pytest.raises(OutputError, match="choose another output or add --overwrite"):
        run(photograph, tmp_path / "out")
    run(photograph, tmp_path / "out", overwrite=True)

    assert json.loads((tmp_path / "out/selftest.json").read_text())["drawn"] == 6


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=": is a folder; a self-test needs one photograph"):
        run(tmp_path, tmp_path / "out")


def test_a_pixel_size_that_contradicts_the_map_is_refused_before_the_work(photograph, tmp_path):
    with pytest.raises(UsageError, match="is 2 mm by its map, but 5 mm by --gsd-mm"):
        run(photograph, tmp_path / "out", gsd_mm=5.0)

    assert not (tmp_path / "out").exists()


def test_the_command_needs_neither_torch_nor_a_model_and_keeps_stdout_for_data(
    photograph, tmp_path
):
    out = tmp_path / "out"
    words = ["--method", "raw", "--widths", "2,8", "--count", "4", "--contrast", "0.6", "--json"]

    done = crackcli("selftest", photograph, "-o", out, *words)

    assert done.returncode == 0
    record = json.loads(done.stdout)
    assert record["engine"]["method"] == "raw"
    assert record["drawn"] == 4
    assert record["files"] == [
        str(out / name)
        for name in ("pod.csv", "curve.csv", "pod.png", "overlay.png", "selftest.json")
    ]
    assert record["sentence"] in done.stderr.splitlines()


def test_copies_are_scanned_with_the_given_options(photograph, tmp_path):
    given = ModelOptions(look=0.2, precision="float32", baseline="black")

    task = SelftestTask(photograph, tmp_path / "out", model_options=given)

    assert scan_options(task).model_options == given
