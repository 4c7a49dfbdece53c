"""Pixel labels of a photograph as files and tiles: the cover of a crack, or unknown.

In memory a label is the fraction of the pixel that is crack, 0 to 1, or `UNKNOWN`. In a PNG it is
0 to 200, in steps of 1 / 200, or 255 where unknown.
"""

from pathlib import Path

import cv2
import numpy as np

from crackcli.arrays import Float32, Floats, UInt8
from crackcli.datasets.pixel_labels import read_labels

UNKNOWN = -1.0
STEPS = 200  # value of a pixel that is all crack
UNKNOWN_VALUE = 255


def to_values(labels: Floats) -> UInt8:
    """Return labels (rows, cols) as values of a PNG."""
    values = np.rint(np.asarray(labels).clip(0, 1) * STEPS)
    return np.where(np.asarray(labels) < 0, UNKNOWN_VALUE, values).astype(np.uint8)


def read_pixel_labels(path: Path) -> Float32:
    """Read labels (rows, cols) from a PNG."""
    values = read_labels(path)
    labels = values.astype(np.float32) / np.float32(STEPS)
    labels[values > STEPS] = UNKNOWN
    return labels


def resize_labels(labels: Float32, rows: int, cols: int) -> Float32:
    """Return labels at another size: the mean of the known pixels, unknown where half are not."""
    if labels.shape == (rows, cols):
        return labels
    known = (labels >= 0).astype(np.float32)
    method = cv2.INTER_AREA if labels.shape[0] > rows else cv2.INTER_LINEAR
    share, total = (
        np.asarray(cv2.resize(values, (cols, rows), interpolation=method), np.float32)
        for values in (known, labels * known)
    )
    return np.where(share > 0.5, total / np.maximum(share, 0.5), UNKNOWN).astype(np.float32)
