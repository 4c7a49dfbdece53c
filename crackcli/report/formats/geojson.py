"""GeoJSON, in longitude and latitude for exchange, or in local coordinates of a photograph.

``cracks.geojson``, ``crack_areas.geojson`` and ``joints.geojson`` follow RFC 7946: WGS 84,
right-hand rings, no ``crs`` member, as many decimals as a tenth of a pixel needs. Scenes that
are not in a geographic or projected CRS go to ``*.local.geojson``. It has the same form but is not
RFC 7946: coordinates are those of the raster's transform or, without one, pixels, x right and y up
from the upper left corner of the photograph, as QGIS shows it; ``coordinate_space`` contains which.
If these scenes differ in it, the files of the later kind have ``grid`` or ``local_px`` in their
name.

The foreign member ``crackcli`` contains the provenance (`crackcli.report.formats.provenance`), the
detection ``statement`` of each scene, and the severity profiles with their caveats. The member
``severity`` of a crack contains its grades.
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
import shapely

from crackcli.detectability.statements import statement
from crackcli.files import atomic_write
from crackcli.report.formats.provenance import of_report, of_scene
from crackcli.report.tables.columns import Row
from crackcli.report.tables.rows import (
    SceneCracks,
    areas,
    centrelines,
    drawn_lines,
    drawn_rows,
    findings_of,
    rows,
)
from crackcli.report.tables.severity_columns import SeverityProfiles, nested
from crackcli.scenes.frames import Frame, Geometries, exchange_frame

STEMS = ("cracks", "crack_areas", "joints")
NOTES = {
    "local_px": "Not RFC 7946: this photograph is not georeferenced. Coordinates are pixels, x "
    "right, y up, origin at the upper left corner of the photograph, so that y is minus the row.",
    "grid": "Not RFC 7946: the place on the Earth is unknown. Coordinates are those of the "
    "raster's transform.",
}
SUFFIXES = (".geojson", ".local.geojson", *(f".{space}.geojson" for space in NOTES))


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Write centrelines and outlines of cracks and centrelines of joints; return the paths.

    There are three files for each kind of coordinates, three to nine in all.
    """
    with Collections(folder, STEMS, of_report(profiles)) as collections:
        for table in tables:
            frame = exchange_frame(table.scene)
            provenance = of_scene(table, frame.space)
            provenance["statement"] = statement([findings_of(table)])
            cracks = nested(rows(table, table.cracks, profiles), profiles)
            drawn = nested(drawn_rows(table, profiles), profiles)
            lines = np.concatenate([centrelines(table.cracks), drawn_lines(table)])
            joints = rows(table, table.joints) + drawn_rows(table, kind="joints")  # not graded
            beside = np.concatenate([centrelines(table.joints), drawn_lines(table, "joints")])
            collections.add("cracks", frame, lines, cracks + drawn, provenance)
            collections.add("crack_areas", frame, areas(table.cracks), cracks, provenance)
            collections.add("joints", frame, beside, joints, provenance)
    return collections.paths


class Collections:
    """Writer of GeoJSON files that grow scene by scene; use as a context manager.

    Each of ``stems`` gets a file per kind of coordinates; files of other kinds, left by an earlier
    run, are removed. ``provenance`` and that of each scene become the member ``crackcli`` at the
    end of a file.
    """

    def __init__(
        self, folder: Path, stems: Sequence[str], provenance: dict[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self.stems = stems
        self.provenance = provenance
        self.scenes: dict[Path, list[dict[str, Any]]] = {}
        self.stack = contextlib.ExitStack()
        self.files: dict[Path, TextIO] = {}
        self.spaces: dict[Path, str] = {}

    @property
    def paths(self) -> list[Path]:
        """The files written so far."""
        return list(self.files)

    def __enter__(self) -> "Collections":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if kind is None:
            for path, file in self.files.items():
                foreign = {"crackcli": {**(self.provenance or {}), "scenes": self.scenes[path]}}
                member = json.dumps(foreign, ensure_ascii=False)[1:-1]
                file.write(f"\n], {member}}}\n" if self.provenance else "\n]}\n")
        suppressed = self.stack.__exit__(kind, error, traceback)
        if kind is None:
            for stem in self.stems:
                for suffix in SUFFIXES:
                    path = self.folder / f"{stem}{suffix}"
                    if path not in self.files:
                        path.unlink(missing_ok=True)
        return suppressed

    def add(
        self,
        stem: str,
        frame: Frame,
        geometries: Geometries,
        properties: list[Row],
        scene: dict[str, Any] | None = None,
    ) -> None:
        """Write the features of one scene: ``geometries`` in pixel coordinates, a row for each, and
        the provenance of the ``scene``."""
        suffix = ".geojson" if frame.space == "wgs84" else ".local.geojson"
        path = self.folder / f"{stem}{suffix}"
        if self.spaces.setdefault(path, frame.space) != frame.space:
            path = self.folder / f"{stem}.{frame.space}.geojson"
        self.scenes.setdefault(path, []).extend([scene] if scene else [])
        separator = ",\n"
        if path not in self.files:
            aside = self.stack.enter_context(atomic_write(path))
            file = self.stack.enter_context(aside.open("w", encoding="utf-8"))
            self.files[path], separator = file, "\n"
            file.write('{"type": "FeatureCollection", ')
            if frame.space in NOTES:
                members = {"coordinate_space": frame.space, "note": NOTES[frame.space]}
                file.write(json.dumps(members)[1:-1] + ", ")
            file.write('"features": [')
        placed = shapely.orient_polygons(frame.from_pixels(geometries))
        for shape, row in zip(shapely.to_geojson(placed), properties, strict=True):
            values = json.dumps(row, ensure_ascii=False)
            self.files[path].write(
                f'{separator}{{"type": "Feature", "properties": {values}, "geometry": {shape}}}'
            )
            separator = ",\n"
