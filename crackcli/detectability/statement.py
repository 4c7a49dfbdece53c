"""In words: how many cracks were seen, and which others would have been.

A statement names a width, on what share of the wall cracks of that width or more would have been
seen (nine of ten; see `crackcli.detectability.limits`), and what share is not assessable.  That
there are no cracks is never said: narrower ones are not seen.  Widths are in millimetres where
every scene that is spoken of has a scale, else in pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Float64
from crackcli.detectability.assessment import Assessed, limit_on_most

ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)  # times powers of ten: widths that are spoken of
LEAST_SHARE = 0.005  # of a wall: what is less is not told apart, but the rest is not all then
OTHER_SCAN = "; limits are those of the shipped model and default options"
NOT_AT_HAND = "how narrow a crack would have been seen is not known: the photograph is not at hand"


@dataclass(frozen=True, eq=False)
class DetectionLimits:
    """What a statement needs of a wall, however large: each detection limit (K,) in pixels that
    there is, nan for none, on how many pixels (K,), and why parts are not assessable."""

    limit_px: Float64
    area_px: Float64
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, assessed: Assessed) -> "DetectionLimits":
        valid = assessed.valid_px > 0
        limits, kinds = np.unique(assessed.detect_px[valid], return_inverse=True)
        areas = np.bincount(kinds, assessed.valid_px[valid], len(limits))
        return cls(limits, areas, tuple(assessed.reasons()))


@dataclass(frozen=True, eq=False)
class SceneFindings:
    """What one scene adds to a statement; ``mm_per_px`` and ``seen`` may be unknown (None).
    ``joints`` are the lines that were set aside, ``left_out`` those that are shorter than
    ``min_length_px``: they are told too, for one may be a crack.  ``by_default``: it was scanned as
    it was when the limits of detection were found."""

    cracks: int
    mm_per_px: float | None
    seen: DetectionLimits | None
    joints: int = 0
    left_out: int = 0
    min_length_px: float = 0.0
    by_default: bool = True


def statement(scenes: Sequence[SceneFindings]) -> str:
    """One sentence, without a full stop, on the walls of all ``scenes``."""
    cracks = sum(scene.cracks for scene in scenes)
    counted = f"{cracks} crack{'' if cracks == 1 else 's'}"
    joints = sum(scene.joints for scene in scenes)
    lines = f"; {joints} line{'' if joints == 1 else 's'} set aside as likely joints"
    aside = lines if joints else ""
    short = sum(scene.left_out for scene in scenes)
    if short:
        least = max(scene.min_length_px for scene in scenes)
        aside += f"; {short} line{'' if short == 1 else 's'} shorter than {least:g} px left out"
    known = [scene for scene in scenes if scene.seen and len(scene.seen.area_px)]
    if not known:
        return f"{counted} seen; {NOT_AT_HAND}{aside}"
    in_mm = all(scene.mm_per_px for scene in known)
    limits, areas = limits_and_areas(known, in_mm)
    reasons = f" ({', '.join(all_reasons(known))})" if np.isnan(limits).any() else ""
    rest = aside
    if len(known) < len(scenes):
        rest += f"; {len(scenes) - len(known)} of {len(scenes)} photographs not at hand"
    first = limit_on_most(limits[np.isfinite(limits)], areas[np.isfinite(limits)])
    if first is None:
        return f"{counted} seen; none of the wall is assessable{reasons}{rest}"

    whole = areas.sum()
    width = rounded_up(first)
    hidden = float(areas[np.isnan(limits)].sum() / whole)
    coarser = float(areas[limits > width].sum() / whole)
    percent_hidden = math.ceil(100 * hidden - 1e-9)
    percent_coarser = math.ceil(100 * coarser - 1e-9) if coarser > LEAST_SHARE else 0
    percent = 100 - percent_hidden - percent_coarser
    unit = "mm" if in_mm else "px"
    if percent == 0:
        return f"{counted} seen; less than 1 % of the wall is assessable{reasons}{rest}"
    where = f"{percent} % of the wall"
    if percent == 100:
        where = "all of the wall" if hidden == coarser == 0 else "more than 99 % of the wall"
    if cracks or short:
        said = f"{counted}; cracks of {width:g} {unit} or more would have been seen on {where}"
    else:
        said = f"no crack of {width:g} {unit} or more seen on {where}"
    if percent_coarser:
        widest = rounded_up(float(np.nanmax(limits)))
        said += f", of {widest:g} {unit} or more on {percent_coarser} % besides"
    if percent_hidden:
        least = "less than 1" if hidden < LEAST_SHARE else str(percent_hidden)
        said += f"; {least} % not assessable{reasons}"
    if not all(scene.by_default for scene in known):
        rest += OTHER_SCAN
    return said + rest


def limits_and_areas(known: Sequence[SceneFindings], in_mm: bool) -> tuple[np.ndarray, np.ndarray]:
    """Detection limits (N,), nan if none, and their areas (N,), in mm and mm2 or in px and px2."""
    limits, areas = [], []
    for scene in known:
        assert scene.seen is not None
        size = (scene.mm_per_px or 1.0) if in_mm else 1.0
        limits.append(scene.seen.limit_px * size)
        areas.append(scene.seen.area_px * size**2)
    return np.concatenate(limits), np.concatenate(areas)


def all_reasons(known: Sequence[SceneFindings]) -> list[str]:
    """Why parts are not assessable, each reason once."""
    found = [reason for scene in known if scene.seen for reason in scene.seen.reasons]
    return list(dict.fromkeys(found))


def rounded_up(width: float) -> float:
    """The next width that people speak of."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(round(step * power, 9) for step in ROUND if step * power >= width * (1 - 1e-9))
