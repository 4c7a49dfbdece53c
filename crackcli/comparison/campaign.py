"""Campaigns: scenes read back from a report, and the differences between two of them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float64
from crackcli.comparison.evidence.samples import Samples, sample_lines
from crackcli.comparison.evidence.visibility import Visibility
from crackcli.cracks.widths import MASK_METHOD
from crackcli.errors import InputError
from crackcli.report.formats.csv import read_rows
from crackcli.report.formats.geopackage_reader import (
    Recorded,
    read,
    read_limits,
    read_report_ids,
    read_transforms,
    read_widths,
)
from crackcli.report.record import outdated, read_record
from crackcli.report.tables.columns import GEOPACKAGE
from crackcli.report.tracing import window_px
from crackcli.report.verdicts import REJECTED, verdict_of
from crackcli.scenes.frames import (
    Geometries,
    apply_affine,
    earlier_transform,
    map_frame,
    to_pixels,
)
from crackcli.scenes.record import OPTIONS
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene
from crackcli.shipped_models import MODELS, shipped_sha256

log = logging.getLogger(__name__)

MAX_CORNER_SHIFT_PX = 0.01  # between the corners of two equal grids
DIGEST_LENGTH = 8  # digits of a digest in a message

# Options of a report that decide which cracks it contains, and their columns in scenes.csv.
REPORT_OPTIONS = {"min-length-px": "min_length_px", "joint-likelihood": "joints_from"}


@dataclass(frozen=True, eq=False)
class Campaign:
    """One scene of one report.

    ``lines`` (N,) are its cracks, then its joints, as MultiLineStrings in pixels; ``columns`` are
    their values; ``joint`` (N,) marks the joints. ``samples`` are the places and widths along the
    lines, ``visibility`` is what the photograph could have shown. ``tone`` is the transfer function
    of widths measured on the photograph, empty if unknown. ``window_px`` is the length of the
    running mean of the largest width; None if unknown.
    """

    scene: Scene
    scale: Scale | None
    lines: Geometries
    columns: dict[str, NDArray[Any]]
    joint: Bools
    samples: Samples
    visibility: Visibility
    tone: str = ""
    window_px: float | None = None

    @property
    def ids(self) -> NDArray[np.object_]:
        """The ids of the lines (N,)."""
        return self.columns["crack_id"]

    def not_rejected(self, lines: list[int]) -> list[int]:
        """Return those of some lines that no person rejected."""
        return [line for line in lines if verdict_of(self.columns["review"][line]) != REJECTED]

    def width_methods(self, lines: list[int]) -> set[tuple[str, str]]:
        """Return the methods by which the widths of these lines were measured, each with its tone
        if it reads the photograph, else with an empty text."""
        methods = set(self.columns["width_method"][lines])
        return {(method, "" if method == MASK_METHOD else self.tone) for method in methods}


@dataclass(frozen=True, eq=False)
class Report:
    """A report read from its files: cracks and joints, and scale, tone and `REPORT_OPTIONS` by
    scene."""

    folder: Path
    cracks: dict[str, Recorded]
    joints: dict[str, Recorded]
    scales: dict[str, Scale | None]
    tones: dict[str, str]
    windows: dict[str, float | None]
    options: dict[str, dict[str, float]]
    widths: Mapping[str, NDArray[Any]]
    limits: Mapping[str, tuple[Geometries, Float64]]
    transforms: dict[str, Affine]  # pixels to its coordinates; none in reports of earlier versions

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """Read a report; raises `InputError` if it is missing, damaged, or not complete."""
        layers = read(folder)
        check_complete(folder)
        path = folder / "scenes.csv"
        try:
            table = read_rows(path)
            scales = {
                row["scene_id"]: Scale(float(row["gsd_mm"]), None, row["scale_source"])
                if row["gsd_mm"]
                else None
                for row in table
            }
            tones = {row["scene_id"]: row.get("tone") or "" for row in table}
            windows = {row["scene_id"]: window_of(row, scales[row["scene_id"]]) for row in table}
            options = {
                row["scene_id"]: {
                    name: float(row[column])
                    for name, column in REPORT_OPTIONS.items()
                    if row.get(column)
                }
                for row in table
            }
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); run crackcli report {folder} again"
            ) from error
        return cls(
            folder,
            layers["cracks"],
            layers["joints"],
            scales,
            tones,
            windows,
            options,
            read_widths(folder),
            read_limits(folder),
            read_transforms(folder / GEOPACKAGE),
        )

    def campaign(self, scene: Scene) -> Campaign:
        """Return one scene of the report; raises `InputError` if the report lacks it."""
        if scene.name not in self.scales:
            raise InputError(
                f"{self.folder}: its report does not cover {scene.name}; "
                f"run crackcli report {self.folder} again"
            )
        scale, tone = self.scales[scene.name], self.tones[scene.name]
        size = scale.mm_per_px if scale else None
        transform = self.transforms.get(scene.name) or earlier_transform(scene, size)
        frame = replace(map_frame(scene), transform=transform)
        layers = [(self.cracks.get(scene.name), False), (self.joints.get(scene.name), True)]
        found = [(part, joint) for part, joint in layers if part is not None]
        columns: dict[str, NDArray[Any]] = {"crack_id": np.zeros(0, object)}
        lines, joint = np.zeros(0, object), np.zeros(0, bool)
        if found:
            lines = to_pixels(transform, np.concatenate([part.geometries for part, _ in found]))
            columns = {
                name: np.concatenate([part.columns[name] for part, _ in found])
                for name in found[0][0].columns
            }
            joint = np.repeat(
                [joint for _, joint in found], [len(part.geometries) for part, _ in found]
            )
        visibility = Visibility(scene)
        if scene.name in self.limits:
            areas, limits_px = self.limits[scene.name]
            visibility = Visibility(scene, to_pixels(transform, areas), limits_px)
        return Campaign(
            scene,
            scale,
            lines,
            columns,
            joint,
            sample_lines(lines, columns["crack_id"], self.widths, frame),
            visibility,
            tone,
            self.windows[scene.name],
        )


def check_complete(folder: Path) -> None:
    """Raise an `InputError` if the files of a report do not belong together; log a warning if it is
    of a version that does not tell."""
    record = read_record(folder)
    if not record.facts:
        log.warning(
            "%s: its report is of an earlier version; whether it belongs to the masks is unknown "
            "(run crackcli report %s again)",
            folder,
            folder,
        )
        return
    ids = {row.get("report_id") for row in read_rows(folder / "scenes.csv")}
    ids |= read_report_ids(folder / GEOPACKAGE)
    if not record.complete or ids != {record.facts["report_id"]}:
        raise InputError(
            f"{folder}: its files are of several reports, of which one was interrupted or copied; "
            f"run crackcli report {folder} again"
        )


def check_current(folder: Path, scenes: Iterable[str]) -> None:
    """Raise an `InputError` if the masks of ``scenes`` were changed since the report."""
    changed = outdated(folder, read_record(folder), scenes)
    if changed:
        raise InputError(
            f"{folder}: its report is older than the masks of {', '.join(changed)}; "
            f"run crackcli report {folder} again"
        )


def window_of(row: Mapping[str, str], scale: Scale | None) -> float | None:
    """Return the length of the running mean of the largest width of a scene, given its row."""
    stored = row.get("width_window_px")
    if stored:
        return float(stored)
    return window_px(scale) if row.get("tone") else None


def grid_difference(before: Scene, after: Scene) -> str:
    """Return the first difference between two grids as text; empty if they are equal."""
    names = f"{before.folder} and {after.folder}"
    sizes = [f"{scene.cols} x {scene.rows} px" for scene in (before, after)]
    if sizes[0] != sizes[1]:
        return f"{names} differ in size: {sizes[0]} and {sizes[1]}"
    if before.crs_wkt != after.crs_wkt:
        return f"{names} differ in their coordinate reference system"
    corners = np.array([(0, 0), (after.cols, 0), (0, after.rows), (after.cols, after.rows)])
    back = apply_affine(~after.transform, apply_affine(before.transform, corners))
    apart = np.hypot(*(back - corners).T).max()
    if apart > MAX_CORNER_SHIFT_PX:
        return f"{names} differ in their transform, by up to {apart:.3g} px"
    return ""


def scan_differences(before: Scene, after: Scene) -> list[str]:
    """List the differences in model and options between two scans that can make a crack appear in
    only one of them. Values missing from either scan are ignored."""
    found = model_differences(before, after)
    areas = [scene.record.excluded for scene in (before, after)]
    if len({one and one.digest for one in areas}) > 1:
        found.append("excluded areas")
    used = [scene.record.options() for scene in (before, after)]
    for name in OPTIONS:
        if all(name in options for options in used):
            words = [option_text(name, options[name]) for options in used]
            if words[0] != words[1]:
                found.append(f"{name} ({words[0]}; {words[1]})")
    return found


def report_differences(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """List such differences between two reports, by their `Report.options`."""
    return [
        f"{name} ({before[name]}; {after[name]})"
        for name in REPORT_OPTIONS
        if name in before and name in after and before[name] != after[name]
    ]


def model_differences(before: Scene, after: Scene) -> list[str]:
    """List the difference in the model, if any. A shipped checkpoint and its ONNX graphs count as
    the same model."""
    engines = [scene.record.engine for scene in (before, after)]
    digests = [engine.get("model_sha256") for engine in engines]
    if None in digests or digests[0] == digests[1]:
        return []
    if any(shipped_sha256(name).issuperset(digests) for name in MODELS):
        return []
    words = (
        f"{engine.get('model')} {engine['model_sha256'][:DIGEST_LENGTH]}" for engine in engines
    )
    return [f"model ({'; '.join(words)})"]


def option_text(name: str, value: Any) -> str:
    """Return the value of an option as text for a message."""
    if name == "look" and isinstance(value, list):
        value = None  # prescreening in int8 does not change masks
    if value is None:
        return "its own" if name == "threshold" else "none"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
