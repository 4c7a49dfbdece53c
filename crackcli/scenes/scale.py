"""Scale of a scene: millimetres per pixel, its uncertainty and its source; None if unknown.

Several sources must agree. The first of these is used:

  option   ``report --gsd-mm``, with ``--gsd-sigma-mm`` if that is known
  marker   ArUco markers of known size that the scan found in the photograph
  crs      the map of the raster, whose uncertainty is unknown
  exif     focal length and distance, the coarsest
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from affine import Affine

from crackcli.errors import InputError, UsageError
from crackcli.rasters.crs import metres_per_unit
from crackcli.scenes.scene import Scene

SOURCES = {
    "option": "--gsd-mm",
    "marker": "its markers",
    "crs": "its map",
    "exif": "EXIF and the distance",
}
# Two sources may differ by the larger of these:
MAX_DISAGREEMENT = 0.02  # fraction of the scale
MAX_DISAGREEMENT_SIGMAS = 3.0  # combined standard uncertainties


@dataclass(frozen=True)
class Scale:
    """Size of a pixel and its standard uncertainty in mm (None: unknown); ``source`` is one of
    `SOURCES`."""

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

    A map in degrees or without known units gives no scale, nor does a raster that has a CRS but
    no transform. If two sources differ by more than 2 % and 3 of their uncertainties, and none
    is trusted, raises `UsageError` if one of them is ``gsd_mm``, else `InputError`.
    """
    found = {scale.source: scale for scale in recorded_scales(scene)}
    mapped = map_mm_per_px(scene)
    if mapped is not None:
        found["crs"] = Scale(mapped, None, "crs")
    if gsd_mm is not None:
        found["option"] = Scale(gsd_mm, sigma, "option")
    if trust in found:
        return found[trust]
    scales = [found[source] for source in SOURCES if source in found]
    check_agreement(scene, scales)
    return scales[0] if scales else None


def check_agreement(scene: Scene, scales: Sequence[Scale]) -> None:
    """Raise an error with both values for the first two sources that differ too much."""
    for first, second in combinations(scales, 2):
        difference = abs(first.mm_per_px - second.mm_per_px)
        sigma = math.hypot(first.sigma or 0.0, second.sigma or 0.0)
        limit = max(MAX_DISAGREEMENT * second.mm_per_px, MAX_DISAGREEMENT_SIGMAS * sigma)
        if difference <= limit:
            continue
        kind = UsageError if first.source == "option" else InputError
        raise kind(
            f"{scene.folder}: a pixel is {second.mm_per_px:.4g} mm by {SOURCES[second.source]}, "
            f"but {first.mm_per_px:.4g} mm by {SOURCES[first.source]}; correct one of them, or "
            f"report with --scale-source {second.source} or {first.source}"
        )


def recorded_scales(scene: Scene) -> list[Scale]:
    """Return the scales that the scan found in the photograph."""
    return [Scale(**scale) for scale in scene.record.scales]


def map_mm_per_px(scene: Scene) -> float | None:
    """Return the side, in mm, of a square as large as a pixel on the scene's map; None if the
    scene has no map in units of length."""
    if scene.crs_wkt is None or scene.transform == Affine.identity():
        return None
    metres = metres_per_unit(scene.crs_wkt)
    if metres is None:
        return None
    return 1000 * metres * math.sqrt(abs(scene.transform.determinant))


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
