"""Calibration of a network that marks pixels: probabilities, threshold and confidence of cracks."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from fakes import DirectEngine, wall
from tiny import SMALL_STUDENT

pytest.importorskip("torch")  # the package imports it

from crackcli.cracks.tracing import trace_runs
from crackcli.datasets.pixel_scores import compare
from crackcli.engines.device import Device
from crackcli.inference.opening import scorer_of
from crackcli.masking.refinement import Masking
from crackcli.networks.checkpoint import Checkpoint
from crackcli.networks.student import build
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.training.calibration import marks
from crackcli.training.calibration.logistic import fit_logistic, probability
from crackcli.training.calibration.marks import CalibrationPhotograph, calibrate_marks
from crackcli.training.calibration.reliability import weighted_reliability
from crackcli.training.calibration.student import calibrated_student

SIDE = 128


def photograph(source, seed, *, cracked, marked=True, right=0.9, false=0.02):
    """Grey noise, with dark bars: a labelled one, and a fainter one that is no crack.

    A network that is sure gives the crack P(crack) ``right``, the other bar 0.4, and the rest
    ``false``; its logits are three times too large, and raised by 2.
    """
    rng = np.random.default_rng(seed)
    grey = rng.normal(170, 5, (SIDE, SIDE))
    labelled = np.zeros((SIDE, SIDE), bool)
    p = np.full((SIDE, SIDE), false)
    row = 20 + seed % 7
    if cracked:
        labelled[row : row + 5, 10:110] = True
        grey[labelled], p[labelled] = 40, right
    if marked:
        other = np.zeros_like(labelled)
        other[row + 50 : row + 54, 40:80] = True
        grey[other], p[other] = 90, 0.4
    image = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    logits = (3 * np.log(p / (1 - p)) + rng.normal(0, 4, p.shape) + 2).astype(np.float32)
    return CalibrationPhotograph(source, image, logits, labelled)


@pytest.fixture(scope="module")
def photographs():
    cracked = [photograph("wall", seed, cracked=True, marked=seed % 2 == 0) for seed in range(14)]
    return cracked + [photograph("plaster", 50 + seed, cracked=False) for seed in range(14)]


@pytest.fixture(scope="module")
def calibration(photographs):
    return calibrate_marks(photographs, "a test")


def test_the_coefficients_of_a_logistic_regression_are_recovered():
    rng = np.random.default_rng(3)
    features = rng.normal(0, 2, (40_000, 2))
    real = rng.random(len(features)) < probability(-1.5 + features @ [0.7, 0.3])

    found = fit_logistic(features, real * 1.0, ~real * 1.0)

    np.testing.assert_allclose(found, [-1.5, 0.7, 0.3], atol=0.06)


def test_a_coefficient_that_would_be_negative_is_zero():
    rng = np.random.default_rng(4)
    features = rng.normal(0, 1, (5000, 1))
    real = rng.random(len(features)) < probability(-features[:, 0])

    intercept, slope = fit_logistic(features, real * 1.0, ~real * 1.0)

    assert slope == 0
    assert intercept == pytest.approx(np.log(real.mean() / (1 - real.mean())), abs=1e-3)


def test_scale_and_bias_of_distorted_logits_are_undone():
    rng = np.random.default_rng(5)
    true = rng.normal(-1, 2, (400, 400))
    labelled = rng.random(true.shape) < probability(true)
    image = np.zeros((*true.shape, 3), np.uint8)
    counts = marks.count_logits(
        [CalibrationPhotograph("a", image, (3 * true + 2).astype(np.float32), labelled)]
    )

    bias, scale = fit_logistic(counts.logits[:, None], counts.crack, counts.other)
    found = weighted_reliability(scale * counts.logits + bias, counts.crack, counts.other)

    assert (scale, bias) == (pytest.approx(1 / 3, rel=0.03), pytest.approx(-2 / 3, rel=0.05))
    assert found.error < 0.01


def test_photographs_with_and_without_a_crack_count_alike_and_so_do_their_sources():
    many = [photograph("many", seed, cracked=True) for seed in range(6)]
    few = [photograph("few", 7, cracked=True), photograph("sound", 8, cracked=False)]

    weights = np.array(marks.pixel_weights([*many, *few])) * SIDE**2

    np.testing.assert_allclose(weights, [1 / 12] * 6 + [1 / 2, 1])


def test_marks_are_those_of_a_scan_with_the_threshold_of_the_model(tmp_path):
    image = wall(300, 200, cracks=2)
    cv2.imwrite(str(tmp_path / "wall.png"), image[..., ::-1])
    engine = DirectEngine("window")
    engine.facts = replace(engine.facts, calibration={"threshold": 0.3})

    done = scan_raster(
        ScanTask(tmp_path / "wall.png", tmp_path / "out", Masking("refined")), scorer_of(engine, 0)
    )

    ours = marks.mark(image, engine.maps(image[None])[0], 0.3)
    mask = marks.paint(ours, Window(0, 0, *image.shape[:2])) > 0
    assert done.threshold == pytest.approx(0.3**0.5)
    assert compare(mask, read_band(done.mask) == CRACK).iou > 0.99
    assert mask.any()


def test_a_mark_is_real_if_half_of_its_centreline_is_near_a_label():
    mask = np.zeros((60, 120), np.uint8)
    mask[20:24, 10:110] = 1
    (crack,) = trace_runs(marks.find_runs([(mask, mask)], *mask.shape), "wall")
    labelled = np.zeros(mask.shape, bool)
    labelled[24, 10:70] = True
    beside, short = np.roll(labelled, 8, axis=0), labelled.copy()
    short[:, 45:] = False

    assert marks.is_real(crack, labelled)
    assert not marks.is_real(crack, beside)
    assert not marks.is_real(crack, short)
    assert not marks.is_real(crack, np.zeros_like(labelled))


def test_more_false_marks_on_crack_free_photographs_raise_the_threshold():
    cracked = [photograph("wall", seed, cracked=True, marked=False) for seed in range(4)]
    clean = [photograph("plaster", 50 + seed, cracked=False, marked=False) for seed in range(4)]
    marked = [photograph("plaster", 50 + seed, cracked=False) for seed in range(4)]

    def threshold(found):
        maps = [1 / (1 + np.exp(-(each.logits - 2) / 3)) for each in found]
        return marks.best_threshold(found, maps)[0]

    assert threshold(cracked + clean) < 0.3
    assert threshold(cracked + marked) >= 0.4


def test_the_threshold_lies_between_false_marks_and_cracks(photographs, calibration):
    record = calibration.record

    p = probability(calibration.scale * photographs[0].logits + calibration.bias)
    assert 0.9 < record["F1"] <= 1
    assert np.median(p[photographs[0].labelled]) > record["threshold"]


def test_a_calibration_is_the_same_again(photographs, calibration):
    record = calibrate_marks(photographs, "a test").record

    assert record == calibration.record  # no randomness
    assert record["measured_on"] == "a test"
    assert record["photographs"] == 28


def test_cracks_are_told_from_false_marks_where_both_are_marked(photographs):
    maps = [probability(each.logits / 3 - 2 / 3).astype(np.float32) for each in photographs]

    cracks = marks.marked_cracks(photographs, maps, 0.2)
    model = marks.fit_confidence(cracks)
    found = marks.cross_validated(cracks)

    assert (cracks.real.sum(), (~cracks.real).sum()) == (14, 21)
    confidence = np.array(
        [model.confidence(probability(p), 2**length) for p, length in cracks.features]
    )
    assert confidence[cracks.real].min() > 0.7
    assert confidence[~cracks.real].max() < 0.3
    assert found.error < 0.2
    assert sum(each.count for each in found.bins) == 35


def test_too_few_false_marks_give_no_confidence():
    sound = [photograph("plaster", seed, cracked=False, marked=False) for seed in range(12)]
    cracked = [photograph("wall", seed, cracked=True, marked=False) for seed in range(12)]

    found = calibrate_marks([*sound, *cracked], "a test")

    assert found.record["false"] == 0
    assert found.record["cracks"] is None
    assert list(found.reliability) == [marks.PIXELS]


def test_a_network_whose_logits_fall_where_cracks_are_is_not_calibrated(photographs, caplog):
    network = build(**SMALL_STUDENT)
    checkpoint = Checkpoint("student", SMALL_STUDENT, ("crack",), 64, network.state_dict())
    against = [replace(each, logits=-each.logits) for each in photographs]

    assert calibrated_student(checkpoint, against, "a test", Device.find("cpu")) is checkpoint
    assert "not calibrated" in caplog.text


def test_wide_masks_alone_calibrate_nothing(photographs):
    network = build(**SMALL_STUDENT)
    checkpoint = Checkpoint("student", SMALL_STUDENT, ("crack",), 64, network.state_dict())
    wide = [replace(each, exact=False) for each in photographs if each.labelled.any()]

    assert calibrated_student(checkpoint, wide, "a test", Device.find("cpu")) is checkpoint
