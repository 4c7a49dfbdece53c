"""Measure cracks on their photograph: centrelines on ridges, and photometric widths.

The traced mask gives initial lines and widths. First the optics of the photograph are estimated
(`crackcli.measuring.optics`), then every crack is measured
(`crackcli.measuring.photometric_width`), batch by batch. A crack without photometric widths on most
of its length keeps the widths of its mask: area over length.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

import crackcli.measuring.summary as summary
from crackcli.cracks import widths
from crackcli.cracks.crack import Crack
from crackcli.cracks.on_ground import in_squares, line_measures, stretches
from crackcli.measuring.batches import Batch, join_stretches, read_batches
from crackcli.measuring.full_contrast import Optics
from crackcli.measuring.optics import find_optics
from crackcli.measuring.photometric_width import (
    CLEAR_BLURS,
    CLEAR_PX,
    CLEAR_WIDTHS,
    PhotometricWidths,
)
from crackcli.measuring.profiles import GreyReader
from crackcli.measuring.summary import MeasuredWidths
from crackcli.measuring.tone import ToneCurve
from crackcli.progress import FractionDone, ignore
from crackcli.rasters.ground.pixel import SQUARE, PixelShape


def measure_all(
    cracks: Sequence[Crack],
    photograph: GreyReader,
    window_px: float = widths.WINDOW_PX,
    reference_cracks: Sequence[Crack] | None = None,
    report: FractionDone = ignore,
    tone: ToneCurve | None = None,
    shape: PixelShape = SQUARE,
) -> tuple[list[Crack], Optics]:
    """Return the cracks of one scene with refined centrelines and widths, and the optics.

    ``window_px`` is the length of the running window of the maximum width. Optics are estimated
    from ``reference_cracks``, or from all. ``tone`` is the tone curve of the photograph if it is
    known. Cracks come in pixels; measures, but not places, are returned in squares as large as
    pixels of ``shape``.
    """
    optics = find_optics(cracks if reference_cracks is None else reference_cracks, photograph, tone)
    done = [in_squares(crack, shape) for crack in cracks]
    measured_count = 0
    parts: list[tuple[Batch, PhotometricWidths]] = []
    for batch in read_batches(range(len(cracks)), cracks, photograph, optics):
        parts.append((batch.without_profiles(), batch.measure(optics)))
        if batch.continues:
            continue
        for index, crack in measured_cracks(parts, cracks, optics, window_px, shape):
            done[index] = crack
        parts = []
        measured_count += len(batch.indices)
        report(measured_count / len(cracks))
    return done, optics


def measured_cracks(
    parts: Sequence[tuple[Batch, PhotometricWidths]],
    cracks: Sequence[Crack],
    optics: Optics,
    window_px: float,
    shape: PixelShape,
) -> Iterator[tuple[int, Crack]]:
    """Yield the measured cracks of a batch, or of all ``parts`` of one crack.

    Each comes with its index in ``cracks``.
    """
    batch, found = parts[0]
    lines, samples, labels, initial_widths = (
        batch.refined.lines,
        batch.refined.samples,
        batch.labels,
        batch.initial_widths,
    )
    if len(parts) > 1:
        crack = cracks[batch.indices[0]]
        lines, samples = join_stretches(crack.lines, [part.refined.samples for part, _ in parts])
        labels, initial_widths = (
            np.concatenate([getattr(part, name) for part, _ in parts])
            for name in ("labels", "initial_widths")
        )
        found = PhotometricWidths(
            *(
                np.concatenate([getattr(one, name) for _, one in parts])
                for name in ("width", "random_sigma", "systematic_sigma", "full_contrast")
            )
        )
    ends = np.minimum(samples.from_start, samples.from_end)
    clear = ends >= CLEAR_PX + np.maximum(
        CLEAR_BLURS * optics.blur.px, CLEAR_WIDTHS * initial_widths
    )
    of_line = labels[samples.line_offsets[:-1]]
    limits = np.searchsorted(of_line, np.arange(len(batch.indices) + 1))
    for place, index in enumerate(batch.indices):
        crack = cracks[index]
        assert crack.widths.profile is not None
        first, last = int(limits[place]), int(limits[place + 1])
        part = slice(samples.line_offsets[first], samples.line_offsets[last])
        own = samples.of_lines(first, last)
        width = np.where(clear[part], found.width[part], np.nan)
        own_lines = lines[first:last]
        longer = stretches(own, shape)
        across = summary.summarise_photometric(
            replace(own, steps=own.steps * longer),
            MeasuredWidths(
                width / longer,
                found.random_sigma[part] / longer,
                found.systematic_sigma[part] / longer,
            ),
            crack.widths.profile.width_px / longer,
            crack.area_px,
            optics.noise_samples,
            window_px,
        )
        yield (
            index,
            replace(
                crack,
                centreline=[piece.points for piece in own_lines],
                lines=tuple(own_lines),
                widths=across,
                **line_measures(own_lines, crack.junctions, crack.endpoints, shape),
            ),
        )
