"""Pixel scores of predicted masks against labelled masks, pooled over a set of photographs.

Scores are micro-averaged over the crack class, as in Forest et al. 2024: one confusion matrix
over all pixels, then precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP
+ FN), IoU = F1 / (2 - F1). With a tolerance of d px, a marked pixel is right if a labelled pixel
lies within d px, and a labelled pixel is found if a marked pixel does.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from crackcli.arrays import Bools


@dataclass(frozen=True)
class PixelScores:
    """Pixel counts of masks against labels; counts of several photographs can be added.

    marked          pixels marked in the predicted masks
    marked_right    marked pixels with a labelled pixel within the tolerance
    labelled        crack pixels of the labels
    labelled_found  labelled pixels with a marked pixel within the tolerance
    pixels          all pixels
    """

    marked: int = 0
    marked_right: int = 0
    labelled: int = 0
    labelled_found: int = 0
    pixels: int = 0

    def __add__(self, other: "PixelScores") -> "PixelScores":
        ours, theirs = vars(self).values(), vars(other).values()
        return PixelScores(*(a + b for a, b in zip(ours, theirs, strict=True)))

    @property
    def precision(self) -> float:
        return self.marked_right / self.marked if self.marked else float("nan")

    @property
    def recall(self) -> float:
        return self.labelled_found / self.labelled if self.labelled else float("nan")

    @property
    def f1(self) -> float:
        if not self.marked_right or not self.labelled_found:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    @property
    def iou(self) -> float:
        return self.f1 / (2 - self.f1)

    @property
    def marked_fraction(self) -> float:
        """Fraction of all pixels that is marked; on crack-free photographs, false positives."""
        return self.marked / self.pixels if self.pixels else float("nan")


def compare(
    marked: Bools, labelled: Bools, tolerance_px: int = 0, ignored: Bools | None = None
) -> PixelScores:
    """Return the scores of a predicted mask (rows, cols) against its labels (rows, cols).

    Pixels that are ``ignored`` (rows, cols) do not count, neither as marked nor as labelled.
    """
    if ignored is not None and ignored.any():
        scores = compare(marked & ~ignored, labelled & ~ignored, tolerance_px)
        return replace(scores, pixels=marked.size - int(ignored.sum()))
    return PixelScores(
        marked=int(marked.sum()),
        marked_right=int((marked & dilate(labelled, tolerance_px)).sum()),
        labelled=int(labelled.sum()),
        labelled_found=int((labelled & dilate(marked, tolerance_px)).sum()),
        pixels=marked.size,
    )


def dilate(mask: Bools, distance_px: int) -> Bools:
    """Return the pixels within ``distance_px`` (Euclidean) of a set pixel."""
    if distance_px == 0 or not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= distance_px
