"""Checks the limits of crackcli.detectability.limits: draws cracks, scans them, counts those found.

    python benchmarks/measurability.py DATA/train/no_crack --fit --keep fit.jsonl
    python benchmarks/measurability.py DATA/test/patches/no_crack --seed 1000 --keep held_out.jsonl
    python benchmarks/measurability.py DATA/train/no_crack --fit --method lrp --keep lrp.jsonl

DATA/.../no_crack are crack-free photographs; their kinds (the first word of a file name) alternate.
Each is mirrored into a picture of four blocks. A crack of constant width, from 0.4 to 14 px, is
drawn onto each block with the contrast that the module assumes. Two of five pictures are
unchanged; the others are blurred, darkened, overexposed, enlarged or made noisy. Each is scanned
by crackcli scan. A crack is *found* if at least half of its length has a marked pixel within 3 px.

Two tables give the fraction found: by width as a multiple of the predicted limit of the block, and
by width. With --fit the constants that predict best are printed as well: P(found) is a logistic
function of the logarithm of d' / blur ** blur_exponent and reaches 0.9 at d_prime_90. Results are
kept in --keep (JSON lines) and not scanned again; a picture takes about 2 s on two cores.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from crackcli.datasets.pixel_scores import dilate
from crackcli.detectability.block_quality import (
    BlockQuality,
    borrow_blur,
    concatenate,
    measure_block,
    with_blur,
)
from crackcli.detectability.limits import (
    CONTRAST,
    SHARP_PX,
    Observer,
    d_prime,
    find_limits,
    observer_of,
    without_nan,
)
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.registry import DEFAULT_METHOD
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.synthesis.brushes import darken
from crackcli.synthesis.cover import coverage
from crackcli.synthesis.random_cracks import CrackStyle, random_crack
from crackcli.synthesis.visibility import Camera

SIDE_PX = 256
LEAST_SIDE_PX = 200  # of a photograph; what is missing is mirrored
WIDTHS_PX = (0.6, 10.0)
SPREAD = (0.7, 0.88, 1.13, 1.4)  # widths in one picture, so that none is seen for another's sake
NEAR_PX = 3
FOUND = 0.5
LAPSE = 1e-3  # no single crack counts more than this much of a surprise
FAINT_SHARES = (0.0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08)
SPAN = (0.6, 0.9)  # of the side: from one end of a crack to the other
INNER = (0.2, 0.8)  # of its length: where the mean width is the one that was asked for
CHANGES = {
    "as it is": 0.4,
    "blurred": 0.2,
    "dark": 0.12,
    "bright": 0.06,
    "enlarged": 0.12,
    "noisy": 0.1,
}


@dataclass(frozen=True)
class Drawn:
    """One crack, and what a scan made of it: ``recall`` is the share of its length that was
    found, ``elsewhere`` that of the other pixels near which something was marked."""

    seed: int
    quarter: int
    photograph: str
    change: str
    amount: float
    width_px: float
    recall: float
    elsewhere: float


@dataclass(frozen=True, eq=False)
class Made:
    """A picture (rows, cols, 3) of a photograph four times, with a crack in each quarter, their
    cover (rows, cols) and widths (4,)."""

    path: Path
    change: str
    amount: float
    widths_px: np.ndarray
    picture: np.ndarray
    cover: np.ndarray


def photographs(folder: Path) -> dict[str, list[Path]]:
    """Photographs that are large enough, by kind."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if "_crop" not in path.stem:
            kinds.setdefault(path.stem.partition("_")[0], []).append(path)
    return kinds


def picture_of(folder: Path, seed: int) -> Made | None:
    """The picture of a seed; None where its photograph is too small."""
    rng = np.random.default_rng(seed)
    kinds = photographs(folder)
    paths = kinds[sorted(kinds)[seed % len(kinds)]]
    path = paths[rng.integers(len(paths))]
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if min(image.shape[:2]) < LEAST_SIDE_PX:
        return None
    change = str(rng.choice(list(CHANGES), p=list(CHANGES.values())))
    if change == "enlarged":
        inner = slice(SIDE_PX // 4, SIDE_PX // 4 + SIDE_PX // 2)
        image = cv2.resize(image[inner, inner], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    more = [(0, max(0, SIDE_PX - side)) for side in image.shape[:2]]
    image = np.pad(image, (*more, (0, 0)), mode="symmetric")[:SIDE_PX, :SIDE_PX]
    base = np.pad(image, ((0, SIDE_PX), (0, SIDE_PX), (0, 0)), mode="symmetric").astype(np.float32)
    widths_px = np.exp(rng.uniform(*np.log(WIDTHS_PX))) * rng.permutation(SPREAD)
    covers = [crack(rng, width_px) for width_px in widths_px]
    cover = np.vstack([np.hstack(covers[:2]), np.hstack(covers[2:])])
    cracked = darken(rng, base, cover, CONTRAST)
    picture = Camera.of(base[:SIDE_PX, :SIDE_PX]).finish(base, cracked, rng)
    amount = 1.0
    if change == "blurred":
        amount = float(np.exp(rng.uniform(np.log(0.7), np.log(4))))
        picture = cv2.GaussianBlur(picture, (0, 0), amount)
        picture += rng.normal(0, 1.0, picture.shape)
    elif change == "dark":
        amount = float(np.exp(rng.uniform(np.log(0.04), np.log(0.5))))
        picture = picture * amount + rng.normal(0, 1.0, picture.shape)
    elif change == "bright":
        amount = float(rng.uniform(1.2, 3))
        picture = picture * amount
    elif change == "noisy":
        amount = float(np.exp(rng.uniform(np.log(3), np.log(25))))
        picture = picture + rng.normal(0, amount, picture.shape)
    picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Made(path, change, amount, widths_px, picture, cover)


def crack(rng: np.random.Generator, width_px: float) -> np.ndarray:
    """The cover (rows, cols) of a crack of even width about the middle of a quarter."""
    angle = rng.uniform(0, np.pi)
    half = rng.uniform(*SPAN) * SIDE_PX / 2 * np.array([np.cos(angle), np.sin(angle)])
    middle = SIDE_PX / 2 + rng.uniform(-0.08, 0.08, 2) * SIDE_PX
    style = CrackStyle((width_px, width_px), roughness=rng.uniform(0.2, 0.8), closing=(0.1, 0.1))
    (path,) = random_crack(rng, middle - half, middle + half, style)
    first, last = (int(share * len(path.width_px)) for share in INNER)
    mean = float(path.width_px[first:last].mean())
    path = type(path)(path.points, path.width_px * (width_px / mean), path.shift_px)
    return coverage([path], (SIDE_PX, SIDE_PX))


def quarters(picture: np.ndarray) -> list[np.ndarray]:
    """The four blocks of a picture, row by row."""
    halves = slice(0, SIDE_PX), slice(SIDE_PX, 2 * SIDE_PX)
    return [picture[rows, cols] for rows in halves for cols in halves]


def ridge(cover: np.ndarray) -> np.ndarray:
    """Pixels that are covered at least half as much as any within 2 px."""
    most = cv2.dilate(cover, np.ones((5, 5), np.uint8))
    return (cover >= 0.05) & (cover >= most / 2)


def scanned(folder: Path, pictures: int, keep: Path, seed: int, method: str) -> Iterator[Drawn]:
    """The cracks of ``pictures`` and what scans found of them, those of an earlier run first."""
    known: dict[int, list[Drawn]] = {}
    if keep.exists():
        for line in keep.read_text(encoding="utf-8").splitlines():
            row = Drawn(**json.loads(line))
            known.setdefault(row.seed, []).append(row)
    scorer = None
    done = 0
    while done < pictures:
        if seed not in known and (made := picture_of(folder, seed)) is not None:
            scorer = scorer or open_scorer(ModelOptions(method=method, precision="float32"))
            known[seed] = found_of(seed, made, scorer)
            with keep.open("a", encoding="utf-8") as kept:
                kept.writelines(json.dumps(asdict(row)) + "\n" for row in known[seed])
        if seed in known:
            done += 1
            yield from known[seed]
        seed += 1


def found_of(seed: int, made: Made, scorer: StripScorer) -> list[Drawn]:
    """What a scan of a picture found of its four cracks."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "drawn.png"
        cv2.imwrite(str(file), cv2.cvtColor(made.picture, cv2.COLOR_RGB2BGR))
        mask = scan_raster(ScanTask(file, Path(name) / "out"), scorer).mask
        marked = quarters(dilate(read_band(mask) == CRACK, NEAR_PX))
    rows = []
    for quarter, cover in enumerate(quarters(made.cover)):
        own = ridge(cover)
        other = ~dilate(own, 3 * NEAR_PX)
        rows.append(
            Drawn(
                seed=seed,
                quarter=quarter,
                photograph=made.path.name,
                change=made.change,
                amount=made.amount,
                width_px=float(made.widths_px[quarter]),
                recall=float(marked[quarter][own].mean()) if own.any() else 0.0,
                elsewhere=float(marked[quarter][other].mean()),
            )
        )
    return rows


def surfaces_of(folder: Path, rows: list[Drawn]) -> BlockQuality:
    """The blocks on which cracks were drawn, as a report sees them: with the cracks."""
    found: dict[int, BlockQuality] = {}
    for seed in {row.seed for row in rows}:
        made = picture_of(folder, seed)
        valid = np.ones((SIDE_PX, SIDE_PX), bool)
        four = concatenate([measure_block(block, valid) for block in quarters(made.picture)])
        found[seed] = with_blur(four, borrow_blur(four.blur_px.reshape(2, 2)).ravel())
    names = ("blur_px", "noise", "level", "dark_fraction", "light_fraction")
    return BlockQuality(
        *(np.array([getattr(found[row.seed], name)[row.quarter] for row in rows]) for name in names)
    )


def table(heading: str, names: list[str], groups: list[np.ndarray], columns: dict) -> None:
    """How many of each group, and of each column, were found."""
    print(f"| {heading} | " + " | ".join(columns) + " |\n" + "|---" * (1 + len(columns)) + "|")
    for name, group in zip(names, groups, strict=True):
        cells = []
        for chosen, found in columns.values():
            own = group & chosen
            share = f" ({found[own].mean():.0%})" if own.any() else ""
            cells.append(f"{found[own].sum()} of {own.sum()}{share}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def tell(rows: list[Drawn], surfaces: BlockQuality, observer: Observer) -> None:
    """Print what was found, by what was foretold and by width."""
    width = np.array([row.width_px for row in rows])
    found = np.array([row.recall >= FOUND for row in rows])
    limit = find_limits(surfaces, observer).detection_px
    ratio = width / limit
    everything = np.ones(len(rows), bool)
    changed = np.array([row.change != "as it is" for row in rows])
    columns = {
        "found": (everything, found),
        "as photographed": (~changed, found),
        "made worse": (changed, found),
    }
    bounds = [0, 0.5, 0.71, 1, 1.41, 2, np.inf]
    pairs = list(pairwise(bounds))
    names = [f"{low:g} to {high:g}" for low, high in pairs] + ["not assessable", "1 and more"]
    groups = [(ratio >= low) & (ratio < high) for low, high in pairs]
    table("width / limit", names, [*groups, np.isnan(ratio), ratio >= 1], columns)

    seen = ratio >= 1
    columns = {
        "found": (everything, found),
        "foretold as seen": (seen, found),
        "as not seen": (~seen, found),
    }
    bounds = [0.4, 0.7, 1, 1.5, 2, 3, 5, 8, 14.1]
    pairs = list(pairwise(bounds))
    groups = [(width >= low) & (width < high) for low, high in pairs]
    table("width, px", [f"{low:g} to {high:g}" for low, high in pairs], groups, columns)


def fit(rows: list[Drawn], surfaces: BlockQuality) -> None:
    """Print the constants that foretell best, for several strengths of the network's own noise."""
    width = np.array([row.width_px for row in rows])
    found = np.array([row.recall >= FOUND for row in rows])
    known = without_nan(surfaces)
    blur = np.log(np.maximum(known.blur_px, SHARP_PX))
    results = []
    for faint in [(levels, share) for levels in (0.6, 1.5, 3, 5) for share in FAINT_SHARES]:
        seen = np.log(np.diagonal(d_prime(known, width, Observer(1.0, 0.0, faint))))

        def surprise(p: np.ndarray, seen: np.ndarray = seen) -> float:
            chance = expit(np.exp(p[1]) * (seen - p[0] - abs(p[2]) * blur))
            return -float(np.log(np.clip(np.where(found, chance, 1 - chance), LAPSE, 1)).sum())

        best = minimize(surprise, [1.7, 1.5, 0.3], method="Nelder-Mead")
        middle, slope, cost = best.x
        seen_from = np.exp(middle + logit(0.9) / np.exp(slope))
        results.append((best.fun, faint, seen_from, abs(cost), np.exp(slope)))
    print("| -log likelihood | noise | d_prime_90 | blur_exponent | slope |\n|---|---|---|---|---|")
    for surprised, faint, seen_from, cost, slope in sorted(results)[:5]:
        print(f"| {surprised:.1f} | {faint} | {seen_from:.2f} | {cost:.2f} | {slope:.1f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--pictures", type=int, default=60, help="of four cracks each")
    parser.add_argument("--seed", type=int, default=0, help="of the first picture")
    parser.add_argument("--keep", type=Path, default=Path("measurability.jsonl"))
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--method", default=DEFAULT_METHOD, help="as of crackcli scan")
    given = parser.parse_args()
    rows = list(scanned(given.photographs, given.pictures, given.keep, given.seed, given.method))
    surfaces = surfaces_of(given.photographs, rows)
    tell(rows, surfaces, observer_of(given.method))
    if given.fit:
        fit(rows, surfaces)


if __name__ == "__main__":
    main()
