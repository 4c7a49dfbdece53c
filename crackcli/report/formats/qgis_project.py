"""cracks.qgs: a QGIS project with the photographs, masks and scores under the cracks.

Scenes of a map lie beside each other: their layers are those of the GeoPackage, and a group each of
masks, scores and photographs. Photographs without a map all begin at (0, 0), so each is a group
with its own cracks, and QGIS shows one group at a time. Layers have the default styles of the
GeoPackage, those that people changed included. Paths are relative.

A photograph that GIS programs show turned or upside down is opened by ``photograph.vrt`` in the
folder of its scene (`crackcli.rasters.writing.vrt`).
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from crackcli.arrays import Float64
from crackcli.errors import InputError
from crackcli.files import write_text
from crackcli.rasters.decoding.decoded import kind_of_photograph
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.writing.raster_style import (
    DOCTYPE,
    VERSION,
    mask_renderer,
    photograph_renderer,
    score_renderer,
    style,
)
from crackcli.rasters.writing.vrt import needs_vrt, write_vrt
from crackcli.report.formats.geopackage import Numbers, layer_suffix
from crackcli.report.formats.qgis_fields import default_value
from crackcli.report.tables.columns import GEOPACKAGE
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.frames import Frame, apply_affine, map_frame
from crackcli.scenes.scene import Scene
from crackcli.sqlite_files import reading
from crackcli.texts import UNPRINTABLE, first_names

log = logging.getLogger(__name__)

NAME = "cracks.qgs"
VRT = "photograph.vrt"
MAX_SCENES = 100  # with layers of their own; QGIS opens each when it opens the project
# Layers of the GeoPackage from top to bottom, their geometries, and whether they are shown.
LAYERS = (
    *(("cracks", "Line", True), ("joints", "Line", True)),
    *(("crack_areas", "Polygon", False), ("measurability", "Polygon", True)),
)
MARGIN = 0.05  # of the first view around the scenes
NOT_OF_A_LAYER = ("version", "styleCategories")  # attributes of a style only

Element = ElementTree.Element


def write_project(work: Path, out: Path, tables: Iterable[SceneCracks]) -> Path:
    """Write the project of a report, whose GeoPackage is in ``work``, and return its path.

    Paths in it are relative to ``out``, where the files of ``work`` will be moved to.
    """
    project = Project(styles_of(work / GEOPACKAGE))
    numbers: Numbers = {}
    maps: dict[str, dict[str, Element]] = {}  # groups of rasters, by the suffix of the layers
    local: Element | None = None
    left: list[str] = []
    for number, table in enumerate(tables):
        scene, frame = table.scene, map_frame(table.scene)
        suffix = layer_suffix(frame, numbers)
        if frame.space == "local_px":
            if number >= MAX_SCENES:
                left.append(scene.name)
                continue
            if local is None:
                local = project.group(project.tree, "photographs without a map")
                local.set("mutually-exclusive", "1")
            group = project.group(local, scene.name, shown=not len(local))
            project.add_vectors(group, suffix, frame, scene.name)
            for kind, shown in (("mask", False), ("score", False), ("photograph", True)):
                project.add_raster(group, kind, kind, table, frame, (work, out), shown=shown)
        else:
            if suffix not in maps:
                project.add_vectors(project.tree, suffix, frame)
                maps[suffix] = {
                    kind: project.group(project.tree, f"{kind}s{suffix}", shown=shown)
                    for kind, shown in (("mask", False), ("score", False), ("photograph", True))
                }
            if number >= MAX_SCENES:
                left.append(scene.name)
                continue
            for kind, group in maps[suffix].items():
                project.add_raster(group, scene.name, kind, table, frame, (work, out))
        project.show(frame, scene)
    if left:
        log.info(
            "%s has no photographs of %d of %d scenes (%s): it would open slowly",
            *(NAME, len(left), len(left) + MAX_SCENES, first_names(left)),
        )
    path = work / NAME
    write_text(path, project.text())
    return path


def styles_of(path: Path) -> dict[str, Element]:
    """Return the default style of each layer of a GeoPackage; those that cannot be read are left
    out."""
    found = {}
    query = "SELECT f_table_name, styleQML FROM layer_styles WHERE useAsDefault = 1"
    with reading(path) as file:
        for layer, qml in file.execute(query):
            with contextlib.suppress(ElementTree.ParseError):
                found[layer] = ElementTree.fromstring(qml)
    return found


class Project:
    """A project that grows layer by layer."""

    def __init__(self, styles: dict[str, Element]) -> None:
        self.styles = styles
        self.layers = ElementTree.Element("projectlayers")
        self.tree = ElementTree.Element("layer-tree-group")
        self.frame: Frame | None = None  # of the project: that of the first scene
        self.corners: list[Float64] = []  # (4, 2) of the scenes in the first view

    def group(self, parent: Element, name: str, *, shown: bool = True) -> Element:
        """Add a group of layers, and return it."""
        facts = {"name": name, "expanded": "1" if shown else "0", **checked(shown)}
        return ElementTree.SubElement(parent, "layer-tree-group", facts)

    def show(self, frame: Frame, scene: Scene) -> None:
        """Extend the first view to a scene, if it is the first, or on the same map as it."""
        first = self.frame or frame
        same = (frame.space, frame.crs_wkt) == (first.space, first.crs_wkt)
        if self.frame is None or (same and frame.space != "local_px"):
            edges = [(0, 0), (scene.cols, 0), (0, scene.rows), (scene.cols, scene.rows)]
            self.corners.append(apply_affine(frame.transform, np.array(edges, float)))
        self.frame = first

    def add_vectors(
        self, parent: Element, suffix: str, frame: Frame, scene: str | None = None
    ) -> None:
        """Add the layers of the GeoPackage that end in ``suffix``; only those features of one
        ``scene``, and drawn ones belong to it, if it is given."""
        for name, geometry, shown in LAYERS:
            layer = name + suffix
            if layer not in self.styles:  # no scene was assessed
                continue
            source = f"./{GEOPACKAGE}|layername={layer}"
            kept = list(self.styles[layer])
            if scene is not None:
                quoted = scene.replace("'", "''")
                source += f"|subset=\"scene_id\" = '{quoted}'"
                kept = [one for one in kept if one.tag != "defaults"]
                kept.append(default_value("scene_id", scene))
            attributes = {**self.styles[layer].attrib, "type": "vector", "geometry": geometry}
            self.add(parent, layer, "ogr", source, frame, attributes, kept, shown=shown)

    def add_raster(
        self,
        parent: Element,
        name: str,
        kind: str,
        table: SceneCracks,
        frame: Frame,
        folders: tuple[Path, Path],
        *,
        shown: bool = True,
    ) -> None:
        """Add the "mask", the "score" or the "photograph" of a scene; see `write_project` for the
        two ``folders``. A photograph that cannot be read any more is a warning."""
        work, out = folders
        scene, kept = table.scene, []
        if kind == "photograph":
            if table.photograph is None:
                return
            try:
                source = photograph_source(table.photograph, frame, work / scene.name, out)
                renderer = None if source is None else photograph_renderer(table.photograph)
            except InputError as error:
                log.warning("%s: not shown in %s (%s)", scene.name, NAME, error)
                return
            if source is None:
                return
            if renderer is not None:
                kept = [ElementTree.Element("pipe")]
                kept[0].append(renderer)
        else:
            source = f"./{scene.name}/{kind}.tif"
            kept = list(raster_style(scene.folder / f"{kind}.qml", kind))
        self.add(parent, name, "gdal", source, frame, {"type": "raster"}, kept, shown=shown)

    def add(
        self,
        parent: Element,
        name: str,
        provider: str,
        source: str,
        frame: Frame,
        attributes: dict[str, str],
        kept: Sequence[Element],
        *,
        shown: bool,
    ) -> None:
        """Add a layer with the elements of its style."""
        number = f"crackcli_{len(self.layers):06d}"  # QGIS replaces short ones
        about = {key: value for key, value in attributes.items() if key not in NOT_OF_A_LAYER}
        layer = ElementTree.SubElement(self.layers, "maplayer", about)
        ElementTree.SubElement(layer, "id").text = number
        ElementTree.SubElement(layer, "datasource").text = source
        ElementTree.SubElement(layer, "layername").text = name
        ElementTree.SubElement(layer, "srs").append(reference_system(frame))
        ElementTree.SubElement(layer, "provider", encoding="UTF-8").text = provider
        layer.extend(kept)
        facts = {"id": number, "name": name, "source": source, "providerKey": provider}
        facts |= {"expanded": "0", **checked(shown)}
        ElementTree.SubElement(parent, "layer-tree-layer", facts)

    def text(self) -> str:
        """Return the project as XML."""
        root = ElementTree.Element("qgis", projectname="cracks", version=VERSION)
        ElementTree.SubElement(root, "title").text = "cracks"
        if self.frame is not None:
            ElementTree.SubElement(root, "projectCrs").append(reference_system(self.frame))
        root.append(self.tree)
        root.append(self.first_view())
        root.append(self.layers)
        known = self.frame is not None and self.frame.crs_wkt is not None
        properties = ElementTree.SubElement(root, "properties")
        system = ElementTree.SubElement(properties, "SpatialRefSys")
        ElementTree.SubElement(system, "ProjectionsEnabled", type="int").text = str(int(known))
        paths = ElementTree.SubElement(properties, "Paths")
        ElementTree.SubElement(paths, "Absolute", type="bool").text = "false"
        return DOCTYPE + ElementTree.tostring(root, encoding="unicode")

    def first_view(self) -> Element:
        """Return the extent that the project opens with."""
        canvas = ElementTree.Element("mapcanvas", name="theMapCanvas", annotationsVisible="1")
        if self.corners:
            points = np.concatenate(self.corners)
            low, high = points.min(axis=0), points.max(axis=0)
            margin = MARGIN * (high - low)
            extent = ElementTree.SubElement(canvas, "extent")
            sides = ("xmin", "ymin", "xmax", "ymax")
            for side, value in zip(sides, [*(low - margin), *(high + margin)], strict=True):
                ElementTree.SubElement(extent, side).text = repr(float(value))
        return canvas


def checked(shown: bool) -> dict[str, str]:
    """Return the attribute of a layer or group that is shown, or not."""
    return {"checked": "Qt::Checked" if shown else "Qt::Unchecked"}


def reference_system(frame: Frame) -> Element:
    """Return the CRS of a frame; without one QGIS takes the coordinates as they are."""
    system = ElementTree.Element("spatialrefsys", nativeFormat="Wkt")
    ElementTree.SubElement(system, "wkt").text = frame.crs_wkt or ""
    return system


def raster_style(path: Path, kind: str) -> Element:
    """Return the style beside a mask or score, or ours if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, ElementTree.ParseError):
        return ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return ElementTree.fromstring(style(mask_renderer() if kind == "mask" else score_renderer()))


def photograph_source(info: RasterInfo, frame: Frame, folder: Path, out: Path) -> str | None:
    """Return the path of a photograph for a project in ``out``; None if it is of a format that GDAL
    lacks (HEIC, camera raw), or has a name that XML cannot hold.

    One that QGIS would not show upright gets a VRT in ``folder``, that of its scene.
    """
    if UNPRINTABLE.search(str(info.path)) or kind_of_photograph(info.path):
        return None
    if needs_vrt(info):
        write_vrt(folder / VRT, info, frame.transform, out / folder.name / VRT)
        return f"./{folder.name}/{VRT}"
    try:
        relative = Path(os.path.relpath(info.path.resolve(), out.resolve())).as_posix()
    except ValueError:  # on another drive
        return info.path.resolve().as_posix()
    return relative if relative.startswith("../") else f"./{relative}"
