"""Detection limits of a photograph, given block by block."""

import numpy as np

from crackcli.detectability.assessment import Assessed
from crackcli.detectability.block_quality import BLOCK_PX


def of_blocks(detection_px, valid_px=None, reason=None, cols=None):
    """Return a photograph of whole blocks with these limits; blocks with nan are too dark."""
    detection_px = np.array(detection_px, float)
    rows = len(detection_px) * BLOCK_PX
    if reason is None:
        reason = np.where(np.isnan(detection_px), "too dark", "")
    if valid_px is None:
        valid_px = np.full(detection_px.shape, BLOCK_PX**2)
    return Assessed(
        rows=rows,
        cols=cols or detection_px.shape[1] * BLOCK_PX,
        valid_px=np.array(valid_px),
        hollow_px=np.zeros(detection_px.shape, int),
        hollow_reason=np.full(detection_px.shape, ""),
        detection_px=detection_px,
        quantification_px=2 * detection_px,
        reason=np.array(reason),
        blur_px=np.ones(detection_px.shape),
        level=np.full(detection_px.shape, 100.0),
    )
