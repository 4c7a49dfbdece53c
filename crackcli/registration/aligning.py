"""Align two photographs of one wall, coarse to fine.

1. Features of both, reduced, give a homography (`crackcli.registration.coarse`).
2. At rising resolution, dense matches give the smooth field that is left (`.local.dense`,
   `.local.smooth_field`): relief, lens, and what a homography of reduced photographs leaves.
3. Matches that the field did not see give its accuracy (`.local.accuracy`).

Cracks have no part in any of these. Memory does not grow with the size of the photographs.
"""

import numpy as np
from affine import Affine

from crackcli.arrays import Float64
from crackcli.progress import Progress, ignore, part
from crackcli.registration.alignment import Alignment
from crackcli.registration.coarse.search import ADVICE, Coarse, check_unique, find_plane
from crackcli.registration.levels import Cracks, Levels, Photograph
from crackcli.registration.local.accuracy import held_out
from crackcli.registration.local.crack_sides import CrackSides
from crackcli.registration.local.dense import match_patches
from crackcli.registration.local.smooth_field import Matches, fit_field
from crackcli.registration.mapping import Mapping
from crackcli.registration.not_aligned import NotAligned

COARSEST_SIDE_PX = 500  # longer side of the first level of the field
KNOT_PX = 64  # px of a level between two knots of its field
MAX_KNOTS = 8_000  # of the field, so that its fit is bounded
PASSES = 2  # at each level
MIN_MATCHES = 40


def align(
    before: Photograph,
    after: Photograph,
    *,
    cracks_before: Cracks = None,
    cracks_after: Cracks = None,
    start: Affine | Float64 | None = None,
    progress: Progress = ignore,
) -> Alignment:
    """Align two open photographs of one wall.

    Cracks are open mask rasters or lines in px; they are left out of every estimate. ``start``, an
    affine map or a homography (3, 3) from pixels of the earlier photograph to those of the later
    one, replaces the search for features. Raises `NotAligned` if the photographs cannot be aligned,
    or not in a way that can be trusted.
    """
    levels = Levels(before, cracks_before), Levels(after, cracks_after)
    coarse = find_plane(*levels, as_homography(start), part(progress, 0, 0.4))
    mapping, matches, weight, knot_px = refine(*levels, coarse, part(progress, 0.4, 0.8))
    progress(0.8, "Checking")
    check_unique(*levels, mapping, coarse.scale)
    residuals = held_out(matches, weight, levels[0].shape, knot_px)
    progress(1.0, "Checking")
    return Alignment(
        mapping,
        levels[0].shape,
        levels[1].shape,
        residuals,
        inliers=coarse.inliers,
        overlap=coarse.overlap,
    )


def as_homography(start: Affine | Float64 | None) -> Float64 | None:
    """Return a start as a homography (3, 3)."""
    if start is None:
        return None
    return np.array(start, np.float64).reshape(3, 3)


def refine(
    before: Levels, after: Levels, coarse: Coarse, progress: Progress
) -> tuple[Mapping, Matches, Float64, float]:
    """Return the map with the smooth field, the matches that it was fitted to, with the weight (N,)
    that they kept, and the distance of its knots in px."""
    mapping = Mapping(coarse.homography)
    sides = CrackSides.of(before, after, mapping)
    steps = reductions(before.shape, coarse.scale)
    area = before.shape[0] * before.shape[1]
    matches, weight, knot_px = None, np.zeros(0), 0.0
    for step, reduction in enumerate(steps):
        own = before.at(reduction)
        other = after.at(max(1, round(reduction * coarse.scale)))
        knot_px = max(KNOT_PX * reduction, np.sqrt(area / MAX_KNOTS))
        every = max(2, round(knot_px / reduction / KNOT_PX * 2))
        for _ in range(PASSES):
            patches = match_patches(own, other, mapping, every)
            found = patches.found
            if found.sum() < MIN_MATCHES:
                raise NotAligned(
                    f"{after.info.path}: cannot be aligned with {before.info.path.name}: only "
                    f"{found.sum()} patches of one were found again in the other; {ADVICE}"
                )
            points = patches.points[found]
            shift = patches.shift[found]
            if mapping.field is not None:
                shift = shift + mapping.field.at(points)
            away, nearest = sides.at(points, 2 * knot_px)
            matches = Matches(points, shift, patches.information[found], away, nearest)
            field, weight = fit_field(matches, before.shape, knot_px)
            mapping = Mapping(coarse.homography, field)
        progress((step + 1) / len(steps), "Aligning")
    assert matches is not None  # there is at least one level
    return mapping, matches, weight, knot_px


def reductions(shape: tuple[int, int], scale: float) -> list[int]:
    """Return the reductions of the levels of the field, coarse to fine.

    The finest is that at which the later photograph, of ``scale``, is not enlarged much.
    """
    finest = max(1, round(1 / scale))
    steps = [finest]
    while max(shape) / steps[-1] > COARSEST_SIDE_PX:
        steps.append(2 * steps[-1])
    return steps[::-1]
