"""changes.gpkg: the changes as a layer for QGIS, with a style by their kind.

The columns are those of changes.csv. Scenes in another CRS than the first go to ``changes_2`` and
so on, as in a report.
"""

from collections.abc import Iterable
from pathlib import Path

from crackcli.comparison.outputs.columns import COLUMNS
from crackcli.report.formats.geopackage import (
    Numbers,
    append,
    arrays,
    growing,
    insert_styles,
    layer_suffix,
)
from crackcli.report.formats.qgis_style import rules_style
from crackcli.report.tables.columns import Row
from crackcli.scenes.frames import Geometries, map_frame
from crackcli.scenes.scene import Scene

LAYER = "changes"
KINDS = {  # label, and a colour that people with red-green colour blindness can tell from others
    "new": "#7a0177",
    "grown": "#d73027",
    "shrunk": "#fc8d59",
    "gone": "#4575b4",
    "stable": "#8c8c8c",
    "hidden": "#c8c8c8",
}
LABEL = """CASE WHEN NOT "significant" THEN ''
WHEN "d_width_max_mm" IS NOT NULL THEN "kind" || ' ' || format_number("d_width_max_mm", 2)
  || coalesce(' ± ' || format_number("d_width_max_unc_mm", 2), '') || ' mm'
ELSE "kind" || coalesce(' ' || format_number("d_width_max_px", 1) || ' px', '') END"""


def write(path: Path, scenes: Iterable[tuple[Scene, Geometries, list[Row]]]) -> None:
    """Write the changes of scenes: for each its later photograph, and the changes as lines in px
    of that and as rows."""
    numbers: Numbers = {}
    with growing(path) as grown:
        for scene, lines, rows in scenes:
            frame = map_frame(scene)
            flat = [{name: as_text(value) for name, value in row.items()} for row in rows]
            layer = LAYER + layer_suffix(frame, numbers)
            append(grown, layer, "MultiLineString", frame, lines, arrays(flat, COLUMNS))
        insert_styles(grown, lambda *_: (LAYER, style()))


def as_text(value: object) -> object:
    """Return the texts of a list as one."""
    return ";".join(value) if isinstance(value, list) else value


def style() -> str:
    """Return the QML of the layer: a colour for each kind, and labels of significant changes."""
    rules = [(kind, f"\"kind\" = '{kind}'", colour) for kind, colour in KINDS.items()]
    return rules_style(rules, LABEL)
