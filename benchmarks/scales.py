"""Measures recall against the width of drawn cracks, for several zooms.

    python benchmarks/scales.py DATA/train/no_crack --zooms 1 2 1,2 --limit 8

DATA/train/no_crack are crack-free photographs, possibly of the training set. A crack of each width
is drawn onto each of them, the same photographs for every width, and each picture is scanned by
crackcli scan. The width is the largest along the crack, ``mean`` the median over the pictures of
area by length; a crack that would not be visible is drawn darker or slightly wider.

Recall is the fraction of drawn crack pixels with a marked pixel within 2 px, ``false`` the fraction
marked of the pixels farther from any crack. Half of the pictures also have joints, cables and
stains.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from crackcli.cracks.pixel_set import PixelSet, thin
from crackcli.datasets.pixel_scores import dilate
from crackcli.engines.opening import open_engine
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.strips import StripScores
from crackcli.progress import ignore
from crackcli.rasters.grid import Window
from crackcli.rasters.resampled import parse_zooms
from crackcli.rasters.score_mask import read_band
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.synthesis.twins import cracked_twin

WIDTHS_PX = (1, 1.5, 2, 3, 5, 8, 12, 20)
ZOOMS = ("1", "2", "1,2", "0.5,1", "0.5,1,2")
SIDE_PX = 256
TOLERANCE_PX = 2
STEP = 1.12  # px of length that a pixel of a thinned line stands for, over all directions


class Remembering(ClassifierScorer):
    """Each strip of a picture is explained once, however many settings it is part of."""

    known: ClassVar[dict[tuple[str, int], StripScores]] = {}

    def score_strip(self, raster, grid, index, report=ignore) -> StripScores:
        key = raster.info.digest, index
        if key not in self.known:
            self.known[key] = super().score_strip(raster, grid, index, report)
        return self.known[key]


def backgrounds(folder: Path, limit: int) -> list[np.ndarray]:
    """Crack-free photographs, cut or mirrored to squares of `SIDE_PX`."""
    paths = sorted(folder.iterdir())
    pictures = []
    for number in np.random.default_rng(0).permutation(len(paths))[:limit]:
        image = cv2.imread(str(paths[number]), cv2.IMREAD_COLOR_RGB)
        more = [(0, max(0, SIDE_PX - side)) for side in image.shape[:2]]
        pictures.append(np.pad(image, (*more, (0, 0)), mode="reflect")[:SIDE_PX, :SIDE_PX])
    return pictures


def drawn(folder: Path, widths: list[float], limit: int) -> Iterator[tuple]:
    """Width, picture and cover of every crack."""
    for number, photograph in enumerate(backgrounds(folder, limit)):
        for width_px in widths:
            rng = np.random.default_rng([number, round(10 * width_px)])
            yield width_px, *cracked_twin(photograph, rng, width_px)


def crack_pixels(cover: np.ndarray) -> np.ndarray:
    """Pixels that are covered at least half as much as any within 2 px: half covered ones, and of
    a hairline, which nowhere covers a pixel by half, the ridge."""
    most = cv2.dilate(cover, np.ones((5, 5), np.uint8))
    return (cover >= 0.1) & (cover >= most / 2)


def drawn_width(cover: np.ndarray, crack: np.ndarray) -> float:
    """Area by length, in px."""
    return float(cover.sum()) / max(1.0, STEP * int(thin(PixelSet.from_mask(crack)).sum()))


def scanned(path: Path, zooms: str, scorer: ClassifierScorer) -> np.ndarray:
    """The mask of a photograph."""
    task = ScanTask(path, path.with_name(f"{path.stem} {zooms}"), zooms=parse_zooms(zooms))
    mask = scan_raster(task, scorer).mask
    return read_band(mask, Window(0, 0, *cv2.imread(str(path)).shape[:2])) == 1


def chart(path: Path, widths: list[float], recall: dict[str, list[float]]) -> None:
    """Recall against width, a line for each zoom."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for zooms, values in recall.items():
        axes.plot(widths, values, marker="o", label=f"--zoom {zooms}")
    axes.set(xscale="log", xticks=widths, xlabel="drawn width, px", ylabel="recall", ylim=(0, 1))
    axes.set_xticks(widths, [f"{width:g}" for width in widths])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--zooms", nargs="+", default=list(ZOOMS))
    parser.add_argument("--widths", nargs="+", type=float, default=list(WIDTHS_PX))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--limit", type=int, default=8, help="photographs, for every width")
    parser.add_argument("--chart", type=Path, help="a PNG of the table")
    given = parser.parse_args()
    scorer = Remembering(open_engine(given.model, "lrp"), gate=0.5)
    # of each width: found, crack; marked wrongly, other pixels
    totals = defaultdict(lambda: np.zeros(4, np.int64))
    seen: dict[float, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        for number, (width_px, picture, cover) in enumerate(
            drawn(given.photographs, given.widths, given.limit)
        ):
            path = Path(name) / f"{number}.png"
            cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            crack = crack_pixels(cover)
            other = ~dilate(cover > 0, TOLERANCE_PX)
            seen[width_px].append(drawn_width(cover, crack))
            Remembering.known.clear()
            for zooms in given.zooms:
                marked = scanned(path, zooms, scorer)
                found = crack & dilate(marked, TOLERANCE_PX)
                sets = found, crack, marked & other, other
                totals[width_px, zooms] += [int(pixels.sum()) for pixels in sets]

    columns = [f"{zooms}: {what}" for zooms in given.zooms for what in ("recall", "false")]
    print(
        "| width, px | mean | " + " | ".join(columns) + " |\n" + "|---" * (2 + len(columns)) + "|"
    )
    for width_px in given.widths:
        cells = [f"{width_px:g}", f"{np.median(seen[width_px]):.1f}"]
        for zooms in given.zooms:
            found, crack, wrong, other = totals[width_px, zooms]
            cells += [f"{found / crack:.1%}", f"{wrong / other:.2%}"]
        print("| " + " | ".join(cells) + " |")
    cells = ["all", ""]
    for zooms in given.zooms:
        found, crack, wrong, other = np.array([totals[width, zooms] for width in given.widths]).T
        cells += [f"{np.mean(found / crack):.1%}", f"{wrong.sum() / other.sum():.2%}"]
    print("| " + " | ".join(cells) + " |")
    if given.chart:
        recall = {
            zooms: [totals[width, zooms][0] / totals[width, zooms][1] for width in given.widths]
            for zooms in given.zooms
        }
        chart(given.chart, given.widths, recall)


if __name__ == "__main__":
    main()
