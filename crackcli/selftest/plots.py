"""Figures of a self-test: the POD curve with the width errors, and a sheet of drawn cracks."""

from collections import defaultdict

import cv2
import numpy as np

from crackcli.arrays import Float64, UInt8
from crackcli.figures.chart import BLACK, GREY, Axes, Canvas, round_ticks, wrap_text
from crackcli.figures.sheet import GAP_PX, fade, join_images, text_line
from crackcli.selftest.hits import REACH_PX, covered, open_points
from crackcli.selftest.run import CrackResult, SelftestResult

BLUE, LIGHT, ORANGE, MAGENTA = (0, 90, 200), (205, 222, 246), (225, 110, 0), (200, 0, 140)
CHART_PX = 1120, 520
CELL_PX = 184
MAX_CRACKS = 6  # of a width on the sheet
SUPERSAMPLING = 3  # lines are drawn on an enlarged image, which is then shrunk


def pod_chart(test: SelftestResult, sentence: str) -> UInt8:
    """Draw the POD over the width, and the error of each measured width, as (rows, cols, 3)."""
    canvas = Canvas(*CHART_PX)
    for number, line in enumerate(wrap_text(sentence, CHART_PX[0] - 60, 9)):
        canvas.text((30, 22 + 18 * number), line, height_px=9)
    draw_pod(test, canvas)
    draw_width_errors(test, canvas)
    return canvas.image()


def width_label(test: SelftestResult) -> str:
    """Return the label of the width axes, with the scale if it is known."""
    size = f" (1 px = {test.scale.mm_per_px:.3g} mm)" if test.scale else ""
    return f"true width, px{size}"


def by_width(test: SelftestResult) -> dict[float, list[CrackResult]]:
    """Return the cracks of each width, in order of width."""
    levels: dict[float, list[CrackResult]] = defaultdict(list)
    for each in test.tested:
        levels[each.drawn.width_px].append(each)
    return dict(sorted(levels.items()))


def draw_pod(test: SelftestResult, canvas: Canvas) -> None:
    """Draw the left panel: the curve, its limits, and the fraction found of each width."""
    pod, levels = test.pod, by_width(test)
    span = pod.narrowest / 1.15, pod.widest * 1.15
    axes = Axes(canvas, 76, 106, 540, 450, span, (0.0, 1.0), log_x=True)
    x = np.geomspace(*span, 200)
    best, lower, upper = pod.curve(x)
    axes.band(x, lower, upper, LIGHT)
    title = "probability of detection, limits with 95 % confidence each"
    ticks = np.linspace(0, 1, 6).tolist()
    axes.frame(list(levels), ticks, width_label(test), "fraction found", title, ".1f")
    axes.line(x, best, BLUE, 2)
    axes.dashed((span[0], 0.9), (span[1], 0.9), GREY)
    for width_px, name, colour in ((pod.a90, "a90", BLUE), (pod.a9095, "a90/95", ORANGE)):
        if np.isfinite(width_px):
            axes.dashed((width_px, 0.0), (width_px, 0.9), colour)
            (at_x, at_y) = axes.place([width_px], [0.04 if name == "a90" else 0.10])[0]
            canvas.text((at_x + 4, at_y), f"{name} {width_px:.2f}", colour=colour)
    for width_px, own in levels.items():
        hit = sum(each.hit.detected for each in own)
        axes.dots([width_px], [hit / len(own)], 4, BLACK)
        (at_x, at_y) = axes.place([width_px], [hit / len(own)])[0]
        beside = -13 if hit / len(own) < 0.5 else 13
        canvas.text((at_x, at_y + beside), f"{hit}/{len(own)}", align=0.5, height_px=7)


def draw_width_errors(test: SelftestResult, canvas: Canvas) -> None:
    """Draw the right panel: the error of each measured width, mean and standard deviation."""
    levels = by_width(test)
    errors = {
        width_px: [each.hit.error_px for each in own if each.hit.error_px is not None]
        for width_px, own in levels.items()
    }
    every = [0.0, *(error for own in errors.values() for error in own)]
    low, high = min(every), max(every)
    rim = max(0.15 * (high - low), 0.25)
    span = test.pod.narrowest / 1.15, test.pod.widest * 1.15
    axes = Axes(canvas, 636, 106, 1100, 450, span, (low - rim, high + rim), log_x=True)
    ticks = round_ticks(low - rim, high + rim)
    title = "errors of width: each crack, mean and standard deviation"
    axes.frame(list(levels), ticks, width_label(test), "measured - true width, px", title)
    axes.line(span, (0, 0), GREY, 1.5)
    for width_px, own in errors.items():
        if not own:
            continue
        spread = np.geomspace(1 / 1.04, 1.04, len(own)) if len(own) > 1 else [1.0]
        axes.dots(width_px * np.asarray(spread), own, 2.2, (150, 180, 225))
        mean, sd = float(np.mean(own)), float(np.std(own, ddof=1)) if len(own) > 1 else 0.0
        axes.line([width_px, width_px], [mean - sd, mean + sd], ORANGE, 1.5)
        axes.dots([width_px], [mean], 4, ORANGE)


def overlay(test: SelftestResult) -> UInt8:
    """Draw a sheet with a row for each width: each drawn crack beside what was found of it."""
    rows = []
    cells = min(MAX_CRACKS, max(len(own) for own in by_width(test).values()))
    wide = cells * (2 * CELL_PX + 2 * GAP_PX) - GAP_PX
    for width_px, own in by_width(test).items():
        hit = sum(each.hit.detected for each in own)
        rows.append(text_line(f"{width_px:g} px wide: {hit} of {len(own)} found", wide))
        pairs = [draw_pair(each) for each in own[:cells]]
        blank = np.full_like(pairs[0], 255)
        rows.append(join_images([*pairs, *[blank] * (cells - len(pairs))], axis=1))
    title = (
        f"Drawn cracks of {test.info.path.name}, contrast {test.contrast:g}, blur "
        f"{test.blur_px:.1f} px; beside each: blue found, magenta missed, orange found beside it"
    )
    rim = ((GAP_PX, GAP_PX), (GAP_PX, GAP_PX), (0, 0))
    sheet = join_images([text_line(title, wide), *rows], axis=0)
    return np.pad(sheet, rim, mode="constant", constant_values=255)


def draw_pair(each: CrackResult) -> UInt8:
    """Draw a crack at its true size, and beside it what was found, on the faded photograph."""
    path, image = each.drawn.path, each.image()
    middle = (path.points.min(axis=0) + path.points.max(axis=0)) / 2
    top_left = np.rint(middle - CELL_PX / 2).astype(int)
    sides = np.array(image.shape[1::-1])
    top_left = top_left.clip(0, np.maximum(sides - CELL_PX, 0))
    part = image[top_left[1] :, top_left[0] :][:CELL_PX, :CELL_PX]
    more = [(0, CELL_PX - side) for side in part.shape[:2]]
    part = np.pad(part, (*more, (0, 0)), mode="constant", constant_values=255)

    fine = SUPERSAMPLING
    marked = resize(fade(part), CELL_PX * fine, cv2.INTER_LINEAR)
    points = open_points(path).points
    reach_px = max(REACH_PX, each.drawn.width_px)
    found = covered(points, each.lines, reach_px)
    for line in each.lines:
        draw_line(marked, line - top_left, ORANGE)
    for point, near in zip(points - top_left, found, strict=True):
        at = np.rint((point + 0.5) * fine).astype(int).tolist()
        cv2.circle(marked, at, fine, BLUE if near else MAGENTA, -1, cv2.LINE_AA)
    marked = resize(marked, CELL_PX, cv2.INTER_AREA)
    caption = f"{each.drawn.number}: " + ("found" if each.hit.detected else "missed")
    if each.hit.set_aside:
        caption = f"{each.drawn.number}: classified as a joint"
    if each.hit.measured_px is not None:
        caption += f", measures {each.hit.measured_px:.1f} px"
    images = [
        np.vstack([part, text_line(f"{each.drawn.width_px:g} px", CELL_PX)]),
        np.vstack([marked, text_line(caption, CELL_PX)]),
    ]
    return join_images(images, axis=1)


def resize(image: UInt8, side_px: int, method: int) -> UInt8:
    """Resize a square image (rows, cols, 3)."""
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=method), np.uint8)


def draw_line(image: UInt8, line: Float64, colour: tuple[int, int, int]) -> None:
    """Draw a polyline (N, 2) of the photograph onto its enlarged image."""
    points = np.rint((line + 0.5) * SUPERSAMPLING).astype(np.int32)
    cv2.polylines(image, [points], False, colour, SUPERSAMPLING, cv2.LINE_AA)
