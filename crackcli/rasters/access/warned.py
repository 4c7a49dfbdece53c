"""What GDAL and rasterio warn of: collect it where it matters, hide it where it does not.

What GDAL warns of while it decodes pixels matters: they are then not those of the photograph.

GDAL decodes a damaged block of some codes (JPEG and PackBits in TIFF) as far as it can, and warns.
rasterio logs that in the thread that reads; here it is kept for that thread.
"""

import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Iterator

from rasterio.errors import NotGeoreferencedWarning

LOGGER = "rasterio._err"
FILTERS_LOCK = threading.Lock()  # warning filters are shared by all threads
HARMLESS = re.compile(r"TIFFReadDirectory|TIFFFetch|iCCP|sRGB|EXIF|XMP|GeoTIFF|GeoKey", re.I)


class Collector(logging.Handler):
    """Keep the warnings of each thread that asks for them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.own = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        found: list[str] | None = getattr(self.own, "found", None)
        if found is not None and not HARMLESS.search(record.getMessage()):
            found.append(record.getMessage())


COLLECTOR = Collector()
logging.getLogger(LOGGER).addHandler(COLLECTOR)
logging.getLogger(LOGGER).setLevel(logging.WARNING)  # also where those above it are quiet


@contextlib.contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Yield a list that gets the warnings of this thread about pixels, while the block runs."""
    before = getattr(COLLECTOR.own, "found", None)
    found: list[str] = []
    COLLECTOR.own.found = found
    try:
        yield found
    finally:
        COLLECTOR.own.found = before


@contextlib.contextmanager
def no_grid_expected() -> Iterator[None]:
    """Open datasets in the block, one thread at a time, without the warning that they have no grid
    on a map, as photographs have none."""
    with FILTERS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
