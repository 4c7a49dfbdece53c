"""The table of distractors: families of things on surfaces that resemble cracks.

A distractor is a function (rng, picture) -> picture in a module of this package. Their widths,
contrasts and colours overlap with those of cracks; they differ in their course, their edges or
their relief.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

import crackcli.synthesis.distractors.concrete as concrete
import crackcli.synthesis.distractors.joints as joints
import crackcli.synthesis.distractors.marks as marks
import crackcli.synthesis.distractors.masonry as masonry
import crackcli.synthesis.distractors.objects as objects
import crackcli.synthesis.distractors.writing as writing
from crackcli.synthesis.brushes import Picture


@dataclass(frozen=True)
class Distractor:
    """A family: its function, its weight in random choices, and if it covers cracks."""

    draw: Callable[[Generator, Picture], Picture]
    weight: float = 1.0
    over: bool = False


DISTRACTORS: dict[str, Distractor] = {
    "formwork_joints": Distractor(joints.formwork_joints, 3),
    "mortar_joints": Distractor(masonry.mortar_joints, 3),
    "tile_grid": Distractor(masonry.tile_grid),
    "boards": Distractor(joints.boards, 1.5),
    "expansion_joint": Distractor(joints.expansion_joint),
    "sealing_strip": Distractor(joints.sealing_strip),
    "repair_patch": Distractor(joints.repair_patch),
    "paint_boundary": Distractor(joints.paint_boundary, 1.5),
    "ledges": Distractor(joints.ledges, 1.5),
    "window": Distractor(joints.window, over=True),
    "bars": Distractor(joints.bars, over=True),
    "cables": Distractor(objects.cables, 2, over=True),
    "pipes": Distractor(objects.pipes, over=True),
    "ruler": Distractor(objects.ruler, over=True),
    "scratches": Distractor(objects.scratches, 1.5),
    "chalk": Distractor(writing.chalk, over=True),
    "pencil": Distractor(writing.pencil, 1.5),
    "text": Distractor(writing.text, over=True),
    "time_stamp": Distractor(writing.time_stamp, over=True),
    "threads": Distractor(objects.threads, over=True),
    "branches": Distractor(objects.branches, 1.5, over=True),
    "grass": Distractor(objects.grass, over=True),
    "leaves": Distractor(objects.leaves, over=True),
    "holes": Distractor(marks.holes, 2),
    "formwork_lines": Distractor(concrete.formwork_lines, 2),
    "board_marks": Distractor(concrete.board_marks, 1.5),
    "bug_holes": Distractor(concrete.bug_holes, 1.5),
    "spalls": Distractor(concrete.spalls, 1.5),
    "roughcast": Distractor(marks.roughcast, 1.5),
    "shadow_edge": Distractor(marks.shadow_edge, 2, over=True),
    "shadow_stripes": Distractor(marks.shadow_stripes, over=True),
    "foliage_shadow": Distractor(marks.foliage_shadow, over=True),
    "stains": Distractor(marks.stains, 1.5),
    "runs": Distractor(marks.runs, 1.5),
    "wet_patch": Distractor(marks.wet_patch, 1.5),
    "splashes": Distractor(marks.splashes),
    "coating": Distractor(marks.coating),
}


def choose_families(rng: Generator, most: int) -> list[str]:
    """Choose one to ``most`` different families."""
    weights = np.array([distractor.weight for distractor in DISTRACTORS.values()])
    count = int(rng.integers(1, most + 1))
    return list(rng.choice(list(DISTRACTORS), count, replace=False, p=weights / weights.sum()))
