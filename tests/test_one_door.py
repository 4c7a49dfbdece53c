"""Every command sees the same pixels of an odd photograph: those of its upright picture."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from cameras import write_heic
from fakes import LocalEngine, wall
from PIL import Image
from reviewed import wave, write_png, write_reviewed_scan

from crackcli.datasets.folders import list_photographs
from crackcli.datasets.pixel_labels import find_sets
from crackcli.evaluation.candidates import mask_scene
from crackcli.inference import opening
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.rasters.score_mask import read_band
from crackcli.report.write import ReportTask, write_report
from crackcli.scan.survey import SurveyTask, scan_survey
from crackcli.selftest.run import SelftestTask
from crackcli.selftest.write import write_selftest


def picture():
    """A wall with a crack, and with black and white dots, so that a stretch changes nothing."""
    image = wall(420, 560, seed=4, cracks=0)
    wave(image, 120, range(60, 330), 6, (25, 40, 30))
    for row in (20, 380):
        for col in range(30, 530, 12):
            image[row : row + 4, col : col + 4] = 255 * (col % 24 == 6)
    return image


def write_turned(path, rgb):
    """Write a photograph that is stored lying on its side: orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(rgb)).save(path, exif=exif)
    return path


def write_twelve_bits(path, rgb):
    """Write 12 bits in 16."""
    cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint16) * 16)
    return path


def write_second_page(path, rgb):
    """Write a photograph as the second image of a file, after its thumbnail."""
    path = path.with_suffix(".tif")
    with tifffile.TiffWriter(path) as file:
        file.write(np.ascontiguousarray(rgb[::8, ::8]), photometric="rgb", metadata=None)
        file.write(np.ascontiguousarray(rgb), photometric="rgb", metadata=None)
    return path


def write_phone(path, rgb):
    """Write HEIC, lying on its side, without loss."""
    exif = Image.Exif()
    exif[0x0112] = 6
    side = np.ascontiguousarray(np.rot90(rgb))
    return write_heic(path.with_suffix(".heic"), side, exif=exif.tobytes())


ODD = {
    "orientation 6": write_turned,
    "12 in 16 bits": write_twelve_bits,
    "second page": write_second_page,
    "heic": write_phone,
}


@pytest.fixture(params=ODD)
def write(request):
    if request.param == "heic":
        pytest.importorskip("pillow_heif")
    return ODD[request.param]


@pytest.fixture
def engine(monkeypatch):
    made = LocalEngine()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    return made


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def both(tmp_path, write):
    """The folders, and the paths in them, of the plain photograph and of the odd one."""
    for name, one in (("plain", write_png), ("odd", write)):
        (tmp_path / name).mkdir()
        yield tmp_path / name, one(tmp_path / name / "wall.png", picture())


def test_scan_and_report(engine, tmp_path, write):
    found = []
    for folder, path in both(tmp_path, write):
        out = folder / "out"
        result = scan_survey(SurveyTask((path,), out))
        assert not result.failures
        write_report(ReportTask(out, formats=("csv",)))
        rows = rows_of(out / "cracks.csv")
        kept = ("length_px", "width_mean_px", "width_max_px", "area_px", "width_method")
        found.append(
            (
                read_band(out / "wall/mask.tif"),
                read_band(out / "wall/score.tif").astype(int),
                [{name: row[name] for name in kept} for row in rows],
                cv2.imread(str(out / "wall/overview.png")).astype(int),
            )
        )

    plain, odd = found
    assert plain[2]  # there are cracks, measured on the photograph
    np.testing.assert_array_equal(odd[0], plain[0])
    assert np.abs(odd[1] - plain[1]).max() <= 2  # rounding of a stretch
    for one, other in zip(odd[2], plain[2], strict=True):
        for name, value in other.items():
            assert one[name] == value or float(one[name]) == pytest.approx(float(value), rel=0.01)
    assert np.abs(odd[3] - plain[3]).max() <= 2


def test_evaluate(engine, tmp_path, write):
    masks = []
    for folder, path in both(tmp_path, write):
        (folder / "images").mkdir()
        path = path.rename(folder / "images" / path.name)
        (folder / "masks").mkdir()
        crack = (picture() < 50).all(axis=2)
        cv2.imwrite(str(folder / "masks/wall.png"), 255 * crack.astype(np.uint8))

        (labelled,) = find_sets(folder)[0].photographs
        masks.append(mask_scene(ClassifierScorer(engine, 0.5), path, folder / "work").mask)

        assert np.abs(labelled.image().astype(int) - picture()).max() <= 1
        np.testing.assert_array_equal(labelled.label_values() > 0, crack)
    np.testing.assert_array_equal(masks[1], masks[0])


def test_train(tmp_path, write):
    pytest.importorskip("torch")
    from crackcli.training.patches import Patches

    tiles = []
    for name, one in (("plain", write_png), ("odd", write)):
        for label in ("crack", "no_crack"):
            (tmp_path / name / label).mkdir(parents=True)
            for number in range(2):
                one(tmp_path / name / label / f"{label}{number}_a.png", picture())
        found = list_photographs(tmp_path / name)
        patches = Patches(found, 256, 32)
        patches.windows = {item.path: (0, 32) for item in found}
        tiles.append([patches.tile(item).astype(int) for item in found])

    assert len(tiles[0]) == 4
    assert tiles[0][0].std() > 10  # the crack is in it
    assert np.abs(np.array(tiles[1]) - np.array(tiles[0])).max() <= 1


def test_selftest(engine, tmp_path, write):
    records = []
    for folder, path in both(tmp_path, write):
        task = SelftestTask(path, folder / "out", widths_px=(0.5, 4.0), count=4, contrast=0.5)
        write_selftest(task)
        records.append(rows_of(folder / "out/pod.csv"))

    plain, odd = records
    for one, other in zip(odd, plain, strict=True):
        for name in ("width_px", "row", "col", "detected"):
            assert one[name] == other[name]
        if other["measured_width_px"]:
            measured = float(other["measured_width_px"])
            assert float(one["measured_width_px"]) == pytest.approx(measured, abs=0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pytest.importorskip("torch")
    from tiny import train_shallow, write_photographs

    folder = tmp_path_factory.mktemp("shallow")
    return train_shallow(write_photographs(folder / "all"), folder / "shallow.safetensors")


@pytest.mark.slow
def test_learn(model, tmp_path, write, monkeypatch):
    from crackcli.finetuning.learning import LearnTask, learn

    monkeypatch.setattr("crackcli.finetuning.corrections.ORDINARY_BELOW", 0.9)
    monkeypatch.setattr("crackcli.finetuning.learning.EPOCHS", 1)
    changes = []
    for name, one in (("plain", write_png), ("odd", write)):
        (tmp_path / name).mkdir()
        out = write_reviewed_scan(tmp_path / name, model, write=one)
        given = {"out": out, "reviewed": out / "cracks.gpkg", "minutes": 1, "device": "cpu"}
        learned = learn(LearnTask(**given, output=tmp_path / name / "mine.safetensors"))
        changes.append(learned.changes)

    plain, odd = changes
    assert len(odd) == 6
    for one, other in zip(odd, plain, strict=True):
        assert replace(one, p_before=0, p_after=0) == replace(other, p_before=0, p_after=0)
        assert one.p_before == pytest.approx(other.p_before, abs=0.2)  # a stretch is brighter
