"""Cracks measured on their photograph: centrelines on ridges of darkness, photometric widths.

What was traced from a mask says where to look.  First the photograph tells of itself
(`crackcli.measuring.optics`), then every crack is measured
(`crackcli.measuring.photometric_width`), batch by batch.  A crack whose photograph does not tell
its width for most of its length keeps the widths of its mask: area over length."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from crackcli.cracks import widths
from crackcli.cracks.centreline import Centreline
from crackcli.cracks.crack import Crack
from crackcli.measuring import summary
from crackcli.measuring.batches import Batch, read, whole
from crackcli.measuring.optics import find_optics
from crackcli.measuring.photometric_width import CLEAR_PX, CLEAR_WIDTHS, Found, Optics
from crackcli.measuring.profiles import GreyReader
from crackcli.measuring.summary import Measured
from crackcli.measuring.tone import Tone
from crackcli.progress import FractionDone


def measure_all(
    cracks: Sequence[Crack],
    photograph: GreyReader,
    window_px: float = widths.WINDOW_PX,
    telling: Sequence[Crack] | None = None,
    report: FractionDone = lambda share: None,
    tone: Tone | None = None,
) -> tuple[list[Crack], Optics]:
    """The cracks of one scene with centrelines and widths of ``photograph``, and its optics.

    ``window_px`` is the length of the running window of the largest width; ``telling`` are the
    cracks that tell the optics, else all do; ``tone`` is that of the photograph where it is known.
    """
    optics = find_optics(cracks if telling is None else telling, photograph, tone)
    done = list(cracks)
    seen = 0
    parts: list[tuple[Batch, Found]] = []
    for batch in read(range(len(cracks)), cracks, photograph, optics):
        parts.append((batch.measured(), batch.measure(optics)))
        if batch.goes_on:
            continue
        for number, crack in told(parts, cracks, optics, window_px):
            done[number] = crack
        parts = []
        seen += len(batch.numbers)
        report(seen / len(cracks))
    return done, optics


def told(
    parts: Sequence[tuple[Batch, Found]],
    cracks: Sequence[Crack],
    optics: Optics,
    window_px: float,
) -> Iterator[tuple[int, Crack]]:
    """The cracks of a batch, or of all ``parts`` of one crack, by their numbers, as measured."""
    batch, found = parts[0]
    lines, samples, owner, guess = (
        batch.refined.lines,
        batch.refined.samples,
        batch.owner,
        batch.guess,
    )
    if len(parts) > 1:
        crack = cracks[batch.numbers[0]]
        lines, samples = whole(crack.lines, [part.refined.samples for part, _ in parts])
        owner, guess = (
            np.concatenate([getattr(part, name) for part, _ in parts])
            for name in ("owner", "guess")
        )
        found = Found(
            *(
                np.concatenate([getattr(one, name) for _, one in parts])
                for name in ("width", "noise", "common", "depth")
            )
        )
    ends = np.minimum(samples.from_start, samples.from_end)
    clear = ends >= CLEAR_PX + np.maximum(2 * optics.blur.px, CLEAR_WIDTHS * guess)
    of_line = owner[samples.line_offsets[:-1]]
    limits = np.searchsorted(of_line, np.arange(len(batch.numbers) + 1))
    for place, number in enumerate(batch.numbers):
        crack = cracks[number]
        assert crack.widths.profile is not None
        first, last = int(limits[place]), int(limits[place + 1])
        part = slice(samples.line_offsets[first], samples.line_offsets[last])
        own = samples.of_lines(first, last)
        width = np.where(clear[part], found.width[part], np.nan)
        line = Centreline(lines[first:last], crack.junctions, crack.endpoints)
        across = summary.summarise_photometric(
            own,
            Measured(width, found.noise[part], found.common[part]),
            crack.widths.profile.width_px,
            crack.area_px,
            optics.along,
            window_px,
        )
        yield (
            number,
            replace(
                crack,
                centreline=[piece.points for piece in line.lines],
                lines=tuple(line.lines),
                length_px=line.length_px,
                main_length_px=line.main_path[0],
                tortuosity=line.tortuosity,
                orientation_deg=line.orientation_deg,
                widths=across,
            ),
        )
