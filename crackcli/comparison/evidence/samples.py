"""Samples along the lines of a campaign: their places, and the widths measured there.

Notation: N lines, S samples of all lines, about 1 px apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float64, Int64
from crackcli.scenes.frames import Frame, Geometries, apply_affine

SAMPLE_PX = 1.0  # largest distance between samples of a line without a width profile
STEP_PX = 0.5  # half the distance over which the map between two photographs is differentiated


class Alignment(Protocol):
    """Map between two photographs of one surface: where a place of one lies in the other.

    Points (N, 2) are (x, y) in px, of pixel edges: the middle of the first pixel is (0.5, 0.5).
    """

    def to_after(self, points: Float64) -> Float64:
        """Return points of the earlier photograph in the later one, also outside it."""
        ...

    def to_before(self, points: Float64) -> Float64:
        """Return points of the later photograph in the earlier one, also outside it."""
        ...

    def sigma_px(self, points: Float64) -> Float64:
        """Return the standard deviation per axis (N,) at points of the later photograph, in its
        px; nan where unknown."""
        ...

    def trusted(self, points: Float64) -> Bools:
        """Return the points of the later photograph that both show, and whose place in the earlier
        one is known well enough to compare."""
        ...


class SameGrid:
    """Alignment of two photographs on one grid, which need none."""

    def to_after(self, points: Float64) -> Float64:
        """Return the points themselves."""
        return points

    def to_before(self, points: Float64) -> Float64:
        """Return the points themselves."""
        return points

    def sigma_px(self, points: Float64) -> Float64:
        """Return zeros (N,)."""
        return np.zeros(len(points))

    def trusted(self, points: Float64) -> Bools:
        """Return all points."""
        return np.ones(len(points), bool)


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of the lines of a campaign, in the order of the lines.

    ``owner`` (S,) is the line of each sample; ``run`` (S,) numbers its unbroken parts, which are
    in order; ``points`` (S, 2) are in px of pixel edges; ``steps`` (S,) is the length of each.
    ``width``, ``sigma`` and ``systematic`` (S,) in px are as in
    `crackcli.report.tables.width_table`, nan where unknown.
    """

    owner: Int64
    run: Int64
    points: Float64
    steps: Float64
    width: Float64
    sigma: Float64
    systematic: Float64

    def __len__(self) -> int:
        return len(self.owner)

    def of(self, chosen: Bools | Int64) -> "Samples":
        """Return some of the samples."""
        return Samples(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def rows_of(self, lines: Sequence[int]) -> Int64:
        """Return the numbers of the samples of some lines."""
        first = np.searchsorted(self.owner, lines, "left")
        last = np.searchsorted(self.owner, lines, "right")
        ranges = [np.arange(*ends) for ends in zip(first, last, strict=True)]
        return np.concatenate([np.zeros(0, np.int64), *ranges])

    @property
    def measured(self) -> Bools:
        """The samples (S,) with a width and its uncertainty."""
        return np.isfinite(self.width) & np.isfinite(self.sigma)

    @property
    def directions(self) -> Float64:
        """Unit vectors (S, 2) along the lines."""
        along = np.zeros((len(self), 2))
        for part in self.runs():
            if part.stop - part.start > 1:
                along[part] = np.gradient(self.points[part], axis=0)
        size = np.hypot(*along.T)
        along[size == 0] = 1.0, 0.0
        along[size > 0] /= size[size > 0, None]
        return along

    @property
    def ends(self) -> Bools:
        """The first and the last sample (S,) of each unbroken part."""
        new = np.diff(self.run, prepend=-1, append=-1) != 0
        ends: Bools = new[:-1] | new[1:]
        return ends

    def runs(self) -> list[slice]:
        """Return the slice of each unbroken part."""
        starts = np.flatnonzero(np.diff(self.run, prepend=-1)).tolist()
        return [slice(*ends) for ends in zip(starts, [*starts[1:], len(self)], strict=True)]

    def carried(self, alignment: Alignment) -> "Samples":
        """Return samples of the earlier photograph in px of the later one.

        A width is across the line; where the map enlarges an area by A and the line by L, it
        enlarges the width by A / L.
        """
        if not len(self):
            return self
        jacobian = derivative(self.points, alignment)
        area = np.abs(np.linalg.det(jacobian))
        along = np.hypot(*np.einsum("sij,sj->si", jacobian, self.directions).T)
        across = area / np.maximum(along, 1e-9)
        return replace(
            self,
            points=alignment.to_after(self.points),
            steps=self.steps * along,
            width=self.width * across,
            sigma=self.sigma * across,
            systematic=self.systematic * across,
        )


def derivative(points: Float64, alignment: Alignment) -> Float64:
    """Return the derivatives (N, 2, 2) of the map to the later photograph at points (N, 2) of the
    earlier one."""
    columns = []
    for axis in range(2):
        shift = STEP_PX * np.eye(2)[axis]
        forth, back = (alignment.to_after(points + sign * shift) for sign in (1, -1))
        columns.append((forth - back) / (2 * STEP_PX))
    return np.stack(columns, axis=2)


def local_scale(points: Float64, alignment: Alignment) -> Float64:
    """Return px of the later photograph per px of the earlier one (N,) at points (N, 2) of that."""
    area: Float64 = np.abs(np.linalg.det(derivative(points, alignment)))
    return np.sqrt(area).clip(1e-6)


def sample_lines(
    lines: Geometries, ids: NDArray[np.object_], profiles: Mapping[str, NDArray[Any]], frame: Frame
) -> Samples:
    """Return the samples of lines (N,) in pixels.

    ``profiles`` is the table of widths of a report (`crackcli.report.tables.width_table`), whose
    places are in ``frame``. Lines that it lacks get samples without a width.
    """
    names, owner_of_name = np.unique(ids.astype(str), return_index=True)
    parts: list[Samples] = []
    known = np.zeros(len(lines), bool)
    if len(profiles.get("crack_id", ())) and len(names):
        of_row = profiles["crack_id"].astype(str)
        place = np.searchsorted(names, of_row).clip(max=len(names) - 1)
        ours = names[place] == of_row
        rows = {name: values[ours] for name, values in profiles.items()}
        owner = owner_of_name[place[ours]]
        order = np.lexsort((rows["along_px"], rows["line"], owner))
        rows = {name: values[order] for name, values in rows.items()}
        owner = owner[order]
        known[owner] = True
        places = np.column_stack([rows["x"], rows["y"]])
        sigma = rows["unc_px"].astype(float)
        parts.append(
            numbered(
                owner,
                rows["line"].astype(np.int64),
                apply_affine(~frame.transform, places),
                rows["width_px"].astype(float),
                sigma,
                # Reports of earlier versions lack the column; the cautious reading of them.
                rows["unc_common_px"].astype(float) if "unc_common_px" in rows else sigma,
            )
        )
    others = np.flatnonzero(~known)
    if len(others):
        pieces, which = shapely.get_parts(lines[others], return_index=True)
        points, piece = shapely.get_coordinates(
            shapely.segmentize(pieces, SAMPLE_PX), return_index=True
        )
        unknown = np.full(len(points), np.nan)
        parts.append(numbered(others[which[piece]], piece, points, unknown, unknown, unknown))
    both = joined(parts)
    return both.of(np.argsort(both.owner, kind="stable"))


def numbered(
    owner: Int64, line: Int64, points: Float64, width: Float64, sigma: Float64, systematic: Float64
) -> Samples:
    """Return samples with their runs numbered and their steps measured."""
    new = (np.diff(owner, prepend=-1) != 0) | (np.diff(line, prepend=-1) != 0)
    run = np.cumsum(new).astype(np.int64) - 1
    steps = np.ones(len(points))
    if len(points) > 1:
        gaps = np.hypot(*np.diff(points, axis=0).T)
        gaps[new[1:]] = 0.0  # between two runs
        steps = (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / 2
    return Samples(owner.astype(np.int64), run, points, steps, width, sigma, systematic)


def joined(parts: list[Samples]) -> Samples:
    """Return samples of several tables as one."""
    if not parts:
        none = np.zeros(0)
        empty = np.zeros(0, np.int64)
        return Samples(empty, empty, np.zeros((0, 2)), none, none, none, none)
    first = np.cumsum([0, *(int(part.run[-1]) + 1 if len(part) else 0 for part in parts[:-1])])
    shifted = [
        replace(part, run=part.run + start) for part, start in zip(parts, first, strict=True)
    ]
    return Samples(
        *(
            np.concatenate([getattr(part, field.name) for part in shifted])
            for field in fields(Samples)
        )
    )
