"""Measures of a mask (count, area, largest width), and their errors against those of the labels.

count   8-connected components of at least 50 px (the "cracks per patch" of Forest et al. 2024)
area    marked pixels
widths  the largest, by two estimators that must not be mixed: the paper's (`study_width`), and
        ours, that of crackcli report on the same mask; only components of at least 50 px count in
        either. Joints are not set apart here, since a label already means crack

Errors are those of the paper: the mean absolute error (MAE) of counts, and the mean of
|measured - true| / true (MAPE) of areas and widths. A true value of 0, which the paper's width
gives for bars along the axes, has no relative error and is left out.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crackcli.arrays import Bools
from crackcli.cracks.tracing import trace_runs
from crackcli.evaluation.study_protocol import large_components
from crackcli.evaluation.study_width import largest_width
from crackcli.masking.runs import find_runs
from crackcli.rasters.score_mask import SCORE_MAX


@dataclass(frozen=True)
class MaskMeasures:
    """The measures of one mask; widths in pixels."""

    count: int
    area_px: float
    width_study_px: float
    width_ours_px: float


@dataclass(frozen=True)
class Errors:
    """Mean errors over masks, nan without any: ``_mae`` in cracks, ``_mape`` as fractions of the
    true value."""

    count_mae: float
    area_mape: float
    width_study_mape: float
    width_ours_mape: float


def measure(mask: Bools, seed: int = 0) -> MaskMeasures:
    """Return the measures of a mask (rows, cols); ``seed`` is that of the paper's k-means."""
    large, count = large_components(mask)
    return MaskMeasures(
        count=count,
        area_px=int(mask.sum()),
        width_study_px=largest_width(large, seed),
        width_ours_px=reported_width(large),
    )


def reported_width(mask: Bools) -> float:
    """Return the largest width in px that crackcli report gives for a mask; 0 if it is empty."""
    marked = mask.astype(np.uint8)
    runs = find_runs([(marked, marked * np.uint8(SCORE_MAX))], *mask.shape)
    return max((crack.widths.max_px for crack in trace_runs(runs, "mask")), default=0.0)


def errors(found: Sequence[MaskMeasures], true: Sequence[MaskMeasures]) -> Errors:
    """Return the errors of ``found`` (N) against ``true`` (N).

    A crack-free photograph, whose true measures are all 0, counts for the count only.
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
    """Return the mean of the values that are not nan; nan if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
