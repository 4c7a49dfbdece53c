"""A classifier's explanation labels pixels, and a student learns from them."""

import numpy as np
import pytest
from tiny import SMALL_STUDENT, train_shallow, write_photographs

torch = pytest.importorskip("torch")

from crackcli.datasets.folders import LabelledImage, list_photographs
from crackcli.errors import UsageError
from crackcli.finetuning.explained_labels import agreement, label_photographs, train_explained
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.config import TrainConfig
from crackcli.training.pixel_targets import UNKNOWN, read_pixel_labels, resize_labels, to_values
from crackcli.training.weak_tiles import WeakTiles

THRESHOLD = 0.2


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("photographs") / "p", number=16)


@pytest.fixture(scope="module")
def teacher(photographs, tmp_path_factory):
    return train_shallow(photographs, tmp_path_factory.mktemp("teacher") / "teacher.safetensors")


def wall_with_two_lines():
    """A wall (96, 96, 3) with dark lines in rows 20 and 70, and the mask of the first."""
    rgb = np.full((96, 96, 3), 180, np.uint8)
    rgb[19:22] = rgb[69:72] = 60
    mask = np.zeros((96, 96), bool)
    mask[19:22] = True
    return rgb, mask


def test_a_pixel_is_crack_where_the_refined_mask_is_and_surer_with_more_relevance():
    rgb, mask = wall_with_two_lines()
    score = np.zeros((96, 96), np.float32)
    score[12:29, :48] = 2 * THRESHOLD
    score[12:29, 48:] = THRESHOLD

    labels = agreement(rgb, mask, score, THRESHOLD)

    assert labels[20, 10] == 1
    assert labels[20, 85] == pytest.approx(1 / 1.5, abs=0.05)
    assert labels[mask].min() >= 0.5


def test_a_dark_line_without_relevance_and_relevance_without_a_line_are_unknown():
    rgb, mask = wall_with_two_lines()
    score = np.zeros((96, 96), np.float32)
    score[12:29] = score[45:56] = 2 * THRESHOLD

    labels = agreement(rgb, mask, score, THRESHOLD)

    assert (labels[70] == UNKNOWN).all()
    assert (labels[50] == UNKNOWN).all()


def test_a_bright_pixel_beside_the_crack_or_without_relevance_is_no_crack():
    rgb, mask = wall_with_two_lines()
    score = np.zeros((96, 96), np.float32)
    score[12:29] = 2 * THRESHOLD

    labels = agreement(rgb, mask, score, THRESHOLD)

    assert (labels[15] == 0).all()
    assert (labels[90] == 0).all()


def test_nothing_is_known_where_the_explanation_finds_no_crack():
    rgb, mask = wall_with_two_lines()

    labels = agreement(rgb, np.zeros_like(mask), np.zeros((96, 96), np.float32), THRESHOLD)

    assert (labels == UNKNOWN).all()


def test_labels_survive_their_file_in_steps_of_a_200th(tmp_path, photographs, teacher):
    labels = np.array([[0, 0.505, 1, UNKNOWN]], np.float32)

    assert to_values(labels).tolist() == [[0, 101, 200, 255]]


def test_a_resized_label_is_the_mean_of_known_pixels_and_unknown_where_half_are_not():
    labels = np.array([[1, 0, 1, UNKNOWN], [1, 0, UNKNOWN, UNKNOWN]], np.float32)

    assert resize_labels(labels, 1, 2).tolist() == [[0.5, UNKNOWN]]


def test_the_line_in_a_photograph_is_labelled_as_crack(tmp_path, photographs, teacher):
    scorer = open_scorer(ModelOptions(teacher, "lrp", device="cpu"))
    found = list_photographs(photographs)

    labelled = label_photographs(found, scorer, tmp_path)

    explained = [item for item in labelled if item.pixels is not None]
    assert len(explained) >= 8
    assert all(item.label == 1 for item in explained)
    labels = read_pixel_labels(explained[0].pixels)
    assert labels.shape == (64, 64)
    assert 10 < (labels > 0).sum() < 1000


def test_labels_that_exist_are_not_made_again(tmp_path, photographs, teacher):
    scorer = open_scorer(ModelOptions(teacher, "lrp", device="cpu"))
    found = list_photographs(photographs)
    first = {item.pixels for item in label_photographs(found, scorer, tmp_path)} - {None}
    times = {path: path.stat().st_mtime_ns for path in first}

    second = {item.pixels for item in label_photographs(found, scorer, tmp_path)} - {None}

    assert second == first
    assert {path: path.stat().st_mtime_ns for path in second} == times


def test_a_labelled_tile_keeps_labels_on_the_pixels_that_they_belong_to(tmp_path, photographs):
    path = next((photographs / "crack").iterdir())
    rgb = np.full((64, 64, 3), 170, np.uint8)
    rgb[:, 30:34] = 20
    from crackcli.rasters.writing.images import write_png

    write_png(tmp_path / "image.png", rgb)
    write_png(tmp_path / "labels.png", to_values((rgb[..., 0] < 100).astype(np.float32)))
    item = LabelledImage(tmp_path / "image.png", 1, "a", "a", pixels=tmp_path / "labels.png")
    crack_free = list_photographs(path.parents[1])[:1]
    tiles = WeakTiles([item, *crack_free], 64, 32)

    for seed in range(5):
        tile, cover = tiles.labelled_tile(item.path, item.pixels, np.random.default_rng(seed))
        assert ((tile[..., 0] < 60) <= (cover > 0.5)).all()
        assert ((tile[..., 0] > 160) <= (cover < 0.5)).all()


def test_a_student_learns_from_a_teacher_and_keeps_the_labels(tmp_path, photographs, teacher):
    config = TrainConfig(
        photographs=photographs,
        output=tmp_path / "student.safetensors",
        network="student",
        arguments=SMALL_STUDENT,
        epochs=2,
        batch_size=8,
        device="cpu",
        held_out=0.25,
        evaluations=1,
    )

    result = train_explained(config, teacher)

    assert Checkpoint.read(result.output).network == "student"
    assert len(list((tmp_path / "student.labels").rglob("*.png"))) == 16


def test_a_teacher_without_photographs_is_refused(tmp_path, teacher):
    config = TrainConfig(photographs=None, output=tmp_path / "s.safetensors", network="student")

    with pytest.raises(UsageError, match="--teacher needs photographs"):
        train_explained(config, teacher)
