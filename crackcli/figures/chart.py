"""Charts without a plotting library: axes, lines, bands, points and words on white, by OpenCV.

Everything is drawn `SUPERSAMPLING` times as large and shrunk, so that lines and letters are smooth.  Texts
are ASCII: the letters that OpenCV draws have no others.

Coordinates of a chart are px of the finished image, x right and y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from crackcli.arrays import Float64, UInt8

SUPERSAMPLING = 3
FIXED_POINT_BITS = 4  # fractional bits of OpenCV's coordinates
FONT = cv2.FONT_HERSHEY_SIMPLEX
LETTER_PX = 22.0  # height of a capital letter of that font at scale 1
BLACK, GREY, PALE = (30, 30, 30), (130, 130, 130), (225, 225, 225)

Colour = tuple[int, int, int]


class Canvas:
    """A white image of ``cols`` by ``rows`` to draw on."""

    def __init__(self, cols: int, rows: int) -> None:
        self.big = np.full((rows * SUPERSAMPLING, cols * SUPERSAMPLING, 3), 255, np.uint8)

    def image(self) -> UInt8:
        """What was drawn (rows, cols, 3)."""
        rows, cols = (side // SUPERSAMPLING for side in self.big.shape[:2])
        return cv2.resize(self.big, (cols, rows), interpolation=cv2.INTER_AREA)

    def line(self, points: ArrayLike, colour: Colour, px: float = 1.0) -> None:
        """A polyline (N, 2)."""
        thick = max(1, round(px * SUPERSAMPLING))
        cv2.polylines(self.big, [to_fixed_point(points)], False, colour, thick, cv2.LINE_AA, FIXED_POINT_BITS)

    def dashed(self, start: ArrayLike, end: ArrayLike, colour: Colour, px: float = 1.0) -> None:
        """A straight line of dashes of 5 px."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        count = max(1, int(np.linalg.norm(end - start) / 5))
        ways = np.linspace(0, 1, count + 1)[:, None]
        points = start + ways * (end - start)
        for number in range(0, count, 2):
            self.line(points[number : number + 2], colour, px)

    def area(self, outline: ArrayLike, colour: Colour) -> None:
        """A filled polygon (N, 2)."""
        cv2.fillPoly(self.big, [to_fixed_point(outline)], colour, cv2.LINE_AA, FIXED_POINT_BITS)

    def dot(self, at: Sequence[float], radius_px: float, colour: Colour) -> None:
        """A disc."""
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
        """Words with their middle line at y; ``align`` 0 begins at x, 0.5 is centred, 1 ends there.
        ``upwards`` they are read from below."""
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
        """Letters over what is there, as far as they lie on the canvas."""
        rows, cols = self.big.shape[:2]
        first, begin = max(0, top), max(0, left)
        last, end = min(rows, top + plate.shape[0]), min(cols, left + plate.shape[1])
        if first < last and begin < end:
            part = plate[first - top : last - top, begin - left : end - left]
            np.minimum(self.big[first:last, begin:end], part, out=self.big[first:last, begin:end])


def text_px(words: str, height_px: float = 8.0) -> float:
    """How wide a text is."""
    (wide, _), _ = cv2.getTextSize(words, FONT, *font_scale(height_px))
    return wide / SUPERSAMPLING


def font_scale(height_px: float) -> tuple[float, int]:
    """Scale and thickness of letters whose capitals are so high on the finished image."""
    return height_px * SUPERSAMPLING / LETTER_PX, max(1, round(height_px * SUPERSAMPLING / 12))


def wrap_text(words: str, wide_px: float, height_px: float = 8.0) -> list[str]:
    """A text in lines that are no wider."""
    lines: list[str] = []
    for word in words.split():
        if lines and text_px(f"{lines[-1]} {word}", height_px) <= wide_px:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def to_fixed_point(points: ArrayLike) -> NDArray[np.int32]:
    """Points (N, 2) as OpenCV's fixed-point coordinates of the larger image."""
    return np.rint(np.asarray(points, np.float64) * SUPERSAMPLING * (1 << FIXED_POINT_BITS)).astype(np.int32)


@dataclass(frozen=True)
class Axes:
    """A box of a canvas, from ``left``, ``top`` to ``right``, ``bottom``, and the values at its
    sides; ``log_x`` spaces x by its logarithm."""

    canvas: Canvas = field(repr=False)
    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False

    def place(self, x: ArrayLike, y: ArrayLike) -> Float64:
        """Where values (N,) lie on the canvas (N, 2)."""
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
        """Thin lines at the ticks, their values, and names."""
        c = self.canvas
        named = -np.inf
        for tick in x_ticks:
            (x, _) = self.place([tick], [self.y[0]])[0]
            c.line([(x, self.top), (x, self.bottom)], PALE)
            words = f"{tick:g}"
            if x - text_px(words) / 2 > named + 4:  # else it would lie over the one before
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
        """A curve through values (N,)."""
        self.canvas.line(self.place(x, y), colour, px)

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: Colour) -> None:
        """The area between two curves (N,)."""
        outline = np.concatenate([self.place(x, low), self.place(x, high)[::-1]])
        self.canvas.area(outline, colour)

    def dots(self, x: ArrayLike, y: ArrayLike, radius_px: float, colour: Colour) -> None:
        """A disc at each of the values (N,)."""
        for at in self.place(x, y).tolist():
            self.canvas.dot(at, radius_px, colour)

    def dashed(self, start: Sequence[float], end: Sequence[float], colour: Colour) -> None:
        """A dashed line between two pairs of values."""
        a, b = self.place([start[0], end[0]], [start[1], end[1]])
        self.canvas.dashed(a, b, colour)


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about so many."""
    rough = (high - low) / max(1, about)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
