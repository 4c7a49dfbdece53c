"""The pictures of a comparison: growth.png, and crops of its most significant changes."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import shapely

from crackcli.comparison.evidence.samples import Alignment
from crackcli.comparison.outputs.crops import Sides, draw_crop
from crackcli.comparison.outputs.growth_chart import draw_growth
from crackcli.errors import InputError
from crackcli.rasters.writing.images import write_png
from crackcli.report.tables.columns import Row
from crackcli.scenes.scene import Scene
from crackcli.scenes.source import inspect_original

log = logging.getLogger(__name__)

CHART, CROPS = "growth.png", "crops"  # a file, and a folder
REMEDY = "bring back the photograph that was scanned"


@dataclass(frozen=True, eq=False)
class Pictured:
    """What the crops of one scene need: its scenes and the folders of their campaigns, the
    alignment between them, and the lines of its changes by id."""

    folders: tuple[Path, Path]
    scenes: tuple[Scene, Scene]
    alignment: Alignment
    lines: dict[str, shapely.Geometry]


def write_pictures(
    work: Path, rows: Iterable[Row], significant: Sequence[Row], pictured: Iterable[Pictured]
) -> list[Path]:
    """Write the chart of all changes and crops of the ``significant`` ones into the folder
    ``work``; return their paths. Without a photograph there is no crop, and the log says so."""
    paths = []
    chart = draw_growth(list(rows))
    if chart is not None:
        paths.append(work / CHART)
        write_png(paths[-1], chart)
    for scene in pictured:
        own = [row for row in significant if row["change_id"] in scene.lines]
        if not own:
            continue
        try:
            before, after = (
                inspect_original(folder, one, REMEDY)
                for folder, one in zip(scene.folders, scene.scenes, strict=True)
            )
            sides = Sides(before, after, scene.alignment)
            for row in own:
                image = draw_crop(sides, scene.lines[row["change_id"]], caption(row))
                paths.append(work / CROPS / f"{row['change_id']}.png")
                paths[-1].parent.mkdir(exist_ok=True)
                write_png(paths[-1], image)
        except InputError as error:
            log.info("%s: no crops of its changes: %s", scene.scenes[1].name, error)
    return paths


def caption(row: Row) -> str:
    """Return the change in words, in ASCII: its kind, its largest width and its length."""
    unit = "px" if row["d_width_max_mm"] is None else "mm"
    words = [f"{row['change_id']}: {row['kind']}"]
    for name, label in (("width_max", "largest width"), ("length", "length")):
        value, unc = row[f"d_{name}_{unit}"], row[f"d_{name}_unc_{unit}"]
        if value is not None:
            words.append(f"{label} {value:+.2f}" + (f" +- {unc:.2f}" if unc else "") + f" {unit}")
    return ", ".join(words) + "  (before, after, difference)"
