"""Pixel size and time from the EXIF tags of a photograph.

A thin lens of focal length f at distance d projects a surface (d - f) / f times smaller than it
is. A pixel thus covers pitch * (d - f) / f of the surface, where pitch is the size of a pixel of
the sensor. Tags contain pitch and f as the focal plane resolution and the focal length, or
together as the 35 mm equivalent focal length: the film is 24 x 36 mm, its diagonal 43.27 mm.

The focal plane resolution of some files is that of another size of the photograph. It counts only
if the sensor is then one that cameras have, or if the 35 mm equivalent agrees. A digital zoom
magnifies by cropping, and cameras differ in which of both tags contain it. It is known if one of
them does and the other does not: their ratio is then the zoom.

EXIF has no uncertainties. These relative standard uncertainties are assumed; they enter that of
the scale:
  3 %   of the focal length: it is rounded, and differs a little when the lens is focused near;
  2.5 % of a 35 mm equivalent: some cameras compare widths instead of diagonals; its rounding to
        1 mm; and where the photograph is no 4:3 or 3:2, half the range up to a crop of these,
        whose diagonal the tag then has;
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
FILM_UNC = 0.025
CAMERA_DISTANCE_UNC = 0.2
GIVEN_DISTANCE_UNC = 0.02
FILM_DIAGONAL_MM = 43.27
MAX_DISAGREEMENT = 0.1  # largest fraction by which the two ways to find the pitch may differ
ASPECT_WITHIN = 0.02  # of 4:3 or 3:2
# Sensors of cameras in mm: medium format, full frame, APS-H, APS-C, Four Thirds, 1" and smaller
SENSORS_MM = (
    *((53.4, 40.0), (43.8, 32.9), (36.0, 24.0), (28.7, 19.0), (23.5, 15.6), (22.5, 15.0)),
    *((17.3, 13.0), (13.2, 8.8), (9.8, 7.3), (8.8, 6.6), (7.6, 5.7), (7.2, 5.4), (6.17, 4.55)),
)
SENSOR_WITHIN = 0.025  # of its size; its tag is often rounded
MAX_PIXEL_ASPECT = 1.02  # of a pixel of the sensor, by the focal plane resolution
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
    per_distance, lens_unc = pitch_over_focal(tags, focal, rows, cols)
    if distance <= 2 * focal:
        raise UnknownPixelSize(
            f"a distance of {distance:g} mm is too near for a lens of {focal:g} mm"
        )
    size = per_distance * (distance - focal)
    distance_unc = CAMERA_DISTANCE_UNC if from_camera else GIVEN_DISTANCE_UNC
    off_mm = math.hypot(distance_unc * distance, focal)
    relative = math.hypot(lens_unc, off_mm / (distance - focal))
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


def pitch_over_focal(tags: Tags, focal: float, rows: int, cols: int) -> tuple[float, float]:
    """Return the sensor's pixel size divided by the focal length, and its relative standard
    uncertainty, by the focal plane resolution if possible, else by the 35 mm equivalent.

    Raises `UnknownPixelSize` if neither is there or certain, or if they contradict each other.
    """
    pitch = focal_plane_pitch(tags)
    by_plane = pitch / focal if pitch and focal else None
    film = positive_number(tags, "FocalLengthIn35mmFilm")
    by_film = FILM_DIAGONAL_MM / math.hypot(rows, cols) / film if film else None
    zoom = max(1.0, positive_number(tags, "DigitalZoomRatio") or 1.0)
    if by_plane is None and by_film is None:
        raise UnknownPixelSize("EXIF contains no focal length, or no size of the sensor")
    if zoom > 1 + MAX_DISAGREEMENT:
        if by_plane is None or by_film is None or not agree(by_plane, by_film, zoom):
            raise UnknownPixelSize(
                f"the camera zoomed {zoom:g} times digitally, and it is not certain which tags "
                "contain that"
            )
        return min(by_plane, by_film), math.hypot(FOCAL_UNC, film_unc(film, rows, cols))
    if by_plane is None:
        assert by_film is not None
        return by_film, math.hypot(FOCAL_UNC, film_unc(film, rows, cols))
    if by_film is not None:
        if not agree(by_plane, by_film):
            raise UnknownPixelSize(
                "the focal length and its 35 mm equivalent contradict each other"
            )
    elif not is_sensor(pitch * cols, pitch * rows):
        raise UnknownPixelSize(
            f"by the focal plane resolution its sensor would be {pitch * cols:.3g} x "
            f"{pitch * rows:.3g} mm, which no camera has; the photograph may be of another size"
        )
    return by_plane, FOCAL_UNC


def focal_plane_pitch(tags: Tags) -> float:
    """Return the size of a pixel of the sensor in mm by the focal plane resolution; 0 if unknown,
    or if its pixels are not square."""
    unit_mm = UNIT_MM.get(int(positive_number(tags, "FocalPlaneResolutionUnit") or 2))
    across = positive_number(tags, "FocalPlaneXResolution")
    down = positive_number(tags, "FocalPlaneYResolution") or across
    if unit_mm is None or across is None or down is None:
        return 0.0
    return unit_mm / across if max(across, down) <= MAX_PIXEL_ASPECT * min(across, down) else 0.0


def agree(by_plane: float, by_film: float, zoom: float = 1.0) -> bool:
    """Return True if the two ways differ by a factor of ``zoom``, within `MAX_DISAGREEMENT`."""
    ratio = max(by_plane, by_film) / min(by_plane, by_film) / zoom
    return 1 / (1 + MAX_DISAGREEMENT) <= ratio <= 1 + MAX_DISAGREEMENT


def film_unc(film: float | None, rows: int, cols: int) -> float:
    """Return the relative standard uncertainty of a pixel by a 35 mm equivalent ``film``, in mm."""
    long, short = max(rows, cols), min(rows, cols)
    crop = 1.0
    for aspect in (4 / 3, 3 / 2):
        whole = math.hypot(max(long, short * aspect), max(short, long / aspect))
        crop = max(crop, whole / math.hypot(long, short))
    if any(abs(long / short / aspect - 1) < ASPECT_WITHIN for aspect in (4 / 3, 3 / 2)):
        crop = 1.0
    rounding = 0.5 / (film or math.inf)
    return math.hypot(FILM_UNC, rounding / math.sqrt(3), (crop - 1) / math.sqrt(3))


def is_sensor(width_mm: float, height_mm: float) -> bool:
    """Return True if a photograph of this size on the sensor has the full width or height of one of
    `SENSORS_MM`."""
    long, short = max(width_mm, height_mm), min(width_mm, height_mm)
    for width, height in SENSORS_MM:
        fits = long <= width * (1 + SENSOR_WITHIN) and short <= height * (1 + SENSOR_WITHIN)
        if fits and (long >= width * (1 - SENSOR_WITHIN) or short >= height * (1 - SENSOR_WITHIN)):
            return True
    return False


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
