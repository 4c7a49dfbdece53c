"""GeoJSON, twice: in longitude and latitude for exchange, and in the wall's own coordinates.

``cracks.geojson``, ``crack_areas.geojson`` and ``joints.geojson`` follow RFC 7946: WGS 84,
right-hand rings, no ``crs`` member, as many decimals as a tenth of a pixel needs.  Scenes whose map
is not tied to the Earth go to ``*.local.geojson``, which looks the same but is not RFC 7946:
its coordinates are millimetres (pixels without a scale), x right and y up from the lower left
corner of the photograph, and ``coordinate_space`` says so.  Where some walls have a scale and
others have not, the later kind has ``local_mm`` or ``local_px`` in the name.

The foreign member ``crackcli`` tells where the cracks come from (`crackcli.report.provenance`),
which would have been seen (the ``statement`` of each scene), and by which profiles they are graded,
with their caveats.  Grades are one member ``severity`` of a crack."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import shapely

from crackcli.detectability.statements import statement
from crackcli.files import atomic_write
from crackcli.report.provenance import of_report, of_scene
from crackcli.report.rows import (
    Row,
    SceneCracks,
    areas,
    centrelines,
    findings_of,
    rows,
)
from crackcli.report.severity_columns import SeverityProfiles, nested
from crackcli.scenes.frames import Frame, Geometries, exchange_frame

NOTE = (
    "Not RFC 7946: this wall has no map tied to the Earth. Coordinates are {unit}, x right, y up, "
    "origin at the lower left corner of the photograph."
)
SUFFIXES = (".geojson", ".local.geojson", ".local_mm.geojson", ".local_px.geojson")
UNITS = {"local_mm": "millimetres", "local_px": "pixels"}


def write(
    folder: Path, tables: Iterable[SceneCracks], profiles: SeverityProfiles = ()
) -> list[Path]:
    """Centrelines and outlines of all cracks, centrelines of joints: three files for each kind of
    coordinates that the scenes have, so three to nine."""
    stems = ("cracks", "crack_areas", "joints")
    with Collections(folder, stems, of_report(profiles)) as collections:
        for table in tables:
            frame = exchange_frame(table.scene, table.scale)
            about = of_scene(table, frame.space) | {"statement": statement([findings_of(table)])}
            cracks = nested(rows(table, table.cracks, profiles), profiles)
            joints = rows(table, table.joints)  # which are not graded
            collections.add("cracks", frame, centrelines(table.cracks), cracks, about)
            collections.add("crack_areas", frame, areas(table.cracks), cracks, about)
            collections.add("joints", frame, centrelines(table.joints), joints, about)
    return collections.paths


class Collections:
    """GeoJSON files of a folder that grow scene by scene; use as a context manager.

    For each of ``stems`` there is a file per kind of coordinates that was added, and none other
    is left from an earlier run.  ``about`` and what is told of each scene becomes the member
    ``crackcli`` at the end of a file.
    """

    def __init__(
        self, folder: Path, stems: Sequence[str], about: dict[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self.stems = stems
        self.about = about
        self.scenes: dict[Path, list[dict[str, Any]]] = {}
        self.stack = contextlib.ExitStack()
        self.files: dict[Path, TextIO] = {}
        self.spaces: dict[Path, str] = {}

    @property
    def paths(self) -> list[Path]:
        return list(self.files)

    def __enter__(self) -> "Collections":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool | None:
        if kind is None:
            for path, file in self.files.items():
                told = {"crackcli": {**(self.about or {}), "scenes": self.scenes[path]}}
                member = json.dumps(told, ensure_ascii=False)[1:-1]
                file.write(f"\n], {member}}}\n" if self.about else "\n]}\n")
        swallowed = self.stack.__exit__(kind, *rest)
        if kind is None:
            for stem in self.stems:
                for suffix in SUFFIXES:
                    path = self.folder / f"{stem}{suffix}"
                    if path not in self.files:
                        path.unlink(missing_ok=True)
        return swallowed

    def add(
        self,
        stem: str,
        frame: Frame,
        geometries: Geometries,
        properties: list[Row],
        scene: dict[str, Any] | None = None,
    ) -> None:
        """Features of one scene: ``geometries`` in pixel coordinates, a row for each, and what is
        to be told of the scene."""
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
            if frame.space in UNITS:
                members = {
                    "coordinate_space": frame.space,
                    "note": NOTE.format(unit=UNITS[frame.space]),
                }
                file.write(json.dumps(members)[1:-1] + ", ")
            file.write('"features": [')
        placed = shapely.orient_polygons(frame.from_pixels(geometries))
        for shape, row in zip(shapely.to_geojson(placed), properties, strict=True):
            about = json.dumps(row, ensure_ascii=False)
            self.files[path].write(
                f'{separator}{{"type": "Feature", "properties": {about}, "geometry": {shape}}}'
            )
            separator = ",\n"
