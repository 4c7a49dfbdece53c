"""Opens files in QGIS without a window and prints what it shows as JSON; run by a Python that has
QGIS: ``in_qgis.py project FILE``, ``in_qgis.py files FILE ...``, ``in_qgis.py review FILE``."""

import json
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)

PLACES = 40  # along a line


def opened(path):
    """The layers of one file as QGIS opens it: all with a geometry of a GeoPackage."""
    name = Path(path).stem
    if path.endswith(".gpkg"):
        first = QgsVectorLayer(path, name, "ogr")
        names = [entry.split("!!::!!")[1] for entry in first.dataProvider().subLayers()]
        layers = [QgsVectorLayer(f"{path}|layername={one}", one, "ogr") for one in names]
        return [layer for layer in layers if layer.isSpatial()]
    if path.endswith((".geojson", ".shp")):
        return [QgsVectorLayer(path, name, "ogr")]
    return [QgsRasterLayer(path, name)]


def sampled(lines, raster):
    """The values of a raster at places all along the lines of a layer."""
    found = []
    for feature in lines.getFeatures():
        line = feature.geometry()
        for part in range(1, PLACES):
            point = line.interpolate(line.length() * part / PLACES).asPoint()
            value, known = raster.dataProvider().sample(point, 1)
            found += [value] if known else []
    return found


def facts(layer, rasters):
    """What a layer shows; of lines, also the values of ``rasters`` under them."""
    found = {"name": layer.name(), "valid": layer.isValid(), "crs": layer.crs().authid()}
    found["renderer"] = layer.renderer().type() if layer.renderer() else None
    if isinstance(layer, QgsVectorLayer):
        settings = layer.labeling().settings() if layer.labeling() else None
        found |= {
            "features": layer.featureCount(),
            "labels": layer.labelsEnabled(),
            "font_weight": settings.format().font().weight() if settings else None,
            "aliases": {field.name(): field.displayName() for field in layer.fields()},
            "menus": [
                field.name()
                for number, field in enumerate(layer.fields())
                if layer.editorWidgetSetup(number).type() == "ValueMap"
            ],
        }
        if "cracks" in layer.name():
            found["under"] = [sampled(layer, raster) for raster in rasters]
    elif layer.renderer().type() == "paletted":
        found["alphas"] = {one.value: one.color.alpha() for one in layer.renderer().classes()}
    return found


def of_project(path):
    """Groups of the layers of a project, from top to bottom."""
    project = QgsProject.instance()
    read = project.read(path)
    groups = {}
    for node in project.layerTreeRoot().findLayers():
        groups.setdefault(node.parent().name(), []).append(node)
    found = []
    for name, nodes in groups.items():
        layers = [node.layer() for node in nodes]
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
        if not rasters:  # a map: its rasters are in other groups
            rasters = [
                layer
                for kind in ("masks", "scores", "photographs")
                for layer in (node.layer() for node in groups.get(kind, ()))
            ]
        shown = [node.name() for node in nodes if node.isVisible()]
        found.append(
            {"name": name, "shown": shown, "layers": [facts(one, rasters) for one in layers]}
        )
    return {"read": read, "crs": project.crs().authid(), "groups": found}


def review(path):
    """Accept a crack, draw another, and save a style, as a person would in the second scene."""
    project = QgsProject.instance()
    project.read(path)
    groups = project.layerTreeRoot().findGroup("photographs without a map").children()
    layer = next(node.layer() for node in groups[1].findLayers() if node.name() == "cracks")
    first = next(layer.getFeatures())
    layer.startEditing()
    layer.changeAttributeValue(first.id(), layer.fields().indexOf("review"), "accepted")
    line = QgsGeometry.fromWkt("MultiLineString ((10 -10, 60 -12))")
    drawn = QgsVectorLayerUtils.createFeature(layer, line)
    assert isinstance(drawn, QgsFeature)
    layer.addFeature(drawn)
    saved = layer.commitChanges()
    layer.renderer().setGraduatedMethod(layer.renderer().GraduatedSize)
    error = layer.saveStyleToDatabase("mine", "as I like it", True, "")
    return {"saved": saved, "error": error, "drawn": first["crack_id"]}


def main():
    sys.stdout = sys.stderr  # QGIS prints
    application = QgsApplication([], False)
    application.initQgis()
    command, *paths = sys.argv[1:]
    if command == "project":
        found = of_project(*paths)
    elif command == "review":
        found = review(*paths)
    else:
        layers = [layer for path in paths for layer in opened(path)]
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
        found = [facts(layer, rasters) for layer in layers]
    print(json.dumps(found), file=sys.__stdout__)
    QgsProject.instance().clear()


main()
