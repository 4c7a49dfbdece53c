"""Two campaigns of one scene compared, and the changes of all scenes decided together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from crackcli.comparison.campaign import Campaign
from crackcli.comparison.change import Change, CompareTask, decided
from crackcli.comparison.dates import Interval
from crackcli.comparison.evidence.samples import Alignment
from crackcli.comparison.evidence.significance import critical_p
from crackcli.comparison.lineage import Track
from crackcli.comparison.outputs.pictures import Pictured
from crackcli.comparison.outputs.rows import row_of
from crackcli.report.tables.columns import Row
from crackcli.scenes.frames import Geometries

MOST = 12  # significant changes in the summary, and crops
KINDS = ("new", "grown", "shrunk", "stable", "gone", "hidden")


@dataclass(frozen=True)
class SceneChanges:
    """The number of changes of each kind in one scene.

    ``significant`` of them are significant. ``rejected`` is the number of matches that count in no
    kind, as a person rejected the crack in one of the reports. ``joints`` is the number of matches
    that are joints and count in no kind, ``joints_length_px`` their length, and ``joints_changed``
    how many would be new, grown, shrunk or gone as cracks.
    """

    before: str
    after: str
    new: int
    grown: int
    shrunk: int
    stable: int
    gone: int
    hidden: int
    significant: int
    rejected: int
    joints: int
    joints_length_px: float
    joints_changed: int


@dataclass(frozen=True, eq=False)
class ComparedScene:
    """Two campaigns of one scene, and the changes between them: of cracks, of joints, and of what a
    person rejected."""

    before: Campaign
    after: Campaign
    changes: Sequence[Change]
    alignment: Alignment
    task: CompareTask
    interval: Interval | None = None

    @property
    def cracks(self) -> list[Change]:
        """The changes of cracks."""
        return [change for change in self.changes if not (change.joint or change.rejected)]

    @property
    def lines(self) -> Geometries:
        """The centrelines of the changes of cracks, in px of the later photograph."""
        return np.array([change.geometry for change in self.cracks], dtype=object)

    @property
    def joints(self) -> list[Change]:
        """The changes of joints."""
        return [change for change in self.changes if change.joint and not change.rejected]

    def pictured(self) -> Pictured:
        """Return what crops of the changes need."""
        folders = self.task.before, self.task.after
        lines: dict[str, shapely.Geometry] = {one.id: one.geometry for one in self.cracks}
        return Pictured(folders, (self.before.scene, self.after.scene), self.alignment, lines)

    def rows(self, critical: float, tracks: Mapping[str, Track]) -> list[Row]:
        """Return the changes of cracks as rows of the tables, with the track of each."""
        own: Row = {
            "campaign_before": str(self.task.before),
            "campaign_after": str(self.task.after),
        }
        found = []
        for change in self.cracks:
            row = row_of(change, self.before, self.after, critical, self.interval)
            track = tracks[change.id]
            found.append(row | own | {"track_id": track.id, "parents": list(track.parents)})
        return found

    def counts(self, critical: float) -> SceneChanges:
        """Return how many changes there are of each kind."""
        kinds = [change.kind for change in self.cracks]
        joints = self.joints
        return SceneChanges(
            self.before.scene.name,
            self.after.scene.name,
            **{kind: kinds.count(kind) for kind in KINDS},
            significant=sum(
                any(p <= critical for p in change.tests.values()) for change in self.cracks
            ),
            rejected=sum(change.rejected for change in self.changes),
            joints=len(joints),
            joints_length_px=round(sum(longest_px(joint) for joint in joints), 3),
            joints_changed=sum(joint.kind not in ("stable", "hidden") for joint in joints),
        )


def decide(compared: Sequence[ComparedScene]) -> tuple[list[ComparedScene], float]:
    """Return the scenes with their changes decided by the tests of all, and the p-value up to which
    a test is significant."""
    critical = critical_p(
        p for scene in compared for change in scene.cracks for p in change.tests.values()
    )
    return [
        replace(scene, changes=[decided(change, critical) for change in scene.changes])
        for scene in compared
    ], critical


def most_significant(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of up to `MOST` significant changes, the most certain and largest first."""

    def order(row: Row) -> tuple[float, float, float]:
        opened, longer = row["d_width_max_px"] or 0.0, row["d_length_px"] or 0.0
        return row["p_value"], -abs(opened), -abs(longer)

    return sorted((row for row in rows if row["significant"]), key=order)[:MOST]


def longest_px(change: Change) -> float:
    """Return the length of a change in the campaign in which it is longer, in px."""
    return max(change.before.length, change.after.length)
