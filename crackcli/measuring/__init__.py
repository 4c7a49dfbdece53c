"""Measures crack widths on the photograph: profiles, blur, tone curve, photometric width."""

from crackcli.measuring.full_contrast import Optics
from crackcli.measuring.measure import measure_all

__all__ = ["Optics", "measure_all"]
