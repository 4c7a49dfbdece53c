"""A scanned photograph on disk.

OUT/<scene>/score.tif   uint8, 0-254 scaled score, 255 nodata
OUT/<scene>/mask.tif    uint8, 1 crack, 0 no crack, 255 nodata
OUT/<scene>/scene.json  the grid, and how the scan was made (`crackcli.scenes.record`)
OUT/<scene>/overview.png  written by a report (`crackcli.report.overview`)
"""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from affine import Affine

from crackcli.errors import InputError
from crackcli.files import is_regular, write_json
from crackcli.rasters.ground.crs import check_crs
from crackcli.rasters.ground.pixel import GroundPixel, find_ground_pixel
from crackcli.scenes.record import SceneRecord

SCHEMA = 1
OBJECTS = (
    "source",
    "photograph",
    "excluded",
    "scored",
    "masking",
    "seconds",
    "files",
)  # if they are there


@dataclass(frozen=True)
class Scene:
    """One finished scan: its folder, its grid, and the rest of its ``scene.json``."""

    folder: Path
    rows: int
    cols: int
    transform: Affine  # pixel (col, row) to map (x, y); the identity if there is no map
    crs_wkt: str | None
    record: SceneRecord = field(default_factory=SceneRecord, repr=False)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def ground_pixel(self) -> GroundPixel:
        """The size and shape of a pixel in the middle of the scene's map."""
        return find_ground_pixel(self.transform, self.crs_wkt, self.rows, self.cols)

    @property
    def mask(self) -> Path:
        """The path of the mask raster."""
        return self.folder / "mask.tif"

    @property
    def score(self) -> Path:
        """The path of the score raster."""
        return self.folder / "score.tif"

    @property
    def overview(self) -> Path:
        return self.folder / "overview.png"

    def write(self) -> None:
        """Write ``scene.json``: the last file of a scan, so that its presence means finished."""
        grid = {
            "schema": SCHEMA,
            "scene": self.name,
            "rows": self.rows,
            "cols": self.cols,
            "transform": list(self.transform)[:6],
            "crs_wkt": self.crs_wkt,
        }
        write_json(self.folder / "scene.json", {**grid, **self.record.facts})

    @classmethod
    def read(cls, folder: Path) -> "Scene":
        """Read ``scene.json``; raises `InputError` if it is missing or damaged."""
        path = folder / "scene.json"
        try:
            if not is_regular(path):
                raise ValueError("it is no file")
            facts = json.loads(path.read_text(encoding="utf-8"))
            grid = {
                "rows": facts.pop("rows"),
                "cols": facts.pop("cols"),
                "transform": Affine(*facts.pop("transform")),
                "crs_wkt": facts.pop("crs_wkt"),
            }
            check_grid(**grid)
            wrong = [name for name in OBJECTS if not isinstance(facts.get(name) or {}, dict)]
            if wrong:
                raise ValueError(f"{wrong[0]} is no object")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: cannot be read ({error}); scan this image again") from error
        return cls(folder=folder, record=SceneRecord(facts), **grid)


def check_grid(rows: object, cols: object, transform: Affine, crs_wkt: object) -> None:
    """Raise a `ValueError` or `TypeError` if the values cannot be those of a raster."""
    if not all(type(side) is int and side > 0 for side in (rows, cols)):
        raise ValueError(f"{rows} rows and {cols} cols are no size")
    if not 0 < abs(transform.determinant) < math.inf:
        raise ValueError("its pixels have no size on the map")
    if not isinstance(crs_wkt, str | None):
        raise TypeError("crs_wkt is no text")
    if crs_wkt is not None:
        check_crs(crs_wkt)


def finished_scenes(out: Path) -> list[Scene]:
    """Read the finished scenes of an output folder, sorted by name."""
    return [Scene.read(folder) for folder in finished_folders(out)]


def readable_scenes(out: Path) -> list[Scene]:
    """Read the finished scenes of an output folder, without those that are damaged; none if there
    is none."""
    scenes: list[Scene] = []
    with suppress(InputError):
        for folder in finished_folders(out):
            with suppress(InputError):
                scenes.append(Scene.read(folder))
    return scenes


def finished_folders(out: Path) -> list[Path]:
    """Return the folders of the finished scenes, sorted by name, without reading them.

    Raises `InputError` if there is none.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give the output folder of crackcli scan")
    if not out.is_dir():
        raise InputError(f"{out}: does not exist; run crackcli scan first")
    folders = sorted(path.parent for path in out.glob("*/scene.json"))
    if not folders:
        raise InputError(f"{out}: contains no finished scene; run crackcli scan -o {out} first")
    return folders
