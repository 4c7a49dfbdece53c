"""Millimetres per pixel, their uncertainty, and where they come from; or None, and then nothing is
in mm.

There may be several sources, and they must agree.  The first of these is used:

  option   ``report --gsd-mm``, with ``--gsd-sigma-mm`` if that is known
  marker   ArUco markers of known size that the scan found in the photograph
  crs      the map of the raster; how far it is right, no raster tells
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
AGREEMENT = 0.02  # share by which two sources may differ, whatever their uncertainties
SIGMAS = 3.0  # combined standard uncertainties by which they may


@dataclass(frozen=True)
class Scale:
    """Size of a pixel, its standard uncertainty in mm (None: unknown), and its ``source``, one of
    `SOURCES`."""

    mm_per_px: float
    sigma: float | None
    source: str


def check_options(gsd_mm: float | None, sigma: float | None, trust: str | None) -> None:
    """Raise a `UsageError` where options of `find_scale` make no sense."""
    if sigma is not None and gsd_mm is None:
        raise UsageError("--gsd-sigma-mm tells how sure --gsd-mm is; give both")
    if trust is not None and trust not in SOURCES:
        raise UsageError(f"'{trust}' is no source of a scale; choose one of: {', '.join(SOURCES)}")


def find_scale(
    scene: Scene, gsd_mm: float | None = None, sigma: float | None = None, trust: str | None = None
) -> Scale | None:
    """The scale of a scene by the source to ``trust`` if there is that, else by the first of
    `SOURCES` that there is.  ``sigma`` is the standard uncertainty of ``gsd_mm``.

    A map in degrees or without known units gives no scale, nor does a raster that has a CRS but
    no transform.  Where two sources differ by more than 2 % and 3 of their uncertainties, and none
    is trusted, raises `UsageError` if one of them is ``gsd_mm``, else `InputError`.
    """
    found = {scale.source: scale for scale in recorded(scene)}
    mapped = mapped_mm(scene)
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
    """Raise an error that names the first two sources that differ too much, and both values."""
    for first, second in combinations(scales, 2):
        apart = abs(first.mm_per_px - second.mm_per_px)
        sigma = math.hypot(first.sigma or 0.0, second.sigma or 0.0)
        if apart <= max(AGREEMENT * second.mm_per_px, SIGMAS * sigma):
            continue
        kind = UsageError if first.source == "option" else InputError
        raise kind(
            f"a pixel of {scene.folder} is {second.mm_per_px:.4g} mm by {SOURCES[second.source]}, "
            f"but {first.mm_per_px:.4g} mm by {SOURCES[first.source]}; correct one of them, or "
            f"report with --scale-source {second.source} or {first.source}"
        )


def recorded(scene: Scene) -> list[Scale]:
    """What the scan found in the photograph."""
    return [Scale(**scale) for scale in scene.record.scales]


def mapped_mm(scene: Scene) -> float | None:
    """Side of a square as large as a pixel, in mm, by the scene's map."""
    if scene.crs_wkt is None or scene.transform == Affine.identity():
        return None
    metres = metres_per_unit(scene.crs_wkt)
    if metres is None:
        return None
    return 1000 * metres * math.sqrt(abs(scene.transform.determinant))


def in_mm(value_px: float, scale: Scale | None) -> float | None:
    """A length in millimetres; None without a scale."""
    return round(value_px * scale.mm_per_px, 4) if scale else None


def in_mm2(value_px: float, scale: Scale | None) -> float | None:
    """An area in square millimetres; None without a scale."""
    return round(value_px * scale.mm_per_px**2, 4) if scale else None
