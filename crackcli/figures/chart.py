"""Draw charts with OpenCV: axes, lines, bands, points and text on white; no plotting library.

Everything is drawn `SUPERSAMPLING` times as large and reduced, so that lines and letters are
smooth. Text must be ASCII: OpenCV's font has no other characters.

Coordinates are px of the finished image, x to the right and y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from crackcli.arrays import Float64, UInt8
from crackcli.texts import printable

SUPERSAMPLING = 3
FIXED_POINT_BITS = 4  # fractional bits of OpenCV's coordinates
FONT = cv2.FONT_HERSHEY_SIMPLEX
LETTER_PX = 22.0  # height of a capital letter of that font at scale 1
BLACK, GREY, PALE = (30, 30, 30), (130, 130, 130), (225, 225, 225)

Colour = tuple[int, int, int]


def rgb(colour: str) -> Colour:
    """Return red, green and blue, 0 to 255, of ``#rrggbb``."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


class Canvas:
    """A white image of ``cols`` by ``rows`` to draw on."""

    def __init__(self, cols: int, rows: int) -> None:
        self.big = np.full((rows * SUPERSAMPLING, cols * SUPERSAMPLING, 3), 255, np.uint8)

    def image(self) -> UInt8:
        """Return the drawing (rows, cols, 3)."""
        rows, cols = (side // SUPERSAMPLING for side in self.big.shape[:2])
        reduced = cv2.resize(self.big, (cols, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(reduced, np.uint8)

    def line(self, points: ArrayLike, colour: Colour, px: float = 1.0) -> None:
        """Draw a polyline through points (N, 2), ``px`` thick."""
        thick = max(1, round(px * SUPERSAMPLING))
        cv2.polylines(
            self.big, [to_fixed_point(points)], False, colour, thick, cv2.LINE_AA, FIXED_POINT_BITS
        )

    def dashed(self, start: ArrayLike, end: ArrayLike, colour: Colour, px: float = 1.0) -> None:
        """Draw a straight line of dashes of 5 px, ``px`` thick."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        count = max(1, int(np.linalg.norm(end - start) / 5))
        ways = np.linspace(0, 1, count + 1)[:, None]
        points = start + ways * (end - start)
        for number in range(0, count, 2):
            self.line(points[number : number + 2], colour, px)

    def area(self, outline: ArrayLike, colour: Colour) -> None:
        """Draw a filled polygon (N, 2)."""
        cv2.fillPoly(self.big, [to_fixed_point(outline)], colour, cv2.LINE_AA, FIXED_POINT_BITS)

    def dot(self, at: Sequence[float], radius_px: float, colour: Colour) -> None:
        """Draw a disc."""
        x, y = to_fixed_point([at])[0].tolist()
        radius = round(radius_px * SUPERSAMPLING * (1 << FIXED_POINT_BITS))
        cv2.circle(self.big, (x, y), radius, colour, -1, cv2.LINE_AA, FIXED_POINT_BITS)

    def text(
        self,
        at: Sequence[float],
        words: str,
        *,
        height_px: float = 8.0,
        align: float = 0.0,
        colour: Colour = BLACK,
        upwards: bool = False,
    ) -> None:
        """Draw a text with its middle line at y.

        ``align`` is the part of its width to the left of x: 0 starts at x, 0.5 is centred, 1 ends
        there. With ``upwards`` it reads from bottom to top.
        """
        words = printable(words)  # OpenCV crashes on bytes that are not UTF-8
        scale, thick = font_scale(height_px)
        (wide, high), under = cv2.getTextSize(words, FONT, scale, thick)
        rim = thick + 2
        plate = np.full((high + under + 2 * rim, wide + 2 * rim, 3), 255, np.uint8)
        cv2.putText(plate, words, (rim, high + rim), FONT, scale, colour, thick, cv2.LINE_AA)
        x, y = round(at[0] * SUPERSAMPLING), round(at[1] * SUPERSAMPLING)
        middle = rim + high // 2
        if upwards:
            plate = np.rot90(plate)
            self.stamp(plate, x - middle, y - rim - round((1 - align) * wide))
        else:
            self.stamp(plate, x - rim - round(align * wide), y - middle)

    def stamp(self, plate: UInt8, left: int, top: int) -> None:
        """Draw a dark-on-white image over the canvas by minimum, clipped to the canvas."""
        rows, cols = self.big.shape[:2]
        first, begin = max(0, top), max(0, left)
        last, end = min(rows, top + plate.shape[0]), min(cols, left + plate.shape[1])
        if first < last and begin < end:
            part = plate[first - top : last - top, begin - left : end - left]
            np.minimum(self.big[first:last, begin:end], part, out=self.big[first:last, begin:end])


def text_px(words: str, height_px: float = 8.0) -> float:
    """Return the width of a text in px."""
    (wide, _), _ = cv2.getTextSize(printable(words), FONT, *font_scale(height_px))
    return wide / SUPERSAMPLING


def font_scale(height_px: float) -> tuple[float, int]:
    """Return the scale and thickness of OpenCV's font for capitals of ``height_px``."""
    return height_px * SUPERSAMPLING / LETTER_PX, max(1, round(height_px * SUPERSAMPLING / 12))


def wrap_text(words: str, wide_px: float, height_px: float = 8.0) -> list[str]:
    """Split a text into lines that are at most ``wide_px`` wide."""
    lines: list[str] = []
    for word in words.split():
        if lines and text_px(f"{lines[-1]} {word}", height_px) <= wide_px:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def to_fixed_point(points: ArrayLike, scale: int = SUPERSAMPLING) -> NDArray[np.int32]:
    """Return points (N, 2) as fixed-point coordinates of an image ``scale`` times as large."""
    fixed = np.asarray(points, np.float64) * scale * (1 << FIXED_POINT_BITS)
    return np.rint(fixed).astype(np.int32)


@dataclass(frozen=True)
class Axes:
    """A plot area on a canvas, from ``left``, ``top`` to ``right``, ``bottom``.

    ``x`` and ``y`` are the values at its sides; ``log_x`` makes the x axis logarithmic.
    """

    canvas: Canvas = field(repr=False)
    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False

    def place(self, x: ArrayLike, y: ArrayLike) -> Float64:
        """Return the positions (N, 2) on the canvas of values (N,)."""
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        ends = np.array(self.x)
        if self.log_x:
            x, ends = np.log(x), np.log(ends)
        right = (x - ends[0]) / (ends[1] - ends[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return np.column_stack(
            [
                self.left + right.ravel() * (self.right - self.left),
                self.bottom + up.ravel() * (self.top - self.bottom),
            ]
        )

    def frame(
        self,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_name: str,
        y_name: str,
        title: str,
        y_format: str = "g",
    ) -> None:
        """Draw grid lines at the ticks, tick labels, axis names and the title."""
        c = self.canvas
        named = -np.inf
        for tick in x_ticks:
            (x, _) = self.place([tick], [self.y[0]])[0]
            c.line([(x, self.top), (x, self.bottom)], PALE)
            words = f"{tick:g}"
            if x - text_px(words) / 2 > named + 4:  # else it would overlap the previous label
                c.text((x, self.bottom + 12), words, align=0.5, colour=GREY)
                named = x + text_px(words) / 2
        for tick in y_ticks:
            (_, y) = self.place([self.x[0]], [tick])[0]
            c.line([(self.left, y), (self.right, y)], PALE)
            c.text((self.left - 6, y), f"{tick:{y_format}}", align=1, colour=GREY)
        c.line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], GREY)
        c.text(((self.left + self.right) / 2, self.bottom + 30), x_name, align=0.5)
        c.text((self.left - 46, (self.top + self.bottom) / 2), y_name, align=0.5, upwards=True)
        c.text((self.left, self.top - 16), title, height_px=9)

    def line(self, x: ArrayLike, y: ArrayLike, colour: Colour, px: float = 2.0) -> None:
        """Draw a curve through values (N,)."""
        self.canvas.line(self.place(x, y), colour, px)

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: Colour) -> None:
        """Fill the area between two curves (N,)."""
        outline = np.concatenate([self.place(x, low), self.place(x, high)[::-1]])
        self.canvas.area(outline, colour)

    def dots(self, x: ArrayLike, y: ArrayLike, radius_px: float, colour: Colour) -> None:
        """Draw a disc at each of the values (N,)."""
        for at in self.place(x, y).tolist():
            self.canvas.dot(at, radius_px, colour)

    def dashed(self, start: Sequence[float], end: Sequence[float], colour: Colour) -> None:
        """Draw a dashed line between two points (x, y), given as values."""
        a, b = self.place([start[0], end[0]], [start[1], end[1]])
        self.canvas.dashed(a, b, colour)


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return about ``about`` round numbers from ``low`` to ``high``."""
    rough = (high - low) / max(1, about)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
