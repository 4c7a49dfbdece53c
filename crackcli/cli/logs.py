"""Log records of the package on stderr."""

import logging
import sys

import typer

from crackcli.texts import printable, printable_lines


class StderrHandler(logging.Handler):
    """Write records to the current `sys.stderr`, which a progress bar replaces while it is drawn.

    The bar then moves down and stays whole.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if sys.stderr is not None:
                sys.stderr.write(f"{printable_lines(self.format(record))}\n")
                sys.stderr.flush()
        except Exception:
            self.handleError(record)


def tell(text: str) -> None:
    """Print one line on stderr; control characters, as in the name of a file, are escaped."""
    typer.echo(printable(text), err=True)


def configure_logging(*, quiet: bool, verbose: bool = False) -> None:
    """Log warnings and errors; without ``quiet`` also messages, with ``verbose`` also details."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=[StderrHandler()])
    logging.getLogger("crackcli").setLevel(level)
    rasterio = logging.getLogger("rasterio")
    rasterio.setLevel(logging.CRITICAL)
    rasterio.propagate = False  # its errors, and its warnings of pixels, become errors of ours
