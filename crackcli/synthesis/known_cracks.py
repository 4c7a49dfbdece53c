"""Single cracks of known width, drawn for a self-test without any cue to the width but the opening.

The course is that of a random crack: rough at every scale, in any direction, with a slightly
ragged width, closing at both tips. Its *true width* is the median along it. Where the crack fills
a pixel of tone T, the pixel becomes T * (1 - contrast), in sRGB values, varied by about a fifth
along the crack. A partly covered pixel is a mix by coverage, and the drawing then gets the blur of
the photograph. Both happen in linear light, as in a lens and a sensor (`crackcli.measuring.tone`).
So the missing light across the crack, divided by that of a filled pixel, is the width, before and
after the blur. There are no lit lips, chips or rubble: they would be detected, but are no opening.

The drawing keeps the photograph's grain.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from crackcli.arrays import Float64, UInt8
from crackcli.rasters.srgb import WHITE, to_linear, to_srgb
from crackcli.synthesis.brushes import LEAST_ALPHA, darken, local_tone, luma
from crackcli.synthesis.cover import CrackPath, blur, coverage
from crackcli.synthesis.random_cracks import CrackStyle, fractal_line, with_random_width
from crackcli.synthesis.visibility import Camera, blur_of

LENGTH_PX = (100.0, 150.0)  # from tip to tip
ROUGHNESS = (0.4, 0.9)
LEAST_BEND_PX = 3.0  # sharpest bend; wider cracks bend less sharply
CLOSING = 0.1, 0.025  # fraction of the length that closes at each tip: least, and per px of width
MOST_CLOSING = 0.3
TINT = 0.6  # 0 grey, 1 the colour of its surroundings
LEAST_MISSING_LIGHT = 1e-7  # of white; pixels that lose less are not changed
MAX_REACH_PX = LENGTH_PX[1] / 2  # from the middle of a crack; it may stray slightly further


def known_crack(rng: Generator, middle: ArrayLike, width_px: float) -> CrackPath:
    """Return a random crack around ``middle`` (x, y) with a median width of ``width_px``."""
    angle, half = rng.uniform(0, np.pi), rng.uniform(*LENGTH_PX) / 2
    ahead = half * np.array([np.cos(angle), np.sin(angle)])
    middle = np.asarray(middle, np.float64)
    bend_px = max(LEAST_BEND_PX, 1.5 * width_px)
    line = fractal_line(rng, middle - ahead, middle + ahead, rng.uniform(*ROUGHNESS), bend_px)
    closing = min(MOST_CLOSING, CLOSING[0] + CLOSING[1] * width_px)
    path = with_random_width(
        rng, line, CrackStyle((width_px, width_px), closing=(closing, closing))
    )
    return replace(path, width_px=path.width_px * (width_px / np.median(path.width_px)))


def draw_known(
    rng: Generator, image: UInt8, path: CrackPath, contrast: float, camera: Camera
) -> UInt8:
    """Return the photograph (rows, cols, 3) with the crack drawn in the blur and grain of
    ``camera``; pixels away from the crack are unchanged."""
    base = image.astype(np.float32)
    cover = coverage([path], image.shape[:2])
    everywhere = (cover > LEAST_ALPHA).astype(np.float32)  # as if each pixel were filled
    crack = darken(rng, base, everywhere, contrast, TINT)
    light = to_linear(base / WHITE)
    missing = cover[..., None] * (light - to_linear(np.clip(crack, 0, WHITE) / WHITE))
    missing = blur(missing.astype(np.float32), camera.blur_px)
    drawn = WHITE * to_srgb(np.clip(light - missing, 0, 1)).astype(np.float32)
    drawn = np.where(np.abs(missing) > LEAST_MISSING_LIGHT, drawn, base)
    drawn += camera.noise_for(drawn - base, rng)[..., None]
    return np.asarray(np.rint(drawn).clip(0, 255), np.uint8)


def photograph_blur(images: Sequence[UInt8]) -> float:
    """Return the sigma in px of a photograph's blur: the median over parts (rows, cols, 3) of it,
    each from its sharpest edges."""
    return float(np.median([blur_of(image.astype(np.float32)) for image in images]))


def relative_contrast(image: UInt8, line: Float64) -> float:
    """Return the median contrast of ``image`` (rows, cols, 3) along a polyline (N, 2) of x and y:
    1 - brightness / local tone."""
    picture = image.astype(np.float32)
    tone = luma(local_tone(picture))
    cols, rows = np.rint(line).astype(int).T
    inside = (rows >= 0) & (rows < tone.shape[0]) & (cols >= 0) & (cols < tone.shape[1])
    rows, cols = rows[inside], cols[inside]
    return float(np.median(1 - luma(picture)[rows, cols] / np.maximum(tone[rows, cols], 1)))
