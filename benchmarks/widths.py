"""Compares measured crack widths with the true widths of drawn cracks.

    python benchmarks/widths.py truth -n 20 -o widths.png
    python benchmarks/widths.py truth --quick
    python benchmarks/widths.py truth --varied
    python benchmarks/widths.py speed

``truth`` draws cracks of known width at any angle, curved, with blur of 0.5 to 1.5 px, noise of 1
to 5 %, a gradient, and a mortar joint beside one of three; a wider crack of nearly the same
darkness is in the photograph, or none (alone). With ``--varied`` cracks are as unequally dark as
those of photographs are (`crackcli.measuring.full_contrast`), else nearly black: what a crack
that is alone cannot tell, its sigma has to cover. Pixels mix wall and crack in linear light, as in
a sensor, or in encoded values, as in a drawing program; the second kind is measured twice, told so
(`TONE_CURVES`) and not. All measures get the same ragged mask, about a pixel off. The others also
get the best mask there can be, that of the pixels covered by half: in brackets. No detector makes
it.
"""

import argparse
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates
from skimage.morphology import skeletonize

from crackcli.evaluation.study_width import largest_width
from crackcli.measuring import optics as scene_optics
from crackcli.measuring.full_contrast import typical_contrast, typical_spread
from crackcli.measuring.measure import measure_all
from crackcli.measuring.profiles import ArrayPhotograph
from crackcli.measuring.tone import TONE_CURVES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from truth import Conditions, coverage, curve, decode, encode, photograph, ragged, ribbon, traced

WIDTHS_PX = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0)
SHAPE = (320, 420)
LENGTH_PX = 220
QUICK_PX = (1.0, 2.0, 4.0, 8.0, 20.0)
PEER_REACH_PX = 16  # of profiles
WIDE_PX = 8.0  # of the other crack
DARKNESS = 0.25, 0.98  # of varied cracks
BETWEEN, WITHIN = 0.05, 0.03  # by how much darkness varies from crack to crack, and along one


def case(rng, width, linear, alone, varied=False):
    """The measures of one drawn crack: photometric ones (`told`), the other kind's bias without
    being told, conditions, and mean widths of the other measures from both masks."""
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
    if varied:
        conditions, depths = as_varied(rng, conditions, len(covers))
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
    own = ragged(rng, covers[0])
    mask = np.maximum.reduce([own, *(ragged(rng, cover) for cover in covers[1:])])
    cracks, source = traced(mask), ArrayPhotograph(image)
    found = measure_all(cracks, source, tone=None if linear else TONE_CURVES["encoded"])[0]
    ours = max(found, key=lambda crack: overlap(crack, covers[0]))
    result = {
        "width": width,
        "conditions": conditions,
        "method": ours.widths.method,
        "mean": ours.widths.mean_px,
        "sigma": ours.widths.mean_sigma_px or np.nan,
        "max": ours.widths.max_px,
        "max_sigma": ours.widths.max_sigma_px or np.nan,
        "samples": ours.widths.profile.width_px,
        "sigmas": ours.widths.profile.sigma_px,
        "ignore": np.nan,
    }
    if not linear:
        found = measure_all(cracks, source)[0]
        result["ignore"] = max(found, key=lambda one: overlap(one, covers[0])).widths.mean_px
    for name, known in (("ragged", own > 0), ("best", covers[0] >= 0.5)):
        thin, area = skeletonize(known), traced(known)
        result[f"{name} area"] = area[0].widths.mean_px if area else np.nan
        result[f"{name} edt"] = (
            2 * distance_transform_edt(known)[thin].mean() if thin.any() else np.nan
        )
        result[f"{name} study"] = largest_width(known) or np.nan
    return result


def as_varied(rng, conditions, cracks):
    """The conditions of a photograph by chance, and how much darker than that each crack is."""
    share = float(conditions.linear)
    full = np.clip(rng.normal(*typical_contrast(share)), *DARKNESS)
    depths = np.clip(rng.normal(full, typical_spread(share), cracks), *DARKNESS) / full
    work, back = (decode, encode) if conditions.linear else (float, float)
    grey = float(back(work(conditions.wall) * (1 - full)))
    return replace(conditions, crack=grey), depths.tolist()


def overlap(crack, cover):
    """How many points of a crack's centreline lie on a cover."""
    points = np.concatenate(crack.centreline).round().astype(int)
    rows, cols = points[:, 1].clip(0, cover.shape[0] - 1), points[:, 0].clip(0, cover.shape[1] - 1)
    return int((cover[rows, cols] > 0).sum())


def truth(given):
    """Print the tables of drawn cracks and draw the first of each kind."""
    chart, everything = {}, []
    number = 3 if given.quick else given.number
    for linear in (True, False):
        for alone in (False, True):
            wanted = QUICK_PX if given.quick else WIDTHS_PX
            wanted = [width for width in wanted if width <= 4] if alone else wanted
            mixed = "linear light" if linear else "encoded values, told so"
            print(f"\nMixed in {mixed}, {'alone' if alone else 'a wider crack beside'}:\n")
            print(
                "| true px | photometric | bias | MAE | sigma | mean within 2 sigma | samples "
                "within | max less true | area / length | 2 x EDT | study |"
                + ("" if linear else " not told: bias |")
                + "\n"
                + "|---" * (11 if linear else 12)
                + "|"
            )
            chart[linear, alone] = []
            for width in wanted:
                seed = [given.seed, linear, alone, round(100 * width)]
                cases = [
                    case(np.random.default_rng([*seed, at]), width, linear, alone, given.varied)
                    for at in range(number)
                ]
                everything += [one | {"linear": linear, "alone": alone} for one in cases]
                row = row_of(cases)
                chart[linear, alone].append((width, row))
                others = [
                    f"{row['ragged ' + name]:+.2f} ({row['best ' + name]:+.2f})"
                    for name in ("area", "edt", "study")
                ]
                print(
                    f"| {width:g} | {row['count']} of {len(cases)} | {row['bias']:+.2f} | "
                    f"{row['mae']:.2f} | {row['sigma']:.2f} | {row['within']:.0f} % | "
                    f"{row['samples']:.0f} % | {row['max']:+.2f} | "
                    + " | ".join(others)
                    + ("" if linear else f" | {row['ignore']:+.2f}")
                    + " |",
                    flush=True,
                )
    by_condition(everything)
    draw(chart, given.output)


def by_condition(cases):
    """Print what blur, noise and surroundings do, to cracks from 1 px up."""
    print("\nFrom 1 px up:\n")
    print("| | cracks | bias | MAE | mean within 2 sigma | samples within |\n" + "|---" * 6 + "|")
    groups = [
        ("linear light", lambda one: one["linear"]),
        ("encoded values, told so", lambda one: not one["linear"]),
        ("a wider crack beside", lambda one: not one["alone"]),
        ("alone", lambda one: one["alone"]),
        ("a joint beside", lambda one: one["conditions"].joint_px is not None),
        ("none", lambda one: one["conditions"].joint_px is None),
        *(
            (
                f"{name.replace('_', ', ')} {low:g} to {high:g}",
                lambda one, name=name, low=low, high=high: (
                    low <= getattr(one["conditions"], name) < high
                ),
            )
            for name, limits in (("blur_px", (0.5, 0.8, 1.2, 1.5)), ("noise", (0.01, 0.03, 0.05)))
            for low, high in pairwise(limits)
        ),
    ]
    for name, belongs in groups:
        own = [one for one in cases if one["width"] >= 1 and belongs(one)]
        row = row_of(own)
        print(
            f"| {name} | {row['count']} | {row['bias']:+.2f} | {row['mae']:.2f} | "
            f"{row['within']:.0f} % | {row['samples']:.0f} % |"
        )


def row_of(cases):
    """What the table tells of cases: errors of what is photometric in px, shares in per cent."""
    light = [one for one in cases if one["method"] == "photometric"]
    true, means, sigmas = (
        np.array([one[name] for one in light]) for name in ("width", "mean", "sigma")
    )
    away = [one["samples"] - one["width"] for one in light]
    each, away = (
        np.concatenate([*parts, np.zeros(0)]) for parts in ([one["sigmas"] for one in light], away)
    )
    known = np.isfinite(each)
    row = {
        "count": len(light),
        "bias": average(means - true),
        "mae": average(np.abs(means - true)),
        "sd": float((means - true).std()) if len(light) else np.nan,
        "sigma": average(sigmas),
        "within": 100 * average(np.abs(means - true) <= 2 * sigmas),
        "samples": 100 * average(np.abs(away[known]) <= 2 * each[known]),
        "max": average(np.array([one["max"] for one in light]) - true),
        "ignore": average(np.array([one["ignore"] for one in light]) - true),
    }
    for mask in ("ragged", "best"):
        for name in ("area", "edt", "study"):
            found = np.array([one[f"{mask} {name}"] - one["width"] for one in cases])
            row[f"{mask} {name}"] = average(found[np.isfinite(found)])
    return row


def average(values):
    """The mean, or nan of nothing."""
    return float(np.mean(values)) if len(values) else np.nan


def draw(chart, path):
    """The biases over the true width, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), sharey=True)
    for axis, linear in zip(axes, (True, False), strict=True):
        rows = chart[linear, False]
        true = [width for width, _ in rows]
        bias, sd = (np.array([row[name] for _, row in rows]) for name in ("bias", "sd"))
        axis.errorbar(true, bias, sd, label="photometric", color="black", capsize=2)
        for key, name in (("area", "area / length"), ("edt", "2 x distance"), ("study", "study")):
            axis.plot(true, [row[f"ragged {key}"] for _, row in rows], "--", label=name)
        axis.axhspan(-0.1, 0.1, color="0.9")
        axis.set(xscale="log", xlabel="true width, px", ylim=(-1, 3))
        axis.set_title("mixed in linear light" if linear else "mixed in encoded values, told so")
    axes[0].set_ylabel("measured less true, px")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    print(f"\n{path}")


def speed(given):
    """Print how long the profiles of some long cracks take, on one core, beside a peer."""
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
    points = np.concatenate([crack.widths.profile.points for crack in done])
    offsets = np.arange(-PEER_REACH_PX, PEER_REACH_PX + 0.5, 0.5)
    began_peer = time.process_time()
    place = [points[:, 1, None] + 0 * offsets, points[:, 0, None] + offsets]
    map_coordinates(image.astype(np.float32), place, order=3)
    peer = time.process_time() - began_peer
    print(
        f"{count} profiles: {took:.1f} s of one core, {1e5 * took / count:.1f} s for 100,000; of "
        f"it {looked - began:.1f} s for the optics ({time.monotonic() - wall_began:.1f} s passed); "
        f"blur {optics.blur.px:.2f} px; {took / peer:.1f} times as long as "
        "map_coordinates of SciPy takes to read the profiles"
    )


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    kinds = parser.add_subparsers(dest="kind", required=True)
    drawn = kinds.add_parser("truth")
    drawn.add_argument("-n", "--number", type=int, default=12, help="of each width")
    drawn.add_argument("--quick", action="store_true", help="3 each of fewer widths")
    drawn.add_argument("--varied", action="store_true", help="cracks as those of photographs")
    drawn.add_argument("-o", "--output", type=Path, default=Path("widths.png"))
    kinds.add_parser("speed")
    given = parser.parse_args()
    {"truth": truth, "speed": speed}[given.kind](given)


if __name__ == "__main__":
    main()
