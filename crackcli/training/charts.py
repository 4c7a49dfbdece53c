"""Files beside a checkpoint: validation scores by source, learning curve, reliability diagram."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from crackcli.files import atomic_write, write_csv
from crackcli.training.calibration import Reliability
from crackcli.training.objective import Score

HELD_OUT = "held_out_"  # prefix of the validation metrics in a learning curve
LOSS = "held_out_loss"


def write_scores(scores: Sequence[Score], path: Path) -> Path:
    """Write the validation scores of each source as CSV and return ``path``.

    Numbers have four significant digits; unknown ones (nan) are empty fields.
    """
    rows = [{name: four_digits(value) for name, value in score.row().items()} for score in scores]
    write_csv(path, rows[0], rows)
    return path


def four_digits(value: object) -> object:
    """Return a float rounded to four significant digits, anything else unchanged."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write_curve(curve: Sequence[dict[str, float]], path: Path) -> Path:
    """Plot losses and validation metrics over the steps as PNG, and return ``path``."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    steps = [point["step"] for point in curve]
    left.plot(steps, [p["training_loss"] for p in curve], "o-", label="training loss")
    left.plot(steps, [p[LOSS] for p in curve], "o-", label="held-out loss")
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    metrics = {
        name.removeprefix(HELD_OUT): [100 * point[name] for point in curve]
        for name in curve[0]
        if name.startswith(HELD_OUT) and name != LOSS
    }
    if metrics:
        right = left.twinx()
        for name, values in metrics.items():
            right.plot(steps, values, "k.--", label=f"held-out {name}")
        right.set(ylabel=f"{', '.join(metrics)}, %", ylim=(50 if "accuracy" in metrics else 0, 100))
    figure.legend(loc="outside upper center", ncols=3)
    with atomic_write(path) as aside:
        figure.savefig(aside, dpi=120)
    return path


def write_reliability(found: Reliability, path: Path) -> Path:
    """Plot the observed over the predicted fraction of cracks as PNG, and return ``path``.

    Counts are drawn below. The photographs are those that the calibration was fitted to, so that
    it is a little worse on others.
    """
    figure = Figure(figsize=(4.5, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    filled = [each for each in found.bins if each.photographs]
    upper.plot([0, 1], [0, 1], ":", color="0.5", label="perfect calibration")
    upper.plot(
        [each.predicted for each in filled],
        [each.observed for each in filled],
        "o-",
        label="held-out photographs",
    )
    upper.set(ylabel="fraction of photographs with a crack", ylim=(0, 1), xlim=(0, 1))
    upper.set_title(f"expected calibration error {found.error:.1%}", fontsize="medium")
    upper.legend(loc="upper left")
    lower.bar(
        [each.low for each in found.bins],
        [each.photographs for each in found.bins],
        width=1 / len(found.bins),
        align="edge",
    )
    lower.set(xlabel="predicted P(crack)", ylabel="photographs")
    with atomic_write(path) as aside:
        figure.savefig(aside, dpi=120)
    return path
