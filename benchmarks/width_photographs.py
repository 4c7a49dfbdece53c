"""Compares widths on photographs: of the sample wall with the drawn ones, of masks with labels.

    python benchmarks/width_photographs.py wall OUT  # OUT: of crackcli scan sample_data/wall.tif
    python benchmarks/width_photographs.py masks DATA/test/deepcrack
    python benchmarks/width_photographs.py masks DATA/train --depths --limit 400

``wall`` compares samples where a measured crack lies on a drawn one. Drawn paths wind, and a width
across a winding path is less than that across the smooth line that is measured. The true width is
therefore taken across the smoothed path (width times the ratio of the lengths), so that length
times width stays the same area.

``masks`` compares widths of labelled masks with photometric ones inside the same masks. Masks are
not exact: labels are often a pixel or two too wide or too narrow. With ``--depths`` the contrast
of wide cracks is printed, which `crackcli.measuring.full_contrast` starts
from (`DEPTHS` and `ONE_PHOTOGRAPH`, from the training photographs)."""

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from crackcli.cracks.joints import JOINT_THRESHOLD, with_joint_likelihoods
from crackcli.cracks.tracing import trace
from crackcli.measuring.batches import read_batches
from crackcli.measuring.full_contrast import typical_contrast
from crackcli.measuring.measure import measure_all
from crackcli.measuring.optics import find_optics
from crackcli.measuring.profiles import ArrayPhotograph, RasterPhotograph
from crackcli.measuring.tone import TONE_CURVES, ToneCurve
from crackcli.rasters.reader import inspect
from crackcli.scenes.scene import Scene

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from truth import traced

DENSE_PX = 0.25  # between points of a drawn path
WIDE_PX = 4.0  # in the median: cracks that tell how dark they are
SMOOTH_PX = 3.0  # deviation: about as smooth as the centrelines of narrow cracks


def wall(given):
    """Print measured and true widths of the cracks of the sample wall."""
    sample = Path(__file__).resolve().parents[1] / "sample_data"
    scene = Scene.read(given.out / "wall")
    cracks = trace(scene.mask, scene.score, (scene.rows, scene.cols)).cracks
    cracks = [
        crack
        for crack in with_joint_likelihoods(cracks)
        if (crack.joint_likelihood or 0) < JOINT_THRESHOLD
    ]
    tones = [
        (None, "not told"),
        (TONE_CURVES["encoded"], "told that it was drawn in encoded values"),
    ]
    with RasterPhotograph(inspect(sample / "wall.tif")) as source:
        results = [(name, measure_all(cracks, source, tone=tone)[0]) for tone, name in tones]
    print(
        "| crack | true mean, max | mask: measured, bias | "
        + " | ".join(f"{name}: measured, bias, sigma, within 2 sigma" for name, _ in results)
        + " |\n"
        + "|---" * (3 + len(results))
        + "|"
    )
    for known in json.loads((sample / "truth.json").read_text())["wall"]:
        points, widths = dense(known["paths"])
        tree = cKDTree(points)
        cells = [known_at(tree, widths, [crack.widths.profile for crack in cracks], cracks)]
        cells += [
            known_at(tree, widths, [crack.widths.profile for crack in found], cracks)
            for _, found in results
        ]
        texts = []
        for number, (values, true, sigmas) in enumerate(cells):
            known_sigma = np.isfinite(sigmas)
            if number:
                values, true, sigmas = values[known_sigma], true[known_sigma], sigmas[known_sigma]
            if not len(values):
                texts.append("-")
                continue
            text = f"{values.mean():.2f}, {(values - true).mean():+.2f}"
            if number:
                within = 100 * (np.abs(values - true) <= 2 * sigmas).mean()
                text += f", {sigmas.mean():.2f}, {within:.0f} %"
            texts.append(text)
        mean, most = known["width_mean_px"], known["width_max_px"]
        print(f"| {known['crack_id']} | {mean:.1f}, {most:.1f} | " + " | ".join(texts) + " |")


def dense(paths):
    """Points (N, 2) along paths, smoothed, and the true widths (N,) across them."""
    points, widths = [], []
    for path in paths:
        known = np.array(path["points"])
        arc = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(known, axis=0).T))])
        way = np.arange(0, arc[-1], DENSE_PX)
        line = np.column_stack([np.interp(way, arc, axis) for axis in known.T])
        smooth = gaussian_filter1d(line, SMOOTH_PX / DENSE_PX, axis=0, mode="nearest")
        steps = np.hypot(*np.gradient(smooth, axis=0).T)
        winding = DENSE_PX / gaussian_filter1d(steps, SMOOTH_PX / DENSE_PX).clip(DENSE_PX / 2)
        points.append(smooth)
        widths.append(np.interp(way, arc, path["width_px"]) * winding)
    return np.concatenate(points), np.concatenate(widths)


def known_at(tree, true, profiles, cracks):
    """Measured and true widths and sigmas where cracks lie on a true one for half their length."""
    found = [np.zeros((3, 0))]
    for profile, _ in zip(profiles, cracks, strict=True):
        away, nearest = tree.query(profile.points)
        near = away < np.maximum(2, true[nearest] / 2 + 1)
        if near.mean() >= 0.5:
            near &= np.isfinite(profile.width_px)
            found.append(
                np.stack([profile.width_px[near], true[nearest[near]], profile.sigma_px[near]])
            )
    return np.concatenate(found, axis=1)


def masks(given):
    """Print widths of labelled masks beside photometric ones inside them, and depths."""
    rows, depths = [], {0.0: [], 1.0: []}
    paths = sorted((given.data / "masks").glob("*.png"))
    if given.limit:
        order = np.random.default_rng(0).permutation(len(paths))
        paths = [paths[number] for number in order[: given.limit]]
    for path in paths:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
        pictures = [
            found
            for folder in ("images", "crack")
            for found in sorted((given.data / folder).glob(f"{path.stem}.*"))
        ]
        if not mask.any() or not pictures or "_crop" in path.stem:
            continue
        rgb = cv2.cvtColor(cv2.imread(str(pictures[0])), cv2.COLOR_BGR2RGB)
        if rgb.shape[:2] != mask.shape:
            continue
        source, cracks = ArrayPhotograph(rgb), traced(mask)
        done, _ = measure_all(cracks, source)
        rows += [
            (crack.widths.mean_px, crack.length_px, new.widths)
            for crack, new in zip(cracks, done, strict=True)
            if crack.length_px >= given.least_px
        ]
        for share in depths if given.depths else ():
            optics = find_optics(cracks, source, ToneCurve(share, 0.0))
            found = [depths_of(batch, optics) for batch in read_all(cracks, source, optics)]
            depths[share].append(np.concatenate([*found, np.zeros(0)]))
    print("| mask, px | cracks | photometric | mean, mask | photometric | sigma | median ratio |")
    print("|---" * 7 + "|")
    for low, high in ((0, 2), (2, 3), (3, 5), (5, 8), (8, 12), (12, 20), (20, 60)):
        own = [row for row in rows if low <= row[0] < high]
        light = [row for row in own if row[2].method == "photometric"]
        if light:
            ratio = np.median([new.mean_px / old for old, _, new in light])
            print(
                f"| {low} to {high} | {len(own)} | {len(light)} | "
                f"{np.mean([row[0] for row in light]):.2f} | "
                f"{np.mean([row[2].mean_px for row in light]):.2f} | "
                f"{np.mean([row[2].mean_sigma_px for row in light]):.2f} | {ratio:.2f} |"
            )
    for share, photographs in depths.items():
        if photographs:
            tell_depths(share, photographs)


def read_all(cracks, source, optics):
    """The batches of all cracks."""
    return read_batches(range(len(cracks)), cracks, source, optics)


def depths_of(batch, optics):
    """The depths of those cracks of a batch that are wide."""
    found = batch.measure(optics)
    own = [found.width[batch.labels == place] for place in range(len(batch.indices))]
    wide = [np.nanmedian(one) >= WIDE_PX if np.isfinite(one).any() else False for one in own]
    return found.full_contrast[np.isfinite(found.full_contrast) & wide]


def tell_depths(share, photographs):
    """Print how dark cracks are, how far from what is usual, and how alike in one photograph."""
    found = np.concatenate(photographs)
    low, middle, high = np.percentile(found, [16, 50, 84])
    usual, _ = typical_contrast(share)
    nine = np.percentile(np.abs(found - usual), 90)
    pairs = [
        (abs(one - other), 1 / (len(own) - 1))
        for own in photographs
        for one, other in combinations(own, 2)
    ]
    away, weights = np.array(sorted(pairs)).T
    alike = np.interp(0.68, np.cumsum(weights) / weights.sum(), away) / np.sqrt(2)
    print(
        f"\ndepth, {share:g} linear: median {middle:.2f}, 68 % from {low:.2f} to {high:.2f}, "
        f"{len(found)} cracks; nine of ten are within 2 times {nine / 2:.2f} of {usual:.2f}; those "
        f"of one photograph deviate by {alike:.3f}"
    )


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("wall").add_argument("out", type=Path)
    labelled = kinds.add_parser("masks")
    labelled.add_argument("data", type=Path)
    labelled.add_argument("--least-px", type=float, default=30.0, help="length of a crack")
    labelled.add_argument("--depths", action="store_true")
    labelled.add_argument("--limit", type=int, default=0, help="so many masks, by chance")
    given = parser.parse_args()
    {"wall": wall, "masks": masks}[given.kind](given)


if __name__ == "__main__":
    main()
