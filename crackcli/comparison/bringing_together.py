"""Brings the photographs of two scenes together: on one grid, or aligned."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crackcli.arrays import Float64, UInt8
from crackcli.comparison.campaign import grid_difference
from crackcli.comparison.change import CompareTask
from crackcli.comparison.evidence.samples import Alignment, SameGrid
from crackcli.errors import InputError
from crackcli.progress import Progress
from crackcli.rasters.reader import Raster, RasterInfo
from crackcli.rasters.score_mask import Band
from crackcli.registration import NotAligned, align
from crackcli.scenes.scale import Scale, in_mm
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import inspect_original

log = logging.getLogger(__name__)

REMEDY = "bring back the photograph that was scanned"


@dataclass(frozen=True, eq=False)
class Together:
    """Two scenes brought together: the map between them, figures of its residual, and an image of
    it; both empty for scenes on one grid."""

    alignment: Alignment
    facts: dict[str, Any] = field(default_factory=dict)
    residual_map: UInt8 | None = None


def bring_together(
    task: CompareTask, before: Scene, after: Scene, scale: Scale | None, progress: Progress
) -> Together:
    """Return the map between two scenes; ``scale`` is that of the later one.

    Scenes of one photograph, or on one grid of a map, need no alignment. Without a map, scenes of
    one size whose photographs are missing are taken to be on one grid. Raises `InputError` if a
    photograph is missing, and `NotAligned` if the photographs cannot be aligned.
    """
    difference = grid_difference(before, after)
    if task.same_grid:
        if difference:
            raise InputError(f"--same-grid: {difference}; leave it out, so that they are aligned")
        return Together(SameGrid())
    if not difference and (georeferenced(before) or same_photograph(before, after)):
        return Together(SameGrid())
    try:
        infos = [
            photograph_of(folder, scene)
            for folder, scene in ((task.before, before), (task.after, after))
        ]
    except InputError as error:
        if difference:
            raise InputError(
                f"{difference}; to align them, both photographs are needed: {error}"
            ) from error
        log.debug("%s: taken to be on one pixel grid (%s)", after.name, error)
        return Together(SameGrid())
    try:
        return aligned(infos, before, after, scale, progress)
    except NotAligned as error:
        if difference:
            raise
        raise NotAligned(
            f"{error}; if both are on one pixel grid already, add --same-grid"
        ) from error


def aligned(
    infos: list[RasterInfo], before: Scene, after: Scene, scale: Scale | None, progress: Progress
) -> Together:
    """Align the photographs ``infos`` of two scenes, without their cracks."""
    with (
        Raster(infos[0]) as earlier,
        Raster(infos[1]) as later,
        Band(before.mask) as cracks_before,
        Band(after.mask) as cracks_after,
    ):
        found = align(
            earlier,
            later,
            cracks_before=cracks_before,
            cracks_after=cracks_after,
            start=start_by_maps(before, after),
            progress=progress,
        )
    facts = found.facts()
    for name in ("residual_median", "residual_p95"):
        facts[f"{name}_mm"] = in_mm(facts[f"{name}_px"], scale)
    log.info(
        "%s: aligned with a residual of %.2f px (95 %%: %.2f px), %.0f %% overlap",
        after.name,
        facts["residual_median_px"],
        facts["residual_p95_px"],
        100 * facts["overlap"],
    )
    return Together(found, facts, found.residual_map())


def photograph_of(folder: Path, scene: Scene) -> RasterInfo:
    """Inspect the photograph of a scene, without the areas that its scan excluded."""
    return inspect_original(folder, scene, REMEDY).excluding(scene.record.excluded)


def georeferenced(scene: Scene) -> bool:
    """Return True if a scene has a place on a map."""
    return not scene.transform.is_identity


def same_photograph(before: Scene, after: Scene) -> bool:
    """Return True if two scenes were scanned from the same file."""
    digest = before.record.source_sha256
    return digest is not None and digest == after.record.source_sha256


def start_by_maps(before: Scene, after: Scene) -> Float64 | None:
    """Return the map (3, 3) between the pixels of two scenes by their maps; None without."""
    if not (georeferenced(before) and georeferenced(after)) or before.crs_wkt != after.crs_wkt:
        return None
    earlier, later = (np.array(scene.transform, float).reshape(3, 3) for scene in (before, after))
    return np.asarray(np.linalg.solve(later, earlier), np.float64)
