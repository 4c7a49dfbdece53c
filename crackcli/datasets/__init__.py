"""Labelled photographs: class folders, pixel masks, and pixel scores against them."""
