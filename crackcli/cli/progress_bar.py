"""Progress on stderr: a bar on a terminal, else one line every 30 seconds; nothing if quiet."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator

from crackcli.progress import Progress

EVERY_S = 30.0


@contextlib.contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Progress]:
    """A function to be called with the share done and a few words."""
    if quiet:
        yield lambda share, words: None
    elif sys.stderr.isatty():
        with bar(what) as report:
            yield report
    else:
        yield lines(what)


@contextlib.contextmanager
def bar(what: str) -> Iterator[Progress]:
    """A line that is drawn again and again, with the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(what, total=1.0, words="")
        yield lambda share, words: display.update(task, completed=share, words=words)


def lines(what: str) -> Progress:
    """Plain lines for cron mail and log files; the time left is told from the share that was done
    since the first, as a run may go on where an earlier one stopped."""
    said: float | None = None
    began, first = 0.0, 0.0

    def report(share: float, words: str) -> None:
        nonlocal said, began, first
        now = time.monotonic()
        if said is None:
            began, first, said = now, share, now
        if now - said >= EVERY_S:
            said = now
            left = (now - began) * (1 - share) / max(share - first, 1e-6)
            print(f"{what}: {share:.0%}, {left / 60:.0f} min left {words}", file=sys.stderr)

    return report


def say_log(*, quiet: bool, verbose: bool = False) -> None:
    """Log records of the package to stderr: warnings always, news unless quiet."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("crackcli").setLevel(level)
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what matters of it is our error
