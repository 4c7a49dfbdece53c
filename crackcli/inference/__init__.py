"""Sliding-window inference over a raster: P(crack) per tile, score per pixel, strip by strip."""
