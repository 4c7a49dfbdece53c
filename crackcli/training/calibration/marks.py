"""Calibration of a network that marks pixels, by photographs that it was not trained on.

Three things are fitted, one after the other:

pixels     P(crack) = sigmoid(scale z + bias) of a pixel with logit z (Platt scaling). The last
           layer of the network absorbs both numbers, so that it returns calibrated P(crack).
threshold  P(crack) from which a pixel is marked: the lowest with nearly the highest F1 of refined
           masks (`best_threshold`).
cracks     the confidence of a marked crack (`crackcli.cracks.confidence`). A marked crack is real
           if at least half of its centreline lies within 3 px of a labelled pixel.

A fraction depends on how many photographs show a crack, which differs from survey to survey. Here
photographs with and without a crack have the same total area, and so has each source of either
kind. In a survey with fewer cracks, fewer of the marks with the same confidence are real.

Sources: Platt 1999, Probabilistic outputs for support vector machines; Guo et al. 2017.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, NamedTuple

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, Float64, Int64, UInt8
from crackcli.cracks.confidence import P_RANGE, ConfidenceModel
from crackcli.cracks.crack import Crack
from crackcli.cracks.straight import resample
from crackcli.cracks.tracing import trace_runs
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.masking.refinement import AREA_PX, refine, smooth_score
from crackcli.masking.runs import Runs, find_runs
from crackcli.masking.scene_mask import paint, runs_of_cracks
from crackcli.rasters.grid import Window
from crackcli.rasters.score_mask import SCORE_MAX
from crackcli.training.calibration.logistic import fit_logistic, probability, smoothed_targets
from crackcli.training.calibration.reliability import Reliability, weighted_reliability

PIXELS, CRACKS = "pixels", "marked cracks"  # the examples of the two reliability diagrams
LOGITS = np.linspace(-20, 20, 801)  # edges of the bins in which logits are counted
THRESHOLDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
CRACK_FREE = 4.0  # crack-free area, relative to that of cracked photographs
SAME_F1 = 0.01  # photographs held out of a run are few
NEAR_PX = 3.0  # from a labelled pixel to the centreline of a crack that is real there
REAL = 0.5  # fraction of the centreline
LEAST = 10  # real cracks, and false ones; fewer determine no confidence
FOLDS = 5  # groups of photographs in the cross-validation


@dataclass(frozen=True, eq=False)
class CalibrationPhotograph:
    """A photograph with the logits of the network and the labels of its pixels.

    source    photographs of a source count together
    image     (rows, cols, 3)
    logits    (rows, cols)  logit(crack)
    labelled  (rows, cols)  crack pixels; none if it shows no crack
    exact     False if labels are wider than the crack, so that they serve for the confidence only
    """

    source: str
    image: UInt8
    logits: Float32
    labelled: Bools
    exact: bool = True

    @property
    def kind(self) -> tuple[str, bool]:
        """Its source, and whether it shows a crack."""
        return self.source, bool(self.labelled.any())


class MarkedCracks(NamedTuple):
    """N marked cracks: their ``features`` (N, 2), logit of the mean P(crack) and log2 of the length
    in px, whether they are ``real``, their ``weight``, and the index of their ``photograph``."""

    features: Float64
    real: Bools
    weight: Float64
    photograph: Int64


@dataclass(frozen=True)
class MarkCalibration:
    """A calibration: ``record`` is that of a `crackcli.networks.checkpoint.Checkpoint`; a network
    must have its logits multiplied by ``scale`` and raised by ``bias`` for it."""

    scale: float
    bias: float
    record: dict[str, Any]
    reliability: dict[str, Reliability]


def calibrate_marks(
    photographs: Sequence[CalibrationPhotograph], measured_on: str
) -> MarkCalibration:
    """Calibrate a network by its logits of ``photographs``; ``measured_on`` describes them."""
    exact = [each for each in photographs if each.exact]
    counts = count_logits(exact)
    bias, scale = map(float, fit_logistic(counts.logits[:, None], counts.crack, counts.other))
    maps = [probability(scale * each.logits + bias).astype(np.float32) for each in photographs]
    threshold, f1 = best_threshold(photographs, maps)
    cracks = marked_cracks(photographs, maps, threshold)
    found = {
        PIXELS: weighted_reliability(
            scale * counts.logits + bias, counts.crack, counts.other, counts.pixels
        )
    }
    record: dict[str, Any] = {
        "measured_on": measured_on,
        "photographs": len(photographs),
        "scale": scale,
        "bias": bias,
        "threshold": threshold,
        "F1": f1,
        "real": int(cracks.real.sum()),
        "false": int((~cracks.real).sum()),
        "cracks": None,
    }
    if min(record["real"], record["false"]) >= LEAST:
        found[CRACKS] = cross_validated(cracks)
        record["cracks"] = asdict(fit_confidence(cracks))
    return MarkCalibration(scale, bias, record, found)


class LogitCounts(NamedTuple):
    """Pixels by logit (N): ``crack`` and ``other`` are the total weights of labelled pixels and of
    the others, ``pixels`` their number."""

    logits: Float64
    crack: Float64
    other: Float64
    pixels: Int64


def pixel_weights(photographs: Sequence[CalibrationPhotograph]) -> list[float]:
    """Return the weight of a pixel of each photograph.

    Photographs with and without a crack have the same total weight, and so have the sources of
    either kind.
    """
    pixels: Counter[tuple[str, bool]] = Counter()
    for each in photographs:
        pixels[each.kind] += each.labelled.size
    sources = Counter(cracked for _, cracked in pixels)
    return [1 / (pixels[each.kind] * sources[each.kind[1]]) for each in photographs]


def count_logits(photographs: Sequence[CalibrationPhotograph]) -> LogitCounts:
    """Count the pixels of photographs by their logits."""
    crack, other = np.zeros((2, len(LOGITS) - 1))
    pixels = np.zeros(len(LOGITS) - 1, np.int64)
    for each, weight in zip(photographs, pixel_weights(photographs), strict=True):
        logits = each.logits.clip(LOGITS[0], LOGITS[-1])
        labelled = np.histogram(logits[each.labelled], LOGITS)[0]
        everywhere = np.histogram(logits, LOGITS)[0]
        crack += weight * labelled
        other += weight * (everywhere - labelled)
        pixels += everywhere
    return LogitCounts((LOGITS[1:] + LOGITS[:-1]) / 2, crack, other, pixels)


def best_threshold(
    photographs: Sequence[CalibrationPhotograph], maps: Sequence[Float32]
) -> tuple[float, float]:
    """Return the lowest of `THRESHOLDS` with nearly the highest F1 of refined masks, and its F1.

    F1 is that at 0 px, averaged over the sources of cracked photographs with exact labels. With
    each of these sources counts `CRACK_FREE` times as much crack-free area, marked as crack-free
    photographs are (averaged over their sources): a survey shows far more of it than of cracks.
    A difference below `SAME_F1` is chance, and a missed crack costs more than a false mark: so the
    threshold is the lowest within that.
    """

    def f1(threshold: float) -> float:
        scores: dict[tuple[str, bool], PixelScores] = defaultdict(PixelScores)
        for each, of in zip(photographs, maps, strict=True):
            if each.exact:
                mask = paint(mark(each.image, of, threshold), Window(0, 0, *of.shape)) > 0
                scores[each.kind] += compare(mask, each.labelled)
        sound = [score.marked_fraction for (_, cracked), score in scores.items() if not cracked]
        false = CRACK_FREE * fmean(sound) if sound else 0.0
        return fmean(
            2 * score.marked_right / (score.marked + score.labelled + false * score.pixels)
            for (_, cracked), score in scores.items()
            if cracked
        )

    found = {threshold: f1(threshold) for threshold in THRESHOLDS}
    highest = max(found.values())
    chosen = min(threshold for threshold in THRESHOLDS if found[threshold] >= highest - SAME_F1)
    return chosen, found[chosen]


def mark(image: UInt8, of: Float32, threshold: float) -> Runs:
    """Return the crack pixels of a photograph with the map ``of`` P(crack), as a scan with the
    masking recipe refined marks them; their scores are the root of P(crack)."""
    root = np.sqrt(of)
    found = refine(image, smooth_score(root), threshold**0.5)
    shape = of.shape
    weak, strong = found.weak.astype(np.uint8), found.strong * np.uint8(SCORE_MAX)
    kept = runs_of_cracks(find_runs([(weak, strong)], *shape), AREA_PX)
    coded = np.rint(root * SCORE_MAX).astype(np.uint8)
    return find_runs([(paint(kept, Window(0, 0, *shape)), coded)], *shape)


def marked_cracks(
    photographs: Sequence[CalibrationPhotograph], maps: Sequence[Float32], threshold: float
) -> MarkedCracks:
    """Trace the cracks that are marked in photographs, and find which of them are real."""
    features, real, weights, owners = [], [], [], []
    for number, (each, of, weight) in enumerate(
        zip(photographs, maps, pixel_weights(photographs), strict=True)
    ):
        for crack in trace_runs(mark(each.image, of, threshold), str(number)):
            features.append(crack_features(crack))
            real.append(is_real(crack, each.labelled))
            weights.append(weight)
            owners.append(number)
    return MarkedCracks(
        np.array(features, float).reshape(-1, 2),
        np.array(real, bool),
        np.array(weights, float),
        np.array(owners, np.int64),
    )


def crack_features(crack: Crack) -> tuple[float, float]:
    """Return logit(mean P(crack)) and log2(length) of a crack."""
    p = float(np.clip((crack.squared_score_sum or 0.0) / crack.area_px, *P_RANGE))
    return float(np.log(p / (1 - p))), float(np.log2(crack.length_px))


def is_real(crack: Crack, labelled: Bools) -> bool:
    """Return True if at least half of a crack's centreline lies near labelled pixels."""
    if not labelled.any():
        return False
    distance = cv2.distanceTransform(
        (~labelled).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    points, lengths = resample(crack)
    limits = np.array(labelled.shape[::-1]) - 1
    col, row = np.rint(points).astype(int).clip(0, limits).T
    return bool(lengths[distance[row, col] <= NEAR_PX].sum() >= REAL * lengths.sum())


def fit_confidence(cracks: MarkedCracks) -> ConfidenceModel:
    """Fit the confidence of marked cracks, of which some are real and some are not."""
    targets = smoothed_targets(cracks.real)
    weight = cracks.weight / cracks.weight.mean()
    intercept, p, length = fit_logistic(cracks.features, weight * targets, weight * (1 - targets))
    lengths = 2 ** cracks.features[:, 1]
    return ConfidenceModel(
        intercept=round(float(intercept), 5),
        probability=round(float(p), 5),
        length=round(float(length), 5),
        shortest_px=round(float(lengths.min()), 2),
        longest_px=round(float(lengths.max()), 2),
    )


def cross_validated(cracks: MarkedCracks) -> Reliability:
    """Return the reliability of confidences that were fitted on other photographs."""
    chance = np.random.default_rng(0)
    fold_of = chance.permutation(np.arange(cracks.photograph.max() + 1) % FOLDS)
    fold = fold_of[cracks.photograph]
    margins = np.zeros(len(fold))
    for number in range(FOLDS):
        own = fold == number
        if own.any() and not own.all():
            others = MarkedCracks(*(values[~own] for values in cracks))
            model = fit_confidence(others)
            margins[own] = [
                logit(model.confidence(float(probability(p)), 2**length))
                for p, length in cracks.features[own]
            ]
    return weighted_reliability(margins, cracks.weight * cracks.real, cracks.weight * ~cracks.real)


def logit(p: float) -> float:
    """Return the logit of a probability between 0 and 1."""
    return float(np.log(p / (1 - p)))
