"""overview.png: one image of a scene to look at without a GIS.

The photograph, at most `WIDEST_PX` wide, with every crack in the colour of its largest width (the
classes of the QGIS style in pixels), joints dashed in grey, the five widest cracks labelled, and
below it a legend, a scale bar and the detection statement. The photograph is read at reduced
resolution, from its overviews where it has some, so memory does not grow with its size.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from crackcli.arrays import Float64, UInt8
from crackcli.cracks.crack import Crack
from crackcli.detectability.statements import statement
from crackcli.errors import InputError
from crackcli.figures.chart import (
    BLACK,
    FIXED_POINT_BITS,
    Canvas,
    Colour,
    rgb,
    text_px,
    to_fixed_point,
    wrap_text,
)
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, RasterInfo, check_unchanged
from crackcli.rasters.writing.images import write_png
from crackcli.report.formats.qgis_style import COLOURS, GREY, WIDTHS_PX
from crackcli.report.tables.rows import SceneCracks, centrelines, findings_of
from crackcli.report.tables.severity_columns import unc_in_mm
from crackcli.scenes.scale import Scale

log = logging.getLogger(__name__)

WIDEST_PX, HIGHEST_PX = 2000, 3000  # of the photograph in the overview
LEAST_PX = 900  # small photographs are enlarged to this width, at most `ENLARGED` times
ENLARGED = 4.0
RING_PX = 6  # around the widest place of a labelled crack
LABELLED = 5  # the widest cracks
FADED = 0.25  # how far the photograph fades to white, so that colours stand out
WHITE: Colour = (255, 255, 255)
PAPER: Colour = (235, 235, 235)  # where there is no photograph, or nodata
HATCH: Colour = (120, 120, 120)  # of areas that the user excluded
HATCH_PX = 12  # from line to line
DASH_PX, GAP_PX = 9.0, 6.0
LINE_PX, CASING_PX = 2, 5  # a coloured line on a white one shows on any background
TEXT_PX = 10.0  # height of capital letters
MARGIN_PX = 14
ROW_PX = 24  # of a line of the legend
BAR_SHARE = 0.2  # of the width: the longest scale bar
ID_COLOUR: Colour = (110, 110, 110)  # of the id in a label

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class View:
    """The size of the photograph in the overview, and ``factor``: its pixels per source pixel."""

    rows: int
    cols: int
    factor: float

    @classmethod
    def of(cls, rows: int, cols: int) -> "View":
        """Return the view that fits a photograph of ``rows`` by ``cols``."""
        factor = min(max(1.0, min(LEAST_PX / cols, ENLARGED)), WIDEST_PX / cols, HIGHEST_PX / rows)
        return cls(max(1, round(rows * factor)), max(1, round(cols * factor)), factor)


def write_overview(table: SceneCracks, path: Path | None = None) -> Path:
    """Write the overview of a scene to ``path``, or into its folder, and return the path.

    Where the photograph is not available or cannot be read, the background is plain.
    """
    view = View.of(table.scene.rows, table.scene.cols)
    image = background(table.photograph, view)
    draw_excluded(image, table, view)
    draw_lines(image, table, view)
    draw_labels(image, widest(table.counted), table.scale, view)
    path = path or table.scene.overview
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, with_legend(image, table, view))
    return path


def background(info: RasterInfo | None, view: View) -> UInt8:
    """Return the faded photograph (rows, cols, 3) at the size of ``view``."""
    image = np.full((view.rows, view.cols, 3), PAPER, np.uint8)
    if info is None:
        return image
    rows, cols = min(view.rows, info.rows), min(view.cols, info.cols)
    try:
        check_unchanged(info)
        with Raster(info) as raster:
            pixels = raster.read_reduced(rows, cols)
    except InputError as error:
        log.warning("%s: the overview has no photograph: %s", info.path.name, error)
        return image
    faded = pixels.rgb + np.uint8(255 * FADED) - (pixels.rgb * FADED).astype(np.uint8)
    faded[~pixels.valid] = PAPER
    if (rows, cols) == (view.rows, view.cols):
        return faded
    larger = cv2.resize(faded, (view.cols, view.rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8)


def draw_excluded(image: UInt8, table: SceneCracks, view: View) -> None:
    """Hatch the areas that the user excluded, and outline them."""
    areas = table.scene.record.excluded
    if areas is None:
        return
    flags = areas.flags(Window(0, 0, table.scene.rows, table.scene.cols), (view.rows, view.cols))
    rows, cols = np.ogrid[: view.rows, : view.cols]
    image[flags & ((rows + cols) % HATCH_PX < HATCH_PX / 4)] = HATCH
    outlines = [
        pixel_centres(shapely.get_coordinates(ring) * view.factor)
        for polygon in shapely.get_parts(areas.polygons)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    cv2.polylines(image, outlines, True, HATCH, LINE_PX, cv2.LINE_AA, FIXED_POINT_BITS)


def draw_lines(image: UInt8, table: SceneCracks, view: View) -> None:
    """Draw joints and rejected cracks, then cracks from narrow to wide: each a white line with its
    colour on top."""
    dashed = [*table.joints, *table.rejected]
    joints = [piece for line in lines_of(dashed, view) for piece in dashes(line)]
    layers: list[tuple[list[Float64], Colour]] = [(joints, rgb(GREY))]
    cracks = table.counted
    classes = [class_of(crack) for crack in cracks]
    for number, name in enumerate(COLOURS):
        members = [crack for crack, of in zip(cracks, classes, strict=True) if of == number]
        layers.append((lines_of(members, view), rgb(name)))
    for lines, colour in layers:
        points = [pixel_centres(line) for line in lines]
        for shade, thick in ((WHITE, CASING_PX), (colour, LINE_PX)):
            cv2.polylines(image, points, False, shade, thick, cv2.LINE_AA, FIXED_POINT_BITS)


def lines_of(cracks: Sequence[Crack], view: View) -> list[Float64]:
    """Return the centrelines (N, 2) of cracks in pixels of the view."""
    parts = shapely.get_parts(centrelines(cracks))
    return [shapely.get_coordinates(part) * view.factor for part in parts]


def dashes(line: Float64) -> list[Float64]:
    """Cut a polyline (N, 2) into dashes of `DASH_PX` with gaps of `GAP_PX`."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    pieces: list[Float64] = []
    for start in np.arange(0.0, along[-1], DASH_PX + GAP_PX):
        end = min(start + DASH_PX, along[-1])
        ways = np.concatenate([[start], along[(along > start) & (along < end)], [end]])
        pieces.append(np.column_stack([np.interp(ways, along, line[:, axis]) for axis in (0, 1)]))
    return pieces


def class_of(crack: Crack) -> int:
    """Return the number of the width class of a crack, by its largest width."""
    return max(0, int(np.searchsorted(WIDTHS_PX, crack.widths.max_px)) - 1)


def widest(cracks: Sequence[Crack]) -> list[Crack]:
    """Return the `LABELLED` widest cracks, widest first."""
    return sorted(cracks, key=lambda crack: (-crack.widths.max_px, crack.id))[:LABELLED]


def draw_labels(image: UInt8, cracks: Sequence[Crack], scale: Scale | None, view: View) -> None:
    """Label cracks at their widest place; labels keep clear of each other and of the places."""
    taken: list[Box] = []
    places = [(np.array(crack.widths.max_at) + 0.5) * view.factor for crack in cracks]
    for crack, place in zip(cracks, places, strict=True):
        words = [width_text(crack, scale), ascii_of(crack.id)]
        wide = max(text_px(text, TEXT_PX) for text in words) + 10
        high = 2 * TEXT_PX + 18
        left, top, right, bottom = box = free_box(place, (wide, high), taken, places, view)
        taken.append(box)
        near = np.clip(place, (left, top), (right, bottom))
        for colour, thick in ((WHITE, 4), (BLACK, 1)):
            ends = [pixel_centres(np.array([place, near]))]
            cv2.polylines(image, ends, False, colour, thick, cv2.LINE_AA, FIXED_POINT_BITS)
            x, y = pixel_centres(place).tolist()
            cv2.circle(
                image,
                (x, y),
                RING_PX << FIXED_POINT_BITS,
                colour,
                thick,
                cv2.LINE_AA,
                FIXED_POINT_BITS,
            )
        plate = Canvas(math.ceil(wide), math.ceil(high))
        plate.text((5, TEXT_PX / 2 + 6), words[0], height_px=TEXT_PX)
        plate.text((5, 1.5 * TEXT_PX + 13), words[1], height_px=TEXT_PX, colour=ID_COLOUR)
        paste_framed(image, plate.image(), round(left), round(top))


def free_box(
    place: Float64,
    size: tuple[float, float],
    taken: Sequence[Box],
    places: Sequence[Float64],
    view: View,
) -> Box:
    """Return the box of a label of ``size`` (width, height) near its ``place``.

    Of 16 directions at growing distances the first box is taken that lies on the image, covers no
    other label and no labelled place; if there is none, the first that lies on the image.
    """
    wide, high = size
    spare: Box | None = None
    for distance in range(24, 24 * 12, 24):
        for turn in range(16):
            angle = -math.pi / 4 + turn * math.pi / 8
            x = place[0] + (distance + wide / 2) * math.cos(angle)
            y = place[1] + (distance + high / 2) * math.sin(angle)
            box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= view.cols and box[3] <= view.rows
            if not inside:
                continue
            spare = spare or box
            covered = any(box[0] < p[0] < box[2] and box[1] < p[1] < box[3] for p in places)
            if not covered and not any(overlap(box, other) for other in taken):
                return box
    return spare or (0.0, 0.0, wide, high)


def overlap(a: Box, b: Box) -> bool:
    """Return whether two boxes share a pixel."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def width_text(crack: Crack, scale: Scale | None) -> str:
    """Return the largest width with its standard uncertainty, in mm where there is a scale."""
    width_px, sigma = crack.widths.max_px, crack.widths.max_sigma_px
    if scale is None:
        return f"{width_px:.1f} px" if sigma is None else f"{width_px:.1f} +/- {sigma:.1f} px"
    width_mm, sigma_mm = width_px * scale.mm_per_px, unc_in_mm(sigma, width_px, scale)
    if sigma_mm is None:
        return f"{width_mm:.2f} mm"
    return f"{width_mm:.2f} +/- {sigma_mm:.2f} mm"


def with_legend(image: UInt8, table: SceneCracks, view: View) -> UInt8:
    """Return the image with a legend below: title, detection statement, classes, scale bar."""
    entries = legend_entries(table)
    cols = max(image.shape[1], 480)
    columns = max(1, cols // 250)
    lines = math.ceil(len(entries) / columns)
    words = ascii_of(statement([findings_of(table)]))
    texts = [summary(table), *wrap_text(words, cols - 2 * MARGIN_PX, TEXT_PX)]
    rows = MARGIN_PX + ROW_PX * (len(texts) + lines + 1) + MARGIN_PX // 2
    canvas = Canvas(cols, rows)
    middle = MARGIN_PX + ROW_PX / 2 - 4
    for text in texts:
        canvas.text((MARGIN_PX, middle), text, height_px=TEXT_PX)
        middle += ROW_PX
    for number, (text, colour, dashed) in enumerate(entries):
        y = middle + ROW_PX * (number // columns)
        x = MARGIN_PX + (number % columns) * (cols - 2 * MARGIN_PX) / columns
        if dashed:
            canvas.dashed((x, y), (x + 34, y), colour, 2.5)
        else:
            canvas.line([(x, y), (x + 34, y)], colour, 3.5)
        canvas.text((x + 42, y), text, height_px=TEXT_PX)
    draw_scale_bar(canvas, along_a_row(table), view, middle + ROW_PX * lines)
    if image.shape[1] < cols:
        left = (cols - image.shape[1]) // 2
        sides = (left, cols - image.shape[1] - left)
        image = np.pad(image, ((0, 0), sides, (0, 0)), constant_values=255)
    return np.vstack([image, canvas.image()])


def legend_entries(table: SceneCracks) -> list[tuple[str, Colour, bool]]:
    """Return text, colour and whether it is dashed, of each width class, of joints,
    and of what people rejected or excluded."""
    scale = table.scale
    counts = np.bincount([class_of(crack) for crack in table.counted], minlength=len(COLOURS))
    entries: list[tuple[str, Colour, bool]] = []
    for number, (low, colour) in enumerate(zip(WIDTHS_PX, COLOURS, strict=True)):
        high = WIDTHS_PX[number + 1] if number + 1 < len(WIDTHS_PX) else None
        text = f"{low:g} to {high:g} px" if high is not None else f"over {low:g} px"
        if scale:
            a, b = low * scale.mm_per_px, (high or 0.0) * scale.mm_per_px
            text += f" ({a:.3g} to {b:.3g} mm)" if high is not None else f" ({a:.3g} mm)"
        entries.append((f"{text}: {counts[number]}", rgb(colour), False))
    for name, lines in (("joints", table.joints), ("rejected", table.rejected)):
        if lines:
            entries.append((f"{name}: {len(lines)}", rgb(GREY), True))
    if table.scene.record.excluded_px:
        entries.append(("hatched: excluded by the user", HATCH, False))
    return entries


def summary(table: SceneCracks) -> str:
    """Return the title: scene, number of cracks and their length."""
    counted = table.counted
    length = sum(crack.length_px for crack in counted)
    scale = table.scale
    text = f"{length * scale.mm_per_px / 1000:.2f} m" if scale else f"{length:.0f} px"
    cracks = f"{len(counted)} crack" + ("" if len(counted) == 1 else "s")
    return f"{ascii_of(table.scene.name)}: {cracks}, {text}; colour: largest width of each crack"


def along_a_row(table: SceneCracks) -> Scale | None:
    """Return the scale of lengths along a row, which is another one if pixels are not square."""
    if table.scale is None:
        return None
    width, _ = table.scene.ground_pixel.shape.sides
    return replace(table.scale, mm_per_px=table.scale.mm_per_px * width)


def draw_scale_bar(canvas: Canvas, scale: Scale | None, view: View, y: float) -> None:
    """Draw a bar of a round length, in mm, m or px, and its length."""
    mm = scale.mm_per_px if scale else 1.0
    longest = BAR_SHARE * view.cols / view.factor * mm
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest)
    px = length / mm * view.factor
    if scale is None:
        text = f"{length:g} px"
    else:
        text = f"{length / 1000:g} m" if length >= 1000 else f"{length:g} mm"
    x = MARGIN_PX
    canvas.line([(x, y), (x + px, y)], BLACK, 2.5)
    for end in (x, x + px):
        canvas.line([(end, y - 5), (end, y + 5)], BLACK, 1.5)
    canvas.text((x + px + 10, y), text, height_px=TEXT_PX)


def ascii_of(text: str) -> str:
    """Return a text with ``?`` for letters that OpenCV cannot draw."""
    return text.encode("ascii", "replace").decode()


def paste_framed(image: UInt8, plate: UInt8, left: int, top: int) -> None:
    """Put a plate onto an image with a thin dark frame, as far as it lies on it."""
    plate[[0, -1]] = plate[:, [0, -1]] = 120
    rows, cols = image.shape[:2]
    left, top = max(0, min(left, cols - plate.shape[1])), max(0, min(top, rows - plate.shape[0]))
    part = image[top : top + plate.shape[0], left : left + plate.shape[1]]
    part[:] = plate[: part.shape[0], : part.shape[1]]


def pixel_centres(points: Float64) -> NDArray[np.int32]:
    """Return points (N, 2) in OpenCV's coordinates, in which pixel centres are whole numbers."""
    return to_fixed_point(points - 0.5, scale=1)
