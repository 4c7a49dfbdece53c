"""What a checkpoint states about its origin: its licence, and the sources that it learnt from."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crackcli.datasets.folders import LabelledImage
from crackcli.licences import Licence, Source, merge_sources
from crackcli.networks.checkpoint import Checkpoint
from crackcli.shipped_models import licence_of


class Provenance(NamedTuple):
    """The fields of a `Checkpoint` that state its origin."""

    licence: Licence = Licence()
    sources: tuple[Source, ...] = ()


def find_provenance(
    licence: Licence,
    found: Sequence[LabelledImage],
    start_from: Path | None = None,
    models: Sequence[Source] = (),
) -> Provenance:
    """Return the provenance of a network that learns from photographs ``found``.

    ``models`` are others that it starts from or is taught by. The checkpoint of a warm start passes
    on its sources, and its licence unless another is given.
    """
    photographs = count_sources(found)
    if start_from is None:
        return Provenance(licence, merge_sources([*models, *photographs]))
    checkpoint = Checkpoint.read(start_from)
    earlier = licence_of(start_from, checkpoint.licence)
    start = Source(f"weights of {start_from.name}", licence=earlier.name)
    sources = merge_sources([start, *checkpoint.sources, *models, *photographs])
    return Provenance(licence or earlier, sources)


def count_sources(found: Sequence[LabelledImage]) -> list[Source]:
    """Return the sources of photographs with their counts, the largest first."""
    counts = Counter(item.listed or Source(item.source, 1) for item in found)
    return [
        Source(each.name, count, each.licence, each.origin) for each, count in counts.most_common()
    ]
