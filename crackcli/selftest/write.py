"""The files of a self-test, and its one sentence.

OUT/pod.csv        a row for each drawn crack
OUT/curve.csv      the probability of detection by width, with its 95 % limits
OUT/pod.png        the curve, and the errors of the widths
OUT/overlay.png    the drawn cracks, and what was found of them
OUT/selftest.json  all numbers, the sentence, options and digests; the last to be written
"""

import contextlib
import csv
import io
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crackcli import __version__
from crackcli.files import lock_folder, refuse_existing, output_errors, write_json, write_text
from crackcli.progress import Progress
from crackcli.rasters.crops import write_png
from crackcli.selftest import hits
from crackcli.selftest.plots import overlay, pod_chart
from crackcli.selftest.pod import contradicted
from crackcli.selftest.run import Selftest, SelftestTask, Tested, run_selftest

NEAR_PX = 192.0  # between places, below which they are not independent
ROWS = 41  # of the curve, besides the widths that were drawn
FILES = ("pod.csv", "curve.csv", "pod.png", "overlay.png", "selftest.json")

Row = dict[str, Any]
Doubt = tuple[float, int, int]  # a width, cracks as wide or wider that were found, and all such


@dataclass(frozen=True)
class SelftestSummary:
    """What was written, the sentence, what to know beside it, and all that ``selftest.json``
    holds."""

    paths: list[Path]
    sentence: str
    notes: list[str]
    record: dict[str, Any]


@dataclass(frozen=True)
class WidthErrors:
    """Measured less true width of the cracks that were found: mean, sample standard deviation and
    number; ``over_sigma`` is the root mean square of errors over their stated uncertainties, 1 if
    these are right.  None: too few, or not stated."""

    mean_px: float | None
    sd_px: float | None
    count: int
    over_sigma: float | None

    @classmethod
    def of(cls, tested: Iterable[Tested]) -> "WidthErrors":
        found = [each.hit for each in tested if each.hit.measured_px is not None]
        errors = np.array([hit.measured_px - hit.true_px for hit in found])
        sigmas = np.array([hit.sigma_px or math.nan for hit in found], float)
        ratios = (errors / sigmas)[np.isfinite(sigmas)]
        return cls(
            mean_px=float(errors.mean()) if len(errors) else None,
            sd_px=float(errors.std(ddof=1)) if len(errors) > 1 else None,
            count=len(errors),
            over_sigma=float(np.sqrt((ratios**2).mean())) if len(ratios) else None,
        )


def write_selftest(
    task: SelftestTask, progress: Progress = lambda share, words: None
) -> SelftestSummary:
    """Run the self-test and write its files into ``task.output``."""
    record_path = task.output / "selftest.json"
    refuse_existing(record_path, overwrite=task.overwrite)
    existed = task.output.exists()
    with lock_folder(task.output):
        try:
            test = run_selftest(task, progress)
        except Exception:
            if not existed:
                leave_nothing(task.output)
            raise
        for name in reversed(FILES):
            with output_errors(task.output):
                (task.output / name).unlink(missing_ok=True)  # of an earlier test
        paths = [task.output / name for name in FILES]
        record = facts(test, task)
        write_text(paths[0], to_csv([crack_row(each, test) for each in test.tested]))
        write_text(paths[1], to_csv(curve_rows(test)))
        write_png(paths[2], pod_chart(test, record["sentence"]))
        write_png(paths[3], overlay(test))
        write_json(paths[4], record)
        shutil.rmtree(task.output / "work", ignore_errors=True)
    return SelftestSummary(paths, record["sentence"], record["notes"], record)


def leave_nothing(output: Path) -> None:
    """Remove a folder that holds no finished strip of a scan: nothing to go on from."""
    if not any(output.glob("work/*/*/scene.json")) and not any(output.glob("work/*/*/work")):
        shutil.rmtree(output / "work", ignore_errors=True)
        (output / ".lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            output.rmdir()


def crack_row(each: Tested, test: Selftest) -> Row:
    """A drawn crack; numbers that are missing are unknown or do not apply."""
    drawn, hit, part = each.drawn, each.hit, each.drawn.part.window
    error = None if hit.measured_px is None else hit.measured_px - hit.true_px
    return {
        "id": drawn.number,
        "col": round(drawn.place.x + part.col, 1),
        "row": round(drawn.place.y + part.row, 1),
        "width_px": drawn.width_px,
        "width_mm": in_mm(drawn.width_px, test),
        "contrast": test.contrast,
        "length_px": round(drawn.path.length_px, 1),
        "length_mm": in_mm(drawn.path.length_px, test),
        "suspected_before": drawn.place.suspected,
        "found_share": round(hit.share, 3),
        "detected": hit.detected,
        "set_aside": hit.set_aside,
        "true_width_px": rounded(hit.true_px),
        "measured_width_px": rounded(hit.measured_px),
        "measured_width_sigma_px": rounded(hit.sigma_px),
        "error_px": rounded(error),
        "error_mm": in_mm(error, test),
        "false_calls": hit.false_calls,
    }


def curve_rows(test: Selftest) -> list[Row]:
    """The curve at the widths that were drawn and between them."""
    counts = counted(test)
    between = np.geomspace(test.pod.narrowest, test.pod.widest, ROWS)
    widths = sorted({*counts, *(round(float(width), 4) for width in between)})
    return [
        {
            "width_px": width,
            "width_mm": in_mm(width, test),
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


def counted(test: Selftest) -> dict[float, tuple[int, int]]:
    """Of each width, how many cracks were detected of how many."""
    counts: dict[float, tuple[int, int]] = {}
    for each in test.tested:
        hit, tried = counts.get(each.drawn.width_px, (0, 0))
        counts[each.drawn.width_px] = hit + each.hit.detected, tried + 1
    return dict(sorted(counts.items()))


def facts(test: Selftest, task: SelftestTask) -> dict[str, Any]:
    """All that there is to say, as JSON."""
    errors = WidthErrors.of(test.tested)
    a9095, doubt = claimed(test)
    by_width = [
        {"width_px": width, "n": tried, "detected": hit}
        | asdict(WidthErrors.of(one for one in test.tested if one.drawn.width_px == width))
        for width, (hit, tried) in counted(test).items()
    ]
    pod = test.pod
    points = {"a50": pod.a50, "a90": pod.a90, "a90_95": a9095}
    return {
        "sentence": sentence(test, errors),
        "notes": notes(test, task, doubt),
        **{f"{name}_px": rounded(value) for name, value in points.items()},
        **{f"{name}_mm": in_mm(value, test) for name, value in points.items()},
        "slope": round(pod.slope, 4),
        "drawn": len(test.tested),
        "detected": sum(each.hit.detected for each in test.tested),
        "set_aside_as_joints": sum(each.hit.set_aside for each in test.tested),
        "width_error": asdict(errors),
        "by_width": by_width,
        "contrast": test.contrast,
        "contrast_from_cracks": test.learnt_from,
        "blur_sigma_px": round(test.blur_px, 3),
        "threshold": test.threshold,
        "places_apart_px": test.apart_px if math.isfinite(test.apart_px) else None,
        "places_suspected_before": sum(each.drawn.place.suspected for each in test.tested),
        "unexplained_indications": test.indications,
        "assessed_mp": round(test.assessed_mp, 4),
        "unexplained_indications_per_mp": rounded(per(test.indications, test.assessed_mp)),
        "false_calls": test.false_calls,
        "checked_mp": round(test.checked_mp, 4),
        "false_calls_per_mp": rounded(per(test.false_calls, test.checked_mp)),
        "mm_per_px": test.scale.mm_per_px if test.scale else None,
        "image": {
            "file": test.info.path.name,
            "sha256": test.info.digest,
            "rows": test.info.rows,
            "cols": test.info.cols,
            "windows": None if test.whole else [asdict(part.window) for part in test.parts],
        },
        "rules": {
            "model": "log-odds of detection straight over log width, Firth's penalty",
            "a90_95": "one-sided 95 % bound of a90 by the likelihood ratio",
            "detected_share": hits.DETECTED,
            "reach_px": hits.REACH_PX,
        },
        "seed": task.seed,
        "engine": test.facts,
        "options": asdict(task),
        "crackcli_version": __version__,
    }


def claimed(test: Selftest) -> tuple[float, Doubt | None]:
    """a90/95 in px, nan where it is not reached or the cracks contradict the curve, and then by
    which width how."""
    widths = [each.drawn.width_px for each in test.tested]
    doubt = contradicted(test.pod, widths, [each.hit.detected for each in test.tested])
    return (math.nan if doubt else test.pod.a9095), doubt


def sentence(test: Selftest, errors: WidthErrors) -> str:
    """The result in one sentence."""
    a9095, _ = claimed(test)
    where = f"in sound areas of {test.info.path.name}"
    if math.isnan(a9095):
        found = sum(each.hit.detected for each in test.tested)
        first = (
            f"No width up to {test.pod.widest:g} px{also_mm(test.pod.widest, test)} is shown to be "
            f"found in 90 % of cases with 95 % confidence {where}: {found} of {len(test.tested)} "
            "drawn cracks were found"
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
        parts.append(f"widths read {abs(errors.mean_px):.1f} px too {side}{spread}")
    rate = per(test.indications, test.assessed_mp)
    parts.append(f"{short(rate)} unexplained indications per megapixel")
    return "; ".join(parts) + "."


def notes(test: Selftest, task: SelftestTask, doubt: Doubt | None) -> list[str]:
    """What to know beside the sentence."""
    found = [
        "Unexplained indications are what is found on the photograph as it is: nobody has looked "
        "whether they are cracks. Beside the drawn cracks there were "
        f"{test.false_calls} false calls, {short(per(test.false_calls, test.checked_mp))} per "
        "megapixel; among these may be cracks that the scan of the photograph had missed."
    ]
    if doubt:
        found.append(
            f"Of the cracks of {doubt[0]:g} px or wider only {doubt[1]} of {doubt[2]} were found: "
            "detection does not rise with width as the curve does, and a90/95 is not claimed."
        )
    elif math.isnan(test.pod.a9095) and not math.isnan(test.pod.a90):
        crowded = test.apart_px < NEAR_PX  # more cracks would only lie nearer to each other
        more = "wider --widths" if crowded else f"--count {2 * task.count}, or wider --widths"
        found.append(
            f"The best estimate of the width that is found in 90 % of cases is {test.pod.a90:.1f} "
            f"px{also_mm(test.pod.a90, test)}, but so few cracks do not prove it: add {more}."
        )
    suspected = sum(each.drawn.place.suspected for each in test.tested)
    if suspected:
        found.append(
            f"{suspected} of {len(test.tested)} cracks were drawn where the classifier suspected a "
            "crack before, for lack of other places: there only the marking of pixels is tested."
        )
    if test.apart_px < NEAR_PX:
        found.append(
            f"Places lie as near as {test.apart_px:.0f} px to each other, for the sound areas are "
            "small: cracks share surroundings, and confidence is less than is said."
        )
    if len(test.tested) < task.count:
        found.append(f"There were sound places for {len(test.tested)} of {task.count} cracks.")
    if not test.whole:
        found.append(
            f"The photograph has {test.info.megapixels:.0f} megapixels; {len(test.parts)} windows "
            f"of it, {test.assessed_mp:.0f} megapixels, chosen by chance, were tested."
        )
    if test.learnt_from:
        found.append(
            f"Contrast {test.contrast:g} is that of the fainter quarter of {test.learnt_from} "
            "cracks found on the photograph."
        )
    return found


def to_csv(rows: Sequence[Row]) -> str:
    """Rows with a header; None is an empty field, yes and no are true and false."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: str(v).lower() if isinstance(v, bool) else v for k, v in row.items()})
    return text.getvalue()


def per(count: int, megapixels: float) -> float:
    return count / megapixels if megapixels else math.nan


def short(rate: float) -> str:
    """A rate for people."""
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)


def in_mm(value_px: float | None, test: Selftest) -> float | None:
    if value_px is None or math.isnan(value_px) or test.scale is None:
        return None
    return round(value_px * test.scale.mm_per_px, 5)


def also_mm(value_px: float, test: Selftest) -> str:
    return f" ({value_px * test.scale.mm_per_px:.2g} mm)" if test.scale else ""
