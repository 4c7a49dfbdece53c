"""Measures crack widths on the photograph: profiles, blur, tone curve, photometric width."""

from crackcli.measuring.measure import measure_all
from crackcli.measuring.photometric_width import Optics

__all__ = ["Optics", "measure_all"]
