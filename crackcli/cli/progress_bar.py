"""Progress on stderr: a bar on a terminal, else a line every 30 s; nothing with ``--quiet``.

Both show the fraction done, the megapixels done and their rate where work is measured in pixels,
the time left, and the stage of the work.
"""

import contextlib
import sys
import time
from collections.abc import Iterator

from crackcli.cli.logs import printing_above_bar, write
from crackcli.progress import Progress, Stage, ignore
from crackcli.texts import printable

EVERY_S = 30.0
BAR_COLUMNS = 16  # width of the bar, so that 80 columns also hold numbers and names
UNFINISHED = 0.99  # fraction that is shown at most before the end
LEAST_DONE = 1e-3  # fraction from which the time left is shown


@contextlib.contextmanager
def show_progress(command: str, *, quiet: bool) -> Iterator[Progress]:
    """Yield the `Progress` of a command, in the form that suits stderr."""
    if quiet:
        yield ignore
    elif sys.stderr.isatty():
        with terminal_bar(command) as report:
            yield report
    else:
        with plain_lines(command) as report:
            yield report


@contextlib.contextmanager
def terminal_bar(command: str) -> Iterator[Progress]:
    """Yield a `Progress` that redraws one line of a terminal; at the end it stays, at 100 %."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=BAR_COLUMNS),
        TextColumn("{task.percentage:3.0f}%", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[pixels]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
        TextColumn(  # takes the rest of the line; file names may contain brackets
            "{task.fields[stage]}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    throughput, console = Throughput(), Console(stderr=True)
    with (
        RichProgress(*columns, console=console, expand=True) as display,
        printing_above_bar(console),
    ):
        task = display.add_task(command, total=1.0, pixels="", left="left", stage="")

        def report(fraction: float, words: str) -> None:
            pixels = throughput.describe(words, time.monotonic())
            shown = min(fraction, UNFINISHED)
            display.update(task, completed=shown, pixels=pixels, stage=printable(str(words)))

        try:
            yield report
        except BaseException:
            display.live.transient = True  # it would show a run that has stopped
            raise
        display.update(task, completed=1.0, pixels="", left="", stage="")


@contextlib.contextmanager
def plain_lines(command: str) -> Iterator[Progress]:
    """Yield a `Progress` that prints a line every `EVERY_S`, for cron mail and log files.

    The time left follows from the work since the first report: a resumed run starts above 0. If
    there were such lines, the last one says 100 % and the time taken.
    """
    throughput = Throughput()
    printed: float | None = None  # time of the last line
    began, first, lines = 0.0, 0.0, 0

    def report(fraction: float, words: str) -> None:
        nonlocal printed, began, first, lines
        now = time.monotonic()
        pixels = throughput.describe(words, now)
        if printed is None:
            began, first, printed = now, fraction, now
        if now - printed >= EVERY_S:
            printed, lines = now, lines + 1
            parts = [f"{min(fraction, UNFINISHED):.0%}", *([pixels] if pixels else [])]
            if fraction - first > LEAST_DONE:
                left = (now - began) * (1 - fraction) / (fraction - first)
                parts.append(f"{left / 60:.0f} min left")
            write(f"{command}: {', '.join(parts)}: {printable(words)}")

    yield report
    if lines:
        write(f"{command}: 100%, {(time.monotonic() - began) / 60:.0f} min")


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
