"""Millimetres per pixel, and where that number comes from; or None, and then nothing is in mm."""

import math
from dataclasses import dataclass

from affine import Affine

from crackcli.errors import UsageError
from crackcli.raster import metres_per_unit
from crackcli.scene import Scene

AGREEMENT = 0.02  # how far a given pixel size may lie from that of the map


@dataclass(frozen=True)
class Scale:
    """Size of a pixel, its standard uncertainty in mm (None: unknown), and ``source``: "crs" for
    the raster's map, "option" for ``--gsd-mm``."""

    mm_per_px: float
    sigma: float | None
    source: str


def find_scale(scene: Scene, gsd_mm: float | None = None) -> Scale | None:
    """The scale of a scene: as given by ``gsd_mm``, else from its map, else None.

    A map in degrees or without known units gives no scale, nor does a raster that has a CRS but
    no transform.  Raises `UsageError` if ``gsd_mm`` contradicts the map by more than 2 %.
    """
    mapped = mapped_mm(scene)
    if gsd_mm is None:
        return None if mapped is None else Scale(mapped, None, "crs")
    if mapped is not None and abs(gsd_mm - mapped) > AGREEMENT * mapped:
        raise UsageError(
            f"a pixel of {scene.folder} is {mapped:.4g} mm by its map, but --gsd-mm says "
            f"{gsd_mm:.4g} mm; leave the option out, or correct the raster's transform"
        )
    return Scale(gsd_mm, None, "option")


def mapped_mm(scene: Scene) -> float | None:
    """Side of a square as large as a pixel, in mm, by the scene's map."""
    if scene.crs_wkt is None or scene.transform == Affine.identity():
        return None
    metres = metres_per_unit(scene.crs_wkt)
    if metres is None:
        return None
    return 1000 * metres * math.sqrt(abs(scene.transform.determinant))
