"""Compares photographs of one state: every change that is reported is an error.

    PYTHONPATH=. python benchmarks/repeatability.py DATA -o work
    PYTHONPATH=. python benchmarks/repeatability.py DATA -o work --seed 1 --only render concrete

Places of the photographs in DATA/large and of the sample wall are each photographed several times
from other positions, in other light, with other blur, noise and compression. The copies are
scanned and reported, then compared one with the next. Positions are carried over by the
homographies that made the copies, so what is left is the repeatability of scan, report and
comparison.

Printed for each place: pairs of cracks (from 60 px, over half of either in common); of those alike
in length to a fifth, how many mean and largest widths of the report differ by more than 1.96 stated
uncertainties; the same of all pairs on their common stretch, as compared; then all cracks: how many
are hidden, and how many significantly changed, new or gone.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from second_photograph import camera, campaigns, changes, round_of, shoot

from crackcli.comparison.campaign import Campaign
from crackcli.comparison.change import Change

SIDE_PX = 640  # of a copy
MIN_LENGTH_PX, MIN_COMMON, ALIKE = 60, 0.5, 0.8
Z = 1.96  # uncertainties that 95 % of differences keep within


@dataclass(frozen=True)
class Place:
    """A part of a photograph: its centre, and pixels of a copy per pixel of the photograph."""

    photograph: str
    centre: tuple[float, float]
    scale: float


PLACES = {
    "render_half": Place("wall_render_22.jpg", (2500, 1100), 0.45),
    "render_third": Place("wall_render_22.jpg", (1700, 1150), 0.39),
    "brick_half": Place("wall_render_brick_05.jpg", (1500, 1000), 0.5),
    "brick_third": Place("wall_render_brick_05.jpg", (1900, 1100), 0.4),
    "concrete_most": Place("concrete_toshimickey_c1.jpg", (2300, 1200), 0.7),
    "concrete_half": Place("concrete_toshimickey_c1.jpg", (2300, 1600), 0.4),
    "concrete_third": Place("concrete_toshimickey_c1.jpg", (2300, 1536), 0.29),
    "retaining_most": Place("retaining_wall_29.jpg", (950, 480), 0.8),
    "retaining_half": Place("retaining_wall_29.jpg", (798, 533), 0.56),
    "sample": Place("sample_data/wall.tif", (2000, 900), 0.6),
}


def make_copies(data: Path, out: Path, names: list[str], copies: int, seed: int) -> None:
    """Write the copies of every place as PNG, and their homographies by name."""
    cameras: dict[str, list[list[float]]] = {}
    (out / "photographs").mkdir(parents=True, exist_ok=True)
    for name in names:
        place = PLACES[name]
        inside = Path(place.photograph).parent != Path()
        path = Path(place.photograph) if inside else data / "large" / place.photograph
        photograph = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photograph is None:
            sys.exit(f"{path}: cannot be read; run from the root of the repository")
        for number in range(copies):
            rng = np.random.default_rng([seed, number, *name.encode()])
            homography = camera(rng, place.centre, place.scale, SIDE_PX)
            copy = shoot(rng, photograph, homography, place.scale, SIDE_PX)
            cv2.imwrite(str(out / "photographs" / f"{name}_{number}.png"), copy)
            cameras[f"{name}_{number}"] = homography.tolist()
    (out / "cameras.json").write_text(json.dumps(cameras))


def compare_places(out: Path, names: list[str]) -> None:
    """Compare the copies of every place, and print the table."""
    cameras = {
        name: np.array(homography)
        for name, homography in json.loads((out / "cameras.json").read_text()).items()
    }
    known = campaigns(out / "scans")
    print(
        "| place | pairs | alike: mean, max beyond | common: mean, max beyond | rms, px | ", end=""
    )
    print("cracks | hidden | significant |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    everything: list[tuple[list[list[float]], list[Change], int]] = []
    for name in names:
        own = [one for one in cameras if one.rsplit("_", 1)[0] == name]
        rows, found, significant = [], [], 0
        for earlier, later in round_of(own):
            before, after = known[earlier], known[later]
            pair, critical = changes(before, after, cameras, SIDE_PX)
            rows += [row for one in pair if (row := pair_of(one, before, after)) is not None]
            significant += sum(any(p <= critical for p in one.tests.values()) for one in pair)
            found += pair
        everything.append((rows, found, significant))
        print_row(name, rows, found, significant)
    print_row(
        "all",
        [row for rows, _, _ in everything for row in rows],
        [change for _, found, _ in everything for change in found],
        sum(number for _, _, number in everything),
    )


def pair_of(change: Change, before: Campaign, after: Campaign) -> list[float] | None:
    """The differences over uncertainties of a long crack that is one in both: mean and largest
    width of the reports (nan unless alike in length), the same as compared, and the difference."""
    if change.relation != "one" or "width_mean" not in change.differences:
        return None
    lengths = change.before.length, change.after.length
    compared = [change.differences[name] for name in ("width_mean", "width_max")]
    if min(lengths) < MIN_LENGTH_PX or change.common_px < MIN_COMMON * max(lengths):
        return None
    reports = [np.nan, np.nan]
    if min(lengths) >= ALIKE * max(lengths):
        rows = [
            int(np.flatnonzero(one.ids == ids[0])[0])
            for one, ids in ((before, change.ids_before), (after, change.ids_after))
        ]
        for place, name in enumerate(("width_mean", "width_max")):
            (was, u_was), (now, u_now) = (
                (one.columns[f"{name}_px"][row], one.columns[f"{name}_unc_px"][row])
                for one, row in zip((before, after), rows, strict=True)
            )
            reports[place] = abs(now - was) / np.hypot(u_was, u_now)
    stated = [abs(one.value) / one.sigma for one in compared if one.sigma]
    return [*reports, *stated, compared[0].value]


def print_row(name: str, rows: list[list[float]], found: list[Change], significant: int) -> None:
    """Print a row of the table."""
    table = np.array(rows).reshape(-1, 5)
    cells = []
    for first in (0, 2):
        known = table[np.isfinite(table[:, first])]
        beyond = [f"{100 * np.mean(known[:, first + one] > Z):.0f} %" for one in (0, 1)]
        cells.append(", ".join(beyond) if len(known) else "")
    rms = np.sqrt(np.mean(table[:, 4] ** 2)) if len(table) else np.nan
    hidden = sum(change.kind == "hidden" for change in found)
    share = f"{significant} ({100 * significant / max(1, len(found)):.1f} %)"
    columns = (name, len(table), *cells, f"{rms:.2f}", len(found), hidden, share)
    print("|", " | ".join(map(str, columns)), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[""], help="places whose name begins so")
    given = parser.parse_args()
    names = [name for name in PLACES if name.startswith(tuple(given.only))]
    make_copies(given.data, given.output, names, given.copies, given.seed)
    scans = given.output / "scans"
    crackcli = [sys.executable, "-m", "crackcli"]
    for step in (["scan", given.output / "photographs", "-o", scans], ["report", scans]):
        subprocess.run([*crackcli, *step, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    compare_places(given.output, names)


if __name__ == "__main__":
    main()
