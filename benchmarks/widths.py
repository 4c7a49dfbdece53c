"""How wide a crack is measured, beside how wide it is.

    python benchmarks/widths.py truth -n 12 -o widths.png
    python benchmarks/widths.py wall OUT             # OUT: of crackcli scan sample_data/wall.tif
    python benchmarks/widths.py labels DATA/test/deepcrack
    python benchmarks/widths.py speed

``truth`` draws cracks of known width at any angle, curved, with blur of 0.5 to 1.5 px, noise of 1 to
5 %, a gradient, and a mortar joint beside one of three; a wider crack of nearly the same darkness is
in the photograph, or none (alone).  Photometric widths come from a ragged mask about a pixel off;
the other measures get the best mask there can be, that of the pixels covered by half.  ``labels``
compares widths of labelled masks with photometric ones inside the same masks; labels are no truth of
widths.  It also tells how dark cracks are where they are wide, which `crackcli.photometry` starts
from (`DEPTHS`, from the training photographs).
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from crackcli import photometry, scene_optics
from crackcli.batches import read
from crackcli.cracks import trace
from crackcli.joints import JOINT, judged
from crackcli.measuring import measure_all
from crackcli.photometry import Optics
from crackcli.profiles import ArrayPhotograph, RasterPhotograph
from crackcli.raster import inspect
from crackcli.scene import Scene
from crackcli.study_width import largest_width
from crackcli.tone import Tone

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from truth import Conditions, coverage, curve, photograph, ragged, ribbon, traced

WIDTHS_PX = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0)
SHAPE = (320, 420)
LENGTH_PX = 220
WIDE_PX = 8.0  # of the other crack
BETWEEN, WITHIN = 0.05, 0.03  # by how much darkness varies from crack to crack, and along one


def case(rng, width, linear, alone):
    """The measures of one drawn crack: photometric mean, its sigma, samples and their sigmas, and
    the widths by area over length, the distance transform and the study."""
    first, other = (95 + width / 2, 160), (420 - 70, 160)
    angle = rng.uniform(0, 180)
    angle = 90 + (angle - 90) * (0.12 if not alone else 1.0)
    places = [(SHAPE[1] / 2, SHAPE[0] / 2)] if alone else [first, other]
    widths = [width] if alone else [width, WIDE_PX]
    lines = [curve(rng, place, LENGTH_PX, angle, 6) for place in places]
    covers = [
        coverage([ribbon(line, wide)], SHAPE) for line, wide in zip(lines, widths, strict=True)
    ]
    turns = int(rng.integers(4))
    covers = [np.ascontiguousarray(np.rot90(cover, turns)) for cover in covers]
    conditions = Conditions(
        blur_px=rng.uniform(0.5, 1.5),
        noise=rng.uniform(0.01, 0.05),
        wall=rng.uniform(140, 200),
        crack=rng.uniform(30, 60),
        linear=linear,
        rise=rng.uniform(-0.3, 0.3),
        joint_px=rng.uniform(8, 14) if rng.random() < 1 / 3 else None,
    )
    depths = [1 + BETWEEN * rng.standard_normal() for _ in covers]
    patches = [
        cv2.resize(rng.standard_normal((12, 12)), cover.shape[::-1], interpolation=cv2.INTER_CUBIC)
        for cover in covers
    ]
    image = photograph(
        rng,
        covers,
        conditions,
        [depth + WITHIN * patch for depth, patch in zip(depths, patches, strict=True)],
    )
    mask = np.maximum.reduce([ragged(rng, cover) for cover in covers])
    cracks, _ = measure_all(traced(mask), ArrayPhotograph(image))
    ours = max(cracks, key=lambda crack: overlap(crack, covers[0]))
    best = covers[0] >= 0.5
    thin = skeletonize(best)
    edt = 2 * distance_transform_edt(best)[thin].mean() if thin.any() else np.nan
    area = traced(best)
    return {
        "method": ours.widths.method,
        "mean": ours.widths.mean_px,
        "sigma": ours.widths.mean_sigma_px or np.nan,
        "max": ours.widths.max_px,
        "max_sigma": ours.widths.max_sigma_px or np.nan,
        "samples": ours.widths.profile.width_px,
        "sigmas": ours.widths.profile.sigma_px,
        "area": area[0].widths.mean_px if area else np.nan,
        "edt": edt,
        "study": largest_width(best) or np.nan,
    }


def overlap(crack, cover):
    """How many points of a crack's centreline lie on a cover."""
    points = np.concatenate(crack.centreline).round().astype(int)
    rows, cols = points[:, 1].clip(0, cover.shape[0] - 1), points[:, 0].clip(0, cover.shape[1] - 1)
    return int((cover[rows, cols] > 0).sum())


def truth(given):
    """Print the table of drawn cracks and draw it."""
    chart = {}
    for linear in (True, False):
        for alone in (False, True):
            wanted = [w for w in WIDTHS_PX if w <= 4] if alone else WIDTHS_PX
            mixed = "linear light" if linear else "encoded values"
            print(f"\nMixed in {mixed}, {'alone' if alone else 'a wider crack beside'}:\n")
            print(
                "| true px | photometric | bias | sd | sigma | mean within 2 sigma | samples within |"
                " max less true | area / length | 2 x EDT | study |\n" + "|---" * 11 + "|"
            )
            chart[linear, alone] = []
            for number, width in enumerate(wanted):
                rng = np.random.default_rng([given.seed, linear, alone, number])
                cases = [case(rng, width, linear, alone) for _ in range(given.number)]
                light = [one for one in cases if one["method"] == "photometric"]
                row = row_of(width, cases, light)
                chart[linear, alone].append((width, row))
                print(
                    f"| {width:g} | {len(light)} of {len(cases)} | "
                    + " | ".join(f"{value:+.2f}" for value in row[:1])
                    + f" | {row[1]:.2f} | {row[2]:.2f} | {row[3]:.0f} % | {row[4]:.0f} % | "
                    + " | ".join(f"{value:+.2f}" for value in row[5:])
                    + " |",
                    flush=True,
                )
    draw(chart, given.output)


def row_of(width, cases, light):
    """Bias, sd, mean sigma, shares within two sigma, and biases of the other measures."""
    means = np.array([one["mean"] for one in light])
    sigmas = np.array([one["sigma"] for one in light])
    samples = np.concatenate([one["samples"] for one in light] or [np.zeros(0)])
    each = np.concatenate([one["sigmas"] for one in light] or [np.zeros(0)])
    known = np.isfinite(each)
    within = np.abs(samples[known] - width) <= 2 * each[known]
    with np.errstate(all="ignore"):
        others = [
            float(np.nanmean([one[name] for one in cases] + [np.nan]) - width)
            if np.isfinite([one[name] for one in cases]).any()
            else np.nan
            for name in ("area", "edt", "study")
        ]
    if not len(means):
        return [np.nan] * 6 + others
    return [
        float(means.mean() - width),
        float(means.std()),
        float(sigmas.mean()),
        100 * float((np.abs(means - width) <= 2 * sigmas).mean()),
        100 * float(within.mean()),
        float(np.mean([one["max"] for one in light]) - width),
        *others,
    ]


def draw(chart, path):
    """The biases over the true width, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), sharey=True)
    for axis, linear in zip(axes, (True, False), strict=True):
        rows = chart[linear, False]
        true = [width for width, _ in rows]
        bias, sd = (np.array([row[at] for _, row in rows]) for at in (0, 1))
        axis.errorbar(true, bias, sd, label="photometric", color="black", capsize=2)
        for at, name in ((6, "area / length of the mask"), (7, "2 x distance"), (8, "study")):
            axis.plot(true, [row[at] for _, row in rows], "--", label=name)
        axis.axhspan(-0.1, 0.1, color="0.9")
        axis.set(xscale="log", xlabel="true width, px", ylim=(-1, 3))
        axis.set_title("mixed in linear light" if linear else "mixed in encoded values")
    axes[0].set_ylabel("measured less true, px")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    print(f"\n{path}")


def wall(given):
    """Print measured and true widths of the cracks of the sample wall."""
    sample = Path(__file__).resolve().parents[1] / "sample_data"
    scene = Scene.read(given.out / "wall")
    cracks = trace(scene.mask, scene.score, (scene.rows, scene.cols)).cracks
    cracks = [crack for crack in judged(cracks) if (crack.joint_likelihood or 0) < JOINT]
    tones = [(None, "linear"), (Tone(0.0, 0.1), "encoded, as it was drawn")]
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
    """Points (N, 2) every quarter of a pixel along paths, and the true widths (N,) there."""
    points, widths = [], []
    for path in paths:
        known = np.array(path["points"])
        arc = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(known, axis=0).T))])
        way = np.arange(0, arc[-1], 0.25)
        points.append(np.column_stack([np.interp(way, arc, axis) for axis in known.T]))
        widths.append(np.interp(way, arc, path["width_px"]))
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


def labels(given):
    """Print widths of labelled masks beside photometric ones inside them, and depths."""
    rows, depths = [], {0.0: [], 1.0: []}
    for path in sorted((given.data / "masks").glob("*.png")):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
        pictures = [
            found
            for folder in ("images", "crack")
            for found in sorted((given.data / folder).glob(f"{path.stem}.*"))
        ]
        if not mask.any() or not pictures or "_crop" in path.stem:
            continue
        rgb = cv2.cvtColor(cv2.imread(str(pictures[0])), cv2.COLOR_BGR2RGB)
        source, cracks = ArrayPhotograph(rgb), traced(mask)
        done, _ = measure_all(cracks, source)
        rows += [
            (crack.widths.mean_px, crack.length_px, new.widths)
            for crack, new in zip(cracks, done, strict=True)
            if crack.length_px >= given.least_px
        ]
        for share in depths if given.depths else ():
            optics = Optics(tone=Tone(share, 0.0))
            for batch in read(range(len(cracks)), cracks, source, optics):
                found = batch.measure(optics).depth
                depths[share] += found[np.isfinite(found)].tolist()
    print(
        "| mask, px | cracks | photometric | mask, mean | photometric, mean | sigma | median ratio |"
    )
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
    for share, found in depths.items():
        if found:
            low, middle, high = np.percentile(found, [16, 50, 84])
            print(
                f"\ndepth, {share:g} linear: median {middle:.2f}, 68 % from {low:.2f} to {high:.2f},"
                f" {len(found)} cracks"
            )


def speed(given):
    """Print how long the profiles of some long cracks take, on one core."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(given.seed)
    side, way = 2000, np.linspace(20, 1980, 2000)
    image = np.full((side, side), 170, np.uint8)
    for number in range(50):
        line = np.column_stack([20 + number * 39 + 5 * np.sin(way / 70), way])
        wide = int(rng.integers(1, 6))
        cv2.polylines(image, [np.int32(line * 16)], False, 60, wide, cv2.LINE_AA, 4)
    image = cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 4, image.shape)
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    cracks = traced(cv2.GaussianBlur(image, (0, 0), 0.7) < 135)
    source = ArrayPhotograph(image)
    began, wall_began = time.process_time(), time.monotonic()
    optics = scene_optics.find_optics(cracks, source)
    looked = time.process_time()
    done, _ = measure_all(cracks, source)
    took = time.process_time() - looked
    count = sum(len(crack.widths.profile.width_px) for crack in done)
    print(
        f"{count} profiles: {took:.1f} s of one core, {1e5 * took / count:.1f} s for 100,000; of it "
        f"{looked - began:.1f} s for the optics ({time.monotonic() - wall_began:.1f} s passed); "
        f"blur {optics.blur.px:.2f} px"
    )


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    kinds = parser.add_subparsers(dest="kind", required=True)
    drawn = kinds.add_parser("truth")
    drawn.add_argument("-n", "--number", type=int, default=12, help="of each width")
    drawn.add_argument("-o", "--output", type=Path, default=Path("widths.png"))
    kinds.add_parser("wall").add_argument("out", type=Path)
    labelled = kinds.add_parser("labels")
    labelled.add_argument("data", type=Path)
    labelled.add_argument("--least-px", type=float, default=30.0, help="length of a crack")
    labelled.add_argument("--depths", action="store_true")
    kinds.add_parser("speed")
    given = parser.parse_args()
    {"truth": truth, "wall": wall, "labels": labels, "speed": speed}[given.kind](given)


if __name__ == "__main__":
    main()
