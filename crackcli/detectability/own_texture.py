"""Find pixels that show nothing of their own: filled, stuck or copied ones.

On a photograph, a crack would change pixels. Where they have one colour over a larger area, where
neighbouring rows or columns are equal, or where the same pixels occur twice, they come from a
decoder, a broken transfer or an editor, and a crack would not show.

* Flat, stuck or periodic: in a square of `STUCK_PX` or more, each pixel equals that `LAGS` below or
  beside it: the next one, or that of the next block of JPEG. So JPEG may store only the mean of a
  block of smooth concrete; it rarely stores the same mean for all blocks of such a square.
* Rows or columns of one colour over `LINE_PX`, as of zeros in a file without compression.
* Copied: the same square of `COPY_PX` at two places. Squares are compared by a hash, and only the
  hashes that are a multiple of `SAMPLED`. So content decides which are compared, and copies are
  found at any distance (as by Schleimer, Wilkerson and Aiken 2003, "Winnowing").

Grain makes even smooth concrete differ from pixel to pixel, also after JPEG.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float64, Int64, UInt8

STUCK_PX = 64
LAGS = (1, 8, 16)  # the first is that of flat pixels
LINE_PX = 192
COPY_DOUBLINGS = 5
COPY_PX = 2**COPY_DOUBLINGS
SAMPLED = 256
MIN_SAMPLES = 16  # of a block; with fewer, its fraction of copies is not known
LEAST = 1 / 16  # fraction of a block's valid pixels; fewer without texture do not count

MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit is lost (as in SplitMix64)
ACROSS, DOWN = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Texture:
    """The valid pixels (rows, cols) of a block that are ``flat``, and those that are ``stuck`` or
    periodic but not flat."""

    flat: Bools
    stuck: Bools

    @property
    def own(self) -> Bools:
        """Pixels (rows, cols) that are neither flat nor stuck."""
        return ~(self.flat | self.stuck)


def find_texture(rgb: UInt8, valid: Bools) -> Texture:
    """Return what the pixels (rows, cols, 3) of a block show."""
    colour = as_numbers(rgb)
    equal, lines = np.zeros_like(valid), np.zeros_like(valid)
    same = np.ones_like(valid)  # as its neighbours in both directions
    for axis in (0, 1):
        for lag in LAGS:
            pairs = equal_pairs(colour, lag, axis)
            equal |= of_pairs(opened(pairs, STUCK_PX - 1, STUCK_PX - 1), lag, axis)
            if lag == 1:
                length = (LINE_PX, 1) if axis == 0 else (1, LINE_PX)
                lines |= of_pairs(opened(pairs, *length), lag, axis)
                same &= of_pairs(pairs, lag, axis)
    flat = valid & (equal & same | lines & ~equal)
    return Texture(flat, valid & equal & ~flat)


def equal_pairs(colour: Hashes, lag: int, axis: int) -> Bools:
    """Return which pixels equal the one ``lag`` further along ``axis``; the last ones have none."""
    if axis == 0:
        return np.asarray(colour[lag:] == colour[:-lag], np.bool_)
    return np.asarray(colour[:, lag:] == colour[:, :-lag], np.bool_)


def as_numbers(rgb: UInt8) -> Hashes:
    """Return the colour of each pixel (rows, cols, 3) as one number."""
    red, green, blue = np.moveaxis(rgb, -1, 0).astype(np.uint64)
    number: Hashes = red | green << np.uint64(8) | blue << np.uint64(16)
    return number


def of_pairs(pairs: Bools, lag: int, axis: int) -> Bools:
    """Return the pixels of flagged pairs, ``lag`` more along ``axis`` than there are pairs."""
    first, second = (
        [pad if each == axis else (0, 0) for each in (0, 1)] for pad in ((0, lag), (lag, 0))
    )
    return np.asarray(np.pad(pairs, first) | np.pad(pairs, second), np.bool_)


def opened(flags: Bools, rows: int, cols: int) -> Bools:
    """Return the flags that lie in a rectangle of ``rows`` by ``cols`` of them."""
    if np.count_nonzero(flags) < rows * cols:
        return np.zeros_like(flags)
    # Erosion and dilation with opposite anchors: rectangles with even sides shift nothing.
    kernel = np.ones((rows, cols), np.uint8)
    inner = cv2.erode(
        flags.view(np.uint8), kernel, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    found = cv2.dilate(
        inner, kernel, anchor=(cols - 1, rows - 1), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(found > 0, np.bool_)


def sampled_hashes(rgb: UInt8, usable: Bools) -> Hashes:
    """Return the sampled hashes (N,) of squares of `COPY_PX` of which all pixels are usable."""
    if min(usable.shape) < COPY_PX:
        return np.zeros(0, np.uint64)
    squares = hash_runs(hash_runs(as_numbers(rgb) * MIX, ACROSS).T, DOWN).T
    rows, cols = squares.shape
    square = np.ones((COPY_PX, COPY_PX), np.uint8)
    whole = cv2.erode(usable.view(np.uint8), square, anchor=(0, 0))[:rows, :cols]
    mixed = (squares ^ squares >> np.uint64(29)) * MIX
    chosen = (mixed >> np.uint64(40)) % np.uint64(SAMPLED) == 0
    sampled: Hashes = mixed[chosen & (whole > 0)]
    return sampled


def hash_runs(values: Hashes, factor: np.uint64) -> Hashes:
    """Return the hash of each run of `COPY_PX` values in a row (rows, cols), a polynomial modulo
    2^64, by doubling."""
    with np.errstate(over="ignore"):
        for doubling in range(COPY_DOUBLINGS):
            length = 2**doubling
            values = values[:, :-length] * factor + values[:, length:]
            factor = factor * factor
    return values


def copied_fractions(hashes: list[Hashes]) -> Float64:
    """Return which fraction of the sampled squares of each block (B,) occurs twice or more."""
    counts = np.array([len(each) for each in hashes], np.int64)
    fractions = np.zeros(len(hashes))
    if counts.sum():
        _, which, times = np.unique(np.concatenate(hashes), return_inverse=True, return_counts=True)
        block = np.repeat(np.arange(len(hashes)), counts)
        copies: Int64 = np.bincount(block[times[which] > 1], minlength=len(hashes))
        enough = counts >= MIN_SAMPLES
        fractions[enough] = copies[enough] / counts[enough]
    return fractions
