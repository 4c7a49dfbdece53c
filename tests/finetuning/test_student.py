"""A student unlearns its false positives, and learns from a reviewed report."""

import json

import cv2
import numpy as np
import pytest
from reviewed import wave, write_reviewed_scan
from tiny import picture, student_config, write_photographs

pytest.importorskip("torch")

from crackcli.engines.device import Device
from crackcli.errors import ModelError
from crackcli.files import sha256, write_json
from crackcli.finetuning import LearnTask, learn, train_mined
from crackcli.finetuning.learning import scan_checkpoint, summarise
from crackcli.networks.checkpoint import Checkpoint
from crackcli.report.verdicts import ACCEPTED, REJECTED
from crackcli.scenes.scene import finished_scenes
from crackcli.shipped_models import shipped
from crackcli.training import train
from crackcli.training.objectives.weak_segmentation import WeakSegmentation
from crackcli.training.pixel_targets import read_pixel_labels


def config(photographs, output, **changes):
    return student_config(photographs, output, **{"evaluations": 1, "calibrate": False} | changes)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a student that marks dark lines, green ones too."""
    folder = tmp_path_factory.mktemp("student")
    photographs = write_photographs(folder / "photographs", number=16)
    return train(config(photographs, folder / "student.safetensors")).output


def test_a_student_unlearns_what_it_marks_on_crack_free_photographs(model, tmp_path):
    folder = tmp_path / "walls"
    folder.mkdir()
    image = picture(np.random.default_rng(3), cracked=False, side=640)
    for row in range(60, 640, 100):
        wave(image, row, range(100, 500), 6, (30, 60, 30))
    cv2.imwrite(str(folder / "green.png"), image)
    mined = config(
        None,
        tmp_path / "mine.safetensors",
        start_from=model,
        blend=0.0,
        epochs=30,
        evaluations=4,
        learning_rate=3e-3,
    )

    result, (green,) = train_mined(mined, [folder])

    assert green.before > 50
    assert green.after < 0.5 * green.before
    assert result.step > 0
    tiles = list((tmp_path / "mine.mined" / "no_crack").iterdir())
    assert len(tiles) == green.mined
    assert all(cv2.imread(str(path)).shape == (64, 64, 3) for path in tiles)


def test_mining_with_another_network_is_refused_before_any_work(model, tmp_path):
    asked = config(None, tmp_path / "mine.safetensors", start_from=model, network="vgg11")

    with pytest.raises(ModelError, match="is for --network student, not vgg11; start from another"):
        train_mined(asked, [tmp_path])


@pytest.fixture
def scan(model, tmp_path):
    """Write a scan by a student and its reviewed report: three cracks, three rejected lines."""
    return write_reviewed_scan(tmp_path, model, method="student")


def task(scan, **changes):
    given = {
        "out": scan,
        "reviewed": scan / "cracks.gpkg",
        "output": scan.parent / "mine.safetensors",
        "minutes": 60,  # ends after its epochs, on a busy machine too
        "device": "cpu",
    }
    return LearnTask(**(given | changes))


def test_a_student_no_longer_marks_rejected_cracks_and_still_marks_accepted_ones(scan, monkeypatch):
    monkeypatch.setattr(WeakSegmentation, "warm_peak_rate", 1e-2)
    monkeypatch.setattr("crackcli.finetuning.learning.EPOCHS", 12)

    learned = learn(task(scan))

    (accepted, _), (rejected, _), _ = summarise(learned.changes)
    assert (accepted.after, accepted.of) == (3, 3)
    assert (rejected.before, rejected.after, rejected.of) == (0, 3, 3)
    before = {change.review: change.p_before for change in learned.changes}
    assert min(before[ACCEPTED], before[REJECTED]) > 0.5  # there was something to learn
    assert learned.training.step > 0


def test_patches_of_accepted_cracks_have_pixel_labels(scan, monkeypatch):
    monkeypatch.setattr("crackcli.finetuning.learning.EPOCHS", 0.1)

    learned = learn(task(scan))

    folder = learned.output.with_suffix(".learned")
    names = {path.name for path in (folder / "pixels").iterdir()}
    assert names == {path.name for path in (folder / "crack").iterdir()}
    for name in names:
        labels, image = (
            read_pixel_labels(folder / "pixels" / name),
            cv2.imread(str(folder / "crack" / name)),
        )
        assert image[labels == 1].mean() < 30
        assert image[labels == 0].mean() > 100


def test_the_shipped_student_is_found_by_its_name_or_as_the_default(scan):
    for name in ("student", None):
        run = json.loads((scan / "run.json").read_text())
        write_json(scan / "run.json", run | {"options": {"model": name}})

        scenes = finished_scenes(scan)
        scenes[0].record.engine["model_sha256"] = sha256(shipped(".safetensors", "student"))
        assert scan_checkpoint(scan, scenes) == shipped(".safetensors", "student")


def test_weights_that_are_not_better_are_not_kept(scan, model, monkeypatch, caplog):
    monkeypatch.setattr(WeakSegmentation, "warm_peak_rate", 1.0)  # breaks the network
    monkeypatch.setattr("crackcli.finetuning.learning.EPOCHS", 1)

    learned = learn(task(scan))

    assert learned.training.step == 0
    assert "the weights of" in caplog.text
    assert all(abs(change.p_after - change.p_before) < 0.01 for change in learned.changes)


def test_training_goes_on_without_the_calibration_and_gives_it_back(model, scan, tmp_path):
    raised = Checkpoint.read(model)
    network = raised.build()
    network.scale_logits(0.5, 1.5)
    calibration = {"scale": 0.5, "bias": 1.5, "threshold": 0.6}
    earlier = calibration | {"prescreen": {"weights": [1.0], "bias": 0.0}}
    path = tmp_path / "calibrated.safetensors"
    Checkpoint(**(vars(raised) | {"state": network.state_dict(), "calibration": earlier})).save(
        path
    )
    asked = config(None, tmp_path / "mine.safetensors", start_from=path, learning_rate=1e-9)

    begun = WeakSegmentation(asked, Device.find("cpu"))

    for name, value in begun.network.state_dict().items():
        np.testing.assert_allclose(value.numpy(), raised.state[name].numpy(), atol=2e-3)
    saved = begun.calibrated_as_before(raised)
    assert saved.calibration == calibration | {"prescreen": None}  # the context may change
    np.testing.assert_allclose(
        saved.state["last.bias"].numpy(), network.state_dict()["last.bias"].numpy(), atol=2e-3
    )
