"""Checks what a report promises: cracks as wide as the detection limit of their place are found.

    python benchmarks/promise.py DATA --limit 40
    python benchmarks/promise.py DATA --limit 10 --method lrp
    python benchmarks/promise.py DATA --limit 40 --misses misses

DATA is a data pack with test/<set>/images and test/<set>/masks. Each photograph is scanned with the
default options and assessed as by crackcli report. Labelled cracks are traced from their masks;
their width at each point is labelled area over length. A place of a crack is *promised* if it is
as wide as the detection limit of its block or wider, and *found* if a marked pixel lies within
half its width and `NEAR_PX` of its centreline, in a crack or in what the report sets aside as a
joint or as short. Of sample_data/wall.tif the drawn centrelines and widths are known. Cracks that
follow the joints of masonry have rows of their own; those of masonry_dais were told apart by eye,
by photograph (`IN_JOINTS`).

The table has, for each set: the labelled length; the fraction that is promised; what was found of
what was promised, of its dark part (`CONTRAST` or more), and of the rest. With --misses it draws
each photograph on which promised length was missed: found green, missed red, not promised blue, the
mask dark in the right half.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from joints import SAMPLE
from segmentation import labelled_photographs, scanned

from crackcli.cracks.tracing import trace_runs
from crackcli.datasets.pixel_labels import CRACK_ABOVE, evenly_spaced, read_mask
from crackcli.detectability.assessment import assess
from crackcli.detectability.block_quality import BLOCK_PX
from crackcli.detectability.limits import CONTRAST
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.masking.runs import find_runs
from crackcli.rasters.photograph import read_photograph
from crackcli.rasters.reader import inspect
from crackcli.registry import DEFAULT_METHOD

NEAR_PX = 3.0  # as the position of a crack of a label is not known better
AROUND_PX = (4, 20)  # beside a labelled crack, where its surface is seen
IN_JOINTS = {
    "masonry_dais": re.compile(r"dais_(a_(19|25|35|38|4|79)_|c_14_150)"),
    "sample wall": re.compile(r"^1$"),  # by the number of the crack
}
GREEN, RED, BLUE = (0, 160, 0), (0, 0, 255), (255, 120, 0)  # BGR


@dataclass(frozen=True, eq=False)
class Places:
    """Points (N, 2) of x and y on centrelines, widths (N,) and lengths (N,) that they stand for."""

    points: np.ndarray
    width_px: np.ndarray
    length_px: np.ndarray


@dataclass(frozen=True, eq=False)
class Checked:
    """Places of one photograph with their limits (N,), nan for none, which were found (N,), and by
    which fraction they are darker than the surface (N,)."""

    places: Places
    limit_px: np.ndarray
    found: np.ndarray
    contrast: np.ndarray

    @property
    def promised(self) -> np.ndarray:
        """Places that are as wide as their limit or wider."""
        return self.places.width_px >= self.limit_px


def joined(parts: list[Places]) -> Places:
    """All places of several."""
    return Places(
        np.concatenate([np.zeros((0, 2)), *(part.points for part in parts)]),
        np.concatenate([np.zeros(0), *(part.width_px for part in parts)]),
        np.concatenate([np.zeros(0), *(part.length_px for part in parts)]),
    )


def labelled_places(mask: np.ndarray) -> Places:
    """The places of the cracks of a labelled mask (rows, cols); ends take the width beside them."""
    mask = mask.astype(np.uint8)
    parts = []
    for crack in trace_runs(find_runs([(mask, mask)], *mask.shape), "label"):
        profile = crack.widths.profile
        width_px = profile.width_px.copy()
        for line in np.unique(profile.line):
            own = np.flatnonzero(profile.line == line)
            known = own[np.isfinite(width_px[own])]
            width_px[own] = (
                np.interp(own, known, width_px[known]) if len(known) else crack.widths.median_px
            )
        steps = np.full(len(width_px), crack.length_px / len(width_px))
        parts.append(Places(profile.points, width_px, steps))
    return joined(parts)


def drawn_places(paths: list[dict]) -> Places:
    """The places of drawn paths, 1 px apart."""
    parts = []
    for path in paths:
        points, width_px = np.array(path["points"], float), np.array(path["width_px"], float)
        arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        at = np.arange(0.5, arc[-1])
        columns = [np.interp(at, arc, values) for values in (*points.T, width_px)]
        parts.append(Places(np.stack(columns[:2], axis=1), columns[2], np.ones(len(at))))
    return joined(parts)


def check(photograph: Path, mask: np.ndarray, places: Places, method: str) -> Checked:
    """Whether the places of a photograph are promised, and found in the ``mask`` of a scan."""
    assessed = assess(inspect(photograph), method)
    col, row = np.rint(places.points).astype(int).T
    row, col = row.clip(0, mask.shape[0] - 1), col.clip(0, mask.shape[1] - 1)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    limit_px = assessed.detection_px[row // BLOCK_PX, col // BLOCK_PX]
    found = mask.any() & (away[row, col] <= places.width_px / 2 + NEAR_PX)
    return Checked(places, limit_px, found, contrasts(photograph, places)[row, col])


def contrasts(photograph: Path, places: Places) -> np.ndarray:
    """By which fraction the darkest pixel beside each pixel (rows, cols) is below its surroundings.

    These are the pixels that are `AROUND_PX` away from a crack of ``places``.
    """
    grey = read_photograph(photograph).mean(axis=2).astype(np.float32)
    crack = np.zeros(grey.shape, np.uint8)
    for (x, y), width in zip(places.points, places.width_px, strict=True):
        cv2.circle(crack, (round(x), round(y)), round(width / 2), 1, -1)
    beside = cv2.distanceTransform(1 - crack, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    around = ((beside > AROUND_PX[0]) & (beside < AROUND_PX[1])).astype(np.float32)
    side = (2 * AROUND_PX[1] + 1,) * 2
    total, count = (
        cv2.boxFilter(values, -1, side, normalize=False) for values in (grey * around, around)
    )
    darkest = cv2.erode(grey, np.ones((3, 3), np.uint8))
    return 1 - darkest * count / np.maximum(total, 1.0)


def checked_set(
    folder: Path, limit: int | None, scorer: StripScorer, method: str, scratch: Path
) -> Iterator[tuple[Path, np.ndarray, Checked]]:
    """Each photograph of a set with the mask of its scan and its places."""
    for photograph, labels in evenly_spaced(labelled_photographs(folder), limit):
        mask = scanned(photograph, "auto", scorer, scratch / folder.name)
        places = labelled_places(read_mask(labels) > CRACK_ABOVE)
        yield photograph, mask, check(photograph, mask, places, method)


def draw(photograph: Path, mask: np.ndarray, checked: Checked, path: Path) -> None:
    """Draw the photograph with its places, and the mask beside it."""
    image = cv2.cvtColor(read_photograph(photograph), cv2.COLOR_RGB2BGR)
    scale = max(1, 768 // max(mask.shape))
    image, marked = (
        cv2.resize(array, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        for array in (image, mask.astype(np.uint8))
    )
    right = image.copy()
    right[marked > 0] = 0
    rows = zip(checked.places.points, checked.promised, checked.found, strict=True)
    for point, promised, found in rows:
        color = (GREEN if found else RED) if promised else BLUE
        x, y = ((point + 0.5) * scale).astype(int).tolist()
        cv2.circle(image, (x, y), 1, color, -1)
    cv2.imwrite(str(path), np.hstack([image, right]))


def kind_of(which: str, name: str) -> str:
    """The row to which a photograph, or a crack, of a set belongs."""
    in_joints = IN_JOINTS.get(which)
    return f"{which}, in joints" if in_joints and in_joints.search(name) else which


def row_of(name: str, checked: list[Checked]) -> str:
    """A row of the table."""
    length = np.concatenate([one.places.length_px for one in checked])
    promised = np.concatenate([one.promised for one in checked])
    found = np.concatenate([one.found for one in checked])
    dark = np.concatenate([one.contrast for one in checked]) >= CONTRAST
    whole = length.sum()
    cells = [f"{whole:.0f}", f"{length[promised].sum() / whole:.0%}"]
    for which in (promised, promised & dark, ~promised):
        of = length[which].sum()
        cells.append(f"{length[which & found].sum() / of:.1%}" if of else "")
    return "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    """Scan, check and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=["deepcrack", "masonry_dais"])
    parser.add_argument("--limit", type=int, help="photographs of each set, evenly spaced")
    parser.add_argument("--method", default=DEFAULT_METHOD, help="as of crackcli scan")
    parser.add_argument("--misses", type=Path, help="folder for pictures of what was missed")
    given = parser.parse_args()
    scorer = open_scorer(ModelOptions(method=given.method))
    if given.misses:
        given.misses.mkdir(parents=True, exist_ok=True)
    print("| set | length, px | promised | found of it | of its dark part | of the rest |")
    print("|---" * 6 + "|")
    with tempfile.TemporaryDirectory() as name:
        for which in given.sets:
            folder = given.data / "test" / which
            rows: dict[str, list[Checked]] = {}
            for photograph, mask, checked in checked_set(
                folder, given.limit, scorer, given.method, Path(name)
            ):
                rows.setdefault(kind_of(which, photograph.stem), []).append(checked)
                if given.misses and (checked.promised & ~checked.found).any():
                    path = given.misses / f"{which}_{photograph.stem}.png"
                    draw(photograph, mask, checked, path)
            for kind, group in sorted(rows.items()):
                print(row_of(f"{kind}, {len(group)}", group), flush=True)
        wall = SAMPLE / "wall.tif"
        mask = scanned(wall, "auto", scorer, Path(name))
        paths: dict[str, list[dict]] = {}
        for crack in json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))["wall"]:
            kind = kind_of("sample wall", str(crack["crack_id"]))
            paths.setdefault(kind, []).extend(crack["paths"])
        for kind, own in sorted(paths.items()):
            print(row_of(kind, [check(wall, mask, drawn_places(own), given.method)]), flush=True)


if __name__ == "__main__":
    main()
