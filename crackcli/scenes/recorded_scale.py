"""Scales from the photograph itself, found once at the scan and stored in ``scene.json``.

A report thus needs no photograph for its scale: it reads what was stored and checks it against
the map and the options (`crackcli.scenes.scale`).
"""

import logging
from dataclasses import asdict, dataclass, replace

import crackcli.scenes.exif as exif
from crackcli.errors import InputError, UsageError
from crackcli.rasters.grid import ORIENTATIONS
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.score_mask import read_tags
from crackcli.scenes.markers import marker_scale
from crackcli.scenes.record import HintsRecord, PhotographRecord, ScaleRecord
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene

log = logging.getLogger(__name__)

RULES = 2  # of how a scale follows from a photograph; scales by earlier rules are found again


@dataclass(frozen=True)
class Hints:
    """The user's knowledge of the photographs: side of the ArUco markers in them, in mm, and
    distance of the camera, in m."""

    marker_mm: float | None = None
    distance_m: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 < value < float("inf"):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} {value:g}: must be above 0; give a positive number")


def find_scales(info: RasterInfo, hints: Hints, earlier: Scene | None = None) -> PhotographRecord:
    """Return the scales in a photograph by EXIF and markers, and when it was taken.

    The record of an ``earlier`` scan is returned if it is of the same file, hints and rules. Raises
    `InputError` if a hint leads to no scale.
    """
    asked: HintsRecord = {
        "rules": RULES,
        "sha256": info.digest,
        "marker_mm": hints.marker_mm,
        "distance_m": hints.distance_m,
    }
    found = None if earlier is None else earlier.record.photograph
    if found is not None and found.get("asked") == asked:
        return found
    tags = {} if info.georeferenced else read_tags(info.path, info.page)
    scales = [exif_scale(info, tags, hints.distance_m)]
    if hints.marker_mm is not None:
        scales.append(Scale(*marker_scale(info, hints.marker_mm)[:2], "marker"))
    return {
        "asked": asked,
        "acquired_utc": exif.acquired_utc(tags),
        "scales": [scale_record(scale) for scale in scales if scale is not None],
    }


def store_scales(scene: Scene, found: PhotographRecord) -> None:
    """Write ``scene.json`` of a finished scene again if it contains other scales."""
    if scene.record.photograph != found:
        replace(scene, record=scene.record.with_photograph(found)).write()


def scale_record(scale: Scale) -> ScaleRecord:
    """Return a scale in the form of ``scene.json``."""
    return {"mm_per_px": scale.mm_per_px, "sigma": scale.sigma, "source": scale.source}


def exif_scale(info: RasterInfo, tags: exif.Tags, distance_m: float | None) -> Scale | None:
    """Return the scale by EXIF, or None; raises `InputError` if ``distance_m`` is given and there
    is none."""
    rows, cols = ORIENTATIONS[info.orientation].shape((info.rows, info.cols))  # as stored
    try:
        found = exif.pixel_size(tags, rows, cols, distance_m)
    except exif.UnknownPixelSize as error:
        if distance_m is not None:
            raise InputError(
                f"{info.path}: --distance-m gives no scale, {error}; leave it out and give "
                "--gsd-mm to crackcli report"
            ) from error
        return None
    log.info("%s: %.4g mm per pixel by EXIF (%s)", info.path.name, found.mm_per_px, found.basis)
    return Scale(found.mm_per_px, found.sigma, "exif")
