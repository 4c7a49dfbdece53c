"""The pictures of a self-test: the curve with the errors of the widths, and the drawn cracks."""

from collections import defaultdict

import cv2
import numpy as np

from crackcli.arrays import UInt8
from crackcli.figures.chart import BLACK, GREY, Axes, Canvas, round_ticks, wrap_text
from crackcli.figures.sheet import GAP_PX, text_line, fade, join_images
from crackcli.selftest.hits import REACH_PX, covered, dense
from crackcli.selftest.run import Selftest, Tested

BLUE, LIGHT, ORANGE, MAGENTA = (0, 90, 200), (205, 222, 246), (225, 110, 0), (200, 0, 140)
CHART_PX = 1120, 520
CELL_PX = 184
MOST = 6  # cracks of a width on the sheet
FINE = 3  # times as large lines are drawn, then shrunk


def pod_chart(test: Selftest, sentence: str) -> UInt8:
    """The probability of detection over the width, and the error of each measured width."""
    canvas = Canvas(*CHART_PX)
    for number, line in enumerate(wrap_text(sentence, CHART_PX[0] - 60, 9)):
        canvas.text((30, 22 + 18 * number), line, height_px=9)
    detection(test, canvas)
    width_errors(test, canvas)
    return canvas.image()


def unit_of(test: Selftest) -> str:
    size = f" (1 px = {test.scale.mm_per_px:.3g} mm)" if test.scale else ""
    return f"true width, px{size}"


def levels_of(test: Selftest) -> dict[float, list[Tested]]:
    """The cracks of each width."""
    levels: dict[float, list[Tested]] = defaultdict(list)
    for each in test.tested:
        levels[each.drawn.width_px].append(each)
    return dict(sorted(levels.items()))


def detection(test: Selftest, canvas: Canvas) -> None:
    """The left panel."""
    pod, levels = test.pod, levels_of(test)
    span = pod.narrowest / 1.15, pod.widest * 1.15
    axes = Axes(canvas, 76, 106, 540, 450, span, (0.0, 1.0), log_x=True)
    x = np.geomspace(*span, 200)
    best, lower, upper = pod.curve(x)
    axes.band(x, lower, upper, LIGHT)
    title = "probability of detection, limits with 95 % confidence each"
    axes.frame(list(levels), np.linspace(0, 1, 6), unit_of(test), "share found", title, ".1f")
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


def width_errors(test: Selftest, canvas: Canvas) -> None:
    """The right panel."""
    levels = levels_of(test)
    errors = {
        width_px: [
            each.hit.measured_px - each.hit.true_px
            for each in own
            if each.hit.measured_px is not None
        ]
        for width_px, own in levels.items()
    }
    every = [0.0, *(error for own in errors.values() for error in own)]
    low, high = min(every), max(every)
    rim = max(0.15 * (high - low), 0.25)
    span = test.pod.narrowest / 1.15, test.pod.widest * 1.15
    axes = Axes(canvas, 636, 106, 1100, 450, span, (low - rim, high + rim), log_x=True)
    ticks = round_ticks(low - rim, high + rim)
    title = "errors of width: each crack, mean and standard deviation"
    axes.frame(list(levels), ticks, unit_of(test), "measured less true, px", title)
    axes.line(span, (0, 0), GREY, 1.5)
    for width_px, own in errors.items():
        if not own:
            continue
        spread = np.geomspace(1 / 1.04, 1.04, len(own)) if len(own) > 1 else [1.0]
        axes.dots(width_px * np.asarray(spread), own, 2.2, (150, 180, 225))
        mean, sd = float(np.mean(own)), float(np.std(own, ddof=1)) if len(own) > 1 else 0.0
        axes.line([width_px, width_px], [mean - sd, mean + sd], ORANGE, 1.5)
        axes.dots([width_px], [mean], 4, ORANGE)


def overlay(test: Selftest) -> UInt8:
    """A row for each width: drawn cracks as they look, and beside each what was found of it."""
    rows = []
    cells = min(MOST, max(len(own) for own in levels_of(test).values()))
    wide = cells * (2 * CELL_PX + 2 * GAP_PX) - GAP_PX
    for width_px, own in levels_of(test).items():
        hit = sum(each.hit.detected for each in own)
        rows.append(text_line(f"{width_px:g} px wide: {hit} of {len(own)} found", wide))
        pairs = [pair_of(each) for each in own[:cells]]
        blank = np.full_like(pairs[0], 255)
        rows.append(join_images([*pairs, *[blank] * (cells - len(pairs))], axis=1))
    title = (
        f"Drawn cracks of {test.info.path.name}, contrast {test.contrast:g}, blur "
        f"{test.blur_px:.1f} px; beside each: blue found, magenta missed, orange found beside it"
    )
    rim = ((GAP_PX, GAP_PX), (GAP_PX, GAP_PX), (0, 0))
    sheet = join_images([text_line(title, wide), *rows], axis=0)
    return np.pad(sheet, rim, mode="constant", constant_values=255)


def pair_of(each: Tested) -> UInt8:
    """A crack at its true size, and on the faded photograph what was found."""
    path, image = each.drawn.path, each.image()
    middle = (path.points.min(axis=0) + path.points.max(axis=0)) / 2
    top_left = np.rint(middle - CELL_PX / 2).astype(int)
    sides = np.array(image.shape[1::-1])
    top_left = top_left.clip(0, np.maximum(sides - CELL_PX, 0))
    part = image[top_left[1] :, top_left[0] :][:CELL_PX, :CELL_PX]
    more = [(0, CELL_PX - side) for side in part.shape[:2]]
    part = np.pad(part, (*more, (0, 0)), mode="constant", constant_values=255)

    marked = cv2.resize(fade(part), None, fx=FINE, fy=FINE, interpolation=cv2.INTER_LINEAR)
    points = dense(path).points
    reach_px = max(REACH_PX, each.drawn.width_px)
    found = covered(points, each.lines, reach_px)
    for line in each.lines:
        draw_line(marked, line - top_left, ORANGE)
    for point, near in zip(points - top_left, found, strict=True):
        at = np.rint((point + 0.5) * FINE).astype(int).tolist()
        cv2.circle(marked, at, FINE, BLUE if near else MAGENTA, -1, cv2.LINE_AA)
    marked = cv2.resize(marked, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA)
    words = f"{each.drawn.number}: " + ("found" if each.hit.detected else "missed")
    if each.hit.set_aside:
        words = f"{each.drawn.number}: taken for a joint"
    if each.hit.measured_px is not None:
        words += f", reads {each.hit.measured_px:.1f} px"
    images = [
        np.vstack([part, text_line(f"{each.drawn.width_px:g} px", CELL_PX)]),
        np.vstack([marked, text_line(words, CELL_PX)]),
    ]
    return join_images(images, axis=1)


def draw_line(image: UInt8, line: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A polyline (N, 2) of the photograph onto its larger picture."""
    points = np.rint((line + 0.5) * FINE).astype(np.int32)
    cv2.polylines(image, [points], False, colour, FINE, cv2.LINE_AA)
