"""Sentence that states how many cracks were found, and which others would have been found.

A statement names a width, the percentage of the area on which cracks of that width or more would
have been found (nine of ten; see `crackcli.detectability.limits`), and the percentage that is not
assessable. It never claims that there are no cracks, as narrower ones are missed. Percentages are
rounded so that they promise too little rather than too much; widths are rounded up. Widths are in
millimetres if every scene with limits has a scale, else in pixels. Cracks that the method of a scan
misses at any width are excepted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float64
from crackcli.detectability.assessment import Assessed, limit_on_most

ROUND_WIDTHS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)  # times powers of ten
# Fraction of the area; smaller ones are not listed, so that the others may not add up to 100 %.
MIN_FRACTION = 0.005
OTHER_OPTIONS = "; limits are those of the shipped model and default options"
NO_PHOTOGRAPH = "detection limit unknown: photograph not available"


@dataclass(frozen=True, eq=False)
class DetectionLimits:
    """Detection limits of a photograph of any size, as a statement needs them.

    ``limit_px`` (K,) the different limits in px, nan for none; ``area_px`` (K,) the number of
    pixels with each; ``reasons`` why parts are not assessable.
    """

    limit_px: Float64
    area_px: Float64
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, assessed: Assessed) -> "DetectionLimits":
        """Return the limits of an assessed photograph, each different one once."""
        shown = assessed.shown_px > 0
        limits, of_limit = np.unique(assessed.detection_px[shown], return_inverse=True)
        areas = np.bincount(of_limit, assessed.shown_px[shown], len(limits)).astype(np.float64)
        if assessed.not_assessable_px:
            limits = np.append(limits, np.nan)
            areas = np.append(areas, assessed.not_assessable_px)
        return cls(limits, areas, tuple(assessed.reasons()))


@dataclass(frozen=True, eq=False)
class SceneFindings:
    """What one scene contributes to a statement.

    ``mm_per_px`` is None without a scale, ``limits`` is None without the photograph. ``joints`` is
    the number of lines classified as joints, ``left_out`` that of lines shorter than
    ``min_length_px``; both are listed, as one of them may be a crack. ``by_default`` is True if the
    scene was scanned with the model and the options for which the detection limits were fitted.
    ``excluded_px`` is the number of valid pixels in areas that the user excluded, ``rejected`` that
    of cracks, not counted in ``cracks``, that a person rejected. ``excepted`` names the cracks for
    which the limits do not hold.
    """

    cracks: int
    mm_per_px: float | None
    limits: DetectionLimits | None
    joints: int = 0
    left_out: int = 0
    min_length_px: float = 0.0
    by_default: bool = True
    excluded_px: int = 0
    rejected: int = 0
    excepted: tuple[str, ...] = ()


def statement(scenes: Sequence[SceneFindings]) -> str:
    """Return one sentence, without a full stop, on all ``scenes``."""
    cracks = sum(scene.cracks for scene in scenes)
    counted = f"{cracks} crack{'' if cracks == 1 else 's'}"
    joints = sum(scene.joints for scene in scenes)
    lines = f"; {joints} line{'' if joints == 1 else 's'} set aside as likely joints"
    aside = lines if joints else ""
    rejected = sum(scene.rejected for scene in scenes)
    aside += f"; {rejected} rejected in review" if rejected else ""
    short = sum(scene.left_out for scene in scenes)
    if short:
        least = max(scene.min_length_px for scene in scenes)
        aside += f"; {short} line{'' if short == 1 else 's'} shorter than {least:g} px left out"
    known = [
        scene
        for scene in scenes
        if scene.limits and (len(scene.limits.area_px) or scene.excluded_px)
    ]
    if not known:
        return f"{counted} seen; {NO_PHOTOGRAPH}{aside}"
    in_mm = all(scene.mm_per_px for scene in known)
    limits, areas = limits_and_areas(known, in_mm)
    reasons = f" ({', '.join(all_reasons(known))})" if np.isnan(limits).any() else ""
    rest = aside
    if len(known) < len(scenes):
        rest += f"; {len(scenes) - len(known)} of {len(scenes)} photographs not available"
    excluded = excluded_area(known, in_mm)
    whole = areas.sum() + excluded
    percent_excluded = math.ceil(100 * excluded / whole - 1e-9)
    if percent_excluded:
        rest = f"; {percent_excluded} % excluded by the user" + rest
    first = limit_on_most(limits[np.isfinite(limits)], areas[np.isfinite(limits)])
    if first is None:
        return f"{counted} seen; none of the surface is assessable{reasons}{rest}"

    width = round_up(first)
    without = float(areas[np.isnan(limits)].sum() / whole)
    coarser = float(areas[limits > width].sum() / whole)
    percent_without = math.ceil(100 * without - 1e-9)
    percent_coarser = math.ceil(100 * coarser - 1e-9) if coarser > MIN_FRACTION else 0
    percent = 100 - percent_without - percent_coarser - percent_excluded
    unit = "mm" if in_mm else "px"
    if percent <= 0:
        return f"{counted} seen; less than 1 % of the surface is assessable{reasons}{rest}"
    where = f"{percent} % of the surface"
    if percent == 100:
        where = "all of the surface" if without == coarser == 0 else "more than 99 % of the surface"
    if cracks or short:
        text = f"{counted}; cracks of {width:g} {unit} or more would have been seen on {where}"
    else:
        text = f"no crack of {width:g} {unit} or more seen on {where}"
    if percent_coarser:
        widest = round_up(float(np.nanmax(limits)))
        coarse = f"{widest:g} {unit} or more"
        text += f"; on a further {percent_coarser} % this holds only for cracks of {coarse}"
    if percent_without:
        at_most = "less than 1" if without < MIN_FRACTION else str(percent_without)
        text += f"; {at_most} % not assessable{reasons}"
    excepted = list(dict.fromkeys(kind for scene in known for kind in scene.excepted))
    if excepted:
        rest += f"; {' and '.join(excepted)} excepted"
    if not all(scene.by_default for scene in known):
        rest += OTHER_OPTIONS
    return text + rest


def limits_and_areas(known: Sequence[SceneFindings], in_mm: bool) -> tuple[Float64, Float64]:
    """Return detection limits (N,) and their areas (N,), in mm and mm2 or in px and px2.

    A limit is nan where there is none.
    """
    limits, areas = [], []
    for scene in known:
        assert scene.limits is not None
        size = (scene.mm_per_px or 1.0) if in_mm else 1.0
        limits.append(scene.limits.limit_px * size)
        areas.append(scene.limits.area_px * size**2)
    return np.concatenate(limits), np.concatenate(areas)


def excluded_area(known: Sequence[SceneFindings], in_mm: bool) -> float:
    """Return the area that the user excluded, in mm2 or in px2."""
    sizes = [(scene.mm_per_px or 1.0) if in_mm else 1.0 for scene in known]
    return sum((scene.excluded_px * size**2 for scene, size in zip(known, sizes, strict=True)), 0.0)


def all_reasons(known: Sequence[SceneFindings]) -> list[str]:
    """Return why parts are not assessable, each reason once."""
    found = [reason for scene in known if scene.limits for reason in scene.limits.reasons]
    return list(dict.fromkeys(found))


def round_up(width: float) -> float:
    """Return the next of `ROUND_WIDTHS`, times a power of ten, that is ``width`` or more."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(
        round(step * power, 9) for step in ROUND_WIDTHS if step * power >= width * (1 - 1e-9)
    )
