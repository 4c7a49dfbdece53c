"""Sliding-window inference over a raster: P(crack) per tile, score per pixel, strip by strip."""

from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer, StripScores

__all__ = ["ModelOptions", "StripScorer", "StripScores", "open_scorer"]
