"""Progress on stderr: a bar on a terminal, else a line every 30 s; nothing with ``--quiet``.

Both show the fraction done, the megapixels done and their rate where work is measured in pixels,
the time left, and the stage of the work.
"""

import contextlib
import sys
import time
from collections.abc import Iterator

from crackcli.progress import Progress, Stage, ignore
from crackcli.texts import printable

EVERY_S = 30.0


@contextlib.contextmanager
def show_progress(command: str, *, quiet: bool) -> Iterator[Progress]:
    """Yield the `Progress` of a command, in the form that suits stderr."""
    if quiet:
        yield ignore
    elif sys.stderr.isatty():
        with terminal_bar(command) as report:
            yield report
    else:
        yield plain_lines(command)


@contextlib.contextmanager
def terminal_bar(command: str) -> Iterator[Progress]:
    """Yield a `Progress` that redraws one line of a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn("{task.fields[pixels]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[stage]}", markup=False),  # file names may contain brackets
    )
    throughput = Throughput()
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(command, total=1.0, pixels="", stage="")

        def report(fraction: float, words: str) -> None:
            pixels = throughput.describe(words, time.monotonic())
            display.update(task, completed=fraction, pixels=pixels, stage=printable(str(words)))

        yield report


def plain_lines(command: str) -> Progress:
    """Return a `Progress` that prints a line every `EVERY_S`, for cron mail and log files.

    The time left follows from the work since the first report: a resumed run starts above 0.
    """
    throughput = Throughput()
    printed: float | None = None  # time of the last line
    began, first = 0.0, 0.0

    def report(fraction: float, words: str) -> None:
        nonlocal printed, began, first
        now = time.monotonic()
        pixels = throughput.describe(words, now)
        if printed is None:
            began, first, printed = now, fraction, now
        if now - printed >= EVERY_S:
            printed = now
            left = (now - began) * (1 - fraction) / max(fraction - first, 1e-6)
            parts = [f"{fraction:.0%}", *([pixels] if pixels else []), f"{left / 60:.0f} min left"]
            print(f"{command}: {', '.join(parts)}: {printable(words)}", file=sys.stderr)

    return report


class Throughput:
    """The megapixels and the rate of the current stage, since its first report.

    A stage that an earlier run has begun starts above 0; its rate counts only what is done now.
    """

    def __init__(self) -> None:
        self.stage: tuple[str, float] | None = None
        self.began_s = self.first_mp = 0.0

    def describe(self, words: str, now_s: float) -> str:
        """Return "120 of 400 MP, 3.2 MP/s"; "" for a stage that is not measured in pixels."""
        if not isinstance(words, Stage):
            return ""
        stage = str(words), words.total_mp
        if stage != self.stage:
            self.stage, self.began_s, self.first_mp = stage, now_s, words.done_mp
        text = f"{words.done_mp:{decimals(words.total_mp)}} of {in_mp(words.total_mp)}"
        done, seconds = words.done_mp - self.first_mp, now_s - self.began_s
        return f"{text}, {in_mp(done / seconds)}/s" if done > 0 and seconds > 0 else text


def in_mp(megapixels: float) -> str:
    """Return megapixels as text."""
    return f"{megapixels:{decimals(megapixels)}} MP"


def decimals(megapixels: float) -> str:
    """Return the format of numbers of this size: whole from 100, else two figures or so."""
    return ".0f" if megapixels >= 100 else ".1f" if megapixels >= 1 else ".2f"
