"""Draws synthetic cracks, distractors and walls."""
