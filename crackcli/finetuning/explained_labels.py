"""Pixel labels from explanations: a classifier teaches a student where the cracks are.

The classifier has learnt from one bit per photograph, and its explanation, refined on the
photograph, finds most of the cracks. A student learns from these pixels (weak to strong). Not all
of them are right, so a pixel has a label only where explanation and photograph agree:

crack     the refined mask contains it; the label rises with the relevance, from 0.5 to 1
no crack  the photograph shows no line there that is half as dark as the crack, and the relevance is
          below the corridor of the refinement, or is that of a crack within 12 px
unknown   everything else: relevance far from any dark line, or a dark line without relevance

The labels lie in ``<output>.labels/<digest of the classifier>/``, one PNG per photograph, so that
an interrupted run finds them again.

Sources: Forest et al. 2024 name this as future work; Burns et al. 2023 (weak to strong).
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32, UInt8
from crackcli.datasets.folders import LabelledImage, list_photographs, split
from crackcli.errors import UsageError
from crackcli.files import refuse_existing, sha256, temporary_folder
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.licences import Source
from crackcli.masking.refinement import (
    SMOOTH_GREY_PX,
    grey,
    smooth,
    smooth_score,
    two_sided_contrast,
)
from crackcli.masking.scene_mask import Scores
from crackcli.progress import Progress, ignore, part
from crackcli.rasters.grid import Window
from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.rasters.writing.images import write_png
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.training.config import TrainConfig
from crackcli.training.loop import TrainResult, train
from crackcli.training.pixel_targets import UNKNOWN, read_pixel_labels, to_values

log = logging.getLogger(__name__)

METHOD = "lrp"
SURE = 1.5  # relevance, in thresholds of the scene, from which a crack pixel has the label 1
LEAST = 0.5  # label of a crack pixel without relevance of its own
AS_DARK = 0.5  # contrast, relative to the median of the crack, from which a line may be a crack
BESIDE_PX = 12  # relevance spreads this far from a crack
EXPLAINED_AT = 0.5  # progress after the labels are written


def train_explained(config: TrainConfig, teacher: Path, progress: Progress = ignore) -> TrainResult:
    """Train a student on photographs whose cracks a classifier has marked.

    ``teacher`` is the checkpoint or graph of the classifier.
    """
    if config.photographs is None:
        raise UsageError("--teacher needs photographs; give a folder with crack and no_crack")
    refuse_existing(config.output, overwrite=config.overwrite)
    found = list_photographs(config.photographs, config.table)
    scorer = open_scorer(ModelOptions(teacher, METHOD, device=config.device))
    folder = config.output.with_suffix(".labels") / scorer.engine.facts.model_sha256[:12]
    labelled = label_photographs(found, scorer, folder, part(progress, 0, EXPLAINED_AT))
    trained = part(progress, EXPLAINED_AT, 1)
    data = split(labelled, config.held_out, config.seed)
    source = Source(f"labels by {teacher.name}", licence=scorer.engine.facts.licence.name)
    config = replace(config, taught_by=(source,))
    return train(config, lambda state: trained(state.fraction, state.summary), data)


def label_photographs(
    found: Sequence[LabelledImage],
    scorer: StripScorer,
    folder: Path,
    progress: Progress = ignore,
) -> list[LabelledImage]:
    """Return the photographs, cracked ones with pixel labels that are written into ``folder``.

    Photographs in which the classifier finds no crack get none.
    """
    cracked = sum(item.label for item in found)
    labelled: list[LabelledImage] = []
    count = done = 0
    for item in found:
        if item.label == 1:
            progress(done / cracked, f"explaining {item.path.name}")
            done += 1
            path = folder / f"{item.path.stem}.{sha256(item.path)[:12]}.png"
            if not path.is_file():
                write_png(path, to_values(explained_labels(item.path, scorer)))
            if holds_crack(path):
                item = replace(item, pixels=path)
                count += 1
        labelled.append(item)
    log.info("%d of %d cracked photographs have pixel labels by the explanation", count, cracked)
    return labelled


def holds_crack(path: Path) -> bool:
    """Return True if the pixel labels in a file contain a crack."""
    return bool((read_pixel_labels(path) > 0).any())


def explained_labels(photograph: Path, scorer: StripScorer) -> Float32:
    """Return the labels (rows, cols) of a cracked photograph: 0 to 1, -1 where unknown."""
    with temporary_folder() as folder:
        scanned = scan_raster(ScanTask(photograph, folder / "scene"), scorer)
        mask = read_band(scanned.mask) == CRACK
        with Scores(scanned.mask.with_name("score.tif")) as scores:
            score, _ = scores.read(Window(0, 0, *mask.shape))
    return agreement(read_photograph(photograph), mask, score, scanned.threshold)


def agreement(rgb: UInt8, mask: Bools, score: Float32, threshold: float) -> Float32:
    """Return the labels (rows, cols) on which explanation and photograph (rows, cols, 3) agree.

    ``mask`` is the refined mask of the explanation, ``score`` its root relevance, ``threshold``
    that of the scene.
    """
    q = smooth_score(score)
    labels: Float32 = np.full(mask.shape, UNKNOWN, np.float32)
    if not mask.any():
        return labels
    dark = two_sided_contrast(smooth(grey(rgb), SMOOTH_GREY_PX))
    line = dark > AS_DARK * np.median(dark[mask])
    side = 2 * BESIDE_PX + 1
    beside = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    labels[((q <= threshold / 2) | beside) & ~line] = 0
    labels[mask] = (q[mask] / (SURE * threshold)).clip(LEAST, 1)
    return labels
