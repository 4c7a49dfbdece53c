"""Summary of a report: one record per scene for ``--json``, and a plain table for people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crackcli.detectability.assessment import limit_on_most
from crackcli.detectability.statements import SceneFindings, limits_and_areas, statement
from crackcli.report.tables.limit_columns import scene_limits
from crackcli.report.tables.rows import SceneCracks, findings_of
from crackcli.scenes.frames import exchange_frame

MAX_ROWS = 20  # scenes in the table; the total is of all
GAP = "  "  # between columns
UNKNOWN = "-"


@dataclass(frozen=True)
class SceneReport:
    """The record of one scene; millimetres are None without a scale.

    Joints count in ``joints`` and ``joints_length_px`` only.
    """

    scene: str
    cracks: int
    rejected: int  # in review; in no other figure
    total_length_px: float
    total_area_px: int
    width_max_px: float
    expected_cracks: float | None  # sum of the confidence of its cracks; None if unknown
    joints: int
    joints_length_px: float
    mm_per_px: float | None
    coordinates: str  # of its GeoJSON: wgs84, grid or local_px
    not_assessable_pct: float | None  # None if the photograph is not available
    detect_limit_px: float | None  # from this width on, cracks are detected on most of the area
    statement: str


@dataclass(frozen=True, eq=False)
class SceneFigures:
    """The figures of one scene for the table: its record, the id and the place (col, row) of its
    widest crack (None: no crack), its valid pixels and its detection limits."""

    report: SceneReport
    widest_id: str | None
    widest_at: tuple[float, float] | None
    valid_px: int
    findings: SceneFindings


@dataclass(frozen=True)
class ReportSummary:
    """The files of a report, a record per scene, and the errors of scenes that could not be read,
    by name."""

    paths: list[Path]
    scenes: list[SceneReport]
    failed: dict[str, str] = field(default_factory=dict)
    statement: str = ""  # on all scenes together
    caveats: dict[str, str] = field(default_factory=dict)  # of severity profiles, by name
    figures: list[SceneFigures] = field(default_factory=list, repr=False)

    def facts(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {
            "paths": self.paths,
            "scenes": [asdict(scene) for scene in self.scenes],
            "failed": self.failed,
            "statement": self.statement,
            "caveats": self.caveats,
        }

    def table(self) -> list[str]:
        """Return the lines of the summary table; see `summary_table`."""
        return summary_table(self.figures)


def summarise(table: SceneCracks) -> SceneFigures:
    """Return the figures of one scene."""
    limits = scene_limits(table.assessed, table.scale)
    cracks = table.counted
    widest = max(cracks, key=lambda crack: crack.widths.max_px, default=None)
    findings = findings_of(table)
    report = SceneReport(
        scene=table.scene.name,
        cracks=len(cracks),
        rejected=len(table.rejected),
        total_length_px=round(sum((crack.length_px for crack in cracks), 0.0), 3),
        total_area_px=sum(crack.area_px for crack in cracks),
        width_max_px=round(widest.widths.max_px if widest else 0.0, 3),
        expected_cracks=expected_cracks(table),
        joints=len(table.joints),
        joints_length_px=round(sum((crack.length_px for crack in table.joints), 0.0), 3),
        mm_per_px=table.scale.mm_per_px if table.scale else None,
        coordinates=exchange_frame(table.scene).space,
        not_assessable_pct=limits["not_assessable_pct"],
        detect_limit_px=limits["detect_limit_px"],
        statement=statement([findings]),
    )
    return SceneFigures(
        report=report,
        widest_id=widest.id if widest else None,
        widest_at=widest.widths.max_at if widest else None,
        valid_px=table.assessed_px,
        findings=findings,
    )


def expected_cracks(table: SceneCracks) -> float | None:
    """Return how many cracks of a scene are expected to be real: the sum of their confidence."""
    if table.confidence is None:
        return None
    return round(sum(table.confidence.of(crack) or 0.0 for crack in table.counted), 2)


def summary_table(scenes: Sequence[SceneFigures]) -> list[str]:
    """Return a table with a row for each of at most `MAX_ROWS` scenes, and one for all of several.

    Lengths are in mm if every scene has a scale, else in px; the place of the widest crack is in
    px. ``assessed`` is the percentage of valid pixels that have a detection limit; a photograph
    that is not available, and areas that the user excluded, have none.
    """
    in_mm = all(scene.report.mm_per_px for scene in scenes)
    unit = "mm" if in_mm else "px"
    header = [
        *("scene", "cracks", "joints", f"length {unit}", f"widest {unit}"),
        *("crack", "column,row", "assessed %", f"detection limit {unit}"),
    ]
    rows = [cells(scene.report.scene, [scene], in_mm=in_mm) for scene in scenes[:MAX_ROWS]]
    total = [cells("total", scenes, in_mm=in_mm)] if len(scenes) > 1 else []
    table = [header, *rows, *total]
    sizes = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = (header.index("scene"), header.index("crack"))  # texts; numbers go to the right
    lines = [
        GAP.join(
            cell.ljust(size) if place in left else cell.rjust(size)
            for place, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ).rstrip()
        for row in table
    ]
    if len(scenes) > MAX_ROWS:
        lines.insert(-1, f"and {len(scenes) - MAX_ROWS} more")
    return lines


def cells(name: str, scenes: Sequence[SceneFigures], *, in_mm: bool) -> list[str]:
    """Return the cells of one row of the table, for one scene or for several together."""

    def size(scene: SceneFigures) -> float:
        return (scene.report.mm_per_px or 1.0) if in_mm else 1.0

    decimals = 2 if in_mm else 1
    cracked = [scene for scene in scenes if scene.widest_id is not None]
    widest = max(cracked, key=lambda scene: scene.report.width_max_px * size(scene), default=None)
    known = [scene for scene in scenes if scene.findings.limits]
    assessed, limit = 0.0, None
    if known:
        limits, areas = limits_and_areas([scene.findings for scene in known], in_mm)
        there = np.isfinite(limits)
        whole = sum(
            scene.valid_px * size(scene) ** 2 for scene in scenes if not scene.findings.limits
        )
        whole += float(areas.sum())
        whole += sum(scene.findings.excluded_px * size(scene) ** 2 for scene in scenes)
        assessed = 100 * float(areas[there].sum()) / whole if whole else 0.0
        limit = limit_on_most(limits[there], areas[there])
    place = UNKNOWN
    if widest is not None and widest.widest_at is not None:
        place = ",".join(f"{at:.0f}" for at in widest.widest_at)
    return [
        name,
        str(sum(scene.report.cracks for scene in scenes)),
        str(sum(scene.report.joints for scene in scenes)),
        f"{sum(scene.report.total_length_px * size(scene) for scene in scenes):.0f}",
        f"{widest.report.width_max_px * size(widest):.{decimals}f}" if widest else UNKNOWN,
        (widest.widest_id or UNKNOWN) if widest else UNKNOWN,
        place,
        f"{assessed:.1f}" if known else UNKNOWN,
        f"{limit:.{decimals}f}" if limit is not None else UNKNOWN,
    ]
