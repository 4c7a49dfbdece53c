"""Joints: how likely it is that a line is no crack but a joint, a cable, a ledge or an edge.

What is built is straight, keeps its width to its very end, runs far, and has lines beside it that
run the same way or across; cracks wander, swell, taper, and go in steps.  `likelihoods` makes one
number of that for each crack of a scene: a logistic of the few `Features` below, weighted by
`WEIGHTS`.  A line without a straight piece (`crackcli.cracks.straight`), above all a short one,
tells nothing and has the likelihood 0.  So does, nearly, a line that has a part which is itself a
crack's length and lies away from all that is straight: where a crack meets a joint both are one
component, and the crack must not go with the joint.

It is told from the traced cracks alone, so it does not depend on strips or on other scenes.  What
it cannot tell: a crack that follows one joint for a long way, without steps, looks like the joint;
and a crack goes with the joint that it meets if it is shorter than `LOOSE_SHARE` of both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64
from crackcli.cracks.crack import Crack
from crackcli.cracks.straight import Piece, aside, least_px, points_of, straight_pieces

ALIGNED_DEG = 4.0  # parallel and perpendicular are within this
NEARBY = 2.0  # own lengths: companions are no farther away
MOST_NEARBY = 500  # nor farther than so many others: long before that a number says no more
EVEN = 0.1  # relative difference of two spacings that count as equal
CORNER_DEG = 20.0  # steps turn by a right angle within this
CORNER_PX, CORNER_WIDTHS = 12.0, 2.0  # ends that meet are no farther apart than the sum of both
LINKED_PX = 2.0  # and two steps: points of one part are no farther apart
LOOSE_SHARE = 0.1  # of a line's length, and `least_px`: a part away from what is straight counts
MOST_REACH, MOST_UNEVEN, MOST_FAINT = 3.0, 2.0, 2.0  # more than this says no more

JOINT = 0.5  # likelihood from which on a line is taken for a joint

# How they were found: by a logistic regression of drawn joints (crackcli.synthesis, 13 families;
# 455 lines longer than 200 px) against cracks labelled in training patches (2165 longer than 60 px)
# and drawn ones (cracks of four kinds, and 120 in steps along bricks); then rounded and moved by
# hand towards fewer cracks taken for joints.  At `JOINT` are 1.5 % of the labelled cracks; of
# drawings that were not used, 81 % of 396 joints, none of 360 cracks and 13 of 97 in steps, which
# follow one joint for most of their way.  ``uneven`` did not help, as what is detected of a joint
# is ragged too, and has a small weight; ``faint`` needs real scores and was set on a synthetic
# wall. ``loose`` was set so that all else together does not outweigh it.  Without it 85 % of the
# joints are found; most of the others are in nets of mortar joints, boards and bars.
WEIGHTS = {
    "straight": 2.5,
    "reach": 1.4,
    "uneven": -0.3,
    "taper": -3.5,
    "stepped": -3.0,
    "companions": 3.5,
    "faint": 0.5,
    "loose": -8.0,
}
OFFSET = -3.9


@dataclass(frozen=True)
class Features:
    """What is seen of a line that has a straight piece; without units.

    ``straight``    share of its length in straight pieces
    ``reach``       length of the longest piece: doublings of the least that says anything, to 3
    ``uneven``      spread of its widths (`crackcli.cracks.widths.Widths`), to 2
    ``taper``       by what share its ends are narrower than the rest
    ``stepped``     share of its pieces that go on in steps, as cracks do along the joints of bricks
    ``companions``  0 to 1: other pieces nearby, parallel or perpendicular; 1/2 for one as long
    ``faint``       halvings of its score below the mean of the scene's cracks, -2 to 2
    ``loose``       1 if some part away from its pieces is as long as a crack, else 0
    """

    straight: float
    reach: float
    uneven: float
    taper: float
    stepped: float
    companions: float
    faint: float
    loose: float

    @property
    def likelihood(self) -> float:
        """0 to 1, by `WEIGHTS`."""
        says = OFFSET + sum(weight * getattr(self, name) for name, weight in WEIGHTS.items())
        return 1 / (1 + math.exp(-says))


def judged(cracks: Sequence[Crack]) -> list[Crack]:
    """All cracks of one scene, each with its ``joint_likelihood``."""
    return [
        replace(crack, joint_likelihood=seen.likelihood if seen else 0.0)
        for crack, seen in zip(cracks, features_of(cracks), strict=True)
    ]


def features_of(cracks: Sequence[Crack]) -> list[Features | None]:
    """What is seen of each crack of one scene; None where nothing is straight."""
    pieces = [straight_pieces(crack) for crack in cracks]
    counts = [len(own) for own in pieces]
    every = [piece for own in pieces for piece in own]
    company = companions(every, np.repeat(np.arange(len(cracks)), counts))
    shares = np.split(company, np.cumsum(counts))  # and an empty one at the end
    usual = usual_score(cracks)
    return [
        describe(crack, own, share, usual) if own else None
        for crack, own, share in zip(cracks, pieces, shares[: len(cracks)], strict=True)
    ]


def describe(crack: Crack, pieces: list[Piece], company: Float64, usual: float) -> Features:
    """The features of a crack from its pieces and their ``company`` (N,) of `companions`."""
    long = np.array([piece.length for piece in pieces])
    faint = math.log2(usual / crack.score) if crack.score else 0.0
    return Features(
        straight=min(1.0, float(long.sum()) / crack.length_px),
        reach=min(MOST_REACH, math.log2(float(long.max()) / least_px(crack))),
        uneven=min(MOST_UNEVEN, crack.widths.spread),
        taper=crack.widths.taper,
        stepped=float(np.average(stepped(pieces), weights=long)),
        companions=float(np.average(company, weights=long)),
        faint=min(MOST_FAINT, max(-MOST_FAINT, faint)),
        loose=float(loose_px(crack, pieces) >= max(least_px(crack), LOOSE_SHARE * crack.length_px)),
    )


def loose_px(crack: Crack, pieces: Sequence[Piece]) -> float:
    """Length of the longest part that hangs together and is away from all straight pieces."""
    points, lengths = points_of(crack)
    straight = shapely.multilinestrings([piece.ends for piece in pieces])
    near = CORNER_PX + CORNER_WIDTHS * crack.widths.median_px
    away = np.flatnonzero(shapely.distance(shapely.points(points), straight) > near)
    if len(away) == 0:
        return 0.0
    pairs = cKDTree(points[away]).query_pairs(LINKED_PX + 2 * lengths[0], output_type="ndarray")
    edges = coo_array((np.ones(len(pairs), bool), pairs.T), (len(away),) * 2)
    _, part = connected_components(edges, directed=False)
    return float(np.bincount(part, lengths[away]).max())


def usual_score(cracks: Sequence[Crack]) -> float:
    """Mean score of a scene's cracks, by area; 1 where none has a score."""
    scored = [(crack.score, crack.area_px) for crack in cracks if crack.score]
    area = sum(area for _, area in scored)
    return sum(score * area for score, area in scored) / area if area else 1


def stepped(pieces: Sequence[Piece]) -> Bools:
    """Which pieces of one crack make steps: at both ends of a piece another one begins at a right
    angle, to opposite sides.  In a frame they go to the same side, in a grid lines run on."""
    steps = np.zeros(len(pieces), bool)
    for number, piece in enumerate(pieces):
        first, last = (next_piece(pieces, number, end) for end in piece.ends)
        if first is None or last is None:
            continue
        sides = [
            float(aside(pieces[at].ends.mean(axis=0) - piece.ends[0], piece.along))
            for at in (first, last)
        ]
        if sides[0] * sides[1] < 0:
            steps[[first, number, last]] = True
    return steps


def next_piece(pieces: Sequence[Piece], number: int, end: Float64) -> int | None:
    """The piece that begins where piece ``number`` has its ``end``, at a right angle to it."""
    here = pieces[number]
    near = CORNER_PX + CORNER_WIDTHS * here.crack_width_px
    for at, other in enumerate(pieces):
        square = abs(float(here.along @ other.along)) <= math.sin(math.radians(CORNER_DEG))
        if square and min(math.dist(point, end) for point in other.ends) <= near:
            return at
    return None


def companions(pieces: Sequence[Piece], owner: Int64) -> Float64:
    """For each piece (N,) 0 to 1: how many others nearby run the same way or across.

    Nearby is within `NEARBY` times its own length, and among about `MOST_NEARBY` next to it.
    Another piece counts by its length, at most as one; twice if it is one of at least three
    parallels at equal spacing.  What lies in line with a piece is its continuation and no
    companion.  Of the same crack, by ``owner`` (N,), only those count that it meets as in a grid:
    a crack in steps has many that are parallel or perpendicular.
    """
    if not pieces:
        return np.zeros(0)
    ends = np.array([piece.ends for piece in pieces])
    along = np.array([piece.along for piece in pieces])
    long = np.array([piece.length for piece in pieces])
    wide = np.array([piece.crack_width_px for piece in pieces])
    lines, middles = shapely.linestrings(ends), ends.mean(axis=1)

    reach = NEARBY * long
    if len(pieces) > MOST_NEARBY:  # between lines it is no farther than between their middles
        reach = np.minimum(reach, cKDTree(middles).query(middles, [MOST_NEARBY])[0][:, 0])
    own, other = shapely.STRtree(lines).query(lines, predicate="dwithin", distance=reach)
    order = np.lexsort((other, own))
    own, other = own[order], other[order]
    turned = np.abs((along[own] * along[other]).sum(axis=1))  # cosine
    offset = aside(middles[other] - middles[own], along[own])
    near = CORNER_PX + CORNER_WIDTHS * np.maximum(wide[own], wide[other])
    foreign = owner[own] != owner[other]
    amid = np.zeros(len(own), bool)  # of one of both
    for one, two in ((own, other), (other, own)):
        way = ((middles[two] - middles[one]) * along[one]).sum(axis=1)
        amid |= np.abs(way) < long[one] / 2 - near
    beside = (turned >= math.cos(math.radians(ALIGNED_DEG))) & (np.abs(offset) > near / 2) & foreign
    across = turned <= math.sin(math.radians(ALIGNED_DEG))
    within = np.flatnonzero(across & ~foreign)  # of the same crack
    apart = shapely.distance(lines[own[within]], lines[other[within]])
    across[within] = amid[within] & (apart <= near[within])
    counts = np.minimum(1.0, long[other] / long[own]) * (beside | across)
    begins = np.searchsorted(own, np.arange(len(pieces) + 1))
    for begin, end in pairwise(begins):
        parallels = begin + np.flatnonzero(beside[begin:end])
        counts[parallels[evenly_spaced(offset[parallels])]] *= 2
    return 1 - 0.5 ** np.bincount(own, counts, len(pieces))


def evenly_spaced(offsets: Float64) -> Bools:
    """Which of the parallels at ``offsets`` (N,) from a piece make three at equal spacing with it:
    another lies as far on the other side, or at twice or half the distance."""
    there = np.append(np.sort(offsets), np.inf)
    slack = EVEN * np.abs(offsets)
    even = np.zeros(len(offsets), bool)
    for wanted in (-offsets, 2 * offsets, offsets / 2):
        next_one = there[np.searchsorted(there, wanted - slack)]
        even |= next_one <= wanted + slack
    return even
