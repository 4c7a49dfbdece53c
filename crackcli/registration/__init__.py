"""Aligns two photographs of one wall: coarse homography, smooth local field, residual."""

from crackcli.registration.aligning import align
from crackcli.registration.alignment import Alignment, identity
from crackcli.registration.not_aligned import NotAligned
from crackcli.registration.sketch import Sketch, common_points

__all__ = ["Alignment", "NotAligned", "Sketch", "align", "common_points", "identity"]
