"""A comparison: the cracks of two campaigns matched, and what changed.

Both campaigns show the same wall on the same grid and have a report.  Cracks that belong together
by `crackcli.matching` make one `Change`, so that a crack which was one and is two now is neither
new nor gone.

What a change must exceed to be more than noise (a limit of detection) is not known here: the
thresholds of `CompareTask` are plain numbers.
"""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from crackcli.errors import InputError
from crackcli.features import Geometries, Row, apply, exchange_frame, in_mm, in_mm2, map_frame
from crackcli.formats.csv import read_rows, write_rows
from crackcli.formats.geojson import Collections
from crackcli.formats.geopackage import Recorded, read
from crackcli.matching import Match, match
from crackcli.scale import Scale
from crackcli.scene import Scene, finished_scenes

log = logging.getLogger(__name__)

SAME_TRANSFORM_PX = 0.01  # how far the corners of two equal grids may lie apart

QUANTITIES = ("length", "width_mean", "width_max", "area")
COLUMNS = (
    "change_id",
    "scene_id",
    "kind",
    "ids_before",
    "ids_after",
    "matched_share",
    *(
        f"{what}{quantity}_{unit}"
        for quantity in QUANTITIES
        for unit in (("px", "mm") if quantity != "area" else ("px", "mm2"))
        for what in ("before_", "after_", "d_")
    ),
)


@dataclass(frozen=True)
class CompareTask:
    """Two output folders with a report each, and where the result goes.

    A crack has grown if its length grew by more than ``grown_length_px``, or its mean or its
    largest width by more than ``grown_width_px``.
    """

    before: Path
    after: Path
    output: Path
    tolerance_px: float = 5.0
    grown_length_px: float = 10.0
    grown_width_px: float = 0.5


@dataclass(frozen=True)
class Measures:
    """What one campaign shows of a change; 0 where it shows nothing.

    Lengths and areas are summed over cracks; ``width_mean`` is weighted with length.
    """

    length: float = 0.0
    width_mean: float = 0.0
    width_max: float = 0.0
    area: float = 0.0


@dataclass(frozen=True, eq=False)
class Change:
    """A crack, or several that belong together, in two campaigns; in pixels.

    ``kind``           new, grown, stable or gone
    ``matched_share``  of all samples of both campaigns: how many have a partner
    ``geometry``       centreline of the later campaign, of the earlier one for what is gone
    """

    id: str
    kind: str
    ids_before: tuple[str, ...]
    ids_after: tuple[str, ...]
    before: Measures
    after: Measures
    matched_share: float
    geometry: shapely.MultiLineString


@dataclass(frozen=True, eq=False)
class Campaign:
    """One scene of one report: cracks as MultiLineStrings in pixels, and their columns."""

    scene: Scene
    scale: Scale | None
    lines: Geometries
    columns: dict[str, NDArray]

    @property
    def ids(self) -> NDArray[np.object_]:
        return self.columns["crack_id"]


@dataclass(frozen=True)
class SceneChanges:
    """How many changes of each kind one scene has."""

    before: str
    after: str
    new: int
    grown: int
    stable: int
    gone: int


@dataclass(frozen=True)
class ComparisonSummary:
    """What was written, and the scenes that were compared."""

    paths: list[Path]
    scenes: list[SceneChanges]
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)


def write_comparison(task: CompareTask) -> ComparisonSummary:
    """Compare the scenes that both reports have and write ``changes.csv`` and ``.geojson``.

    Scenes match by name, or because each folder has just one.  Raises `InputError` if a report is
    missing, no scene matches, or the grids of two scenes differ.
    """
    before = {scene.name: scene for scene in finished_scenes(task.before)}
    after = {scene.name: scene for scene in finished_scenes(task.after)}
    pairs = [(name, name) for name in before if name in after]
    if len(before) == len(after) == 1:
        pairs = [(*before, *after)]
    if not pairs:
        raise InputError(
            f"{task.before} and {task.after} have no scene of the same name; "
            "scan both campaigns under the same file names"
        )
    for earlier, later in pairs:
        check_grids(before[earlier], after[later])
    reports = Report.of(task.before), Report.of(task.after)

    rows: list[Row] = []
    scenes = []
    table = task.output / "changes.csv"
    with Collections(task.output, ("changes",)) as collections:
        for earlier, later in pairs:
            campaigns = reports[0].campaign(before[earlier]), reports[1].campaign(after[later])
            changes = compare(*campaigns, task)
            own = [row_of(change, *campaigns) for change in changes]
            shapes = np.array([change.geometry for change in changes], dtype=object)
            frame = exchange_frame(after[later], campaigns[1].scale)
            collections.add("changes", frame, shapes, own)
            rows += own
            kinds = [change.kind for change in changes]
            counts = {kind: kinds.count(kind) for kind in ("new", "grown", "stable", "gone")}
            scenes.append(SceneChanges(earlier, later, **counts))
        write_rows(table, COLUMNS, rows)
    summary = ComparisonSummary(
        paths=[table, *collections.paths],
        scenes=scenes,
        only_before=sorted(before.keys() - {earlier for earlier, _ in pairs}),
        only_after=sorted(after.keys() - {later for _, later in pairs}),
    )
    for folder, names in ((task.before, summary.only_before), (task.after, summary.only_after)):
        if names:
            log.warning("only in %s, not compared: %s", folder, ", ".join(names))
    return summary


@dataclass(frozen=True, eq=False)
class Report:
    """A report read back: its cracks and the scale of each scene that it covers."""

    folder: Path
    cracks: dict[str, Recorded]
    scales: dict[str, Scale | None]

    @classmethod
    def of(cls, folder: Path) -> "Report":
        cracks = read(folder)
        path = folder / "scenes.csv"
        try:
            scales = {
                row["scene_id"]: Scale(float(row["gsd_mm"]), None, row["scale_source"])
                if row["gsd_mm"]
                else None
                for row in read_rows(path)
            }
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read ({error}); run crackcli report {folder} again"
            ) from error
        return cls(folder, cracks, scales)

    def campaign(self, scene: Scene) -> Campaign:
        """What the report tells of one scene."""
        if scene.name not in self.scales:
            raise InputError(
                f"the report of {self.folder} does not cover {scene.name}; "
                f"run crackcli report {self.folder} again"
            )
        scale = self.scales[scene.name]
        found = self.cracks.get(scene.name)
        if found is None:
            none = np.zeros(0, object)
            return Campaign(scene, scale, none, {"crack_id": none})
        lines = map_frame(scene, scale).lift(found.geometries)
        return Campaign(scene, scale, lines, found.columns)


def check_grids(before: Scene, after: Scene) -> None:
    """Raise an `InputError` that names the first difference between two grids."""
    names = f"{before.folder} and {after.folder}"
    advice = "bring both photographs onto one grid and scan again"
    sizes = [f"{scene.cols} x {scene.rows} px" for scene in (before, after)]
    if sizes[0] != sizes[1]:
        raise InputError(f"{names} differ in size: {sizes[0]} and {sizes[1]}; {advice}")
    if before.crs_wkt != after.crs_wkt:
        raise InputError(f"{names} differ in their coordinate reference system; {advice}")
    corners = np.array([(0, 0), (after.cols, 0), (0, after.rows), (after.cols, after.rows)])
    back = apply(~after.transform, apply(before.transform, corners))
    apart = np.hypot(*(back - corners).T).max()
    if apart > SAME_TRANSFORM_PX:
        raise InputError(f"{names} differ in their transform, by up to {apart:.3g} px; {advice}")


def compare(before: Campaign, after: Campaign, task: CompareTask) -> list[Change]:
    """The changes between two campaigns of one scene: first what was there, by id, then new."""
    changes = []
    for number, found in enumerate(match(before.lines, after.lines, task.tolerance_px)):
        was, now = measure(before, found.before), measure(after, found.after)
        lines = after.lines[found.after] if found.after else before.lines[found.before]
        changes.append(
            Change(
                id=f"{after.scene.name}-c{number + 1:04d}",
                kind=kind_of(found, was, now, task),
                ids_before=tuple(before.ids[found.before]),
                ids_after=tuple(after.ids[found.after]),
                before=was,
                after=now,
                matched_share=found.share,
                geometry=shapely.multilinestrings(shapely.get_parts(lines)),
            )
        )
    return changes


def kind_of(found: Match, before: Measures, after: Measures, task: CompareTask) -> str:
    if not found.before:
        return "new"
    if not found.after:
        return "gone"
    wider = max(after.width_mean - before.width_mean, after.width_max - before.width_max)
    longer = after.length - before.length
    grown = longer > task.grown_length_px or wider > task.grown_width_px
    return "grown" if grown else "stable"


def measure(campaign: Campaign, cracks: list[int]) -> Measures:
    """What a campaign shows of some of its cracks together."""
    if not cracks:
        return Measures()
    length, mean, largest, area = (
        campaign.columns[f"{name}_px"][cracks].astype(float) for name in QUANTITIES
    )
    return Measures(
        length=float(length.sum()),
        width_mean=float(np.average(mean, weights=length)),
        width_max=float(largest.max()),
        area=float(area.sum()),
    )


def row_of(change: Change, before: Campaign, after: Campaign) -> Row:
    """A change as a row by `COLUMNS`; differences are in mm if both campaigns have a scale."""
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "change_id": change.id,
        "scene_id": after.scene.name,
        "kind": change.kind,
        "ids_before": list(change.ids_before),
        "ids_after": list(change.ids_after),
        "matched_share": round(change.matched_share, 4),
    }
    earlier, later = asdict(change.before), asdict(change.after)
    for name in QUANTITIES:
        convert, unit = (in_mm2, "mm2") if name == "area" else (in_mm, "mm")
        values = {
            "px": (earlier[name], later[name]),
            unit: (convert(earlier[name], before.scale), convert(later[name], after.scale)),
        }
        for suffix, (was, now) in values.items():
            row[f"before_{name}_{suffix}"] = rounded(was)
            row[f"after_{name}_{suffix}"] = rounded(now)
            if was is not None and now is not None:
                row[f"d_{name}_{suffix}"] = rounded(now - was)
    return row


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
