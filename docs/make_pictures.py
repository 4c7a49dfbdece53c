"""Draw the pictures of README and docs from sample_data alone.

    python docs/make_pictures.py [--work out/pictures]

Scans, reports and compares both walls of sample_data into the work folder, unless these results are
there already, and writes docs/pictures/*.webp.  Needs the extra ``train`` (matplotlib, Pillow).
"""

import argparse
import json
import subprocess
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import rasterio
import shapely
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image
from pyogrio import raw
from rasterio.windows import Window

from crackcli.engines.opening import open_engine

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
SAMPLES = ROOT / "sample_data"
SHARED_SIDE = 256  # px; a tile
CLOSE_UP = Window(1850, 700, 400, 400)  # the crack with branches below the ledge
TILE = Window(2036, 850, SHARED_SIDE, SHARED_SIDE)  # a fork of the same crack
KINDS = {
    "new": "#d7191c",
    "grown": "#f59e0b",
    "shrunk": "#7b3294",
    "stable": "#2c7bb6",
    "gone": "#111111",
    "hidden": "#8c8c8c",
}
LABEL_LEAST_PX = 150  # shorter changes have no label
LABEL_LEFT_OF_COL = 2600  # px; labels further right would leave the picture
HALO = [patheffects.withStroke(linewidth=3, foreground="white")]

Row = dict[str, object]


def crackcli(*arguments: str | Path) -> None:
    """Run a command of crackcli."""
    subprocess.run([sys.executable, "-m", "crackcli", *map(str, arguments)], check=True)


def results(work: Path) -> tuple[Path, Path, Path]:
    """Return the folders of both reports and of their comparison; make what is missing."""
    folders = []
    for name in ("wall", "wall_later"):
        out = work / name
        if not (out / name / "scene.json").is_file():
            crackcli("scan", SAMPLES / f"{name}.tif", "-o", out)
        if not (out / name / "overview.png").is_file():
            crackcli("report", out)
        folders.append(out)
    changes = work / "changes"
    if not (changes / "changes.csv").is_file():
        crackcli("compare", *folders, "-o", changes)
    return folders[0], folders[1], changes


def read_photograph(name: str, window: Window | None = None) -> NDArray[np.uint8]:
    """Return a photograph of sample_data, or a window of it: (rows, cols, 3)."""
    with rasterio.open(SAMPLES / f"{name}.tif") as source:
        bands: NDArray[np.uint8] = source.read((1, 2, 3), window=window)
    return bands.transpose(1, 2, 0)


def read_band(path: Path, window: Window) -> NDArray[np.uint8]:
    """Return a window of a raster's first band."""
    with rasterio.open(path) as source:
        band: NDArray[np.uint8] = source.read(1, window=window)
    return band


def read_rows(path: Path, layer: str) -> tuple[NDArray[np.object_], list[Row]]:
    """Return the geometries and the rows of a layer; a table has no geometries."""
    facts, _, shapes, columns = raw.read(path, layer=layer)
    rows = [
        dict(zip(facts["fields"], values, strict=True)) for values in zip(*columns, strict=True)
    ]
    return (shapely.from_wkb(shapes) if shapes is not None else np.array([])), rows


def to_pixels(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and rows of map coordinates; both walls have the same grid."""
    with rasterio.open(SAMPLES / "wall.tif") as source:
        cols, rows = ~source.transform @ (xs, ys)
    return cols, rows


def blank(axes: Axes, title: str) -> None:
    """Remove the ticks of a panel and give it a title."""
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=11, loc="left")


def save(figure: Figure, name: str, dpi: int = 133, quality: int = 80) -> None:
    """Write a figure as WebP."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=dpi)
    plt.close(figure)
    write(Image.open(buffer).convert("RGB"), name, quality)


def write(picture: Image.Image, name: str, quality: int = 80) -> None:
    """Write a picture and print its path and size."""
    path = PICTURES / f"{name}.webp"
    picture.save(path, quality=quality, method=6)
    print(f"{path.relative_to(ROOT)}: {picture.width} x {picture.height}, {path.stat().st_size} B")


def draw_steps(out: Path) -> None:
    """Draw photograph, score, mask and widths of one close-up."""
    window = CLOSE_UP
    photograph = read_photograph("wall", window)
    score = read_band(out / "wall/score.tif", window).astype(float)
    score[score == 255] = np.nan
    mask = read_band(out / "wall/mask.tif", window) == 1
    figure, panels = plt.subplots(1, 4, figsize=(10.5, 2.8), layout="constrained")
    extent = (window.col_off, window.col_off + 400, window.row_off + 400, window.row_off)
    for axes in panels:
        axes.imshow(photograph, extent=extent)
    blank(panels[0], "photograph")
    panels[1].imshow(score, cmap="inferno", extent=extent)
    blank(panels[1], "score.tif")
    red = np.zeros((*mask.shape, 4))
    red[mask] = (1, 0, 0, 1)
    panels[2].imshow(red, extent=extent, interpolation="nearest")
    blank(panels[2], "mask.tif")

    _, points = read_rows(out / "cracks.gpkg", "width_profiles")
    xs = np.array([point["x"] for point in points], float)
    ys = np.array([point["y"] for point in points], float)
    cols, rows = to_pixels(xs, ys)
    widths = np.array([point["width_mm"] for point in points], float)
    same = [a["crack_id"] == b["crack_id"] and a["line"] == b["line"] for a, b in pairwise(points)]
    pairs = np.stack([cols, rows], axis=1)
    segments = np.stack([pairs[:-1], pairs[1:]], axis=1)[np.array(same)]
    lines = LineCollection(segments, cmap="viridis_r", linewidths=2.4)
    lines.set_array(widths[:-1][np.array(same)])
    lines.set_clim(0, 7)
    panels[3].add_collection(lines)
    blank(panels[3], "width in mm")
    figure.colorbar(lines, ax=panels[3], shrink=0.82)
    for axes in panels:
        axes.set(xlim=extent[:2], ylim=extent[2:])
    save(figure, "steps")


def draw_tiles() -> None:
    """Draw one crop explained as a single tile, and by all tiles that cover it."""
    side, reach = SHARED_SIDE, 384  # px; 384 px of surroundings hold every tile that covers it
    around = Window(TILE.col_off - reach, TILE.row_off - reach, side + 2 * reach, side + 2 * reach)
    engine = open_engine(method="lrp", engine="onnx")
    crop = read_photograph("wall", TILE)
    one = engine.explain(crop[None], 0.0).maps[0]
    many = engine.explain(read_photograph("wall", around)[None], 0.5).maps[0]
    many = many[reach : reach + side, reach : reach + side]
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.25), layout="constrained")
    panels[0].imshow(crop)
    blank(panels[0], "photograph")
    titles = "one tile of 256 px", "all tiles, one at every 32 px"
    for axes, scores, title in zip(panels[1:], (one, many), titles, strict=True):
        root = np.sqrt(np.clip(scores, 0, None))
        axes.imshow(root, cmap="inferno", vmax=np.quantile(root, 0.999))
        blank(axes, title)
    save(figure, "one_tile_and_all")


def draw_changes(before: Path, after: Path, changes: Path) -> None:
    """Draw the changes from one survey to the next on the later photograph."""
    shapes: dict[object, shapely.MultiLineString] = {}
    for folder in (before, after):
        for layer in ("cracks", "joints"):
            lines, cracks = read_rows(folder / "cracks.gpkg", layer)
            shapes |= {one["crack_id"]: line for one, line in zip(cracks, lines, strict=True)}
    photograph = read_photograph("wall_later")
    figure, axes = plt.subplots(figsize=(9.75, 6.9), layout="constrained")
    axes.imshow(photograph)
    counts = dict.fromkeys(KINDS, 0)
    with (changes / "changes.geojson").open(encoding="utf-8") as file:
        found = [feature["properties"] for feature in json.load(file)["features"]]
    for change in found:
        kind = change["kind"]
        counts[kind] += 1
        dash = ":" if kind == "gone" else "-"
        places: list[tuple[float, float]] = []
        for crack in change["ids_after"] or change["ids_before"]:
            for part in shapely.get_parts(shapes[crack]):
                cols, rows = to_pixels(*shapely.get_coordinates(part).T)
                axes.plot(cols, rows, dash, color=KINDS[kind], lw=2.2)
                places += zip(cols, rows, strict=True)
        length = max(change["after_length_px"], change["before_length_px"])
        wider = change["d_width_mean_mm"]
        if length >= LABEL_LEAST_PX and kind not in ("stable", "hidden"):
            opened = kind == "grown" and "width_mean" in change["significant_in"]
            text = f"{kind} {wider:+.1f} mm" if opened else kind
            col, row = places[len(places) // 2]
            left = col > LABEL_LEFT_OF_COL
            label = axes.text(col + (-40 if left else 40), row, text, path_effects=HALO)
            label.set(
                color=KINDS[kind],
                fontsize=12,
                weight="bold",
                va="top",
                ha="right" if left else "left",
            )
    handles = [
        Line2D([], [], color=colour, lw=3, label=f"{kind} ({counts[kind]})")
        for kind, colour in KINDS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(KINDS), fontsize=12)
    axes.set(xticks=[], yticks=[], xlim=(0, photograph.shape[1]), ylim=(photograph.shape[0], 0))
    save(figure, "changes", quality=75)


def draw_overview(out: Path) -> None:
    """Shrink the overview of the report."""
    with Image.open(out / "wall/overview.png") as picture:
        picture.thumbnail((1400, 1400), Image.Resampling.LANCZOS)
        write(picture.convert("RGB"), "overview")


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / "out/pictures")
    given = parser.parse_args()
    mpl.use("Agg")
    PICTURES.mkdir(exist_ok=True)
    out, later, changes = results(given.work)
    draw_steps(out)
    draw_tiles()
    draw_overview(out)
    draw_changes(out, later, changes)


if __name__ == "__main__":
    main()
