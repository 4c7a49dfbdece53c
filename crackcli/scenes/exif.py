"""Pixel size and time from the EXIF tags of a photograph.

A thin lens of focal length f at distance d projects a surface (d - f) / f times smaller than it
is. A pixel thus covers pitch * (d - f) / f of the surface, where pitch is the size of a pixel of
the sensor. Tags contain pitch and f as the focal plane resolution and the focal length, or
together as the 35 mm equivalent focal length: the film is 24 x 36 mm, its diagonal 43.27 mm.

EXIF has no uncertainties. These relative standard uncertainties are assumed; they enter that of
the scale:
  3 %   of the focal length: it is rounded, and differs a little when the lens is focused near;
  20 %  of a distance noted by the camera: it is read from the lens in coarse steps;
  2 %   of a distance measured by a person;
  f     of either: the distance may be measured from the lens or from the sensor.

Tags have the names and the form that GDAL gives them: EXIF_FocalLength is "(50)".
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

FOCAL_UNC = 0.03  # relative standard uncertainties, see above
CAMERA_DISTANCE_UNC = 0.2
GIVEN_DISTANCE_UNC = 0.02
FILM_DIAGONAL_MM = 43.27
MAX_DISAGREEMENT = 0.1  # largest fraction by which the two ways to find the pitch may differ
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # values of FocalPlaneResolutionUnit
MAX_DISTANCE_M = 1000.0  # cameras write huge numbers for infinity

Tags = Mapping[str, str]


@dataclass(frozen=True)
class PixelSize:
    """Size of a pixel on the surface and its standard uncertainty in mm, and its ``basis``: the
    distance and the focal length in words."""

    mm_per_px: float
    sigma: float
    basis: str


class UnknownPixelSize(ValueError):
    """The tags do not determine the size of a pixel; the text says what is missing."""


def pixel_size(tags: Tags, rows: int, cols: int, distance_m: float | None = None) -> PixelSize:
    """Return the pixel size of a photograph that is stored with ``rows`` by ``cols`` pixels.

    ``distance_m`` is a distance measured by a person; without it the camera's distance counts.
    Raises `UnknownPixelSize` if tags are missing or contradict each other.
    """
    from_camera = distance_m is None
    distance = camera_distance_mm(tags) if distance_m is None else 1000 * distance_m
    if distance is None:
        raise UnknownPixelSize("EXIF contains no distance")
    check_size(tags, rows, cols)
    focal = positive_number(tags, "FocalLength") or 0.0
    per_distance = pitch_over_focal(tags, focal, math.hypot(rows, cols))
    if distance <= 2 * focal:
        raise UnknownPixelSize(
            f"a distance of {distance:g} mm is too near for a lens of {focal:g} mm"
        )
    size = per_distance * (distance - focal)
    distance_unc = CAMERA_DISTANCE_UNC if from_camera else GIVEN_DISTANCE_UNC
    off_mm = math.hypot(distance_unc * distance, focal)
    relative = math.hypot(FOCAL_UNC, off_mm / (distance - focal))
    whose = "noted by the camera" if from_camera else "given"
    film = positive_number(tags, "FocalLengthIn35mmFilm")
    lens = f"{focal:g} mm" if focal else f"{film:g} mm of film"
    basis = f"{distance / 1000:g} m {whose}, focal length {lens}"
    return PixelSize(size, size * relative, basis)


def camera_distance_mm(tags: Tags) -> float | None:
    """Return the distance that the camera noted in mm; None if unknown or infinite."""
    metres = positive_number(tags, "SubjectDistance")
    return 1000 * metres if metres is not None and metres < MAX_DISTANCE_M else None


def check_size(tags: Tags, rows: int, cols: int) -> None:
    """Raise `UnknownPixelSize` if the camera took more or fewer pixels than there are."""
    width = positive_number(tags, "PixelXDimension")
    height = positive_number(tags, "PixelYDimension")
    if width is not None and height is not None and (width, height) != (cols, rows):
        raise UnknownPixelSize(
            f"the camera took {width:.0f} x {height:.0f} px, so it was cropped or resampled since"
        )


def pitch_over_focal(tags: Tags, focal: float, diagonal_px: float) -> float:
    """Return the sensor's pixel size divided by the focal length, by the focal plane resolution
    if possible, else by the 35 mm equivalent.

    Raises `UnknownPixelSize` if neither is there, or if both differ by more than
    `MAX_DISAGREEMENT`.
    """
    ways = []
    per_unit = positive_number(tags, "FocalPlaneXResolution")
    unit_mm = UNIT_MM.get(int(positive_number(tags, "FocalPlaneResolutionUnit") or 2))
    if per_unit and unit_mm and focal:
        ways.append(unit_mm / per_unit / focal)
    film = positive_number(tags, "FocalLengthIn35mmFilm")
    if film:
        ways.append(FILM_DIAGONAL_MM / diagonal_px / film)
    if not ways:
        raise UnknownPixelSize("EXIF contains no focal length, or no size of the sensor")
    if max(ways) > (1 + MAX_DISAGREEMENT) * min(ways):
        raise UnknownPixelSize("the focal length and its 35 mm equivalent contradict each other")
    return ways[0]


def positive_number(tags: Tags, name: str) -> float | None:
    """Return the number in a tag; None if it is missing, not positive or infinite."""
    found = re.search(r"[0-9.]+(?:e[+-]?[0-9]+)?", tags.get(f"EXIF_{name}", ""))
    try:
        value = float(found[0]) if found else 0.0
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def acquired_utc(tags: Tags) -> str | None:
    """Return when the photograph was taken, ISO 8601 in UTC; None if the time zone is missing."""
    text = tags.get("EXIF_DateTimeOriginal", "") + tags.get("EXIF_OffsetTimeOriginal", "")
    try:
        taken = datetime.strptime(text.strip(), "%Y:%m:%d %H:%M:%S%z")
    except ValueError:
        return None
    return taken.astimezone(UTC).isoformat(timespec="seconds")
