"""Messages and log records on stderr, above a progress bar if one is drawn."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from crackcli.texts import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

consoles: list["Console"] = []  # those that draw a bar now; the last one prints


@contextmanager
def printing_above_bar(console: "Console") -> Iterator[None]:
    """Let ``console``, which draws a progress bar, print all messages meanwhile.

    What is written to stderr past it would start at the end of the bar.
    """
    consoles.append(console)
    try:
        yield
    finally:
        consoles.remove(console)


class StderrHandler(logging.Handler):
    """Write records to the current `sys.stderr`, or above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            write(printable_lines(self.format(record)))
        except Exception:
            self.handleError(record)


def tell(text: str) -> None:
    """Print one line on stderr; control characters, as in the name of a file, are escaped."""
    write(printable(text))


def literal(text: str) -> "Text":
    """Return a text for a table of rich as it is: brackets in a name are no markup."""
    from rich.text import Text

    return Text(printable(text))


def write(text: str) -> None:
    """Write lines to stderr as they are: neither wrapped nor coloured."""
    if consoles:
        from rich.text import Text

        consoles[-1].print(Text(text), soft_wrap=True)
    elif sys.stderr is not None:
        typer.echo(text, err=True)


def configure_logging(*, quiet: bool, verbose: bool = False) -> None:
    """Log warnings and errors; without ``quiet`` also messages, with ``verbose`` also details."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=[StderrHandler()])
    logging.getLogger("crackcli").setLevel(level)
    rasterio = logging.getLogger("rasterio")
    rasterio.setLevel(logging.CRITICAL)
    rasterio.propagate = False  # its errors, and its warnings of pixels, become errors of ours
