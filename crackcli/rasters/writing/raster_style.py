"""QGIS styles (QML) of score, mask and photograph: QGIS takes ``mask.qml`` for ``mask.tif``.

Without them mask and score open as a black image on top of the photograph.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from crackcli.files import write_text
from crackcli.rasters.access.opening import open_raster
from crackcli.rasters.bands import colour_bands
from crackcli.rasters.reader import RasterInfo

VERSION = "3.22.0-Białowieża"  # oldest QGIS that these styles are tested with
DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
CRACK = "#d7191c"
# Value, colour and opacity of scores; between them both change evenly.
SCORES = ((0, "#ffffb2", 0), (64, "#fecc5c", 80), (128, "#fd8d3c", 180), (254, "#bd0026", 255))

Element = ElementTree.Element


def add_styles(folder: Path) -> None:
    """Write the styles of the mask and the score of a scene, where there are none yet: people may
    have changed them."""
    for name, renderer in (("mask", mask_renderer()), ("score", score_renderer())):
        path = folder / f"{name}.qml"
        if not (path.exists() or path.is_symlink()):
            write_text(path, style(renderer))


def style(renderer: Element) -> str:
    """Return the QML of a raster with this renderer."""
    root = ElementTree.Element("qgis", version=VERSION, styleCategories="Symbology")
    ElementTree.SubElement(root, "pipe").append(renderer)
    ElementTree.SubElement(root, "blendMode").text = "0"
    return DOCTYPE + ElementTree.tostring(root, encoding="unicode")


def mask_renderer() -> Element:
    """Return the palette of a mask: what is no crack is transparent."""
    root = renderer_of("paletted")
    palette = ElementTree.SubElement(root, "colorPalette")
    for value, label, alpha in ((0, "no crack", 0), (1, "crack or joint", 255)):
        add_colour(palette, "paletteEntry", value, CRACK, alpha, label)
    return root


def score_renderer() -> Element:
    """Return the ramp of a score: the higher, the darker and the less transparent."""
    limits = {"minimumValue": str(SCORES[0][0]), "maximumValue": str(SCORES[-1][0])}
    root = renderer_of("singlebandpseudocolor")
    ramp = ElementTree.SubElement(
        ElementTree.SubElement(root, "rastershader"),
        "colorrampshader",
        {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0", **limits},
    )
    for value, colour, alpha in SCORES:
        add_colour(ramp, "item", value, colour, alpha, str(value))
    return root


def photograph_renderer(info: RasterInfo) -> Element | None:
    """Return the renderer of a photograph that QGIS would show too bright, too dark or in other
    bands: one of more than 8 bits, or with chosen bands. None for all others."""
    if info.stretch is None and not info.bands:
        return None
    low, high = info.stretch or (0, 255)
    with open_raster(info.path, page=info.page) as source:
        bands = list(info.bands) or colour_bands(source)
    names = ("red", "green", "blue") if len(bands) == 3 else ("gray",)
    root = renderer_of("multibandcolor" if len(bands) == 3 else "singlebandgray")
    del root.attrib["band"]
    for name, band in zip(names, bands, strict=True):
        root.set(f"{name}Band", str(band))
        tag = "contrastEnhancement" if name == "gray" else f"{name}ContrastEnhancement"
        stretch = ElementTree.SubElement(root, tag)
        ElementTree.SubElement(stretch, "minValue").text = repr(float(low))
        ElementTree.SubElement(stretch, "maxValue").text = repr(float(high))
        ElementTree.SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return root


def renderer_of(kind: str) -> Element:
    """Return an empty renderer of the only band."""
    return ElementTree.Element(
        "rasterrenderer", type=kind, band="1", opacity="1", alphaBand="-1", nodataColor=""
    )


def add_colour(parent: Element, tag: str, value: int, colour: str, alpha: int, label: str) -> None:
    """Add the colour of one value, with ``alpha`` from 0 to 255."""
    facts: Iterable[tuple[str, str]] = (
        *(("value", str(value)), ("color", colour)),
        *(("alpha", str(alpha)), ("label", label)),
    )
    ElementTree.SubElement(parent, tag, dict(facts))
