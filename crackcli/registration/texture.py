"""Texture: grey values without the light on them, each relative to its own surroundings."""

import cv2
import numpy as np

from crackcli.arrays import Bools, Float32

AROUND_PX = 14.0  # sigma of the surroundings that a pixel is compared with
SHRINK = 4  # their mean is formed at a quarter of the resolution
FLOOR = 3.0  # grey values; less contrast than that counts as noise
CLIP = 3.0  # standard deviations; more counts as that
BLUR_PX = 0.8  # sigma; removes the noise of single pixels, and makes gradients accurate


def normalised(grey: Float32, usable: Bools, around_px: float = AROUND_PX) -> Float32:
    """Return the texture (rows, cols): deviations from the local mean in standard deviations.

    Pixels that are not usable count for nothing, and are 0. The result does not change with
    exposure, gamma (nearly), or light that varies slowly.
    """
    weight = usable.astype(np.float32)
    mean = local_mean(grey, weight, around_px)
    deviation = (cv2.GaussianBlur(grey, (0, 0), BLUR_PX) - mean) * weight
    spread = np.sqrt(local_mean(deviation * deviation, weight, around_px) + FLOOR**2)
    return np.asarray(np.clip(deviation / spread, -CLIP, CLIP), np.float32)


def local_mean(values: Float32, weight: Float32, around_px: float) -> Float32:
    """Return the Gaussian mean of ``values`` (rows, cols) by their ``weight`` around each pixel."""
    size = tuple(max(1, side // SHRINK) for side in values.shape[::-1])
    stack = np.dstack([values * weight, weight])
    small = cv2.resize(stack, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), around_px / SHRINK)
    mean = small[..., 0] / np.maximum(small[..., 1], 1e-3)
    whole = cv2.resize(mean, values.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole, np.float32)
