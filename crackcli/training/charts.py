"""Files beside a checkpoint: validation scores by source, learning curve, reliability diagram."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from crackcli.files import atomic_write, write_csv
from crackcli.training.calibration.reliability import Reliability
from crackcli.training.objective import Score

HELD_OUT = "held_out_"  # prefix of the validation metrics in a learning curve
LOSS = "held_out_loss"
FRACTIONS = ("predicted", "observed")  # fields of a bin of a reliability diagram


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


def write_reliability(found: Mapping[str, Reliability], path: Path) -> Path:
    """Plot observed over predicted fractions as PNG, one diagram for each kind of examples, and
    return ``path``.

    Counts are drawn below, on a logarithmic scale. Those of photographs and of pixels were used for
    the fit, so that the calibration is a little worse on others.
    """
    figure = Figure(figsize=(0.5 + 4 * len(found), 5), layout="constrained")
    axes = figure.subplots(2, len(found), height_ratios=[4, 1], sharex=True, squeeze=False)
    for (examples, each), (upper, lower) in zip(found.items(), axes.T, strict=True):
        filled = [one for one in each.bins if one.count]
        predicted, observed = ([getattr(one, name) for one in filled] for name in FRACTIONS)
        upper.plot([0, 1], [0, 1], ":", color="0.5", label="perfect calibration")
        upper.plot(predicted, observed, "o-", label=f"held-out {examples}")
        upper.set(ylabel="observed fraction of cracks", ylim=(0, 1), xlim=(0, 1))
        upper.set_title(f"expected calibration error {each.error:.1%}", fontsize="medium")
        upper.legend(loc="upper left")
        starts, counts = [one.low for one in each.bins], [one.count for one in each.bins]
        lower.bar(starts, counts, width=1 / len(counts), align="edge")
        lower.set(xlabel="predicted P(crack)", ylabel=examples, yscale="symlog")
        lower.yaxis.get_major_locator().set_params(numticks=4)
    with atomic_write(path) as aside:
        figure.savefig(aside, dpi=120)
    return path
