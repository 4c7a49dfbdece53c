"""Turns score and photograph into a mask of crack pixels."""

from crackcli.masking.refinement import Masking
from crackcli.masking.scene_mask import find_threshold, write_mask

__all__ = ["Masking", "find_threshold", "write_mask"]
