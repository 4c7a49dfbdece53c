"""Virtual tell-tales: the width of a crack at one place in every campaign.

A gauge is a place on a crack of the first campaign, given by a point, by a line across the crack,
or found as one of the widest places. The stretch of the crack around it is carried through all
campaigns by their alignments, and the mean width is measured on this same stretch in each.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from crackcli.arrays import Float64
from crackcli.comparison.campaign import Campaign
from crackcli.comparison.compared import ComparedScene
from crackcli.comparison.dates import SurveyDate, date_of
from crackcli.comparison.evidence.samples import Samples
from crackcli.comparison.evidence.stretch import NOISE_SAMPLES, PHOTOGRAPH, partners
from crackcli.errors import InputError
from crackcli.report.tables.columns import Row, rounded
from crackcli.scenes.areas.polygons import LAYER, AreaFile, Found, Kinds, read_geometries
from crackcli.scenes.areas.survey_areas import Placing, composed
from crackcli.scenes.scale import Scale
from crackcli.scenes.source import inspect_original

AUTO = "auto"
MOST = 12  # gauges of auto
AXES = ("col", "row")
KINDS = Kinds(
    "points or lines", ("POINT", "MULTIPOINT", "LINESTRING", "MULTILINESTRING", "GEOMETRY")
)
REACH_PX = 20.0  # from a gauge of a person to its crack
MIN_STRETCH_PX = 10.0  # length of the stretch, at least
REMEDY = "bring back the photograph that was scanned"
COLUMNS: dict[str, type] = {
    "gauge_id": str,
    "scene_id": str,
    "crack_id": str,
    "campaign": str,
    "date": str,
    "col": float,  # of the middle of the stretch in the photograph; whole numbers are pixel centres
    "row": float,
    "stretch_px": float,
    "width_px": float,
    "width_unc_px": float,
    "width_mm": float,
    "width_unc_mm": float,
    "status": str,  # measured, or why not
}
MEASURED, NOT_ALIGNED, NO_WIDTH = "measured", "not aligned", "no width"


@dataclass(frozen=True)
class Gauge:
    """A place (x, y) in px of pixel edges of a photograph of the first campaign."""

    id: str
    scene: str
    place: tuple[float, float]


def find_gauges(option: str, first: Sequence[ComparedScene]) -> list[Gauge]:
    """Return the gauges of ``--gauges``: the widest places, or those of a file.

    Raises `InputError` if the file cannot be read, or if a gauge is on no crack.
    """
    return widest_places(first) if option == AUTO else gauges_of_file(option, first)


def widest_places(first: Sequence[ComparedScene]) -> list[Gauge]:
    """Return the widest measured place of each of the `MOST` widest cracks that are found again."""
    places = []
    for scene in first:
        before = scene.before
        again = {name for one in scene.cracks if one.common_px for name in one.ids_before}
        for line, name in enumerate(before.ids):
            own = before.samples.of(before.samples.rows_of([line]))
            if name in again and own.measured.any():
                col, row = (float(before.columns[f"width_max_{axis}"][line]) for axis in AXES)
                width = float(before.columns["width_max_px"][line])
                places.append((width, before.scene.name, (col + 0.5, row + 0.5)))
    widest = sorted(places, reverse=True)[:MOST]
    return [Gauge(f"g{number}", name, at) for number, (_, name, at) in enumerate(widest, start=1)]


def gauges_of_file(name: str, first: Sequence[ComparedScene]) -> list[Gauge]:
    """Return the gauges of a GeoJSON or GeoPackage file, or one layer of it: points on cracks, or
    lines across them.

    Coordinates are those of the map or, without one, pixels (`crackcli.scenes.areas`).
    """
    if not any(Path(one).exists() for one in (name, name.partition(LAYER)[0])):
        raise InputError(f"--gauges {name}: does not exist; give a file, or auto")
    crs_wkt, found = read_geometries(name, KINDS)
    file = AreaFile(name, crs_wkt, [])
    gauges = []
    for number, (whole, wanted) in enumerate(found, start=1):
        parts = shapely.get_parts(whole)  # QGIS may store a single point as several
        shape = parts[0] if len(parts) == 1 else whole
        if not isinstance(shape, shapely.Point | shapely.LineString):
            raise InputError(f"{name}: geometry {number} is no point or line; give only these")
        places = list(on_cracks(file, (shape, wanted), first))
        if not places:
            raise InputError(
                f"{name}: gauge {number} is more than {REACH_PX:g} px from every crack with a "
                "measured width, or outside; move it onto a crack of the first campaign"
            )
        gauges += [Gauge(f"g{number}", scene, place) for scene, place in places[:1]]
    if not gauges:
        raise InputError(f"{name}: contains no gauge; draw a point on each crack to watch")
    return gauges


def on_cracks(
    file: AreaFile, found: Found, first: Sequence[ComparedScene]
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield the scenes in which a gauge is on a crack, with the place on it."""
    shape, wanted = found
    assert shape is not None
    for scene in first:
        own = scene.before.scene
        if wanted and composed(wanted) != composed(own.name):
            continue
        info = inspect_original(scene.task.before, own, REMEDY)
        placing = Placing(info, own.name, None, lambda: None)
        to_pixels = placing.transform_of(file, shapely.get_coordinates(shape))
        placed = shapely.transform(shapely.force_2d(shape), to_pixels)
        samples = scene.before.samples.of(scene.before.samples.measured)
        if not len(samples):
            continue
        away = np.asarray(shapely.distance(placed, shapely.points(samples.points)))
        nearest = int(np.argmin(away))
        if away[nearest] <= REACH_PX:
            x, y = samples.points[nearest].tolist()
            yield own.name, (x, y)


def read_gauges(
    gauges: Sequence[Gauge], steps: Sequence[Sequence[ComparedScene]], dates: Sequence[SurveyDate]
) -> list[Row]:
    """Return the readings of all gauges in all campaigns as rows by `COLUMNS`; ``dates`` are those
    of the option ``--dates``, or none."""
    return [row for gauge in gauges for row in readings(gauge, steps, dates)]


def readings(
    gauge: Gauge, steps: Sequence[Sequence[ComparedScene]], dates: Sequence[SurveyDate]
) -> Iterator[Row]:
    """Yield the readings of one gauge, until a campaign does not show its scene."""
    scene = next(one for one in steps[0] if one.before.scene.name == gauge.scene)
    stretch = stretch_at(scene.before, np.array(gauge.place))
    yield reading(gauge, scene.before, stretch, str(scene.task.before), dates[:1])
    for number, step in enumerate(steps, start=1):
        name = scene.before.scene.name if number == 1 else scene.after.scene.name
        following = [one for one in step if one.before.scene.name == name]
        if not following:
            return
        scene = following[0]
        stretch = stretch.carried(scene.alignment)
        own, folder, day = scene.after, str(scene.task.after), dates[number : number + 1]
        if not scene.alignment.trusted(stretch.points).all():
            yield blank(gauge, own, folder, day, NOT_ALIGNED)
            continue
        sigma = np.nan_to_num(scene.alignment.sigma_px(stretch.points)).max()
        at = partners(stretch, own.samples, scene.task.tolerance_px + 3 * float(sigma))
        yield reading(gauge, own, own.samples.of(at[at >= 0]), folder, day)


def stretch_at(campaign: Campaign, place: Float64) -> Samples:
    """Return the measured samples of a crack around a place on it."""
    samples = campaign.samples.of(campaign.samples.measured)
    away = np.hypot(*(samples.points - place).T)
    nearest = int(np.argmin(away))
    length = max(campaign.window_px or 0.0, MIN_STRETCH_PX)
    around = np.hypot(*(samples.points - samples.points[nearest]).T) <= length / 2
    return samples.of(around & (samples.run == samples.run[nearest]))


def reading(
    gauge: Gauge, campaign: Campaign, found: Samples, folder: str, day: Sequence[SurveyDate]
) -> Row:
    """Return the mean width of the samples of a gauge as a row."""
    known = found.of(found.measured)
    row = blank(gauge, campaign, folder, day, NO_WIDTH)
    if not len(known):
        return row
    steps, scale = known.steps, campaign.scale
    width = float(known.width @ steps / steps.sum())
    random = float(np.sqrt(np.maximum(known.sigma**2 - known.systematic**2, 0)).mean())
    sigma = math.sqrt(
        float(known.systematic.mean()) ** 2
        + random**2 / max(1.0, len(known) / NOISE_SAMPLES)
        + (PHOTOGRAPH * width) ** 2
    )
    x, y = known.points.mean(axis=0) - 0.5
    return row | {
        "crack_id": str(campaign.ids[known.owner[0]]),
        "col": rounded(float(x), 2),
        "row": rounded(float(y), 2),
        "stretch_px": rounded(float(steps.sum()), 2),
        "width_px": rounded(width, 3),
        "width_unc_px": rounded(sigma, 3),
        **in_millimetres(width, sigma, scale),
        "status": MEASURED,
    }


def in_millimetres(width_px: float, sigma_px: float, scale: Scale | None) -> Row:
    """Return a width and its uncertainty, with that of the scale; None without a scale."""
    if scale is None:
        return {"width_mm": None, "width_unc_mm": None}
    by_scale = width_px * (scale.sigma or 0.0)
    return {
        "width_mm": rounded(width_px * scale.mm_per_px, 4),
        "width_unc_mm": rounded(math.hypot(sigma_px * scale.mm_per_px, by_scale), 4),
    }


def blank(
    gauge: Gauge, campaign: Campaign, folder: str, day: Sequence[SurveyDate], status: str
) -> Row:
    """Return a row without a reading."""
    known = day[0] if day else date_of(campaign.scene)
    return dict.fromkeys(COLUMNS) | {
        "gauge_id": gauge.id,
        "scene_id": campaign.scene.name,
        "campaign": folder,
        "date": known.day.isoformat() if known else None,
        "status": status,
    }
