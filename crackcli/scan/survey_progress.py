"""Progress of a survey in megapixels: a large photograph counts for more than a small one.

Photographs that need no scan, as they are unchanged or fail, take no time: they leave the total, so
that the time left is that of the others.
"""

from collections.abc import Iterable
from statistics import fmean

from crackcli.errors import InputError
from crackcli.progress import Progress, ignore
from crackcli.rasters.access.opening import open_raster
from crackcli.rasters.access.pages import Page
from crackcli.rasters.decoding.decoded import kind_of_photograph

USUAL_MP = 12.0  # size of a photograph if none of a survey is known


class SurveyProgress:
    """The megapixels of the photographs of a survey, and those scanned so far."""

    def __init__(self, progress: Progress, pages: Iterable[Page]) -> None:
        self.progress = progress
        known = {page: None if progress is ignore else declared_mp(page) for page in pages}
        usual = fmean([size for size in known.values() if size] or [USUAL_MP])
        self.sizes = {page: size or usual for page, size in known.items()}
        self.total, self.done = sum(self.sizes.values()), 0.0

    def of(self, page: Page) -> Progress:
        """Return the `Progress` of one photograph."""

        def report(fraction: float, words: str) -> None:
            self.progress((self.done + fraction * self.sizes[page]) / self.total, words)

        return report

    def end(self, page: Page, *, scanned: bool) -> None:
        """Count a photograph as scanned, or take it out of the total."""
        if scanned:
            self.done += self.sizes[page]
        elif self.total > self.sizes[page]:
            self.total -= self.sizes[page]


def declared_mp(page: Page) -> float | None:
    """Return the size of a photograph in megapixels; None if only decoding it would tell."""
    try:
        if kind_of_photograph(page.path) is not None:
            return None
        with open_raster(page.path, page=page.number) as source:
            return float(source.width * source.height / 1e6)
    except (InputError, OSError):
        return None
