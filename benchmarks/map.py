"""Draws a report as QGIS shows it, from the GeoPackage alone: lines, styles, labels.

    python benchmarks/map.py OUT WALL -o map.png [--window COL,ROW,COLS,ROWS]

OUT is the folder of a report on the photograph WALL. QGIS is not used: colours, dashes and classes
are read from the table layer_styles, and the lines of a class from its rule or range. A line that
no class draws, or more than one, is an error: QGIS would omit it or draw it twice.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import shapely
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from pyogrio import raw

from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect

Row = dict[str, object]
LABEL_LEAST_PX = 80  # shorter lines have no label, as QGIS leaves out what has no room


def read_layer(path: Path, layer: str) -> tuple[np.ndarray, list[Row]]:
    """Geometries and rows of a layer."""
    facts, _, shapes, columns = raw.read(path, layer=layer)
    names = facts["fields"]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return (shapely.from_wkb(shapes) if shapes is not None else np.array([])), rows


class Drawn:
    """A class of a style: its label, what it draws, and how."""

    def __init__(
        self, label: str, symbol: ElementTree.Element, test: Callable[[Row], bool]
    ) -> None:
        options = {
            option.get("name"): option.get("value")
            for option in symbol.iterfind("layer/Option/Option")
        }
        red, green, blue, alpha = (int(part) / 255 for part in options["line_color"].split(","))
        self.label, self.test = label, test
        self.colour = (red, green, blue, alpha)
        self.dash = "--" if options["line_style"] == "dash" else "-"
        self.width_mm = float(options["line_width"])


def classes_of(qml: str) -> list[Drawn]:
    """The classes of a style for lines."""
    renderer = ElementTree.fromstring(qml.partition("\n")[2]).find("renderer-v2")
    symbols = {symbol.get("name"): symbol for symbol in renderer.iterfind("symbols/symbol")}
    kind = renderer.get("type")
    if kind == "singleSymbol":
        return [Drawn("", symbols["0"], lambda row: True)]
    if kind == "graduatedSymbol":
        name = renderer.get("attr")
        return [
            Drawn(one.get("label"), symbols[one.get("symbol")], within(name, one))
            for one in renderer.iterfind("ranges/range")
        ]
    found: list[Drawn] = []
    for rule in renderer.iterfind("rules/rule"):
        condition = rule.get("filter")
        others = list(found)
        test = otherwise(others) if condition == "ELSE" else holds(condition)
        found.append(Drawn(rule.get("label"), symbols[rule.get("symbol")], test))
    return found


def within(name: str, one: ElementTree.Element) -> Callable[[Row], bool]:
    low, high = float(one.get("lower")), float(one.get("upper"))
    return lambda row: low < row[name] <= high


def otherwise(others: list[Drawn]) -> Callable[[Row], bool]:
    return lambda row: not any(other.test(row) for other in others)


def holds(condition: str) -> Callable[[Row], bool]:
    """A condition of the form "a" = 'x' AND NOT "b" = 'y'."""
    parts = []
    for part in condition.split(" AND "):
        found = re.fullmatch(r"(NOT )?\"(\w+)\" = '([^']*)'", part)
        if found is None:
            raise ValueError(f"{condition} is more than this script understands")
        parts.append((found[2], found[3], found[1] is None))
    return lambda row: all((row[name] == value) == wanted for name, value, wanted in parts)


def label_of(row: Row) -> str:
    """What the label's expression gives."""
    unit, decimals = ("mm", 2) if not np.isnan(row["width_max_mm"]) else ("px", 1)
    width, unc = row[f"width_max_{unit}"], row[f"width_max_unc_{unit}"]
    return f"{width:.{decimals}f}{'' if np.isnan(unc) else f' ± {unc:.{decimals}f}'} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("wall", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--window", type=lambda text: [int(part) for part in text.split(",")])
    options = parser.parse_args()

    path = options.out / "cracks.gpkg"
    info = inspect(options.wall)
    col, row, cols, rows = options.window or (0, 0, info.cols, info.rows)
    with Raster(info) as raster:
        picture = raster.read(Window(row, col, rows, cols)).rgb
    back = ~info.transform
    mpl.use("Agg")
    inches = 14, 14 * rows / cols + 0.9
    figure, axes = plt.subplots(figsize=inches, layout="constrained")
    axes.imshow(picture, extent=(col, col + cols, row + rows, row))
    handles = []
    _, styles = read_layer(path, "layer_styles")
    for style in styles:
        layer = style["f_table_name"]
        if layer not in ("joints", "cracks"):
            continue
        lines, features = read_layer(path, layer)
        counts: dict[str, int] = {}
        classes = classes_of(style["styleQML"])
        for line, feature in zip(lines, features, strict=True):
            fitting = [one for one in classes if one.test(feature)]
            if len(fitting) != 1:
                sys.exit(f"{feature['crack_id']} is drawn {len(fitting)} times")
            (one,) = fitting
            counts[one.label] = counts.get(one.label, 0) + 1
            for part in shapely.get_parts(line):
                xs, ys = back @ shapely.get_coordinates(part).T
                axes.plot(xs, ys, one.dash, color=one.colour, lw=one.width_mm * 72 / 25.4)
            middle = line.interpolate(0.5, normalized=True)
            x, y = back @ (middle.x, middle.y)
            seen = col < x < col + cols and row < y < row + rows
            if layer == "cracks" and seen and feature["length_px"] >= LABEL_LEAST_PX:
                box = {"facecolor": "white", "alpha": 0.8, "pad": 1, "lw": 0}
                axes.text(x, y, label_of(feature), fontsize=8, bbox=box)
        for one in classes:
            label = f"{one.label or layer} ({counts.get(one.label, 0)})"
            handles.append(Line2D([], [], color=one.colour, ls=one.dash, lw=2.3, label=label))
        print(f"{layer}: style '{style['styleName']}', {counts}")
    axes.set(xlim=(col, col + cols), ylim=(row + rows, row), xticks=[], yticks=[])
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9)
    figure.savefig(options.output, dpi=110)
    print(options.output)


if __name__ == "__main__":
    main()
