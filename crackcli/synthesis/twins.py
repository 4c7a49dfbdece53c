"""Twins: copies of a crack-free photograph with a crack or with distractors drawn onto them.

A twin is a counterfactual copy: it differs from its photograph in the drawing only. A *cracked*
twin has the label crack; a *distracted* twin, with lines and stains that are no crack, has the
label no crack.
Both are drawn by the same brushes, with widths and contrasts from the same distributions, and get
the same blur and grain. Half of the cracked twins have distractors, too. A classifier with one
label per photograph can therefore separate them only by what makes a crack a crack.

Some cracks run in the joints of masonry, which the photograph shows or which is drawn; the other
joints stay sound. Some are hairlines beside the seams, pits or grain of formwork.

All randomness comes from the given generator: the same seed gives the same twin.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from crackcli.arrays import Float64, Floats, UInt8
from crackcli.synthesis.brushes import (
    Alpha,
    Field,
    Picture,
    chance,
    local_texture,
    local_tone,
    luma,
    random_width,
)
from crackcli.synthesis.cover import CrackPath, blur
from crackcli.synthesis.distractors import DISTRACTORS, choose_families
from crackcli.synthesis.drawn_cracks import (
    CrackAppearance,
    draw_crack,
    frayed_coverage,
    random_cracks_on,
    visible_opening,
)
from crackcli.synthesis.joint_cracks import WeakJoints, find_joints, joint_crack, lay_joints
from crackcli.synthesis.visibility import Camera, eye_sigma, local_noise, noise_along, visibility

VISIBLE = 6.0  # d' from which a stretch of a crack is visible, see `visibility`
LEAST_LENGTH = 60 / 256  # visible length in a cracked twin, relative to the short side
VISIBLE_FRACTION = 0.7  # of a crack's length
DISTRACTED = 0.5  # fraction of the cracked twins that have distractors
KINDS = {"plain": 0.65, "joints": 0.2, "hairline": 0.15}  # of cracks, with their probability
FORMWORK = ("formwork_joints", "formwork_lines", "boards", "board_marks", "holes", "bug_holes")
HAIRLINE_PX = (0.5, 2.0)
FAINT = (0.12, 0.4)  # contrast of a hairline, if it is visible with it
IN_JOINT = (0.25, 1.1)  # largest width of a crack in a joint, relative to the joint's
DEEPER = 0.3  # a crack in a joint is darker than the joint by this fraction at least
LEAST_OPEN = 0.3  # of a pixel, from which this holds
DARKER = 10.0  # grey levels below its joint that count as a crack
ATTEMPTS = 6
MAX_WIDENINGS = 2  # of a crack that would not be visible
MARGIN = 1.15  # factor on the contrast that is needed
BLACKEST = 0.95  # largest contrast
DARKEST = 40.0  # mean brightness; darker photographs are lightened, so that drawings are visible
CHANGED = (6.0, 0.004)  # grey levels, and fraction of pixels that a distracted twin must change
SHOWS = 3.0  # grey levels; where a distractor leaves less difference, the crack is covered


def twin(photograph: UInt8, label: int, rng: Generator) -> UInt8:
    """Return a twin of a crack-free photograph (rows, cols, 3): cracked if label is 1, else
    distracted."""
    return cracked_twin(photograph, rng)[0] if label else distracted_twin(photograph, rng)


def cracked_twin(
    photograph: UInt8, rng: Generator, width_px: float | None = None, kind: str | None = None
) -> tuple[UInt8, Floats]:
    """Return a photograph (rows, cols, 3) with a crack that a person can see, and its coverage.

    The coverage (rows, cols) is the fraction of each pixel that the crack covers, 0 where an object
    hides it. ``width_px`` is the largest width, if the crack is visible with it; default random.
    ``kind`` is one of `KINDS`; default random, or plain if a width is given.
    """
    base = to_picture(photograph)
    camera = Camera.of(base)
    if kind is None:
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values()))) if width_px is None else "plain"
    shown = find_joints(base) if kind == "joints" else None
    picture = base
    visible: Floats = np.zeros(base.shape[:2], np.float32)
    longest = -1.0  # visible length, relative to the short side
    for attempt in range(ATTEMPTS):
        names = choose_families(rng, most=2) if chance(rng, DISTRACTED) else []
        over = [name for name in names if DISTRACTORS[name].over]
        ground = prepared(rng, base, kind, [name for name in names if name not in over], shown)
        crack = visible_crack(rng, ground, width_px or ground.random_width(rng), camera, attempt)
        under = ground.picture
        cracked, cover = draw_on(rng, ground, crack)
        if over:
            under = draw_distractors(deepcopy(rng), under, over)  # the same objects on both
            cracked = draw_distractors(rng, cracked, over)
            cover = cover * (np.abs(luma(cracked) - luma(under)) > SHOWS)
        darkening = blur(luma(under) - luma(cracked), camera.blur_px)
        sigma_px = eye_sigma(crack.width_px)
        noise = local_noise(luma(under), sigma_px) if over and kind == "plain" else crack.noise
        dprime, lengths = visibility(darkening, noise, crack.paths, sigma_px)
        length = float(lengths[dprime >= VISIBLE].sum()) / min(cover.shape)
        if length > longest:
            longest, picture, visible = length, camera.finish(base, cracked, rng), cover
        if length >= LEAST_LENGTH:
            break
    return to_uint8(picture), visible


@dataclass(frozen=True)
class Ground:
    """The picture (rows, cols, 3) that a crack is drawn on.

    joints   in which it runs, if any
    surface  (rows, cols, 3)  the picture without lines that a hairline lies beside, if any
    """

    picture: Picture
    joints: WeakJoints | None = None
    surface: Picture | None = None

    def random_width(self, rng: Generator) -> float:
        """Draw the largest width in px of a crack."""
        if self.surface is not None:
            return float(np.exp(rng.uniform(*np.log(HAIRLINE_PX))))
        if self.joints is not None:
            fits = max(HAIRLINE_PX[0], rng.uniform(*IN_JOINT) * self.joints.wide_px)
            return min(random_width(rng), fits)
        return random_width(rng)

    def appearance(self, rng: Generator, width_px: float) -> CrackAppearance:
        """Draw the appearance of a crack of this width."""
        usual = CrackAppearance.of(rng, width_px)
        return usual if self.surface is None else replace(usual, contrast=rng.uniform(*FAINT))

    def cracks(self, rng: Generator, width_px: float) -> list[CrackPath]:
        """Draw the paths of a crack."""
        if self.joints is not None:
            return joint_crack(rng, self.joints, width_px)
        return random_cracks_on(rng, self.picture, width_px)

    def noise(self, paths: list[CrackPath], sigma_px: float) -> Field:
        """Return the noise (rows, cols) for an eye that searches for a crack; in joints, only that
        along the joint counts."""
        brightness = luma(self.picture if self.surface is None else self.surface)
        if self.joints is not None:
            return noise_along(brightness, paths, sigma_px)
        return local_noise(brightness, sigma_px)


def prepared(
    rng: Generator, base: Picture, kind: str, names: list[str], shown: WeakJoints | None
) -> Ground:
    """Return the ground for a crack of a kind: a photograph with the distractors beneath the crack,
    or with masonry unless it shows joints itself."""
    if kind == "joints":  # other distractors would hide the joints
        picture, joints = (base, shown) if shown is not None else lay_joints(rng, base)
        return Ground(picture, joints=joints)
    if kind == "hairline":
        names = [*names[:1], str(rng.choice(FORMWORK))]
    picture = draw_distractors(rng, base, names)
    return Ground(picture, surface=base if kind == "hairline" else None)


@dataclass(frozen=True)
class VisibleCrack:
    """A crack before it is drawn.

    paths       stems and branches
    cover       (rows, cols)  fraction of each pixel that it covers
    open_       (rows, cols)  the same, softened and bridged by light grains
    noise       (rows, cols)  of the surface, for an eye that searches for this width
    tone        (rows, cols, 3)  of the surface, or of the joints if it runs in joints
    width_px    median
    appearance  with enough contrast to be visible
    """

    paths: list[CrackPath]
    cover: Floats
    open_: Alpha
    noise: Field
    tone: Picture
    width_px: float
    appearance: CrackAppearance


def visible_crack(
    rng: Generator, ground: Ground, width_px: float, camera: Camera, attempt: int
) -> VisibleCrack:
    """Return a random crack with an appearance in which it is visible on its ground.

    If the surface requires it, the crack gets a higher contrast or becomes wider, the more the
    higher ``attempt`` is.
    """
    appearance = ground.appearance(rng, width_px)
    if attempt:
        appearance = replace(
            appearance, bridged=appearance.bridged / 2, contrast=max(appearance.contrast, 0.6)
        )
    paths = ground.cracks(rng, width_px)
    picture, joints = ground.picture, ground.joints
    tone = local_tone(picture, None if joints is None else joints.inside)
    texture, brightness = local_texture(picture, tone), luma(tone)
    for widen in range(MAX_WIDENINGS + 1):
        usual_px = median_width(paths)
        cover = frayed_coverage(rng, paths, brightness.shape, usual_px)
        open_ = visible_opening(cover, texture, appearance)
        sigma_px = eye_sigma(usual_px)
        noise = ground.noise(paths, sigma_px)
        darkest = blur(open_ * brightness, camera.blur_px)
        needed = needed_contrast(*visibility(darkest, noise, paths, sigma_px), min(cover.shape))
        if needed <= BLACKEST or widen == MAX_WIDENINGS:
            break
        by_px = (min(needed / BLACKEST, 2.5) - 1) * usual_px
        paths = [path.widened(by_px) for path in paths]
    appearance = replace(appearance, contrast=min(max(appearance.contrast, needed), BLACKEST))
    return VisibleCrack(paths, cover, open_, noise, tone, usual_px, appearance)


def draw_on(rng: Generator, ground: Ground, crack: VisibleCrack) -> tuple[Picture, Floats]:
    """Draw a crack onto its ground and return it with the coverage (rows, cols) that shows: none
    where a joint is as dark as the crack in it."""
    under = ground.picture
    cracked = draw_crack(rng, under, crack.open_, crack.width_px, crack.appearance, crack.tone)
    if ground.joints is None:
        return cracked, crack.cover
    within = (crack.open_ > LEAST_OPEN)[..., None]
    deeper = np.minimum(cracked, (1 - DEEPER * crack.open_[..., None]) * under)
    cracked = np.where(within, deeper, cracked)
    darker = luma(under) - luma(cracked) >= DARKER * crack.open_
    return cracked, crack.cover * darker


def needed_contrast(dprime: Floats, lengths: Float64, short_px: int) -> float:
    """Return the contrast at which enough of a crack is visible, from d' (N) at contrast 1 and the
    lengths in px (N) that the values stand for."""
    order = np.argsort(-dprime)
    enough = min(VISIBLE_FRACTION * lengths.sum(), 2 * LEAST_LENGTH * short_px)
    rank = int(np.searchsorted(np.cumsum(lengths[order]), enough))
    if rank >= len(order):
        return float("inf")
    return MARGIN * VISIBLE / max(float(dprime[order[rank]]), 1e-3)


def distracted_twin(
    photograph: UInt8, rng: Generator, families: Sequence[str] | None = None
) -> UInt8:
    """Return a photograph (rows, cols, 3) with one to three distractors.

    ``families`` are their names in `DISTRACTORS`; default random.
    """
    base = to_picture(photograph)
    camera = Camera.of(base)
    for _ in range(ATTEMPTS):
        names = families or choose_families(rng, most=3)
        picture = camera.finish(base, draw_distractors(rng, base, names), rng)
        differs = np.abs(luma(picture) - luma(base)) > CHANGED[0]
        if differs.mean() >= CHANGED[1]:
            break
    return to_uint8(picture)


def draw_distractors(rng: Generator, picture: Picture, names: Sequence[str]) -> Picture:
    """Draw distractors onto the picture, one after the other."""
    for name in names:
        picture = np.clip(DISTRACTORS[name].draw(rng, picture), 0, 255)
    return picture


def median_width(paths: list[CrackPath]) -> float:
    """Return the median width in px of the first path where it is open."""
    widths = paths[0].width_px
    return float(np.median(widths[widths > 0.2])) if (widths > 0.2).any() else 0.2


def to_picture(photograph: UInt8) -> Picture:
    """Convert a photograph to float; a very dark one is lightened so that drawings are visible."""
    picture = photograph.astype(np.float32)
    return picture + max(0.0, DARKEST - float(luma(picture).mean()))


def to_uint8(picture: Picture) -> UInt8:
    """Round a picture to 8 bits."""
    return np.asarray(np.rint(picture).clip(0, 255), np.uint8)
