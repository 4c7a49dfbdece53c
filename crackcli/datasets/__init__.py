"""Labelled photographs: class folders, pixel masks, and pixel scores against them."""

from crackcli.datasets.folders import list_photographs, split
from crackcli.datasets.pixel_labels import find_sets
from crackcli.datasets.pixel_scores import PixelScores

__all__ = ["PixelScores", "find_sets", "list_photographs", "split"]
