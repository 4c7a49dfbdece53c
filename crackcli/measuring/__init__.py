"""Crack widths measured on the photograph: profiles across the crack, blur, tone curve, photometric
width."""
