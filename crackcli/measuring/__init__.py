"""Measures crack widths on the photograph: profiles, blur, tone curve, photometric width."""
