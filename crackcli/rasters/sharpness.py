"""Local operators by which the blur and the pixel noise of a photograph are estimated.

Two packages estimate both, each for its purpose: `crackcli.detectability.block_quality` block by
block, `crackcli.synthesis.visibility` once for a photograph on which cracks are drawn. They share
these operators; how their estimates differ is written there.

Brightness is in levels, 0 to 255.
"""

import cv2
import numpy as np

from crackcli.arrays import Float32

# Difference of two Laplacians (Immerkaer 1996): white noise keeps its deviation, slopes give 0.
IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6


def slope(brightness: Float32) -> Float32:
    """Return the gradient magnitude (rows, cols) in levels per px, by the Sobel operator."""
    right = cv2.Sobel(brightness, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(brightness, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(cv2.magnitude(right, down), np.float32)


def noise_power(brightness: Float32) -> Float32:
    """Return the square (rows, cols), in levels squared, of what `IMMERKAER` leaves at each pixel.

    Its mean is the variance of the pixel noise where the surface is smooth; texture adds to it.
    """
    return np.square(np.asarray(cv2.filter2D(brightness, cv2.CV_32F, IMMERKAER), np.float32))
