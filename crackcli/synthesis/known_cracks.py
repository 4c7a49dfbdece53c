"""Single cracks of one known width, drawn for a test: nothing but the opening tells the width.

The course is that of a random crack: rough at every scale, in any direction, its width a little
ragged, closing at both tips.  Its *true width* is the median along it.  Where the crack fills a
pixel of tone T it is T * (1 - contrast) there, in values of the photograph, give or take a fifth
along the way.  Where it covers a share of a pixel, wall and crack add up by their shares, and the
drawing is then blurred as the photograph is: both in linear light, as in a lens and a sensor
(`crackcli.measuring.tone`).  So the light that is missing across the crack, over what is missing
where it fills a pixel, is the width, after the blur as before.  There are no lit lips, chips or
rubble: they would be found as well, but their darkness is no opening.

The drawing keeps the photograph's grain.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from crackcli.arrays import Float64, UInt8
from crackcli.rasters.srgb import WHITE, to_linear, to_srgb
from crackcli.synthesis.brushes import LEAST_ALPHA, darkened, luma, tone_of
from crackcli.synthesis.cover import CrackPath, blurred, coverage
from crackcli.synthesis.random_cracks import CrackStyle, fractal_line, opened
from crackcli.synthesis.visibility import Camera, blur_of

LENGTH_PX = (100.0, 150.0)  # from tip to tip
ROUGHNESS = (0.4, 0.9)
LEAST_BEND_PX = 3.0  # wider cracks bend less sharply
CLOSING = 0.1, 0.025  # share of the length that closes at either tip: least, and for each px
MOST_CLOSING = 0.3
TINT = 0.6  # 0 a grey crack, 1 the colour of its surroundings
NOTHING = 1e-7  # of white: light that is missing by less is not
REACH_PX = LENGTH_PX[1] / 2  # of a crack from its middle; it may stray a little further


def known_crack(rng: Generator, middle: ArrayLike, width_px: float) -> CrackPath:
    """A crack about ``middle`` (x, y), ``width_px`` wide in the median along it."""
    angle, half = rng.uniform(0, np.pi), rng.uniform(*LENGTH_PX) / 2
    ahead = half * np.array([np.cos(angle), np.sin(angle)])
    middle = np.asarray(middle, np.float64)
    bend_px = max(LEAST_BEND_PX, 1.5 * width_px)
    line = fractal_line(rng, middle - ahead, middle + ahead, rng.uniform(*ROUGHNESS), bend_px)
    closing = min(MOST_CLOSING, CLOSING[0] + CLOSING[1] * width_px)
    path = opened(rng, line, CrackStyle((width_px, width_px), closing=(closing, closing)))
    return replace(path, width_px=path.width_px * (width_px / np.median(path.width_px)))


def draw_known(
    rng: Generator, image: UInt8, path: CrackPath, contrast: float, camera: Camera
) -> UInt8:
    """The photograph ``image`` (rows, cols, 3) with the crack in it, as ``camera`` sees it; what
    lies away from the crack is not changed."""
    base = image.astype(np.float32)
    cover = coverage([path], image.shape[:2])
    crack = darkened(rng, base, (cover > LEAST_ALPHA).astype(np.float32), contrast, TINT)  # nothing else
    light = to_linear(base / WHITE)
    missing = cover[..., None] * (light - to_linear(np.clip(crack, 0, WHITE) / WHITE))
    missing = blurred(missing.astype(np.float32), camera.blur_px)
    seen = WHITE * to_srgb(np.clip(light - missing, 0, 1)).astype(np.float32)
    seen = np.where(np.abs(missing) > NOTHING, seen, base)
    seen += camera.grain_on(seen - base, rng)[..., None]
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def photograph_blur(images: Sequence[UInt8]) -> float:
    """Sigma in px of the blur of a photograph, from parts (rows, cols, 3) of it: the median of
    what their sharpest edges say."""
    return float(np.median([blur_of(image.astype(np.float32)) for image in images]))


def relative_darkness(image: UInt8, line: Float64) -> float:
    """How much darker, as a share of the tone around it, ``image`` (rows, cols, 3) is along a
    polyline of points (N, 2) x and y, in the median."""
    picture = image.astype(np.float32)
    tone = luma(tone_of(picture))
    cols, rows = np.rint(line).astype(int).T
    inside = (rows >= 0) & (rows < tone.shape[0]) & (cols >= 0) & (cols < tone.shape[1])
    rows, cols = rows[inside], cols[inside]
    return float(np.median(1 - luma(picture)[rows, cols] / np.maximum(tone[rows, cols], 1)))
