"""Collect what GDAL warns of while it decodes pixels: they are then not those of the photograph.

GDAL decodes a damaged block of some codes (JPEG and PackBits in TIFF) as far as it can, and warns.
rasterio logs that in the thread that reads; here it is kept for that thread.
"""

import contextlib
import logging
import re
import threading
from collections.abc import Iterator

LOGGER = "rasterio._err"
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
