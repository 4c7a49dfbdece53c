"""Distractors: families of things on surfaces that resemble cracks.

families  the table of all; choice of some at random
joints    straight parts of a construction; masonry: bonds of stone and tile, with their joints
concrete  traces of formwork, pits, spalls
marks     shadows, stains and coatings
objects   in front of a surface; writing: on it, or burnt in by a camera
"""

from crackcli.synthesis.distractors.families import DISTRACTORS, choose_families

__all__ = ["DISTRACTORS", "choose_families"]
