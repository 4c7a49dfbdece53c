"""What is built straight and is no crack: joints, seams, grids, boards, strips, frames."""

import cv2
import numpy as np
from numpy.random import Generator

from crackcli.synthesis.brushes import (
    Colour,
    Field,
    Picture,
    Shape,
    Share,
    across,
    beyond,
    chance,
    clouds,
    colour_near,
    contrast_of,
    curve,
    darkened,
    drawn,
    embossed,
    laid,
    light_of,
    lit_like,
    luma,
    meander,
    patches,
    picked,
    ramp,
    shaded,
    shifted,
    sign,
    streaks,
    texture_of,
    tone_of,
    width_of,
    within,
)
from crackcli.synthesis.cover import blurred

METAL = [(150, 150, 152), (90, 92, 95), (60, 55, 52), (120, 84, 62), (205, 205, 203), (40, 60, 50)]
SEALANT = [(140, 140, 138), (95, 95, 95), (40, 40, 42), (190, 182, 165), (222, 222, 220)]
PAINT = [(235, 234, 228), (60, 80, 130), (150, 60, 50), (205, 180, 90), (90, 115, 90), (70, 70, 72)]
MORTAR = [(190, 184, 172), (158, 150, 137), (120, 116, 110), (215, 212, 205), (98, 92, 86)]
FRAME = [(232, 232, 228), (95, 66, 48), (60, 62, 64), (170, 172, 172), (110, 52, 44)]
GLASS = [(22, 26, 30), (40, 48, 54), (14, 13, 12), (60, 70, 76), (34, 28, 24)]


def upright(rng: Generator, spread_deg: float = 3.0, any_share: float = 0.15) -> float:
    """A direction in degrees: mostly near vertical or horizontal, as buildings are."""
    if chance(rng, any_share):
        return float(rng.uniform(0, 180))
    return float(rng.choice([0, 90]) + rng.normal(0, spread_deg))


def somewhere(rng: Generator, shape: Shape) -> tuple[float, float]:
    """A point (x, y) not too near the rim."""
    return rng.uniform(0.1, 0.9) * shape[1], rng.uniform(0.1, 0.9) * shape[0]


def formwork_joints(rng: Generator, picture: Picture) -> Picture:
    """Straight joints of formwork or panels from rim to rim: a groove, a fin or a leaked seam."""
    shape = picture.shape[:2]
    deg, at = upright(rng), somewhere(rng, shape)
    apart = rng.uniform(0.06, 0.5) * min(shape)
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    lines = [(at, deg, number * apart) for number in range(count)]
    if chance(rng, 0.35):
        lines.append((somewhere(rng, shape), deg + 90 + rng.normal(0, 0.5), 0.0))
    kind, width_px, contrast = seam_of(rng)
    for point, angle, aside in lines:
        off, _ = across(shape, point, angle)
        picture = seam(rng, picture, off - np.float32(aside), kind, width_px, contrast)
    if chance(rng, 0.3):
        centres = [somewhere(rng, shape) for _ in range(int(rng.integers(1, 4)))]
        for x, y in centres:
            ring, _ = across(shape, (x, y), 0)
            ring = np.hypot(ring, across(shape, (x, y), 90)[0])
            hole = ramp(ring, width_px + 2.5, width_px + 1.0)
            hollow = 1 + 0.6 * embossed(blurred(1 - hole, 1.5), 270.0)
            picture = darkened(rng, picture, hole, max(0.4, contrast), inside=hollow)
    return picture


def seam_of(rng: Generator) -> tuple[str, float, float]:
    """Kind, width in px and contrast of a joint."""
    kind = str(rng.choice(["groove", "fin", "leak"], p=[0.65, 0.15, 0.2]))
    return kind, width_of(rng, 0.8, 9.0), contrast_of(rng)


def seam(
    rng: Generator, picture: Picture, off: Field, kind: str, width_px: float, contrast: float
) -> Picture:
    """A joint along ``off`` = 0, with what goes with it: lips, stains, panels of another tone."""
    shape = off.shape
    # Straight is what tells it from a crack: its width is ragged, its course hardly.
    ragged = rng.uniform(0, 0.15) * min(width_px, 4.0)
    off = off + ragged * clouds(rng, shape, 9, 2) + rng.uniform(0, 0.4) * patches(rng, shape, 90)
    width = width_px * (1 + rng.uniform(0, 0.3) * patches(rng, shape, 30))
    width = width * (1 + rng.uniform(0, 0.4) * patches(rng, shape, 5))
    share = within(off, np.maximum(width, 0.3))
    if chance(rng, 0.4):  # smeared over in places
        share = share * ramp(patches(rng, shape, rng.uniform(15, 60)), -0.6, 0.0)
    if chance(rng, 0.5):
        picture = shaded(picture, 1 + rng.normal(0, 0.05) * beyond(off, 3.0))
    if chance(rng, 0.5):
        soiled = np.exp(-np.abs(off) / rng.uniform(4, 14)) * (1 + patches(rng, shape, 25))
        picture = shaded(picture, 1 + rng.normal(-0.06, 0.08) * soiled)
    side = sign(rng)
    if kind == "fin":
        lit = within(off, width) * (1 + 0.4 * patches(rng, shape, 10))
        picture = shaded(picture, 1 + rng.uniform(0.08, 0.35) * lit)
        off = off - side * (width / 2 + 0.5)
        share = within(off, np.maximum(0.5 * width, 0.8))
    elif kind == "leak":
        bleak = within(off, 3 * width) * ramp(clouds(rng, shape, 14, 2), -0.4, 0.5)
        picture = shaded(picture, 1 + rng.normal(0, 0.15) * bleak)
    picture = darkened(rng, picture, share, contrast, rng.uniform(0, 1.3))
    if chance(rng, 0.5):
        lip = within(off + side * (width / 2 + 0.8), rng.uniform(0.8, 2.0))
        picture = shaded(picture, 1 + rng.uniform(0.08, 0.35) * lip * (1 + patches(rng, shape, 8)))
    return picture


def bond(
    rng: Generator, shape: Shape, long_px: float, high_px: float, running: bool, rough: float
) -> tuple[Field, Field]:
    """Stones in courses: how far each pixel lies from the middle of its joint (rows, cols), and a
    random tone (rows, cols) from 0 to 1 for each stone."""
    turned = rng.normal(0, 2) + (90 if chance(rng, 0.12) else 0)
    down, right = across(shape, somewhere(rng, shape), turned)
    down = down + rough * patches(rng, shape, 60) + 0.4 * rough * clouds(rng, shape, 9, 3)
    right = right + rough * patches(rng, shape, 60) + 0.4 * rough * clouds(rng, shape, 9, 3)
    course = np.floor(down / high_px)  # (rows, cols), still broken numbers
    begins = rng.uniform(0, 0.12 * rough, int(np.ptp(course)) + 1)
    if running:
        begins += 0.5 * np.arange(len(begins)) % 1
    row = (course - course.min()).astype(np.int32)
    along = right / np.float32(long_px) + begins.astype(np.float32)[row]
    stone = np.floor(along)
    to_bed = (0.5 - np.abs(down / high_px - course - 0.5)) * np.float32(high_px)
    to_head = (0.5 - np.abs(along - stone - 0.5)) * np.float32(long_px)
    tones = rng.random((len(begins), int(np.ptp(stone)) + 1)).astype(np.float32)
    return np.minimum(to_bed, to_head), tones[row, (stone - stone.min()).astype(np.int32)]


def mortar_joints(rng: Generator, picture: Picture) -> Picture:
    """Masonry: mortar light or dark, set back and shaded; bricks of many tones, some dark."""
    shape = picture.shape[:2]
    high = min(shape) * np.exp(rng.uniform(np.log(0.08), np.log(0.45)))
    long_ = high * rng.uniform(1.4, 3.4)
    joint = float(np.clip(high * rng.uniform(0.04, 0.2), 1.2, 16))
    rough = rng.uniform(0.2, 1.0) * min(3.0, 0.3 * joint + 0.4)
    gap, each = bond(rng, shape, long_, high, chance(rng, 0.85), rough)
    spread = rng.uniform(0, 0.16)
    picture = shaded(picture, 1 + spread * (2 * each - 1) - 0.4 * (each < 0.07 * chance(rng, 0.5)))
    share = ramp(gap, joint / 2 + 0.6, joint / 2 - 0.6)
    if chance(rng, 0.35):  # dry joints: open and dark
        contrast = contrast_of(rng)
        filled_ = share * ramp(patches(rng, shape, 30), -1.2, -0.2)
        picture = darkened(rng, picture, filled_, contrast, rng.uniform(0, 1.2))
    else:
        light = rng.uniform(0.55, 1.35) * luma(picture).mean() / 150
        mortar = picked(rng, MORTAR) * np.float32(light)
        sandy = 1 + 0.12 * clouds(rng, shape, 4, 1.5) + 0.08 * patches(rng, shape, 30)
        picture = laid(picture, mortar, share, sandy * texture_of(picture) ** 0.4)
    depth = blurred(1 - share, 0.5 + 0.08 * joint)
    slopes = embossed(depth, light_of(rng)) * (1 + 0.5 * patches(rng, shape, 12))
    picture = shaded(picture, np.clip(1 + rng.uniform(0.2, 1.8) * slopes, 0.2, 1.5))
    if chance(rng, 0.5):  # the brick above throws its shadow into the joint
        long_shadow = rng.uniform(0.2, 0.6) * joint
        shade = np.clip(shifted(1 - share, 0, long_shadow) - (1 - share), 0, 1)
        picture = shaded(picture, 1 - rng.uniform(0.2, 0.75) * shade)
    return picture


def tile_grid(rng: Generator, picture: Picture) -> Picture:
    """Tiles or slabs: thin even joints, and a smooth face of its own tone for each tile."""
    shape = picture.shape[:2]
    high = min(shape) * rng.uniform(0.14, 0.6)
    long_ = high * rng.choice([1.0, 1.0, 2.0, rng.uniform(1, 3)])
    gap, each = bond(rng, shape, long_, high, chance(rng, 0.25), rng.uniform(0, 0.25))
    joint = width_of(rng, 0.8, 6.0)
    if chance(rng, 0.6):
        face = colour_near(rng, picture)
        glossy = 1 + 0.05 * (2 * each - 1) + 0.04 * patches(rng, shape, 90)
        kept = texture_of(picture) ** rng.uniform(0.1, 1)
        picture = laid(
            picture, face, np.full(shape, rng.uniform(0.5, 1), np.float32), glossy * kept
        )
    else:
        picture = shaded(picture, 1 + rng.uniform(0, 0.1) * (2 * each - 1))
    share = ramp(gap, joint / 2 + 0.5, joint / 2 - 0.5)
    if chance(rng, 0.6):
        picture = darkened(rng, picture, share, contrast_of(rng), rng.uniform(0, 1))
    else:
        grout = picked(rng, MORTAR)
        picture = laid(picture, lit_like(grout, picture), share, 1 + 0.1 * clouds(rng, shape, 20))
    edge = embossed(blurred(1 - share, 0.8), light_of(rng))
    return shaded(picture, np.clip(1 + rng.uniform(0, 0.7) * edge, 0.5, 1.4))


def boards(rng: Generator, picture: Picture) -> Picture:
    """Marks of boards in concrete, or boards: strips of their own tone, grain, seams between."""
    shape = picture.shape[:2]
    deg = upright(rng)
    off, _ = across(shape, somewhere(rng, shape), deg)
    wide = rng.uniform(0.06, 0.3) * min(shape)
    off = off + rng.uniform(0, 0.8) * patches(rng, shape, 80)
    number = np.floor(off / wide).astype(np.int32)
    tones = rng.normal(0, rng.uniform(0.01, 0.08), int(np.ptp(number)) + 1).astype(np.float32)
    grain = streaks(rng, shape, 90, 1.8, deg) + 0.7 * streaks(rng, shape, 60, 5, deg)
    picture = shaded(picture, 1 + tones[number - number.min()] + rng.uniform(0.01, 0.09) * grain)
    from_seam = (off / wide - number - 0.5 + 0.5) * wide
    from_seam = np.where(from_seam > wide / 2, from_seam - wide, from_seam)
    kind, width_px, contrast = seam_of(rng)
    return seam(rng, picture, from_seam, kind, min(width_px, 0.1 * wide, 3.5), contrast)


def expansion_joint(rng: Generator, picture: Picture) -> Picture:
    """A wide straight joint with sealant: smooth, slightly hollow or bulging, sharp edges."""
    shape = picture.shape[:2]
    off, _ = across(shape, somewhere(rng, shape), upright(rng))
    off = off + 0.7 * patches(rng, shape, 25) * rng.uniform(0, 1)
    wide = rng.uniform(5, 22)
    share = within(off, wide)
    sealant = lit_like(picked(rng, SEALANT), picture)
    round_ = (
        1 + rng.normal(0, 0.12) * np.clip(off / wide * 2, -1, 1) + 0.05 * clouds(rng, shape, 40)
    )
    picture = laid(picture, sealant, share, round_ * texture_of(picture) ** rng.uniform(0.05, 0.5))
    for side in (-1, 1):
        if chance(rng, 0.6):
            line = within(off - side * wide / 2, rng.uniform(0.7, 2.2))
            line = line * ramp(patches(rng, shape, 40), -1, 0)
            picture = darkened(rng, picture, line, contrast_of(rng))
    return picture


def sealing_strip(rng: Generator, picture: Picture) -> Picture:
    """Bitumen poured over a seam: a broad smooth black band, gently curved, even edges."""
    shape = picture.shape[:2]
    wide = rng.uniform(0.05, 0.16) * min(shape)
    line = curve(meander(rng, shape, rng.uniform(0, 0.05)), 40.0)
    band = blurred(drawn(shape, [line], wide, 2), 2.5) + 0.05 * clouds(rng, shape, 20, 3)
    share = ramp(band, 0.4, 0.6)
    black = rng.uniform(0.2, 0.5) * tone_of(picture).mean(axis=(0, 1)) * rng.normal(1, 0.02, 3)
    gloss = 1 + 0.15 * patches(rng, shape, 30) + 0.3 * embossed(blurred(share, 1.5), light_of(rng))
    return laid(picture, black, share, gloss * texture_of(picture) ** rng.uniform(0.1, 0.4))


def repair_patch(rng: Generator, picture: Picture) -> Picture:
    """A field of other mortar or asphalt with cut or rounded edges, and a line around it or not."""
    shape = picture.shape[:2]
    deg, (x, y) = upright(rng), somewhere(rng, shape)
    half = rng.uniform(0.12, 0.5, 2) * min(shape)
    u, v = across(shape, (x, y), deg)
    inside = np.minimum(half[0] - np.abs(u), half[1] - np.abs(v)).astype(np.float32)
    inside = inside + rng.uniform(0, 1) * clouds(rng, shape, 40, 4)
    other = cv2.flip(picture, int(rng.choice([0, 1, -1]))) * (1 + rng.normal(0, 0.015, 3))
    other = shaded(
        other.astype(np.float32), 1 + rng.normal(0, 0.12) + 0.05 * patches(rng, shape, 50)
    )
    picture = laid(picture, other, beyond(inside, rng.uniform(1, 3)))
    if chance(rng, 0.6):
        width_px, contrast = width_of(rng, 0.8, 5), contrast_of(rng)
        picture = darkened(rng, picture, within(inside, width_px), contrast)
    return picture


def paint_boundary(rng: Generator, picture: Picture) -> Picture:
    """Two coats of paint side by side, or a stripe such as a road marking; worn on rough ground."""
    shape = picture.shape[:2]
    off, _ = across(shape, somewhere(rng, shape), upright(rng, any_share=0.5))
    off = off + rng.uniform(0, 2.5) * clouds(rng, shape, 16, 2)
    if chance(rng, 0.5):
        share = within(off, rng.uniform(0.05, 0.4) * min(shape))
    else:
        share = beyond(off, rng.uniform(1, 2.5))
    texture = texture_of(picture)
    if chance(rng, 0.5):
        worn = rng.uniform(0, 0.9)
        share = share * ramp(texture + 0.35 * clouds(rng, shape, 40, 3), worn - 0.15, worn + 0.15)
    near = chance(rng, 0.5)
    colour = colour_near(rng, picture) * rng.uniform(0.6, 1.3) if near else picked(rng, PAINT)
    return laid(picture, lit_like(colour, picture), share, texture ** rng.uniform(0.4, 1.1))


def ledges(rng: Generator, picture: Picture) -> Picture:
    """Edges of the building: a step or profile with its shaded side, a lit side, and the drop."""
    shape = picture.shape[:2]
    off, _ = across(shape, somewhere(rng, shape), upright(rng, any_share=0.05))
    off = off + rng.uniform(0, 0.8) * clouds(rng, shape, 20, 3)
    for _ in range(int(rng.integers(1, 4))):
        band = rng.uniform(0.02, 0.18) * min(shape)
        side = 1 + rng.normal(-0.08, 0.16) * within(off, band)
        picture = shaded(picture, np.clip(side, 0.35, 1.2))
        line = width_of(rng, 0.8, 6)
        soft = np.exp(-np.maximum(off - band / 2, 0) / rng.uniform(2, 12)) * beyond(off - band / 2)
        picture = shaded(picture, 1 - rng.uniform(0, 0.35) * soft)
        picture = darkened(rng, picture, within(off - band / 2, line), contrast_of(rng))
        off = off - rng.uniform(0.5, 1.6) * band
    return picture


def window(rng: Generator, picture: Picture) -> Picture:
    """The edge of an opening: a frame, and dark glass or a dark room beyond it."""
    shape = picture.shape[:2]
    deg = upright(rng, 2.0, 0.0)
    u, v = across(shape, somewhere(rng, shape), deg)
    turn = int(rng.integers(4))
    u, v = (u if turn % 2 else -u), (v if turn < 2 else -v)
    inside = np.minimum(u, v) if chance(rng, 0.5) else u
    glass = lit_like(picked(rng, GLASS), picture)
    gradient = 1 + 0.5 * patches(rng, shape, 120) + 0.1 * patches(rng, shape, 30)
    picture = laid(picture, glass, beyond(inside), gradient)
    frame: Colour = lit_like(picked(rng, FRAME), picture)
    at = 0.0
    for _ in range(int(rng.integers(0, 4))):
        wide = rng.uniform(3, 18)
        at += wide / 2
        tone = 1 + rng.normal(0, 0.12) + 0.04 * patches(rng, shape, 40)
        picture = laid(picture, frame, within(inside - at, wide), tone)
        at += wide / 2
        picture = shaded(picture, 1 - rng.uniform(0.1, 0.6) * within(inside - at, 1.6))
    return picture


def bars(rng: Generator, picture: Picture) -> Picture:
    """Railings, meshes or bars before the wall, with their shadow beside them."""
    shape = picture.shape[:2]
    deg, wide = upright(rng), width_of(rng, 1.0, 12)
    apart = max(2.5 * wide, rng.uniform(0.08, 0.5) * min(shape))
    share: Share = np.zeros(shape, np.float32)
    round_: Field = np.zeros(shape, np.float32)
    for turn in (0, 90) if chance(rng, 0.4) else (0,):
        off, _ = across(shape, somewhere(rng, shape), deg + turn)
        off = np.mod(off, np.float32(apart)) - np.float32(apart / 2)
        share = np.maximum(share, within(off, wide))
        round_ = round_ + np.clip(2 * off / wide, -1, 1) * within(off, wide)
    away = rng.uniform(0.5, 3) * wide * np.array([rng.normal(0, 1), 1])
    shade = blurred(shifted(share, *away), rng.uniform(0.6, 4))
    picture = shaded(picture, 1 - rng.uniform(0.1, 0.6) * shade)
    metal = lit_like(picked(rng, METAL), picture)
    surface = 1 + rng.uniform(0.1, 0.4) * sign(rng) * round_ + 0.12 * clouds(rng, shape, 12)
    return laid(picture, metal, share, surface)
