"""What a training run leaves beside its checkpoint: a table of sources, a learning curve, and how
far its probabilities can be trusted."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from crackcli.files import write_text, written_aside
from crackcli.training.calibration import Reliability
from crackcli.training.objective import Score

HELD_OUT = "held_out_"  # how the names of what was judged begin
LOSS = "held_out_loss"


def write_scores(scores: Sequence[Score], path: Path) -> Path:
    """How each source fared as CSV; empty where nothing is known."""
    rows = [score.row() for score in scores]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: tidy(value) for name, value in row.items()})
    write_text(path, text.getvalue())
    return path


def tidy(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.4g}")
    return value


def write_curve(curve: Sequence[dict[str, float]], path: Path) -> Path:
    """Losses over the steps as PNG, and beside them the held-out shares where there are any."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    steps = [point["step"] for point in curve]
    left.plot(steps, [p["training_loss"] for p in curve], "o-", label="training loss")
    left.plot(steps, [p[LOSS] for p in curve], "o-", label="held-out loss")
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    shares = {
        name.removeprefix(HELD_OUT): [100 * point[name] for point in curve]
        for name in curve[0]
        if name.startswith(HELD_OUT) and name != LOSS
    }
    if shares:
        right = left.twinx()
        for name, values in shares.items():
            right.plot(steps, values, "k.--", label=f"held-out {name}")
        right.set(ylabel=f"{', '.join(shares)}, %", ylim=(50 if "accuracy" in shares else 0, 100))
    figure.legend(loc="outside upper center", ncols=3)
    with written_aside(path) as aside:
        figure.savefig(aside, dpi=120)
    return path


def write_reliability(found: Reliability, path: Path) -> Path:
    """Share of cracked photographs over predicted P(crack) as PNG, with the counts below.

    They are those by which it was calibrated, so others will agree a little less.
    """
    figure = Figure(figsize=(4.5, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    seen = [part for part in found.bins if part.photographs]
    upper.plot([0, 1], [0, 1], ":", color="0.5", label="as they should be")
    upper.plot(
        [b.predicted for b in seen],
        [b.observed for b in seen],
        "o-",
        label="held out, calibrated by",
    )
    upper.set(ylabel="share of photographs with a crack", ylim=(0, 1), xlim=(0, 1))
    upper.set_title(f"expected calibration error {found.error:.1%}", fontsize="medium")
    upper.legend(loc="upper left")
    lower.bar(
        [part.low for part in found.bins],
        [part.photographs for part in found.bins],
        width=1 / len(found.bins),
        align="edge",
    )
    lower.set(xlabel="predicted P(crack)", ylabel="photographs")
    with written_aside(path) as aside:
        figure.savefig(aside, dpi=120)
    return path
