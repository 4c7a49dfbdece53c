"""Writes the result of a self-test: tables, figures, record, and a summary in one sentence.

OUT/pod.csv        a row for each drawn crack
OUT/curve.csv      the probability of detection by width, with its 95 % limits
OUT/pod.png        the curve, and the errors of the widths
OUT/overlay.png    the drawn cracks, and what was found of them
OUT/selftest.json  all numbers, the sentence, options and digests; written last
"""

import contextlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crackcli.selftest.hits as hits
from crackcli import __version__
from crackcli.files import (
    WORK,
    claim_folder,
    lock_folder,
    output_errors,
    read_note,
    refuse_existing,
    remove_folder,
    write_csv,
    write_json,
)
from crackcli.progress import Progress, ignore
from crackcli.rasters.writing.images import write_png
from crackcli.report.tables.columns import rounded
from crackcli.scenes.scale import in_mm
from crackcli.selftest.plots import overlay, pod_chart
from crackcli.selftest.pod import find_contradiction
from crackcli.selftest.run import CrackResult, SelftestResult, SelftestTask, run_selftest

CROWDED_PX = 192.0  # places nearer to each other are not independent
CURVE_POINTS = 41  # widths of the curve, besides those that were drawn
RECORDED_AS = {"max_megapixels": "most_mp"}  # key in the record, where it is not the field's name
FILES = ("pod.csv", "curve.csv", "pod.png", "overlay.png", "selftest.json")

Row = dict[str, Any]
Contradiction = tuple[float, int, int]  # a width, and hits and cracks of this width or wider


@dataclass(frozen=True)
class SelftestSummary:
    """The written files, the sentence, notes on it, and the content of ``selftest.json``."""

    paths: list[Path]
    sentence: str
    notes: list[str]
    record: dict[str, Any]


@dataclass(frozen=True)
class WidthErrors:
    """Statistics of measured minus true width over the detected cracks.

    mean_px, sd_px  mean and sample standard deviation
    count           number of cracks
    over_sigma      root mean square of error / standard uncertainty; 1 if the latter is right

    A value is None if there are too few cracks or no uncertainties.
    """

    mean_px: float | None
    sd_px: float | None
    count: int
    over_sigma: float | None

    @classmethod
    def of(cls, tested: Iterable[CrackResult]) -> "WidthErrors":
        pairs = [(each.hit.error_px, each.hit.sigma_px) for each in tested]
        errors = np.array([error for error, _ in pairs if error is not None])
        sigmas = np.array([sigma or math.nan for error, sigma in pairs if error is not None], float)
        ratios = (errors / sigmas)[np.isfinite(sigmas)]
        return cls(
            mean_px=float(errors.mean()) if len(errors) else None,
            sd_px=float(errors.std(ddof=1)) if len(errors) > 1 else None,
            count=len(errors),
            over_sigma=float(np.sqrt((ratios**2).mean())) if len(ratios) else None,
        )


def write_selftest(task: SelftestTask, progress: Progress = ignore) -> SelftestSummary:
    """Run a self-test and write its files into ``task.output``.

    Raises an `OutputError` if one of them exists, unless ``task.overwrite`` is set, or a test was
    interrupted while it wrote them.
    """
    work = task.output / WORK
    interrupted = read_note(work) is not None
    refuse_existing(task.output / FILES[-1], overwrite=task.overwrite)
    for name in FILES[:-1]:
        refuse_existing(task.output / name, overwrite=task.overwrite or interrupted)
    existed = task.output.exists()
    with lock_folder(task.output):
        try:
            claim_folder(work)
            test = run_selftest(task, progress)
        except Exception:
            if not existed:
                remove_unstarted(task.output)
            raise
        for name in reversed(FILES):
            with output_errors(task.output):
                (task.output / name).unlink(missing_ok=True)  # of an earlier test
        paths = [task.output / name for name in FILES]
        record = make_record(test, task)
        cracks, curve = [crack_row(each, test) for each in test.tested], curve_rows(test)
        write_csv(paths[0], cracks[0], cracks)
        write_csv(paths[1], curve[0], curve)
        write_png(paths[2], pod_chart(test, record["sentence"]))
        write_png(paths[3], overlay(test))
        write_json(paths[4], record)
        remove_folder(work)
    return SelftestSummary(paths, record["sentence"], record["notes"], record)


def remove_unstarted(output: Path) -> None:
    """Remove an output folder unless it contains a finished strip of a scan to resume from."""
    work = output / WORK
    if not any(work.glob("*/*/scene.json")) and not any(work.glob(f"*/*/{WORK}")):
        remove_folder(work)
        (output / ".lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            output.rmdir()


def crack_row(each: CrackResult, test: SelftestResult) -> Row:
    """Return the row of a drawn crack; None is unknown or does not apply."""
    drawn, hit, part = each.drawn, each.hit, each.drawn.part.window
    return {
        "id": drawn.number,
        "col": round(drawn.place.x + part.col, 1),
        "row": round(drawn.place.y + part.row, 1),
        "width_px": drawn.width_px,
        "width_mm": in_mm(drawn.width_px, test.scale, 5),
        "contrast": test.contrast,
        "length_px": round(drawn.path.length_px, 1),
        "length_mm": in_mm(drawn.path.length_px, test.scale, 5),
        "suspected_before": drawn.place.suspected,
        "found_share": round(hit.found_fraction, 3),
        "detected": hit.detected,
        "set_aside": hit.set_aside,
        "true_width_px": rounded(hit.true_px),
        "measured_width_px": rounded(hit.measured_px),
        "measured_width_sigma_px": rounded(hit.sigma_px),
        "error_px": rounded(hit.error_px),
        "error_mm": in_mm(hit.error_px, test.scale, 5),
        "false_calls": hit.false_calls,
    }


def curve_rows(test: SelftestResult) -> list[Row]:
    """Return the curve at the widths that were drawn and between them."""
    counts = count_by_width(test)
    between = np.geomspace(test.pod.narrowest, test.pod.widest, CURVE_POINTS)
    widths = sorted({*counts, *(round(float(width), 4) for width in between)})
    return [
        {
            "width_px": width,
            "width_mm": in_mm(width, test.scale, 5),
            "n": counts.get(width, (None, None))[1],
            "detected": counts.get(width, (None, None))[0],
            "pod": round(pod, 5),
            "lower_95": round(lower, 5),
            "upper_95": round(upper, 5),
        }
        for width, pod, lower, upper in zip(
            widths, *(values.tolist() for values in test.pod.curve(widths)), strict=True
        )
    ]


def count_by_width(test: SelftestResult) -> dict[float, tuple[int, int]]:
    """Return the number of detected cracks and of all cracks, by width."""
    counts: dict[float, tuple[int, int]] = {}
    for each in test.tested:
        hit, tried = counts.get(each.drawn.width_px, (0, 0))
        counts[each.drawn.width_px] = hit + each.hit.detected, tried + 1
    return dict(sorted(counts.items()))


def make_record(test: SelftestResult, task: SelftestTask) -> dict[str, Any]:
    """Return the content of ``selftest.json``."""
    errors = WidthErrors.of(test.tested)
    a9095, contradiction = claimed_a9095(test)
    by_width = [
        {"width_px": width, "n": tried, "detected": hit}
        | asdict(WidthErrors.of(one for one in test.tested if one.drawn.width_px == width))
        for width, (hit, tried) in count_by_width(test).items()
    ]
    pod = test.pod
    points = {"a50": pod.a50, "a90": pod.a90, "a90_95": a9095}
    return {
        "sentence": sentence(test, errors),
        "notes": notes(test, task, contradiction),
        **{f"{name}_px": rounded(value) for name, value in points.items()},
        **{f"{name}_mm": in_mm(value, test.scale, 5) for name, value in points.items()},
        "slope": round(pod.slope, 4),
        "drawn": len(test.tested),
        "detected": sum(each.hit.detected for each in test.tested),
        "set_aside_as_joints": sum(each.hit.set_aside for each in test.tested),
        "width_error": asdict(errors),
        "by_width": by_width,
        "contrast": test.contrast,
        "contrast_from_cracks": test.contrast_cracks,
        "blur_sigma_px": round(test.blur_px, 3),
        "threshold": test.threshold,
        "places_apart_px": test.apart_px if math.isfinite(test.apart_px) else None,
        "places_suspected_before": sum(each.drawn.place.suspected for each in test.tested),
        "unexplained_indications": test.indications,
        "assessed_mp": round(test.assessed_mp, 4),
        "unexplained_indications_per_mp": rounded(per_mp(test.indications, test.assessed_mp)),
        "false_calls": test.false_calls,
        "checked_mp": round(test.checked_mp, 4),
        "false_calls_per_mp": rounded(per_mp(test.false_calls, test.checked_mp)),
        "mm_per_px": test.scale.mm_per_px if test.scale else None,
        "image": {
            "file": test.info.path.name,
            "sha256": test.info.digest,
            "rows": test.info.rows,
            "cols": test.info.cols,
            "windows": None if test.whole else [asdict(part.window) for part in test.parts],
        },
        "rules": {
            "model": "log-odds of detection linear in log width, Firth's penalty",
            "a90_95": "one-sided 95 % bound of a90 by the likelihood ratio",
            "detected_share": hits.DETECTED_FRACTION,
            "reach_px": hits.REACH_PX,
        },
        "seed": task.seed,
        "engine": test.engine,
        "options": options_record(task),
        "crackcli_version": __version__,
    }


def options_record(task: SelftestTask) -> dict[str, Any]:
    """Return the options of a task as one flat dict; the self-test has no option --look-in."""
    options: dict[str, Any] = {}
    for name, value in asdict(task).items():
        options |= value if name == "model_options" else {RECORDED_AS.get(name, name): value}
    del options["look_in"]
    return options


def claimed_a9095(test: SelftestResult) -> tuple[float, Contradiction | None]:
    """Return a90/95 in px, and the cracks that contradict the curve, if there are any.

    The width is nan if it is not reached, or contradicted.
    """
    widths = [each.drawn.width_px for each in test.tested]
    found = [each.hit.detected for each in test.tested]
    contradiction = find_contradiction(test.pod, widths, found)
    return (math.nan if contradiction else test.pod.a9095), contradiction


def sentence(test: SelftestResult, errors: WidthErrors) -> str:
    """Return the result as one sentence."""
    a9095, _ = claimed_a9095(test)
    where = f"in crack-free areas of {test.info.path.name}"
    if math.isnan(a9095):
        found = sum(each.hit.detected for each in test.tested)
        first = (
            f"The test does not show that cracks up to {test.pod.widest:g} px"
            f"{also_mm(test.pod.widest, test)} are found in 90 % of cases with 95 % confidence "
            f"{where}: {found} of {len(test.tested)} drawn cracks were found"
        )
    else:
        shown = math.ceil(a9095 * 10 - 1e-6) / 10
        first = (
            f"Cracks of {shown:g} px{also_mm(shown, test)} or wider are found in at least 90 % of "
            f"cases with 95 % confidence {where}"
        )
    parts = [f"{first}, drawn {100 * test.contrast:.0f} % darker than the surface"]
    if errors.mean_px is not None:
        spread = "" if errors.sd_px is None else f" (sd {errors.sd_px:.1f})"
        side = "wide" if errors.mean_px >= 0 else "narrow"
        parts.append(f"widths are measured {abs(errors.mean_px):.1f} px too {side}{spread}")
    rate = per_mp(test.indications, test.assessed_mp)
    parts.append(f"{format_rate(rate)} unexplained indications per megapixel")
    return "; ".join(parts) + "."


def notes(
    test: SelftestResult, task: SelftestTask, contradiction: Contradiction | None
) -> list[str]:
    """Return notes on the limits of the sentence."""
    false_call_rate = format_rate(per_mp(test.false_calls, test.checked_mp))
    found = [
        "Unexplained indications are cracks found in the photograph before anything was drawn; "
        "whether they are cracks was not checked. Beside the drawn cracks there were "
        f"{test.false_calls} false calls, {false_call_rate} per megapixel; some may be cracks that "
        "the scan of the photograph had missed."
    ]
    if contradiction:
        width_px, hit, tried = contradiction
        found.append(
            f"Of the cracks of {width_px:g} px or wider only {hit} of {tried} were found: "
            "detection does not rise with width as the curve does, and a90/95 is not claimed."
        )
    elif math.isnan(test.pod.a9095) and not math.isnan(test.pod.a90):
        crowded = test.apart_px < CROWDED_PX  # more cracks would only lie nearer to each other
        more = "wider --widths" if crowded else f"--count {2 * task.count}, or wider --widths"
        found.append(
            f"The best estimate of the width found in 90 % of cases is {test.pod.a90:.1f} "
            f"px{also_mm(test.pod.a90, test)}, but so few cracks do not prove it: add {more}."
        )
    suspected = sum(each.drawn.place.suspected for each in test.tested)
    if suspected:
        found.append(
            f"{suspected} of {len(test.tested)} cracks were drawn where the classifier already "
            "suspected a crack, as there were no other places: for these only the marking of "
            "pixels is tested."
        )
    if test.apart_px < CROWDED_PX:
        found.append(
            f"Cracks are as near as {test.apart_px:.0f} px to each other, as the crack-free areas "
            "are small: they share surroundings, and the true confidence is below 95 %."
        )
    if len(test.tested) < task.count:
        found.append(f"There was room for {len(test.tested)} of {task.count} cracks.")
    if not test.whole:
        found.append(
            f"The photograph has {test.info.megapixels:.0f} megapixels; {len(test.parts)} random "
            f"windows of it, {test.assessed_mp:.0f} megapixels, were tested."
        )
    if test.contrast_cracks:
        found.append(
            f"Contrast {test.contrast:g} is that of the fainter quarter of {test.contrast_cracks} "
            "cracks found on the photograph."
        )
    return found


def per_mp(count: int, megapixels: float) -> float:
    """Return a count per megapixel; nan without an area."""
    return count / megapixels if megapixels else math.nan


def format_rate(rate: float) -> str:
    """Format a rate with one decimal below 10."""
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def also_mm(value_px: float, test: SelftestResult) -> str:
    """Return a width in millimetres, in brackets; empty without a scale."""
    return f" ({value_px * test.scale.mm_per_px:.2g} mm)" if test.scale else ""
