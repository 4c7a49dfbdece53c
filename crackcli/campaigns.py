"""A campaign: what a report tells of one scene, read back to be compared with another one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crackcli.errors import InputError
from crackcli.formats.csv import read_rows
from crackcli.formats.geopackage import Recorded, read
from crackcli.frames import Geometries, apply, map_frame
from crackcli.scale import Scale
from crackcli.scene import Scene

SAME_TRANSFORM_PX = 0.01  # how far the corners of two equal grids may lie apart


@dataclass(frozen=True, eq=False)
class Campaign:
    """One scene of one report: its cracks, then its joints, as MultiLineStrings in pixels, and
    their columns; ``joint`` (N,) tells which are joints."""

    scene: Scene
    scale: Scale | None
    lines: Geometries
    columns: dict[str, NDArray]
    joint: NDArray[np.bool_]

    @property
    def ids(self) -> NDArray[np.object_]:
        return self.columns["crack_id"]


@dataclass(frozen=True, eq=False)
class Report:
    """A report read back: its cracks, its joints, and the scale of each scene that it covers."""

    folder: Path
    cracks: dict[str, Recorded]
    joints: dict[str, Recorded]
    scales: dict[str, Scale | None]

    @classmethod
    def of(cls, folder: Path) -> "Report":
        layers = read(folder)
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
        return cls(folder, layers["cracks"], layers["joints"], scales)

    def campaign(self, scene: Scene) -> Campaign:
        """What the report tells of one scene."""
        if scene.name not in self.scales:
            raise InputError(
                f"the report of {self.folder} does not cover {scene.name}; "
                f"run crackcli report {self.folder} again"
            )
        scale = self.scales[scene.name]
        parts = [(self.cracks.get(scene.name), False), (self.joints.get(scene.name), True)]
        found = [(part, joint) for part, joint in parts if part is not None]
        if not found:
            none = np.zeros(0, object)
            return Campaign(scene, scale, none, {"crack_id": none}, np.zeros(0, bool))
        lines = np.concatenate([part.geometries for part, _ in found])
        return Campaign(
            scene,
            scale,
            lines=map_frame(scene, scale).lift(lines),
            columns={
                name: np.concatenate([part.columns[name] for part, _ in found])
                for name in found[0][0].columns
            },
            joint=np.repeat(
                [joint for _, joint in found], [len(part.geometries) for part, _ in found]
            ),
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
    back = apply(~after.transform, apply(before.transform, corners))
    apart = np.hypot(*(back - corners).T).max()
    if apart > SAME_TRANSFORM_PX:
        raise InputError(f"{names} differ in their transform, by up to {apart:.3g} px; {advice}")
