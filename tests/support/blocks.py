"""Detection limits of a wall, written down block by block."""

import numpy as np

from crackcli.detectability.assessment import Assessed
from crackcli.detectability.limits import BLOCK_PX


def of_blocks(detect_px, valid_px=None, reason=None, cols=None):
    """A wall of whole blocks with these limits; what is nan is too dark."""
    detect_px = np.array(detect_px, float)
    rows = len(detect_px) * BLOCK_PX
    if reason is None:
        reason = np.where(np.isnan(detect_px), "too dark", "")
    if valid_px is None:
        valid_px = np.full(detect_px.shape, BLOCK_PX**2)
    return Assessed(
        rows=rows,
        cols=cols or detect_px.shape[1] * BLOCK_PX,
        valid_px=np.array(valid_px),
        detect_px=detect_px,
        measure_px=2 * detect_px,
        reason=np.array(reason),
        blur_px=np.ones(detect_px.shape),
        level=np.full(detect_px.shape, 100.0),
    )
