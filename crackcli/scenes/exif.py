"""What a camera noted about a photograph: the size of a pixel at a known distance, and the time.

A thin lens of focal length f at distance d from a wall draws it (d - f) / f times smaller than it
is, so a pixel of the wall measures pitch * (d - f) / f, with pitch the size of a pixel of the
sensor.  Pitch and f are noted as the resolution in the focal plane and the focal length, or as
the focal length of a lens with the same view on 24 x 36 mm film, whose diagonal is 43.27 mm.

The standard uncertainties of what cameras note are not noted; these are assumed, and end up in
that of the scale:
  3 %   of the focal length: it is rounded, and differs a little when the lens is focused near;
  20 %  of a distance that the camera noted: it is read from the lens in coarse steps;
  2 %   of a distance that a person measured;
  f     of either: it may have been measured from the lens or from the sensor.

Tags are those of EXIF as GDAL names and writes them: EXIF_FocalLength is "(50)".
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

FOCAL_SHARE = 0.03
NOTED_SHARE = 0.2
MEASURED_SHARE = 0.02
FILM_DIAGONAL_MM = 43.27
AGREEMENT = 0.1  # how far the two ways to know the camera may lie apart
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # of the resolution in the focal plane
FARTHEST_M = 1000.0  # cameras note huge numbers for infinity

Tags = Mapping[str, str]


@dataclass(frozen=True)
class PixelSize:
    """Size of a pixel on the wall in mm, its standard uncertainty, and from what it was found."""

    mm_per_px: float
    sigma: float
    how: str


class Unknown(ValueError):
    """The tags do not tell the size of a pixel; the text says what is missing."""


def pixel_size(tags: Tags, rows: int, cols: int, distance_m: float | None = None) -> PixelSize:
    """The size of a pixel of a photograph of ``rows`` by ``cols`` as it is stored.

    ``distance_m`` is what a person measured; else the distance that the camera noted counts.
    Raises `Unknown` where something is missing or contradicts itself.
    """
    noted = distance_m is None
    distance = distance_of(tags) if distance_m is None else 1000 * distance_m
    if distance is None:
        raise Unknown("no distance is noted")
    check_size(tags, rows, cols)
    focal = number(tags, "FocalLength") or 0.0
    per_distance = pitch_over_focal(tags, focal, math.hypot(rows, cols))
    if distance <= 2 * focal:
        raise Unknown(f"a distance of {distance:g} mm is too near for a lens of {focal:g} mm")
    size = per_distance * (distance - focal)
    off = math.hypot((NOTED_SHARE if noted else MEASURED_SHARE) * distance, focal)
    share = math.hypot(FOCAL_SHARE, off / (distance - focal))
    whose = "noted by the camera" if noted else "given"
    lens = f"{focal:g} mm" if focal else f"{number(tags, 'FocalLengthIn35mmFilm'):g} mm of film"
    return PixelSize(size, size * share, f"{distance / 1000:g} m {whose}, focal length {lens}")


def distance_of(tags: Tags) -> float | None:
    """The noted distance in mm; None where it is unknown or infinite."""
    metres = number(tags, "SubjectDistance")
    return 1000 * metres if metres is not None and metres < FARTHEST_M else None


def check_size(tags: Tags, rows: int, cols: int) -> None:
    """Raise `Unknown` where the camera took more or fewer pixels than there are."""
    noted = number(tags, "PixelXDimension"), number(tags, "PixelYDimension")
    if None not in noted and noted != (cols, rows):
        raise Unknown(
            f"it was {noted[0]:.0f} x {noted[1]:.0f} px large and has been cut or resampled since"
        )


def pitch_over_focal(tags: Tags, focal: float, diagonal_px: float) -> float:
    """Size of a pixel of the sensor over the focal length; that of the film's equivalent where
    nothing better is noted."""
    ways = []
    per_unit = number(tags, "FocalPlaneXResolution")
    unit_mm = UNIT_MM.get(int(number(tags, "FocalPlaneResolutionUnit") or 2))
    if per_unit and unit_mm and focal:
        ways.append(unit_mm / per_unit / focal)
    film = number(tags, "FocalLengthIn35mmFilm")
    if film:
        ways.append(FILM_DIAGONAL_MM / diagonal_px / film)
    if not ways:
        raise Unknown("no focal length, or no size of the sensor, is noted")
    if max(ways) > (1 + AGREEMENT) * min(ways):
        raise Unknown("the focal length and its equivalent on film contradict each other")
    return ways[0]


def number(tags: Tags, name: str) -> float | None:
    """A positive number; None where there is none."""
    found = re.search(r"[0-9.]+(?:e[+-]?[0-9]+)?", tags.get(f"EXIF_{name}", ""))
    try:
        value = float(found[0]) if found else 0.0
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def acquired_utc(tags: Tags) -> str | None:
    """When the photograph was taken, ISO 8601 in UTC; None where the time zone is not noted."""
    text = tags.get("EXIF_DateTimeOriginal", "") + tags.get("EXIF_OffsetTimeOriginal", "")
    try:
        taken = datetime.strptime(text.strip(), "%Y:%m:%d %H:%M:%S%z")
    except ValueError:
        return None
    return taken.astimezone(UTC).isoformat(timespec="seconds")
