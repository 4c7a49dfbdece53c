"""Labelled photographs: folders, pixel labels, and pixel scores of a mask against them."""
