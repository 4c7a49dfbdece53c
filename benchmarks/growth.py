"""Follows cracks that grow on photographs from different places: is growth found, and how much?

    PYTHONPATH=. python benchmarks/growth.py DATA -o work -n 24
    PYTHONPATH=. python benchmarks/growth.py DATA -o work -n 24 --still

The experiment of `crackcli evaluate --growth`, made harder: a random crack is drawn on a crack-free
photograph of DATA/negatives, 0.25 px wider at each of five steps, and each step is photographed
from another place in other light (as in benchmarks/repeatability.py). All are scanned with the
default student and reported; each step is compared with the first. Positions are carried over by
the known homographies. With ``--still`` the camera does not move, as in that experiment.

Printed: Pearson's r and the error of the slope of mean and largest width over the steps, of what
`compare` says and of the widths of the reports; and of how many cracks a growth of 0.5 and 1 px is
significant.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from second_photograph import camera, campaigns, changes, shoot

from crackcli.comparison.change import Change
from crackcli.evaluation.growth import GROWTH_PX, STEPS, correlation, draw_growing_crack, slope

SOURCE_PX, SIDE_PX = 480, 448  # of the crack-free photograph, and of those taken of it
HALF_STEP, WHOLE_STEP = 2, 4  # steps at which a crack is 0.5 and 1 px wider


def make_photographs(data: Path, out: Path, count: int, seed: int, *, still: bool) -> None:
    """Write the photographs of every crack and step, and their homographies by name."""
    paths = sorted((data / "negatives").rglob("*.jpg"))
    rng = np.random.default_rng(seed)
    cameras: dict[str, list[list[float]]] = {}
    (out / "photographs").mkdir(parents=True, exist_ok=True)
    number = 0
    for path in rng.permutation(np.array(paths, dtype=object)):
        photograph = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photograph is None or min(photograph.shape[:2]) < SOURCE_PX:
            continue
        source = np.ascontiguousarray(photograph[:SOURCE_PX, :SOURCE_PX, ::-1])
        trajectory = draw_growing_crack(source, np.random.default_rng([seed, number]))
        for step, drawn in enumerate(trajectory.photographs):
            own = np.random.default_rng([seed, number, step])
            homography, taken = np.eye(3), drawn[:SIDE_PX, :SIDE_PX, ::-1]
            if not still:
                homography = camera(own, (SOURCE_PX / 2, SOURCE_PX / 2), 1.0, SIDE_PX)
                taken = shoot(own, drawn[..., ::-1], homography, 1.0, SIDE_PX)
            name = f"crack{number:03d}_{step}"
            cv2.imwrite(str(out / "photographs" / f"{name}.png"), taken)
            cameras[name] = homography.tolist()
        number += 1
        if number == count:
            break
    (out / "cameras.json").write_text(json.dumps(cameras))


def longest(found: list[Change]) -> Change | None:
    """The change of the longest crack that both photographs show, with its widths."""
    known = [one for one in found if one.common_px and "width_mean" in one.differences]
    return max(known, key=lambda one: one.common_px, default=None)


def follow(out: Path) -> None:
    """Compare each step of every crack with its first, and print the figures."""
    cameras = {
        name: np.array(homography)
        for name, homography in json.loads((out / "cameras.json").read_text()).items()
    }
    known = campaigns(out / "scans")
    cracks = sorted({name.rsplit("_", 1)[0] for name in cameras})
    series: dict[str, list[tuple[float, float]]] = {"mean": [], "max": [], "report mean": []}
    detected: dict[int, list[bool]] = {HALF_STEP: [], WHOLE_STEP: []}
    compared = 0
    for crack in cracks:
        widths = {name: [0.0] for name in ("mean", "max")}
        reported: list[float] = []
        for step in range(1, STEPS):
            pair = known[f"{crack}_0"], known[f"{crack}_{step}"]
            found, critical = changes(*pair, cameras, SIDE_PX)
            change = longest(found)
            if change is None:
                break
            reported = reported or [change.before.width_mean]
            reported.append(change.after.width_mean)
            for name in widths:
                widths[name].append(change.differences[f"width_{name}"].value)
            if step in detected:
                tests = (change.tests.get(f"width_{name}", 1.0) for name in ("mean", "max"))
                detected[step].append(min(tests) <= critical)
        if len(reported) < STEPS:
            continue
        compared += 1
        true = GROWTH_PX * np.arange(STEPS)
        for name, values in (*widths.items(), ("", None)):
            measured = np.array(reported if values is None else values)
            error = abs(slope(measured) - GROWTH_PX) / GROWTH_PX
            series[name or "report mean"].append((correlation(measured, true), error))
    print(f"{compared} of {len(cracks)} cracks found and measured at all {STEPS} steps\n")
    print("| width | r, mean | r, median | slope error, mean | slope error, median |")
    print("| --- | --- | --- | --- | --- |")
    for name, pairs in series.items():
        r, error = np.array(pairs).T
        cells = (name, f"{r.mean():.3f}", f"{np.median(r):.3f}")
        print("|", " | ".join((*cells, f"{error.mean():.0%}", f"{np.median(error):.0%}")), "|")
    for step, answers in detected.items():
        print(f"\ngrowth of {step * GROWTH_PX:g} px significant: {sum(answers)} of {len(answers)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("-n", "--cracks", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--still", action="store_true", help="the camera does not move")
    given = parser.parse_args()
    make_photographs(given.data, given.output, given.cracks, given.seed, still=given.still)
    scans = given.output / "scans"
    crackcli = [sys.executable, "-m", "crackcli"]
    for step in (["scan", given.output / "photographs", "-o", scans], ["report", scans]):
        subprocess.run([*crackcli, *step, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    follow(given.output)


if __name__ == "__main__":
    main()
