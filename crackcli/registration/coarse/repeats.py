"""Checks whether an alignment could as well be off by one repeat of a pattern, such as a brick.

Blocks of the earlier photograph are searched for in the whole later one, warped by the alignment.
On a wall without exact repeats each is far more alike where the alignment has it than elsewhere.
Each block has its own best place elsewhere, as repeats are not equally far apart in a tilted view.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from crackcli.arrays import Float32, Float64
from crackcli.rasters.grid import Window
from crackcli.registration.levels import Level
from crackcli.registration.local.dense import warp
from crackcli.registration.mapping import Mapping
from crackcli.registration.texture import normalised

BLOCKS = 5  # along the longer side
NEAR_PX = 10  # px of the level; a peak as near as that is the alignment itself, moved a little
MIN_BLOCKS = 3
MIN_USABLE = 0.5  # of a block
FIT_PX, FIT_STEPS = 8, 30  # px of the level around a block for an affine fit; its steps
MAX_MOVE_PX = 4.0  # of the middle of a block by the fit
ALIKE = 0.2  # correlation of blocks that show the same
CLEARLY_ALIKE = 0.5
AMBIGUOUS = 0.8  # of the correlation here, elsewhere; brickwork has 0.5, exact repeats 1


@dataclass(frozen=True, eq=False)
class Correlations:
    """Correlation of blocks (B,) with the later photograph as it is aligned, ``here``, and the best
    one ``elsewhere``; ``near`` and ``far`` (B, 2) are the shifts to these in px of the earlier one.
    """

    here: Float64
    elsewhere: Float64
    near: Float64
    far: Float64

    def telling(self) -> "Correlations":
        """Return the blocks that are clearly found anywhere, or all if those are few: others were
        painted over, or have no texture."""
        clear = np.maximum(self.here, self.elsewhere) > CLEARLY_ALIKE
        if clear.sum() < MIN_BLOCKS:
            return self
        return Correlations(*(getattr(self, name)[clear] for name in self.__dataclass_fields__))

    @property
    def alike(self) -> bool:
        """True if most blocks, of more than a few, show the same in both photographs: clearly so
        if they are about as much alike elsewhere."""
        here = float(np.median(self.here)) if len(self.here) >= MIN_BLOCKS else 0.0
        return here > (CLEARLY_ALIKE if self.ambiguous else ALIKE)

    @property
    def shift(self) -> Float64:
        """The shift (2,) that aligns most blocks better, in px of the earlier photograph."""
        if self.displaced:
            return np.asarray(np.median(self.far[self.elsewhere > self.here], axis=0))
        return np.asarray(np.median(self.near, axis=0)) if len(self.near) else np.zeros(2)

    @property
    def displaced(self) -> bool:
        """True if most blocks are clearly more alike elsewhere."""
        return self.elsewhere_by(1 / AMBIGUOUS) and float(np.median(self.elsewhere)) > ALIKE

    @property
    def ambiguous(self) -> bool:
        """True if most blocks are about as much alike elsewhere."""
        return self.elsewhere_by(AMBIGUOUS)

    def elsewhere_by(self, factor: float) -> bool:
        """Return True if most blocks correlate elsewhere more than ``factor`` times as here."""
        return len(self.here) > 0 and bool(np.median(self.elsewhere - self.here * factor) > 0)


def correlate_blocks(before: Level, after: Level, mapping: Mapping) -> Correlations:
    """Search for blocks of ``before`` in the later photograph, warped by ``mapping``."""
    window = Window(0, 0, before.rows, before.cols)
    own, warped = before.read(window), warp(after, mapping, before, window)
    a = normalised(own.values, own.usable)
    b = normalised(warped.values, warped.usable)
    usable = own.usable & warped.usable
    side = max(2 * NEAR_PX, max(window.shape) // BLOCKS)
    here, elsewhere, near, far = [], [], [], []
    for row in range(0, window.rows - side + 1, side):
        for col in range(0, window.cols - side + 1, side):
            block = slice(row, row + side), slice(col, col + side)
            if usable[block].mean() < MIN_USABLE:
                continue
            surface = cv2.matchTemplate(b, a[block], cv2.TM_CCOEFF_NORMED)
            own_place = around(surface, row, col, NEAR_PX)
            here.append(float(own_place.max()))
            best = np.unravel_index(int(own_place.argmax()), own_place.shape)
            first = max(0, row - NEAR_PX), max(0, col - NEAR_PX)
            near.append((first[1] + best[1] - col, first[0] + best[0] - row))
            own_place[:] = -1
            best = np.unravel_index(int(surface.argmax()), surface.shape)
            elsewhere.append(fitted_correlation(a[block], b, (int(best[0]), int(best[1]))))
            far.append((best[1] - col, best[0] - row))
    shifts = (np.array(each, float).reshape(-1, 2) * before.px for each in (near, far))
    found = Correlations(np.array(here), np.array(elsewhere), *shifts)
    return found.telling() if len(here) else found


def fitted_correlation(block: Float32, image: Float32, place: tuple[int, int]) -> float:
    """Return the correlation of a block with an image at a place (row, col), after an affine fit:
    in a tilted view, repeats differ in size and shape."""
    row, col = place
    rows, cols = block.shape
    window = image[row : row + rows, col : col + cols]
    plain = float(cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED)[0, 0])
    around_it = np.pad(image, FIT_PX)[row : row + rows + 2 * FIT_PX, col : col + cols + 2 * FIT_PX]
    start = np.array([[1, 0, FIT_PX], [0, 1, FIT_PX]], np.float32)
    steps = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, FIT_STEPS, 1e-3)
    try:
        _, fit = cv2.findTransformECC(block, around_it, start, cv2.MOTION_AFFINE, steps)
    except cv2.error:  # the two have too little in common
        return plain
    middle = np.array([cols / 2, rows / 2])
    if np.hypot(*(fit[:, :2] @ middle + fit[:, 2] - middle - FIT_PX)) > MAX_MOVE_PX:
        return plain  # it moved to another place, such as the right one
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(around_it, fit, (cols, rows), flags=flags)
    return max(plain, float(cv2.matchTemplate(moved, block, cv2.TM_CCOEFF_NORMED)[0, 0]))


def around(surface: cv2.typing.MatLike, row: int, col: int, reach: int) -> cv2.typing.MatLike:
    """Return the view of a surface within ``reach`` of a place."""
    return surface[
        max(0, row - reach) : row + reach + 1,
        max(0, col - reach) : col + reach + 1,
    ]
