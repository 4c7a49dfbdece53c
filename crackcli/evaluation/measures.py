"""What is measured of a mask, and how far the measures of masks lie from those of their labels.

count   8-connected components of at least 50 px (the study's "cracks per patch")
area    marked pixels
widths  the largest, by two estimators that are not to be mixed: the study's (`study_width`), and
        ours, the one of crackcli report on the same mask, which sets no joints aside here, as a
        label that says crack means crack; only components of at least 50 px count in either

Errors are those of the study: the mean absolute error of counts, and of areas and widths the mean
of |measured - true| / true.  A true value of 0, which the study's width gives for bars along the
axes, has no relative error: it is left out.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools
from crackcli.cracks.trace import measured
from crackcli.evaluation.study_protocol import large_components
from crackcli.evaluation.study_width import largest_width
from crackcli.masking.runs import find_runs
from crackcli.rasters.reader import SCORE_MAX


@dataclass(frozen=True)
class MaskMeasures:
    """Of one mask; widths in pixels."""

    count: int
    area_px: float
    width_study_px: float
    width_ours_px: float


@dataclass(frozen=True)
class Errors:
    """Mean errors over masks; nan where there is no mask to tell from.  ``_mae`` in cracks,
    ``_mape`` as shares of the true value."""

    count_mae: float
    area_mape: float
    width_study_mape: float
    width_ours_mape: float


def measure(mask: Bools, seed: int = 0) -> MaskMeasures:
    """The measures of a mask (rows, cols); ``seed`` is that of the study's k-means."""
    large, count = large_components(mask)
    return MaskMeasures(
        count=count,
        area_px=int(mask.sum()),
        width_study_px=largest_width(large, seed),
        width_ours_px=reported_width(large),
    )


def reported_width(mask: Bools) -> float:
    """The largest width that crackcli report tells of a mask; 0 where nothing is marked."""
    marked = mask.astype(np.uint8)
    runs = find_runs([(marked, marked * np.uint8(SCORE_MAX))], *mask.shape)
    return max((crack.widths.max_px for crack in measured(runs, "mask")), default=0.0)


def errors(found: Sequence[MaskMeasures], true: Sequence[MaskMeasures]) -> Errors:
    """The errors of ``found`` (N) against ``true`` (N).

    A sound photograph, whose true measures are all 0, counts for the count only.
    """

    def mape(name: str) -> float:
        pairs = [(getattr(f, name), getattr(t, name)) for f, t in zip(found, true, strict=True)]
        return mean(abs(value - wanted) / wanted for value, wanted in pairs if wanted > 0)

    return Errors(
        count_mae=mean(abs(f.count - t.count) for f, t in zip(found, true, strict=True)),
        area_mape=mape("area_px"),
        width_study_mape=mape("width_study_px"),
        width_ours_mape=mape("width_ours_px"),
    )


def mean(values: Iterable[float]) -> float:
    """Their mean, nan of none; values that are nan are left out."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
