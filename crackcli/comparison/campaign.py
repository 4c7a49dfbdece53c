"""A campaign: what a report tells of one scene, read back to be compared with another one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools
from crackcli.cracks.widths import MASK_METHOD
from crackcli.errors import InputError
from crackcli.report.formats.csv import read_rows
from crackcli.report.formats.geopackage import Recorded, read
from crackcli.scenes.frames import Geometries, apply_affine, map_frame
from crackcli.scenes.record import OPTIONS
from crackcli.scenes.scale import Scale
from crackcli.scenes.scene import Scene
from crackcli.shipped_models import shipped_sha256

SAME_TRANSFORM_PX = 0.01  # how far the corners of two equal grids may lie apart
DIGEST = 8  # digits that tell two models apart

# Options of a report that tell which cracks it has, and the columns of scenes.csv that tell them.
REPORTED_BY = {"min-length-px": "min_length_px", "joint-likelihood": "joints_from"}


@dataclass(frozen=True, eq=False)
class Campaign:
    """One scene of one report: its cracks, then its joints, as MultiLineStrings in pixels, and
    their columns; ``joint`` (N,) tells which are joints, ``tone`` by which tone those were measured
    that were on the photograph, empty where the report does not tell."""

    scene: Scene
    scale: Scale | None
    lines: Geometries
    columns: dict[str, NDArray]
    joint: Bools
    tone: str = ""

    @property
    def ids(self) -> NDArray[np.object_]:
        return self.columns["crack_id"]

    def measured_by(self, lines: list[int]) -> set[tuple[str, str]]:
        """The ways in which the widths of these lines were measured: method, and tone where the
        method reads the photograph."""
        methods = set(self.columns["width_method"][lines])
        return {(method, "" if method == MASK_METHOD else self.tone) for method in methods}


@dataclass(frozen=True, eq=False)
class Report:
    """A report read back: its cracks, its joints, and of each scene that it covers the scale, the
    tone, and what `REPORTED_BY` tells."""

    folder: Path
    cracks: dict[str, Recorded]
    joints: dict[str, Recorded]
    scales: dict[str, Scale | None]
    tones: dict[str, str]
    options: dict[str, dict[str, float]]

    @classmethod
    def of(cls, folder: Path) -> "Report":
        layers = read(folder)
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
            options = {
                row["scene_id"]: {
                    name: float(row[column])
                    for name, column in REPORTED_BY.items()
                    if row.get(column)
                }
                for row in table
            }
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read ({error}); run crackcli report {folder} again"
            ) from error
        return cls(folder, layers["cracks"], layers["joints"], scales, tones, options)

    def campaign(self, scene: Scene) -> Campaign:
        """What the report tells of one scene."""
        if scene.name not in self.scales:
            raise InputError(
                f"the report of {self.folder} does not cover {scene.name}; "
                f"run crackcli report {self.folder} again"
            )
        scale, tone = self.scales[scene.name], self.tones[scene.name]
        parts = [(self.cracks.get(scene.name), False), (self.joints.get(scene.name), True)]
        found = [(part, joint) for part, joint in parts if part is not None]
        if not found:
            none = np.zeros(0, object)
            return Campaign(scene, scale, none, {"crack_id": none}, np.zeros(0, bool), tone)
        lines = np.concatenate([part.geometries for part, _ in found])
        return Campaign(
            scene,
            scale,
            lines=map_frame(scene, scale).to_pixels(lines),
            columns={
                name: np.concatenate([part.columns[name] for part, _ in found])
                for name in found[0][0].columns
            },
            joint=np.repeat(
                [joint for _, joint in found], [len(part.geometries) for part, _ in found]
            ),
            tone=tone,
        )


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
    back = apply_affine(~after.transform, apply_affine(before.transform, corners))
    apart = np.hypot(*(back - corners).T).max()
    if apart > SAME_TRANSFORM_PX:
        raise InputError(f"{names} differ in their transform, by up to {apart:.3g} px; {advice}")


def scanned_apart(before: Scene, after: Scene) -> list[str]:
    """In what two scans differ, in words, that may let a crack be found in one of them only; what
    one of them does not tell is no difference."""
    found = models_apart(before, after)
    used = [scene.record.options() for scene in (before, after)]
    for name in OPTIONS:
        if all(name in options for options in used):
            words = [worded(name, options[name]) for options in used]
            if words[0] != words[1]:
                found.append(f"{name} ({words[0]}; {words[1]})")
    return found


def reported_apart(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """The same of two reports, by their `Report.options`."""
    return [
        f"{name} ({before[name]}; {after[name]})"
        for name in REPORTED_BY
        if name in before and name in after and before[name] != after[name]
    ]


def models_apart(before: Scene, after: Scene) -> list[str]:
    """The same of the model.  The shipped checkpoint and the graph made from it are one."""
    engines = [scene.record.engine for scene in (before, after)]
    digests = [engine.get("model_sha256") for engine in engines]
    if None in digests or digests[0] == digests[1] or shipped_sha256().issuperset(digests):
        return []
    words = (f"{engine.get('model')} {engine['model_sha256'][:DIGEST]}" for engine in engines)
    return [f"model ({'; '.join(words)})"]


def worded(name: str, value: Any) -> str:
    """An option of a scan for a person."""
    if name == "look" and isinstance(value, list):
        value = None  # a look in whole numbers leaves masks as they are
    if value is None:
        return "its own" if name == "threshold" else "none"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
