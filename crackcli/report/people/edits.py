"""Reads what people changed in the GeoPackage of a report, so that the next report keeps it.

In QGIS people write into ``review`` and ``note``, add columns, draw cracks, overrule a class of
severity, delete a false crack, or move a line between the layers ``joints`` and ``cracks``. Each
such row becomes an `Edit`, placed in pixels of its photograph.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine

from crackcli.outputs import Record
from crackcli.report.formats.csv import read_rows
from crackcli.report.formats.geopackage_reader import (
    LINES,
    Layer,
    errors_of,
    mm_per_px,
    read_layers,
)
from crackcli.report.tables.columns import COLUMNS, DRAWN, Row
from crackcli.report.tables.severity_columns import BY_HAND
from crackcli.report.verdicts import REJECTED, UNREVIEWED
from crackcli.scenes.frames import apply_affine, earlier_transform, map_frame
from crackcli.scenes.scene import Scene

AREAS = "crack_areas"
KIND = "kind"  # the layer that a person moved a line to
REVIEW, NOTE = "review", "note"
DELETED = "deleted in cracks.gpkg"  # note of a crack that a person deleted
CLASS = "_class"  # ending of the column of a severity class
Scenes = Mapping[str, Scene]


@dataclass(frozen=True, eq=False)
class Edit:
    """What a person changed in one row: ``values`` by column, or by `KIND`.

    ``line`` is in pixel edges (col, row) of the scene, or in coordinates of the file if
    the scene is unknown (""). It is an outline if only that was left. A ``drawn`` line is a crack
    of its own, in the layer of `KIND`; other edits belong to the crack at their place.
    """

    crack_id: str
    scene: str
    line: shapely.Geometry
    values: Mapping[str, Any]
    drawn: bool = False

    def facts(self) -> dict[str, Any]:
        """Return the edit as JSON."""
        return {
            "crack_id": self.crack_id,
            "scene": self.scene,
            "line": shapely.to_wkt(self.line, rounding_precision=3),
            "values": dict(self.values),
            "drawn": self.drawn,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Edit":
        """Return the edit of `facts`."""
        return cls(**{**facts, "line": shapely.from_wkt(facts["line"])})


@dataclass(frozen=True, eq=False)
class Edits:
    """The edits of a report, and the SQL types of the columns that people added, by name."""

    edits: list[Edit] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)


def read_edits(path: Path, earlier: Record, scenes: Scenes) -> Edits:
    """Return what people changed in the GeoPackage of the ``earlier`` report.

    Raises `InputError` if the file is damaged.
    """
    with errors_of(path, "move it to another folder"):
        layers = read_layers(path, (*LINES, AREAS))
    threshold = earlier.facts.get("options", {}).get("joint_likelihood")
    originals = read_originals(earlier)
    placed = Placing.of(earlier, scenes, layers)
    by_id = {
        str(row["crack_id"]): row
        for layer in layers
        if layer.kind == AREAS
        for row in layer.rows
        if row.get("crack_id")
    }
    edits, seen = [], set()
    for layer in layers:
        for row, shape in zip(layer.rows, layer.shapes, strict=True):
            if layer.kind not in LINES or shape is None or shapely.is_empty(shape):
                continue
            crack_id = str(row.get("crack_id") or "")
            seen.add(crack_id)
            drawn = row.get("width_method") in (None, "", DRAWN)
            if drawn:
                values = {name: value for name, value in row.items() if value is not None}
                values[KIND] = layer.kind
            else:
                values = changes(row, by_id.get(crack_id, {}), originals.get(crack_id, {}))
                added = {name: row[name] for name in added_columns(layer)}
                values |= {name: value for name, value in added.items() if value is not None}
                values |= moved(row, layer.kind, threshold)
            if values:
                edits.append(placed.edit(row, shape, values, drawn=drawn))
    edits += [
        placed.edit(row, shape, {REVIEW: REJECTED, NOTE: DELETED})
        for layer in layers
        if layer.kind == AREAS
        for row, shape in zip(layer.rows, layer.shapes, strict=True)
        if shape is not None and str(row.get("crack_id") or "") not in seen
    ]
    added = {name: kind for layer in layers for name, kind in added_columns(layer).items()}
    return Edits(edits, added)


def changes(row: Row, area: Row, original: Mapping[str, str]) -> Row:
    """Return the review, the note and the overruled classes of a crack.

    The same columns stand in the row of its ``area``. Of both, the value counts that differs from
    the ``original``, in the form of cracks.csv.
    """
    found: Row = {}
    classes = [name for name in row if name.startswith("sev_") and name.endswith(CLASS)]
    for name in (REVIEW, NOTE, *classes):
        was = original.get(name, UNREVIEWED if name == REVIEW else "")
        values = [str(source.get(name) or "").strip() for source in (row, area)]
        now = next((value for value in values if value != was), values[0])
        overruled = name not in classes or now != was or by_hand(row, name)
        known = name in original or name not in classes or by_hand(row, name)
        if now and now.casefold() != UNREVIEWED and overruled and known:
            found[name] = now
    return found


def by_hand(row: Row, name: str) -> bool:
    """Return True if an earlier report stored that a person had overruled this class."""
    return bool(row.get(f"{name.removesuffix(CLASS)}_status") == BY_HAND)


def moved(row: Row, kind: str, threshold: float | None) -> Row:
    """Return the layer of a line that a person moved to it."""
    likelihood = row.get("joint_likelihood")
    if likelihood is None or threshold is None:
        return {}
    return {} if (kind == "joints") == (likelihood >= threshold) else {KIND: kind}


def read_originals(earlier: Record) -> dict[str, dict[str, str]]:
    """Return the rows of cracks.csv by id, if it is as the report left it."""
    if not earlier.owns("cracks.csv"):
        return {}
    return {row["crack_id"]: row for row in read_rows(earlier.path.with_name("cracks.csv"))}


def added_columns(layer: Layer) -> dict[str, str]:
    """Return the columns that people added, and their SQL types."""
    return {
        name: kind
        for name, kind in layer.types.items()
        if name not in COLUMNS and not name.startswith("sev_")
    }


@dataclass(frozen=True, eq=False)
class Placing:
    """Transforms from the coordinates of the file to pixels, by scene."""

    to_pixels: dict[str, Affine]
    sizes: dict[str, tuple[int, int]]  # rows, cols

    @classmethod
    def of(cls, earlier: Record, scenes: Scenes, layers: Sequence[Layer]) -> "Placing":
        """Find the transforms: of the map, else those that the report stored, else those of
        reports that stored none."""
        stored = {
            name: one["frame"]
            for name, one in earlier.facts.get("scenes", {}).items()
            if "frame" in one
        }
        found = {name: ~Affine(*frame["transform"]) for name, frame in stored.items()}
        for name, scene in scenes.items():
            frame = map_frame(scene)
            if frame.space == "map":
                found[name] = ~frame.transform
            elif name not in stored:
                found[name] = ~earlier_transform(scene, mm_per_px(rows_of(layers, name)))
        return cls(found, {name: (scene.rows, scene.cols) for name, scene in scenes.items()})

    def edit(self, row: Row, shape: shapely.Geometry, values: Row, *, drawn: bool = False) -> Edit:
        """Return the edit of a row with its ``shape`` in pixels."""
        scene = str(row.get("scene_id") or "") or self.scene_at(shape)
        back = self.to_pixels.get(scene, Affine.identity())
        line = shapely.transform(shape, lambda points: apply_affine(back, points))
        kept = {name: value for name, value in values.items() if not isinstance(value, bytes)}
        return Edit(str(row.get("crack_id") or ""), scene, line, kept, drawn)

    def scene_at(self, shape: shapely.Geometry) -> str:
        """Return the only scene that a line without a ``scene_id`` lies in; "" if none or several
        contain it."""
        x, y = shapely.get_coordinates(shape).mean(axis=0)
        found = []
        for name, (rows, cols) in self.sizes.items():
            ((col, row),) = apply_affine(self.to_pixels[name], np.array([[x, y]]))
            if len(self.sizes) == 1 or (0 <= col <= cols and 0 <= row <= rows):
                found.append(name)
        return found[0] if len(found) == 1 else ""


def rows_of(layers: Sequence[Layer], scene: str) -> Iterator[Row]:
    """Yield the rows of a scene."""
    return (row for layer in layers for row in layer.rows if row.get("scene_id") == scene)
