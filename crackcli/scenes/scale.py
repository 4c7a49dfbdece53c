"""Scale of a scene: millimetres per pixel, its uncertainty and its source; None if unknown.

Several sources must agree. The first of these is used:

  option   ``report --gsd-mm``, with ``--gsd-sigma-mm`` if that is known
  marker   ArUco markers of known size that the scan found in the photograph
  crs      the map of the raster, by geodesy in the middle of the scene
           (`crackcli.rasters.ground.pixel`); its uncertainty is unknown
  exif     focal length and distance, the coarsest
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from affine import Affine

from crackcli.errors import InputError, UsageError
from crackcli.rasters.ground.pixel import PixelShape
from crackcli.scenes.scene import Scene

log = logging.getLogger(__name__)

SOURCES = {
    "option": "--gsd-mm",
    "marker": "its markers",
    "crs": "its map",
    "exif": "EXIF and the distance",
}
# Two sources may differ by the larger of these:
MAX_DISAGREEMENT = 0.02  # fraction of the scale
MAX_DISAGREEMENT_SIGMAS = 3.0  # combined standard uncertainties
DIGITS = 7  # significant ones of a scale: 0.9999999999999991 mm is 1 mm


@dataclass(frozen=True)
class Scale:
    """Size of a pixel and its standard uncertainty in mm (None: unknown); ``source`` is one of
    `SOURCES`. Of a pixel that is not square, the size is the side of a square of its area."""

    mm_per_px: float
    sigma: float | None
    source: str


def check_scale_options(gsd_mm: float | None, sigma: float | None, trust: str | None) -> None:
    """Raise `UsageError` if options of `find_scale` do not fit together."""
    if sigma is not None and gsd_mm is None:
        raise UsageError("--gsd-sigma-mm is the uncertainty of --gsd-mm; give both")
    if trust is not None and trust not in SOURCES:
        raise UsageError(f"--scale-source {trust}: unknown source; use {', '.join(SOURCES)}")


def find_scale(
    scene: Scene, gsd_mm: float | None = None, sigma: float | None = None, trust: str | None = None
) -> Scale | None:
    """Return the scale of a scene by the source to ``trust`` if it is there, else by the first of
    `SOURCES` that is there, else None. ``sigma`` is the standard uncertainty of ``gsd_mm``.

    A map gives no scale, and a warning says why, if its units or its place on the Earth are
    unknown. If two sources differ by more than 2 % and 3 of their uncertainties, and none is
    trusted, raises `UsageError` if one of them is ``gsd_mm``, else `InputError`.
    """
    found = {scale.source: scale for scale in recorded_scales(scene)}
    pixel = scene.ground_pixel
    if pixel.side_mm is not None:
        found["crs"] = Scale(pixel.side_mm, None, "crs")
    if gsd_mm is not None:
        found["option"] = Scale(gsd_mm, sigma, "option")
    scales = [found[source] for source in SOURCES if source in found]
    if trust in found:
        return in_digits(found[trust])
    check_agreement(scene, scales)
    if not scales:
        if scene.transform != Affine.identity():
            log.warning("%s: no mm, as %s; give --gsd-mm", scene.name, pixel.unknown)
        return None
    used = scales[0]
    if used.source != "crs" and pixel.shape.largest_stretch > 1 + MAX_DISAGREEMENT:
        log.warning(
            "%s: pixels are not square; by %s they are %s",
            scene.name,
            SOURCES[used.source],
            size_text(used.mm_per_px, pixel.shape),
        )
    return in_digits(used)


def size_text(mm_per_px: float, shape: PixelShape) -> str:
    """Return the size of a pixel in words: one side, or width and height if they differ."""
    if shape.largest_stretch <= 1 + MAX_DISAGREEMENT:
        return f"{mm_per_px:.4g} mm"
    width, height = (mm_per_px * side for side in shape.sides)
    return f"{width:.4g} x {height:.4g} mm, as large as a square of {mm_per_px:.4g} mm"


def in_digits(scale: Scale) -> Scale:
    """Return a scale rounded to `DIGITS`."""
    sigma = None if scale.sigma is None else float(f"{scale.sigma:.{DIGITS}g}")
    return Scale(float(f"{scale.mm_per_px:.{DIGITS}g}"), sigma, scale.source)


def check_agreement(scene: Scene, scales: Sequence[Scale]) -> None:
    """Raise an error with both values for the first two sources that differ too much."""
    for first, second in combinations(scales, 2):
        difference = abs(first.mm_per_px - second.mm_per_px)
        sigma = math.hypot(first.sigma or 0.0, second.sigma or 0.0)
        limit = max(MAX_DISAGREEMENT * second.mm_per_px, MAX_DISAGREEMENT_SIGMAS * sigma)
        if difference <= limit:
            continue
        kind = UsageError if first.source == "option" else InputError
        sizes = [
            size_text(one.mm_per_px, scene.ground_pixel.shape)
            if one.source == "crs"
            else f"{one.mm_per_px:.4g} mm"
            for one in (second, first)
        ]
        raise kind(
            f"{scene.folder}: a pixel is {sizes[0]} by {SOURCES[second.source]}, but {sizes[1]} "
            f"by {SOURCES[first.source]}; correct one of them, or report with --scale-source "
            f"{second.source} or {first.source}"
        )


def recorded_scales(scene: Scene) -> list[Scale]:
    """Return the scales that the scan found in the photograph."""
    return [Scale(**scale) for scale in scene.record.scales]


def in_mm(value_px: float | None, scale: Scale | None, decimals: int = 4) -> float | None:
    """Return a length in millimetres, rounded; None without a scale, or if it is None or nan."""
    if value_px is None or math.isnan(value_px) or scale is None:
        return None
    return round(value_px * scale.mm_per_px, decimals)


def in_mm2(value_px: float | None, scale: Scale | None) -> float | None:
    """Return an area in square millimetres, rounded; None without a scale, or if it is None."""
    if value_px is None or scale is None:
        return None
    return round(value_px * scale.mm_per_px**2, 4)
