"""Pairs the scenes of two campaigns: by a CSV file, by name, by map, or by what they show."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

from crackcli.comparison.bringing_together import georeferenced, photograph_of
from crackcli.comparison.change import CompareTask
from crackcli.errors import InputError
from crackcli.rasters.reader import Raster
from crackcli.registration import Sketch, common_points
from crackcli.report.formats.csv import read_rows
from crackcli.scenes.frames import apply_affine
from crackcli.scenes.scene import Scene

log = logging.getLogger(__name__)

MIN_COMMON_AREA = 0.3  # of the smaller scene, of a pair by map
MIN_POINTS = 30  # in common, of a pair by content
MIN_LEAD = 2.0  # times as many points as with any other scene
MOST_BY_CONTENT = 20  # scenes of a campaign that are paired by content; more take too long

Scenes = Mapping[str, Scene]


@dataclass(frozen=True)
class ScenePair:
    """The names of two scenes that belong together.

    ``by`` is "file", "only", "name", "map" or "content", and ``confidence`` from 0 to 1: 1 for the
    first three, the common area as a fraction of the smaller scene, or how clearly the scene has
    more points in common with this one than with any other.
    """

    before: str
    after: str
    by: str
    confidence: float = 1.0


def pair_scenes(task: CompareTask, before: Scenes, after: Scenes) -> list[ScenePair]:
    """Return the scenes that belong together, each in one pair at most.

    Those that no file or name pairs are paired by map, then by content.
    """
    if task.pairs is not None:
        return pairs_of_file(task.pairs, before, after)
    if len(before) == len(after) == 1:
        return [ScenePair(next(iter(before)), next(iter(after)), "only")]
    pairs = pairs_by_name(before, after)
    for find in (pairs_by_map, lambda *sides: pairs_by_content(task, *sides)):
        earlier, later = left_over(before, after, pairs)
        if earlier and later:
            pairs += find(earlier, later)
    return pairs


def left_over(before: Scenes, after: Scenes, pairs: Sequence[ScenePair]) -> tuple[Scenes, Scenes]:
    """Return the scenes that are in no pair."""
    taken = {pair.before for pair in pairs}, {pair.after for pair in pairs}
    earlier, later = (
        {name: scene for name, scene in scenes.items() if name not in names}
        for scenes, names in zip((before, after), taken, strict=True)
    )
    return earlier, later


def pairs_of_file(path: Path, before: Scenes, after: Scenes) -> list[ScenePair]:
    """Return the pairs of a CSV file with the columns ``before`` and ``after``.

    Raises `InputError` if it has other columns, names no finished scene, or has one twice.
    """
    rows = read_rows(path)
    if not rows or not {"before", "after"} <= rows[0].keys():
        raise InputError(f"--pairs {path}: needs the columns before and after, and a row per pair")
    pairs = [ScenePair(row["before"].strip(), row["after"].strip(), "file") for row in rows]
    for side, scenes in (("before", before), ("after", after)):
        names = [getattr(pair, side) for pair in pairs]
        for name in names:
            if name not in scenes:
                raise InputError(
                    f"--pairs {path}: {name} in column {side} is no scene; give one of: "
                    f"{', '.join(sorted(scenes))}"
                )
            if names.count(name) > 1:
                raise InputError(
                    f"--pairs {path}: {name} is in column {side} twice; give each scene once"
                )
    return pairs


def pairs_by_name(before: Scenes, after: Scenes) -> list[ScenePair]:
    """Return scenes of the same name, also where one system composes accented letters and the other
    does not."""
    composed = {normalize("NFC", name): name for name in after}
    found = (
        (name, name if name in after else composed.get(normalize("NFC", name))) for name in before
    )
    return [ScenePair(earlier, later, "name") for earlier, later in found if later is not None]


def pairs_by_map(before: Scenes, after: Scenes) -> list[ScenePair]:
    """Return scenes that cover the same place of one coordinate reference system."""

    def common(earlier: Scene, later: Scene) -> float:
        if earlier.crs_wkt != later.crs_wkt:
            return 0.0
        areas = [footprint(scene) for scene in (earlier, later)]
        return float(areas[0].intersection(areas[1]).area / min(area.area for area in areas))

    earlier, later = (
        {name: scene for name, scene in scenes.items() if georeferenced(scene)}
        for scenes in (before, after)
    )
    return [
        ScenePair(own, other, "map", round(min(share, 1.0), 3))
        for own, other, share, _ in assigned(earlier, later, common)
        if share >= MIN_COMMON_AREA
    ]


def footprint(scene: Scene) -> shapely.Polygon:
    """Return the outline of a scene on its map."""
    corners = np.array([(0, 0), (scene.cols, 0), (scene.cols, scene.rows), (0, scene.rows)], float)
    return shapely.Polygon(apply_affine(scene.transform, corners))


def pairs_by_content(task: CompareTask, before: Scenes, after: Scenes) -> list[ScenePair]:
    """Return scenes whose photographs show the same part of a surface, with many points in common.

    A scene that has nearly as many with another one is not paired.
    """
    if max(len(before), len(after)) > MOST_BY_CONTENT:
        log.warning(
            "%d and %d scenes have no partner by name; they are too many to pair by content (give "
            "--pairs)",
            len(before),
            len(after),
        )
        return []
    sketches = {
        id(scene): sketch
        for folder, scenes in ((task.before, before), (task.after, after))
        for scene in scenes.values()
        if (sketch := sketch_of(folder, scene)) is not None
    }

    def points(earlier: Scene, later: Scene) -> float:
        pair = sketches.get(id(earlier)), sketches.get(id(later))
        return 0.0 if pair[0] is None or pair[1] is None else float(common_points(pair[0], pair[1]))

    return [
        ScenePair(own, other, "content", round(1 - second / count, 3))
        for own, other, count, second in assigned(before, after, points)
        if count >= MIN_POINTS and count >= MIN_LEAD * second
    ]


def sketch_of(folder: Path, scene: Scene) -> Sketch | None:
    """Return the sketch of the photograph of a scene; None if it cannot be read."""
    try:
        with Raster(photograph_of(folder, scene)) as photograph:
            return Sketch.of(photograph)
    except InputError as error:
        log.warning("%s: cannot be paired by content (%s)", scene.name, error)
        return None


def assigned(
    before: Scenes, after: Scenes, likeness: Callable[[Scene, Scene], float]
) -> list[tuple[str, str, float, float]]:
    """Return the one-to-one pairs of names with the largest sum of ``likeness``, with theirs and
    the largest of either scene with any other."""
    if not before or not after:
        return []
    values = np.array([[likeness(a, b) for b in after.values()] for a in before.values()])
    names = list(before), list(after)
    found = []
    for row, col in zip(*linear_sum_assignment(-values), strict=True):
        others = np.append(np.delete(values[row], col), np.delete(values[:, col], row))
        best, second = float(values[row, col]), float(others.max(initial=0))
        found.append((names[0][row], names[1][col], best, second))
    return found
