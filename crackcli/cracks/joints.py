"""Joints: the likelihood that a line is not a crack but a joint, a cable, a ledge or an edge.

Built lines are straight, keep their width up to their end, run far, and have parallel or
perpendicular lines nearby. Cracks wander, vary in width, taper, and go in steps. `Features`
describes a line by a few numbers; their sum weighted by `WEIGHTS` is the logit of the likelihood. A
line without a straight piece (`crackcli.cracks.straight`), above all a short one, has the
likelihood 0. A line is also unlikely to be a joint if it has a part of a crack's length away from
all straight pieces: where a crack meets a joint both are one component, and the crack must not be
discarded with the joint.

Features are computed from the traced cracks of a scene alone, so they do not depend on strips or on
other scenes. Two errors remain: a crack that follows one joint for a long way, without steps, looks
like the joint; and a crack shorter than `LOOSE_FRACTION` of the component that it forms with a
joint is classified with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from crackcli.arrays import Bools, Float64, Int64
from crackcli.cracks.crack import Crack
from crackcli.cracks.straight import Piece, cross_track, min_piece_px, resample, straight_pieces

ALIGNED_DEG = 4.0  # tolerance of parallel and perpendicular
SEARCH_LENGTHS = 2.0  # lengths of a piece; supporting pieces are no farther away
MAX_NEIGHBOURS = 500  # supporting pieces are among so many nearest; far fewer saturate the feature
SPACING_TOLERANCE = 0.1  # relative difference of two spacings that count as equal
CORNER_DEG = 20.0  # tolerance of the right angles of steps
CORNER_PX, CORNER_WIDTHS = 12.0, 2.0  # ends that meet are no farther apart than the sum of both
LINKED_PX = 2.0  # points of one part are no farther apart than this and two spacings
# Of a line's length: a part away from all straight pieces counts if it is as long as this and as
# `min_piece_px`.
LOOSE_FRACTION = 0.1
MAX_REACH, MAX_UNEVEN, MAX_FAINT = 3.0, 2.0, 2.0  # the features are clipped to these

JOINT_THRESHOLD = 0.5  # likelihood; a line with this or more is classified as a joint

# Fitted by a logistic regression of drawn joints (crackcli.synthesis, 13 families; 455 lines longer
# than 200 px) against cracks labelled in training patches (2165 longer than 60 px) and drawn cracks
# (four kinds, and 120 in steps along bricks); then rounded and moved by hand towards fewer cracks
# classified as joints. `JOINT_THRESHOLD` is reached by 1.5 % of the labelled cracks; of drawings
# that were not used for the fit, by 81 % of 396 joints, none of 360 cracks and 13 of 97 cracks in
# steps, which follow one joint for most of their length. ``uneven`` has a small weight: it did not
# help, as detected joints are ragged too. ``faint`` needs real scores and was set on a synthetic
# wall. ``loose`` outweighs all others together. Without it 85 % of the joints are found; most of
# those missed are in nets of mortar joints, boards and bars.
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
INTERCEPT = -3.9


@dataclass(frozen=True)
class Features:
    """Features of a line that has a straight piece; without units.

    ``straight``    fraction of its length in straight pieces
    ``reach``       log2 of the longest piece over the least significant length, up to 3
    ``uneven``      spread of its widths (`crackcli.cracks.widths.Widths`), up to 2
    ``taper``       by which fraction its ends are narrower than the rest
    ``stepped``     fraction of its pieces, by length, in steps as of cracks along brick joints
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
        """Likelihood of a joint, 0 to 1, by `WEIGHTS`."""
        log_odds = INTERCEPT + sum(weight * getattr(self, name) for name, weight in WEIGHTS.items())
        return 1 / (1 + math.exp(-log_odds))


def with_joint_likelihoods(cracks: Sequence[Crack]) -> list[Crack]:
    """Return all cracks of one scene, each with its ``joint_likelihood``."""
    return [
        replace(crack, joint_likelihood=features.likelihood if features else 0.0)
        for crack, features in zip(cracks, joint_features(cracks), strict=True)
    ]


def joint_features(cracks: Sequence[Crack]) -> list[Features | None]:
    """Return the features of each crack of one scene, None for a crack without a straight piece."""
    pieces = [straight_pieces(crack) for crack in cracks]
    counts = [len(own) for own in pieces]
    every = [piece for own in pieces for piece in own]
    support = parallel_support(every, np.repeat(np.arange(len(cracks)), counts))
    per_crack = np.split(support, np.cumsum(counts))  # and an empty one at the end
    mean = mean_score(cracks)
    return [
        features_of_crack(crack, own, company, mean) if own else None
        for crack, own, company in zip(cracks, pieces, per_crack[: len(cracks)], strict=True)
    ]


def features_of_crack(crack: Crack, pieces: list[Piece], support: Float64, mean: float) -> Features:
    """Return the features of a crack from its pieces and their `parallel_support` (N,)."""
    lengths = np.array([piece.length for piece in pieces])
    min_loose_px = max(min_piece_px(crack), LOOSE_FRACTION * crack.length_px)
    faint = math.log2(mean / crack.score) if crack.score else 0.0
    return Features(
        straight=min(1.0, float(lengths.sum()) / crack.length_px),
        reach=min(MAX_REACH, math.log2(float(lengths.max()) / min_piece_px(crack))),
        uneven=min(MAX_UNEVEN, crack.widths.spread),
        taper=crack.widths.taper,
        stepped=float(np.average(stepped(pieces), weights=lengths)),
        companions=float(np.average(support, weights=lengths)),
        faint=min(MAX_FAINT, max(-MAX_FAINT, faint)),
        loose=float(longest_loose_px(crack, pieces) >= min_loose_px),
    )


def longest_loose_px(crack: Crack, pieces: Sequence[Piece]) -> float:
    """Return the length of the longest connected part that is away from all straight pieces."""
    points, lengths = resample(crack)
    straight = shapely.multilinestrings([piece.ends for piece in pieces])
    near = CORNER_PX + CORNER_WIDTHS * crack.widths.median_px
    away = np.flatnonzero(shapely.distance(shapely.points(points), straight) > near)
    if len(away) == 0:
        return 0.0
    pairs = cKDTree(points[away]).query_pairs(LINKED_PX + 2 * lengths[0], output_type="ndarray")
    edges = coo_array((np.ones(len(pairs), bool), pairs.T), (len(away),) * 2)
    _, part = connected_components(edges, directed=False)
    return float(np.bincount(part, lengths[away]).max())


def mean_score(cracks: Sequence[Crack]) -> float:
    """Return the mean score of a scene's cracks, weighted by area; 1 if none has a score."""
    scored = [(crack.score, crack.area_px) for crack in cracks if crack.score]
    area = sum(area for _, area in scored)
    return sum(score * area for score, area in scored) / area if area else 1


def stepped(pieces: Sequence[Piece]) -> Bools:
    """Return which pieces of one crack form steps.

    At both ends of such a piece another one begins at a right angle, to opposite sides. In a frame
    they go to the same side, and in a grid lines continue.
    """
    steps = np.zeros(len(pieces), bool)
    for number, piece in enumerate(pieces):
        first, last = (next_piece(pieces, number, end) for end in piece.ends)
        if first is None or last is None:
            continue
        sides = [
            float(cross_track(pieces[at].ends.mean(axis=0) - piece.ends[0], piece.along))
            for at in (first, last)
        ]
        if sides[0] * sides[1] < 0:
            steps[[first, number, last]] = True
    return steps


def next_piece(pieces: Sequence[Piece], number: int, end: Float64) -> int | None:
    """Return the piece that begins at ``end`` of piece ``number``, at a right angle to it."""
    here = pieces[number]
    near = CORNER_PX + CORNER_WIDTHS * here.crack_width_px
    for at, other in enumerate(pieces):
        square = abs(float(here.along @ other.along)) <= math.sin(math.radians(CORNER_DEG))
        if square and min(math.dist(point, end) for point in other.ends) <= near:
            return at
    return None


def parallel_support(pieces: Sequence[Piece], crack_of_piece: Int64) -> Float64:
    """Return the support of each piece (N,) by parallel or perpendicular ones nearby, 0 to 1.

    Nearby means within `SEARCH_LENGTHS` times its own length, and among its about `MAX_NEIGHBOURS`
    nearest. Another piece counts by its length over the own length, at most 1, and twice if it is
    one of at least three parallels at equal spacing. A total of c gives 1 - 2^-c. Pieces in line
    are continuations and do not count. Of the same crack, given by ``crack_of_piece`` (N,), only
    those count that it meets as in a grid: a crack in steps has many that are parallel or
    perpendicular.
    """
    if not pieces:
        return np.zeros(0)
    ends = np.array([piece.ends for piece in pieces])
    along = np.array([piece.along for piece in pieces])
    lengths = np.array([piece.length for piece in pieces])
    widths = np.array([piece.crack_width_px for piece in pieces])
    lines: NDArray[np.object_] = np.asarray(shapely.linestrings(ends), np.object_)
    middles = ends.mean(axis=1)

    reach = SEARCH_LENGTHS * lengths
    if len(pieces) > MAX_NEIGHBOURS:  # lines are no farther apart than their middles
        farthest = np.asarray(cKDTree(middles).query(middles, [MAX_NEIGHBOURS])[0])
        reach = np.minimum(reach, farthest[:, 0])
    own, other = shapely.STRtree(lines).query(lines, predicate="dwithin", distance=reach)
    order = np.lexsort((other, own))
    own, other = own[order], other[order]
    cosine = np.abs((along[own] * along[other]).sum(axis=1))
    offset = cross_track(middles[other] - middles[own], along[own])
    near = CORNER_PX + CORNER_WIDTHS * np.maximum(widths[own], widths[other])
    other_crack = crack_of_piece[own] != crack_of_piece[other]
    within_length = np.zeros(len(own), bool)  # one has its middle beside the other
    for one, two in ((own, other), (other, own)):
        along_one = ((middles[two] - middles[one]) * along[one]).sum(axis=1)
        within_length |= np.abs(along_one) < lengths[one] / 2 - near
    parallel = cosine >= math.cos(math.radians(ALIGNED_DEG))
    parallel &= (np.abs(offset) > near / 2) & other_crack
    perpendicular = cosine <= math.sin(math.radians(ALIGNED_DEG))
    same = np.flatnonzero(perpendicular & ~other_crack)
    apart = shapely.distance(lines[own[same]], lines[other[same]])
    perpendicular[same] = within_length[same] & (apart <= near[same])
    counts = np.minimum(1.0, lengths[other] / lengths[own]) * (parallel | perpendicular)
    own_offsets = np.searchsorted(own, np.arange(len(pieces) + 1))
    for begin, end in pairwise(own_offsets):
        parallels = begin + np.flatnonzero(parallel[begin:end])
        counts[parallels[in_equal_spacing(offset[parallels])]] *= 2
    return np.asarray(1 - 0.5 ** np.bincount(own, counts, len(pieces)), np.float64)


def in_equal_spacing(offsets: Float64) -> Bools:
    """Return which parallels at ``offsets`` (N,) form three at equal spacing with a piece at 0.

    Another one lies as far on the other side, or at twice or half the distance.
    """
    ascending = np.append(np.sort(offsets), np.inf)
    slack = SPACING_TOLERANCE * np.abs(offsets)
    even = np.zeros(len(offsets), bool)
    for wanted in (-offsets, 2 * offsets, offsets / 2):
        next_one = ascending[np.searchsorted(ascending, wanted - slack)]
        even |= next_one <= wanted + slack
    return even
