"""Pixel scores of masks against labelled ones, pooled over a set of photographs.

Micro-averaged, crack class only, as in the study: one confusion matrix over all pixels, then
precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), IoU = F1 / (2 -
F1).  With a tolerance of d px a marked pixel is right if a labelled one lies within d px, and a
labelled one is found if a marked one does.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Bools


@dataclass(frozen=True)
class PixelScores:
    """Counts of pixels; scores of several photographs add up."""

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
    def marked_share(self) -> float:
        """Of all pixels: on photographs without cracks, the false alarms."""
        return self.marked / self.pixels if self.pixels else float("nan")


def compare(marked: Bools, labelled: Bools, tolerance_px: int = 0) -> PixelScores:
    """Scores of one mask (rows, cols) against its labels."""
    return PixelScores(
        marked=int(marked.sum()),
        marked_right=int((marked & near(labelled, tolerance_px)).sum()),
        labelled=int(labelled.sum()),
        labelled_found=int((labelled & near(marked, tolerance_px)).sum()),
        pixels=marked.size,
    )


def near(mask: Bools, distance_px: int) -> Bools:
    """Pixels within ``distance_px`` of a set one."""
    if distance_px == 0 or not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= distance_px
