"""Distractors that are written: chalk, pencil, sprayed text, and time stamps of a camera."""

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64
from crackcli.synthesis.brushes import (
    Alpha,
    Picture,
    Shape,
    chance,
    downsample,
    draw_lines,
    fractal_noise,
    local_texture,
    match_light,
    overlay,
    pick_colour,
    ramp,
    random_width,
    smooth_curve,
    value_noise,
)
from crackcli.synthesis.cover import blur
from crackcli.synthesis.distractors.joints import random_point

CHALK = [(238, 238, 234), (235, 215, 110), (220, 120, 110), (130, 165, 215), (150, 205, 150)]
CRAYON = [(60, 90, 170), (190, 60, 50), (70, 140, 80), (210, 130, 40)]
SPRAY = [(225, 60, 40), (40, 80, 190), (245, 240, 235), (240, 130, 30), (25, 25, 25), (60, 160, 70)]
FONTS = [
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
]
LETTERS = "ABCDEFGHKLMNPRSTUVXZ"
STAMP = [(250, 250, 245), (245, 215, 60), (250, 150, 40), (240, 90, 30), (12, 12, 12)]


def hand_strokes(rng: Generator, shape: Shape, wavy: bool) -> list[Float64]:
    """Return hand-drawn strokes (N, 2): lines, crosses, arrows, rings, and waves if ``wavy``."""
    at = np.array(random_point(rng, shape))
    size = rng.uniform(0.08, 0.45) * min(shape)
    turn = rng.uniform(0, 2 * np.pi)
    ahead = np.array([np.cos(turn), np.sin(turn)])
    side = ahead[::-1] * [-1, 1]
    kind = str(rng.choice(["line", "cross", "arrow", "ring", "wave" if wavy else "line"]))
    if kind == "ring":
        angle = np.linspace(0, rng.uniform(5.5, 7.5), 40)[:, None]
        ring = np.cos(angle) * ahead + rng.uniform(0.5, 1) * np.sin(angle) * side
        return [at + size * ring * (1 + 0.02 * angle)]
    if kind == "wave":
        way = np.linspace(-1, 1, 60)[:, None]
        waves = np.sin(way * rng.uniform(8, 26) + rng.uniform(0, 6)) * rng.uniform(0.05, 0.25)
        return [at + size * (way * ahead + waves * side)]
    line = at + size * np.array([[-1.0], [1]]) * ahead
    if kind == "cross":
        return [line, at + size * np.array([[-1.0], [1]]) * side]
    if kind == "arrow":
        tips = [line[1] - 0.35 * size * (ahead + turned * side) for turned in (-0.7, 0.7)]
        return [line, np.array([tips[0], line[1], tips[1]])]
    long_ = rng.uniform(1, 3)
    lines = [at + long_ * size * np.array([[-1.0], [1]]) * ahead]
    if chance(rng, 0.5):
        lines.append(lines[0] + rng.uniform(4, 40) * side)
    return lines


def dry_stroke(rng: Generator, picture: Picture, alpha: Alpha) -> Alpha:
    """Return the alpha of a stroke of chalk or pencil, which skips the hollows of the surface."""
    grip = local_texture(picture) + 0.25 * fractal_noise(rng, alpha.shape, 5, 1.5)
    return alpha * ramp(grip, 0.7, rng.uniform(0.9, 1.4))


def chalk(rng: Generator, picture: Picture) -> Picture:
    """Draw marks in chalk or crayon."""
    shape = picture.shape[:2]
    lines = [
        line for _ in range(int(rng.integers(1, 4))) for line in hand_strokes(rng, shape, True)
    ]
    alpha = dry_stroke(
        rng,
        picture,
        draw_lines(shape, [smooth_curve(line, 3.0) for line in lines], random_width(rng, 1, 7)),
    )
    colour = match_light(pick_colour(rng, CHALK + CRAYON), picture)
    return overlay(picture, colour, rng.uniform(0.5, 0.95) * alpha)


def pencil(rng: Generator, picture: Picture) -> Picture:
    """Draw ruled pencil lines with ticks, crosses and arrows: grey and straight."""
    shape = picture.shape[:2]
    lines = []
    for _ in range(int(rng.integers(1, 4))):
        lines += hand_strokes(rng, shape, False)
    start, ahead = lines[0][0], lines[0][1] - lines[0][0]
    for at in rng.uniform(0, 1, int(rng.integers(0, 5))):
        side = ahead[::-1] * [-1, 1] / max(float(np.linalg.norm(ahead)), 1)
        lines.append(start + at * ahead + np.array([[-5.0], [5]]) * side)
    alpha = dry_stroke(rng, picture, draw_lines(shape, lines, rng.uniform(0.6, 1.8)))
    grey = match_light((70, 70, 74), picture)
    return overlay(picture, grey, rng.uniform(0.3, 0.8) * alpha)


def text(rng: Generator, picture: Picture) -> Picture:
    """Draw letters and numbers: sprayed, stencilled or written."""
    shape = picture.shape[:2]
    words = "".join(rng.choice(list(LETTERS + "0123456789"), int(rng.integers(1, 6))))
    size = rng.uniform(0.1, 0.45) * min(shape)
    thick = max(1, round(2 * min(random_width(rng, 1, 12), size / 5)))
    big = np.zeros((2 * shape[0], 2 * shape[1]), np.uint8)
    font = int(FONTS[int(rng.integers(len(FONTS)))])
    (long_, _), _ = cv2.getTextSize(words, font, size / 11, thick)
    at = np.array(random_point(rng, shape)) * 2 - [long_ / 2, 0]
    cv2.putText(
        big, words, tuple(at.astype(int).tolist()), font, size / 11, 255, thick, cv2.LINE_AA
    )
    turn = cv2.getRotationMatrix2D((shape[1], shape[0]), rng.normal(0, 12), 1)
    alpha = downsample(np.asarray(cv2.warpAffine(big, turn, big.shape[::-1]), np.uint8), shape)
    how = int(rng.integers(3))
    if how == 0:  # sprayed
        mist = blur(alpha, rng.uniform(1, 3.5))
        alpha = np.maximum(
            0.8 * mist, 0.5 * ramp(blur(alpha, 4) + value_noise(rng, shape, 2), 0.7, 1)
        )
    elif how == 1:
        alpha = dry_stroke(rng, picture, alpha)
    colour = match_light(pick_colour(rng, SPRAY + CHALK), picture)
    return overlay(picture, colour, rng.uniform(0.5, 1) * alpha, local_texture(picture) ** 0.5)


def time_stamp(rng: Generator, picture: Picture) -> Picture:
    """Draw date and time as a camera burns them in: even, sharp, in a corner, with or without an
    outline."""
    rows, cols = picture.shape[:2]
    numbers = rng.integers([1990, 1, 1, 0, 0, 0], [2030, 13, 29, 24, 60, 60])
    year, month, day, hour, minute, second = (int(number) for number in numbers)
    date = (
        f"{year}/{month:02}/{day:02}",
        f"{day:02}.{month:02}.{year}",
        f"{year}-{month:02}-{day:02}",
        f"'{year % 100:02} {month} {day}",
    )[int(rng.integers(4))]
    time = (f"{hour:02}:{minute:02}:{second:02}", f"{hour:02}:{minute:02}", "")
    words = f"{date} {time[int(rng.integers(3))]}".strip()
    font = FONTS[int(rng.choice([0, 1, 4]))]
    high = float(np.exp(rng.uniform(np.log(7), np.log(max(9.0, 0.13 * min(rows, cols))))))
    thick = max(1, round(high * rng.uniform(0.07, 0.2)))
    scale = cv2.getFontScaleFromHeight(font, max(1, round(high)), thick)
    (long_, _), _ = cv2.getTextSize(words, font, scale, thick)
    rim = rng.uniform(0.3, 2) * high
    # a tile of a larger photograph may cut the stamp at its side
    left = rng.choice([rim, cols - rim - long_]) + rng.normal(0, 0.3 * long_) * chance(rng, 0.4)
    at = (int(left), int(rng.choice([rim + high, rows - rim])))
    colour = pick_colour(rng, STAMP, 4.0)
    if chance(rng, 0.4):
        outline = np.zeros((rows, cols), np.uint8)
        wide = thick + 2 * max(1, thick // 2)
        cv2.putText(outline, words, at, font, scale, 255, wide, cv2.LINE_AA)
        rest = (15, 15, 15) if colour.mean() > 90 else (235, 235, 235)
        picture = overlay(picture, rest, outline.astype(np.float32) / 255)
    ink = np.zeros((rows, cols), np.uint8)
    cv2.putText(ink, words, at, font, scale, 255, thick, cv2.LINE_AA)
    glow = blur(ink.astype(np.float32) / 255, rng.uniform(0, 0.12) * high)
    return overlay(picture, colour, np.maximum(glow, ink.astype(np.float32) / 255 * 0.9))
