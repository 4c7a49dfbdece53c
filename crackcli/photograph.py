"""What a photograph itself tells of its scale, found once, at the scan, and kept in scene.json.

A report needs no photograph for that: it reads what was found, and checks it against the map and
against what is typed in (`crackcli.scale`).
"""

import logging
from dataclasses import asdict, dataclass
from typing import Any

from crackcli import exif
from crackcli.errors import InputError, UsageError
from crackcli.marker import marker_scale
from crackcli.orientation import TURNS
from crackcli.raster import RasterInfo, read_tags
from crackcli.scale import Scale

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


def look(
    info: RasterInfo, hints: Hints, sha256: str, earlier: dict[str, Any] | None = None
) -> dict[str, Any]:
    """``scales`` that were found, when the photograph was taken (``acquired_utc`` or None), and
    what that was found from; what was found ``earlier`` from the same is not looked for again.

    Raises `InputError` where a hint leads to no scale.
    """
    asked = {"sha256": sha256, "hints": asdict(hints)}
    if earlier is not None and earlier.get("asked") == asked:
        return earlier
    tags = {} if info.georeferenced else read_tags(info.path)
    scales = [noted(info, tags, hints.distance_m)]
    if hints.marker_mm is not None:
        scales.append(Scale(*marker_scale(info, hints.marker_mm)[:2], "marker"))
    return {
        "asked": asked,
        "acquired_utc": exif.acquired_utc(tags),
        "scales": [asdict(scale) for scale in scales if scale is not None],
    }


def noted(info: RasterInfo, tags: exif.Tags, distance_m: float | None) -> Scale | None:
    """The scale by what the camera noted; an `InputError` where there is none at a given
    distance."""
    rows, cols = TURNS[info.orientation].shape((info.rows, info.cols))  # as they are stored
    try:
        found = exif.sight(tags, rows, cols, distance_m)
    except exif.Unknown as error:
        if distance_m is not None:
            raise InputError(
                f"{info.path}: --distance-m gives no scale, {error}; leave it out and give "
                "--gsd-mm to crackcli report"
            ) from error
        return None
    log.info("%s: %.4g mm per pixel by EXIF (%s)", info.path.name, found.mm_per_px, found.how)
    return Scale(found.mm_per_px, found.sigma, "exif")
