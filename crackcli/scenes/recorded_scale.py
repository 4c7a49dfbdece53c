"""What a photograph itself tells of its scale, found once, at the scan, and kept in scene.json.

A report needs no photograph for that: it reads what was found, and checks it against the map and
against what is typed in (`crackcli.scenes.scale`).
"""

import logging
from dataclasses import asdict, dataclass, replace

from crackcli.errors import InputError, UsageError
from crackcli.rasters.orientation import TURNS
from crackcli.rasters.reader import RasterInfo, read_tags
from crackcli.scenes import exif
from crackcli.scenes.markers import marker_scale
from crackcli.scenes.record import HintsRecord, PhotographRecord, ScaleRecord
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hints:
    """What a person knows of the photographs: side of the ArUco markers that lie in them, and
    from how far they were taken."""

    marker_mm: float | None = None
    distance_m: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} is {value:g}; give a number above 0")


def look(info: RasterInfo, hints: Hints, earlier: Scene | None = None) -> PhotographRecord:
    """``scales`` that were found, when the photograph was taken (``acquired_utc`` or None), and
    what that was found from; what the ``earlier`` scan found from the same is not looked for again.

    Raises `InputError` where a hint leads to no scale.
    """
    asked: HintsRecord = {
        "sha256": info.digest,
        "marker_mm": hints.marker_mm,
        "distance_m": hints.distance_m,
    }
    found = None if earlier is None else earlier.record.photograph
    if found is not None and found.get("asked") == asked:
        return found
    tags = {} if info.georeferenced else read_tags(info.path)
    scales = [noted(info, tags, hints.distance_m)]
    if hints.marker_mm is not None:
        scales.append(Scale(*marker_scale(info, hints.marker_mm)[:2], "marker"))
    return {
        "asked": asked,
        "acquired_utc": exif.acquired_utc(tags),
        "scales": [recorded(scale) for scale in scales if scale is not None],
    }


def note(scene: Scene, found: PhotographRecord) -> None:
    """Have a finished scene tell what was found, if it tells something else."""
    if scene.record.photograph != found:
        replace(scene, record=scene.record.with_photograph(found)).write()


def recorded(scale: Scale) -> ScaleRecord:
    """Return a scale in the form of ``scene.json``."""
    return {"mm_per_px": scale.mm_per_px, "sigma": scale.sigma, "source": scale.source}


def noted(info: RasterInfo, tags: exif.Tags, distance_m: float | None) -> Scale | None:
    """The scale by what the camera noted; an `InputError` where there is none at a given
    distance."""
    rows, cols = TURNS[info.orientation].shape((info.rows, info.cols))  # as they are stored
    try:
        found = exif.pixel_size(tags, rows, cols, distance_m)
    except exif.Unknown as error:
        if distance_m is not None:
            raise InputError(
                f"{info.path}: --distance-m gives no scale, {error}; leave it out and give "
                "--gsd-mm to crackcli report"
            ) from error
        return None
    log.info("%s: %.4g mm per pixel by EXIF (%s)", info.path.name, found.mm_per_px, found.how)
    return Scale(found.mm_per_px, found.sigma, "exif")
