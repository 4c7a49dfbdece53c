"""Rows of the tables, and geometries in pixel coordinates, of the cracks of a scene.

All formats share the columns of `crackcli.report.tables.columns`. ``_px`` columns always contain
numbers, ``_mm`` and ``_mm2`` only if the scene has a scale. ``_unc`` is one standard uncertainty,
empty if unknown; in mm it includes that of the scale, if ``gsd_unc_mm`` is known. Columns of
grades follow these (`crackcli.report.tables.severity_columns`). Geometries are built in
coordinates of pixel edges and then transformed to a frame (`crackcli.scenes.frames`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import shapely

from crackcli.cracks.crack import Crack
from crackcli.cracks.widths import MASK_METHOD
from crackcli.detectability.assessment import Assessed
from crackcli.detectability.limits import observer_of
from crackcli.detectability.statements import DetectionLimits, SceneFindings, statement
from crackcli.measuring.full_contrast import Optics
from crackcli.rasters.reader import RasterInfo
from crackcli.report.confidence import CrackConfidence
from crackcli.report.identity import Identity, scan_facts
from crackcli.report.tables.columns import (
    COLUMNS,
    DRAWN,
    MASK_ONLY,
    MEASURED,
    SCENE_COLUMNS,
    Row,
    rounded,
)
from crackcli.report.tables.limit_columns import crack_limits, scene_limits
from crackcli.report.tables.severity_columns import (
    NOTHING,
    ByPeople,
    SeverityProfiles,
    crack_columns,
    crack_grades,
    scene_grades,
    unc_in_mm,
)
from crackcli.report.verdicts import REJECTED, UNREVIEWED, verdict_of
from crackcli.scenes.frames import Geometries, exchange_frame, map_frame
from crackcli.scenes.scale import Scale, in_mm, in_mm2
from crackcli.scenes.scene import Scene

SIMPLIFIED_PX = 0.1  # largest deviation of a written centreline from the measured one


@dataclass(frozen=True, eq=False)
class Drawn:
    """A line that a person drew in the layer ``kind`` of an earlier report: a MultiLineString in
    coordinates of pixel edges, and what the person wrote about it, by column."""

    id: str
    line: shapely.MultiLineString
    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SceneCracks:
    """The cracks and joints of one scene, and everything that their rows and features need.

    ``joints`` are lines classified as joints; they are measured like cracks. ``left_out`` lines,
    shorter than ``min_length_px``, are in neither list. ``tone`` is the given transfer function,
    or `EDGES`; ``optics`` are those of the width measurement. Both are None if no width was
    measured on the photograph. ``window_px`` is the length of the running mean of the largest
    width. ``by_people`` has what people wrote into earlier reports, by crack id and column.
    """

    scene: Scene
    scale: Scale | None
    cracks: Sequence[Crack]
    assessed_px: int
    joints: Sequence[Crack] = ()
    assessed: Assessed | None = None  # None: photograph not available
    left_out: int = 0
    min_length_px: float = 0.0
    joint_from: float | None = None  # lines with this likelihood or more are joints
    tone: str | None = None
    optics: Optics | None = None
    identity: Identity = Identity()
    relevance_top: float | None = None  # None: scores are not of relevance
    confidence: CrackConfidence | None = None  # None: the scan has none
    photograph: RasterInfo | None = None  # None: not available
    window_px: float | None = None
    by_people: Mapping[str, ByPeople] = field(default_factory=dict)
    drawn: Sequence[Drawn] = ()
    by_default: bool = True  # scanned with the options that the limits were calibrated for

    @property
    def counted(self) -> list[Crack]:
        """The cracks that no person rejected: those in totals."""
        return [crack for crack in self.cracks if not self.is_rejected(crack)]

    @property
    def rejected(self) -> list[Crack]:
        """The cracks that a person rejected: shown, and in no total."""
        return [crack for crack in self.cracks if self.is_rejected(crack)]

    def is_rejected(self, crack: Crack) -> bool:
        """Return True if a person rejected a crack."""
        return verdict_of(self.by_people.get(crack.id, NOTHING).get("review")) == REJECTED


def centrelines(cracks: Sequence[Crack]) -> Geometries:
    """Return the centrelines as MultiLineStrings, in coordinates of pixel edges."""
    if not cracks:
        return np.zeros(0, object)
    lines = [line for crack in cracks for line in crack.centreline]
    points = np.concatenate([*lines, np.zeros((0, 2))]) + 0.5
    ends = np.cumsum([0, *map(len, lines)])
    rings = np.cumsum([0, *(len(crack.centreline) for crack in cracks)])
    kind = shapely.GeometryType.MULTILINESTRING
    exact = shapely.from_ragged_array(kind, points, (ends, rings))
    simple = shapely.simplify(exact, SIMPLIFIED_PX, preserve_topology=False)
    simple = np.where(shapely.is_empty(simple), exact, simple)
    # GEOS turns a MultiLineString of one line into a LineString; turn all into the former again.
    parts, owner = shapely.get_parts(simple, return_index=True)
    return np.asarray(shapely.multilinestrings(parts, indices=owner))


def areas(cracks: Sequence[Crack]) -> Geometries:
    """Return the outlines as MultiPolygons, in coordinates of pixel edges."""
    return np.array([crack.outline for crack in cracks], dtype=object)


def rows(table: SceneCracks, cracks: Sequence[Crack], profiles: SeverityProfiles = ()) -> list[Row]:
    """Return ``cracks``, or joints, of a scene as rows by `COLUMNS` and, graded by ``profiles``,
    by `crack_columns`."""
    if not cracks:
        return []
    scene, scale = table.scene, table.scale
    frame, exchange = map_frame(scene), exchange_frame(scene)
    widest = np.array([crack.widths.max_at for crack in cracks]) + 0.5
    middles = shapely.get_coordinates(shapely.centroid(centrelines(cracks)))
    places = np.hstack(
        [frame.points_from_pixels(widest), frame.points_from_pixels(middles)]
    ).tolist()
    degrees: list[list[float | None]] = [[None, None]] * len(cracks)
    if exchange.space == "wgs84":
        degrees = exchange.points_from_pixels(middles).tolist()
    names = ("width_max_x", "width_max_y", "centroid_x", "centroid_y", "lon", "lat")
    found = []
    for crack, place, lonlat in zip(cracks, places, degrees, strict=True):
        row = row_of(crack, table) | dict(zip(names, [*place, *lonlat], strict=True))
        row = {name: row[name] for name in COLUMNS}
        by_people = table.by_people.get(crack.id, NOTHING)
        row |= {name: by_people[name] for name in ("review", "note") if name in by_people}
        found.append(row | crack_grades(crack, scale, profiles, row["measurable"], by_people))
    return found


def drawn_lines(table: SceneCracks, kind: str = "cracks") -> Geometries:
    """Return the lines that people drew in a layer, in coordinates of pixel edges."""
    return np.array([one.line for one in table.drawn if one.kind == kind], dtype=object)


def drawn_rows(
    table: SceneCracks, profiles: SeverityProfiles = (), kind: str = "cracks"
) -> list[Row]:
    """Return the lines that people drew in a layer as rows by `COLUMNS` and `crack_columns`.

    They have a length and a place, and what people wrote; nothing else is known of them.
    """
    scale, columns = table.scale, COLUMNS | crack_columns(profiles)
    frame, exchange = map_frame(table.scene), exchange_frame(table.scene)
    found = []
    for one in table.drawn:
        if one.kind != kind:
            continue
        middle = shapely.get_coordinates(shapely.centroid(one.line))
        (place,) = frame.points_from_pixels(middle).tolist()
        degrees: list[float | None] = [None, None]
        if exchange.space == "wgs84":
            (degrees,) = exchange.points_from_pixels(middle).tolist()
        in_squares = table.scene.ground_pixel.shape.in_squares
        length = float(shapely.length(shapely.transform(one.line, in_squares)))
        row: Row = dict.fromkeys(columns)
        row |= {name: value for name, value in one.values.items() if name in columns}
        found.append(
            row
            | {
                "crack_id": one.id,
                "scene_id": table.scene.name,
                "asset_id": table.identity.asset_id,
                "campaign_id": table.identity.campaign_id,
                "acquired_utc": table.scene.record.acquired_utc,
                "length_px": round(length, 3),
                "length_mm": in_mm(length, scale),
                "width_method": DRAWN,
                "review": row["review"] or UNREVIEWED,
                **dict(zip(("centroid_x", "centroid_y"), place, strict=True)),
                **dict(zip(("lon", "lat"), degrees, strict=True)),
            }
        )
    return found


def row_of(crack: Crack, table: SceneCracks) -> Row:
    """Return the values of `COLUMNS` except map coordinates."""
    widths, scale = crack.widths, table.scale
    min_col, min_row, max_col, max_row = crack.bbox
    lengths = {
        "length": crack.length_px,
        "main_length": crack.main_length_px,
        "width_mean": widths.mean_px,
        "width_median": widths.median_px,
        "width_p95": widths.p95_px,
        "width_max": widths.max_px,
    }
    sigmas = {
        "width_mean": widths.mean_sigma_px,
        "width_median": widths.median_sigma_px,
        "width_p95": widths.p95_sigma_px,
        "width_max": widths.max_sigma_px,
    }
    top = table.relevance_top
    squares = crack.squared_score_sum
    relevance = None if top is None or squares is None else top * squares
    # Parts without a width, as near junctions, get the mean width of the rest.
    by_width = None if widths.method == MASK_METHOD else widths.mean_px * crack.length_px
    return {
        "crack_id": crack.id,
        "scene_id": table.scene.name,
        "asset_id": table.identity.asset_id,
        "campaign_id": table.identity.campaign_id,
        "acquired_utc": table.scene.record.acquired_utc,
        **{f"{name}_px": round(value, 3) for name, value in lengths.items()},
        **{f"{name}_mm": in_mm(value, scale) for name, value in lengths.items()},
        **{f"{name}_unc_px": rounded(sigma, 3) for name, sigma in sigmas.items()},
        **{
            f"{name}_unc_mm": rounded(unc_in_mm(sigma, lengths[name], scale), 4)
            for name, sigma in sigmas.items()
        },
        "area_px": crack.area_px,
        "area_mm2": in_mm2(crack.area_px, scale),
        "area_width_px": rounded(by_width, 3),
        "area_width_mm2": in_mm2(by_width, scale),
        "width_max_col": round(widths.max_at[0], 2),
        "width_max_row": round(widths.max_at[1], 2),
        "width_method": widths.method,
        "orientation_deg": round(crack.orientation_deg, 2),
        "tortuosity": round(crack.tortuosity, 4),
        "n_branches": crack.branches,
        "n_junctions": crack.junctions,
        "n_endpoints": crack.endpoints,
        "min_col": min_col,
        "min_row": min_row,
        "max_col": max_col,
        "max_row": max_row,
        "score": rounded(crack.score, 4),
        "confidence": rounded(table.confidence.of(crack) if table.confidence else None, 4),
        "relevance_sum": rounded(relevance, 6),
        "joint_likelihood": rounded(crack.joint_likelihood, 4),
        "touches_edge": crack.touches_edge,
        "touches_nodata": crack.touches_nodata,
        "review": UNREVIEWED,
        "note": None,
        **limits_of(crack, table),
    }


def limits_of(crack: Crack, table: SceneCracks) -> Row:
    """Return the limits along a crack, and whether it is measurable."""
    return crack_limits(table.assessed, table.scale, crack.centreline, crack.widths.median_px)


def findings_of(table: SceneCracks) -> SceneFindings:
    """Return the findings of a scene for a detection statement."""
    mm_per_px = table.scale.mm_per_px if table.scale else None
    return SceneFindings(
        cracks=len(table.counted),
        rejected=len(table.rejected),
        mm_per_px=mm_per_px,
        limits=None if table.assessed is None else DetectionLimits.of(table.assessed),
        joints=len(table.joints),
        left_out=table.left_out,
        min_length_px=table.min_length_px,
        by_default=table.by_default,
        excluded_px=table.scene.record.excluded_px,
        excepted=observer_of(table.scene.record.method).excepted,
    )


def scene_row(table: SceneCracks, profiles: SeverityProfiles = ()) -> Row:
    """Return the row of a scene by `SCENE_COLUMNS` and, graded by ``profiles``, by
    `scene_columns`."""
    scene, scale, cracks = table.scene, table.scale, table.counted
    record = scene.record
    worst = max(cracks, key=lambda crack: crack.widths.max_px, default=None)
    length = sum((crack.length_px for crack in cracks), 0.0)
    joints_length = sum((crack.length_px for crack in table.joints), 0.0)
    area = sum(crack.area_px for crack in cracks)
    widest = worst.widths if worst else None
    assessed = table.assessed_px * scale.mm_per_px**2 / 1e6 if scale else None
    known = {
        "scene_id": scene.name,
        **asdict(table.identity),
        "status": MASK_ONLY if table.assessed is None and table.optics is None else MEASURED,
        **scan_facts(scene, table.assessed_px, len(cracks)),
        "rows": scene.rows,
        "cols": scene.cols,
        "gsd_mm": scale.mm_per_px if scale else None,
        "gsd_unc_mm": scale.sigma if scale else None,
        "pixel_width_mm": in_mm(scene.ground_pixel.shape.sides[0], scale, 7),
        "pixel_height_mm": in_mm(scene.ground_pixel.shape.sides[1], scale, 7),
        "scale_source": scale.source if scale else None,
        "n_cracks": len(cracks),
        "total_length_px": rounded(length, 3),
        "total_length_mm": in_mm(length, scale),
        "total_area_px": area,
        "total_area_mm2": in_mm2(area, scale),
        "area_fraction": rounded(area / table.assessed_px if table.assessed_px else None, 8),
        "width_max_px": rounded(widest.max_px if widest else None, 3),
        "width_max_mm": in_mm(widest.max_px, scale) if widest else None,
        "width_max_unc_px": rounded(widest.max_sigma_px if widest else None, 3),
        "width_max_unc_mm": rounded(
            unc_in_mm(widest.max_sigma_px, widest.max_px, scale) if widest else None, 4
        ),
        "p20_per_m2": rounded(len(cracks) / assessed if assessed else None, 4),
        "p21_m_per_m2": rounded(
            length * scale.mm_per_px / 1000 / assessed if scale and assessed else None, 4
        ),
        "worst_crack_id": worst.id if worst else None,
        "n_rejected": len(table.rejected),
        "n_joints": len(table.joints),
        "joints_length_px": rounded(joints_length, 3),
        "joints_length_mm": in_mm(joints_length, scale),
        "joints_from": table.joint_from,
        "min_length_px": table.min_length_px,
        "n_left_out": table.left_out,
        "n_drawn": len(table.drawn),
        "width_window_px": rounded(table.window_px, 3),
        "tone": table.tone,
        "tone_share": rounded(table.optics.tone.linear_fraction if table.optics else None, 3),
        "tone_doubt": rounded(table.optics.tone.doubt if table.optics else None, 4),
        "blur_px": rounded(table.optics.blur.px if table.optics else None, 3),
        "assessed_px": table.assessed_px,
        "assessed_m2": rounded(assessed, 6),
        "excluded_m2": rounded(record.excluded_px * scale.mm_per_px**2 / 1e6 if scale else None, 6),
        "file": record.source_file,
        "acquired_utc": record.acquired_utc,
        "model": record.model,
        "model_sha256": record.model_sha256,
        "method": record.method,
        "threshold": record.threshold,
        **scene_limits(table.assessed, scale),
        "statement": statement([findings_of(table)]),
    }
    row = {name: known[name] for name in SCENE_COLUMNS}
    measurable = [limits_of(crack, table)["measurable"] for crack in cracks] if profiles else None
    return row | scene_grades(cracks, scale, profiles, measurable, table.by_people)
