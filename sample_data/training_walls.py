"""Writes training patches of other drawn walls; none of them is in the sample data.

    python sample_data/training_walls.py FOLDER --walls 40

FOLDER gets crack/ and no_crack/, up to ``--most`` patches of each from every wall; ``--walls`` are
made of each kind: brick, plaster, and brick that plaster covers up to a broken edge. One crack of
two follows the mortar joints, where there are some.
"""

import argparse
from pathlib import Path

from make import KINDS, write_patches

FIRST = 101  # the walls of the sample patches have lower numbers


def main() -> None:
    """Write the patches, wall by wall."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--walls", type=int, default=40, help="of each kind")
    parser.add_argument("--most", type=int, default=3, help="patches of a class from one wall")
    given = parser.parse_args()
    for number in range(FIRST, FIRST + given.walls):
        for kind in KINDS:
            write_patches(given.folder, kind, number, given.most, least=0)


if __name__ == "__main__":
    main()
