"""Images of ArUco markers by a simulated camera: tilted, blurred, sampled; used by tests."""

import cv2
import numpy as np

FINER = 4  # pixels drawn for each pixel of the photograph, along a side
FOCAL_PX = 3000.0


def corners(middle, side_px, angle_deg=0.0, tilt_deg=0.0):
    """Corners (4, 2) of a square seen by a pinhole camera: rotated in the image plane, then tilted
    about the vertical axis through its middle."""
    angle, tilt = np.radians(angle_deg), np.radians(tilt_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * side_px @ turn.T
    away = 1 + square[:, 0] * np.sin(tilt) / FOCAL_PX
    across = square[:, 0] * np.cos(tilt) / away
    return np.column_stack([across, square[:, 1] / away]) + middle


def draw(shape, quads, *, dictionary="DICT_4X4_50", blur_px=1.0, noise=3.0, gamma=2.2):
    """A white wall (rows, cols), uint8, with marker number i at the corners ``quads[i]`` (4, 2)."""
    rng = np.random.default_rng(5)
    code = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    light = np.full(np.array(shape) * FINER, 0.75)
    side = 48 * (code.markerSize + 2)
    plain = np.float32([[0, 0], [side, 0], [side, side], [0, side]]) - np.float32(0.5)
    for number, quad in enumerate(quads):
        drawn = cv2.aruco.generateImageMarker(code, number, side).astype(np.float64)
        placed = np.float32((np.array(quad) + 0.5) * FINER - 0.5)
        matrix = cv2.getPerspectiveTransform(plain, placed)
        size = light.shape[::-1]
        warped = cv2.warpPerspective(drawn, matrix, size, flags=cv2.INTER_NEAREST, borderValue=255)
        light = np.where(warped < 128, 0.03, light)
    coarse = light.reshape(shape[0], FINER, shape[1], FINER).mean(axis=(1, 3))
    grey = 255 * cv2.GaussianBlur(coarse, (0, 0), blur_px) ** (1 / gamma)
    return (grey + rng.normal(0, noise, shape)).clip(0, 255).astype(np.uint8)
