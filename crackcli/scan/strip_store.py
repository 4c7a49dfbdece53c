"""The folder of a scan in progress, and how its strips are kept there.

Of a strip only the squares are stored in which something is explained: a sound one takes no more
than its P(crack).  They are not compressed: relevance hardly can be, and compressing it took longer
than anything else on the way to the disk.
"""

import contextlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float16, Float32
from crackcli.errors import InputError
from crackcli.files import atomic_write, output_errors, write_json
from crackcli.inference.strips import StripScores
from crackcli.inference.views import View
from crackcli.rasters.reader import read_tags
from crackcli.scenes.scene import Scene

SQUARE_PX = 32


@dataclass(frozen=True)
class PackedStrip:
    """The scores of a strip of ``shape`` (rows, cols): of the squares ``marked`` (R, C) the
    relevance (N, 32, 32) float16, filled up with zeros at the edges, all else is zero; ``valid``
    (rows, cols), None where all pixels are; ``probability`` as in `StripScores`."""

    shape: tuple[int, int]
    marked: Bools
    squares: Float16
    valid: Bools | None
    probability: Float32

    @classmethod
    def of(cls, scores: StripScores) -> "PackedStrip":
        bits = scores.relevance.view(np.uint16)  # all are kept as they are, a negative zero too
        rows, cols = bits.shape
        marked = np.zeros((-(-rows // SQUARE_PX), -(-cols // SQUARE_PX)), bool)
        squares = [np.zeros((0, SQUARE_PX, SQUARE_PX), np.uint16)]
        for number in np.unique(np.flatnonzero(bits.any(axis=1)) // SQUARE_PX):
            part = bits[number * SQUARE_PX : (number + 1) * SQUARE_PX]
            padded = np.zeros((SQUARE_PX, marked.shape[1] * SQUARE_PX), np.uint16)
            padded[: len(part), :cols] = part
            in_squares = padded.reshape(SQUARE_PX, -1, SQUARE_PX).swapaxes(0, 1)
            marked[number] = in_squares.any(axis=(1, 2))
            squares.append(in_squares[marked[number]])
        valid = None if scores.valid.all() else scores.valid
        half = np.concatenate(squares).view(np.float16)
        return cls((rows, cols), marked, half, valid, scores.probability)

    def scores(self) -> StripScores:
        valid = np.ones(self.shape, bool) if self.valid is None else self.valid
        return StripScores(self.spread_out(self.squares), valid, self.probability)

    def spread_out(self, squares: NDArray) -> NDArray:
        """An array (rows, cols) that has these (N, 32, 32) where the marked ones lie, and is zero
        elsewhere."""
        whole = np.zeros(self.shape, squares.dtype)
        first = 0
        for number in np.flatnonzero(self.marked.any(axis=1)):
            flags = self.marked[number]
            end = first + np.count_nonzero(flags)
            line = np.zeros((SQUARE_PX, len(flags), SQUARE_PX), squares.dtype)
            line[:, flags] = squares[first:end].swapaxes(0, 1)
            part = whole[number * SQUARE_PX : (number + 1) * SQUARE_PX]
            part[:] = line.reshape(SQUARE_PX, -1)[: len(part), : self.shape[1]]
            first = end
        return whole

    def write(self, path: Path) -> None:
        valid = np.zeros((0, 0), np.uint8) if self.valid is None else np.packbits(self.valid, 1)
        np.savez(
            path,
            shape=np.array(self.shape),
            marked=self.marked,
            squares=self.squares,
            valid=valid,
            probability=self.probability,
        )

    @classmethod
    def read(cls, path: Path) -> "PackedStrip":
        """What was written, or an error: every byte has its check sum."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            rows, cols = map(int, arrays["shape"])
            valid = arrays["valid"]
            return cls(
                (rows, cols),
                arrays["marked"],
                arrays["squares"],
                np.unpackbits(valid, axis=1, count=cols).view(bool) if valid.size else None,
                arrays["probability"],
            )


class StripStore:
    """The folder: one file for each finished strip.

    It belongs to one source, model and set of options; work for another is thrown away.  The
    rasters of the scene are made here too.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        self.score, self.mask = folder / "score.tif", folder / "mask.tif"

    @property
    def note(self) -> Path:
        return self.folder / "work.json"

    def begin(self) -> None:
        if not self.is_ours():
            self.remove()
            write_json(self.note, {"digest": self.digest})

    def is_ours(self) -> bool:
        """Whether what is there was made from the same."""
        try:
            return json.loads(self.note.read_text(encoding="utf-8"))["digest"] == self.digest
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def remove(self) -> None:
        """Leave nothing: nor the scene's folder if there is nothing else in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def made(self, score: Path) -> bool:
        """Whether a score raster is there that was made from the same."""
        try:
            return read_tags(score).get("CRACKCLI_SCORED") == self.digest
        except InputError:
            return False

    def publish(self, scene: Scene, score: Path) -> None:
        """Replace the files of a scene by those that were made here; ``score`` may be its own."""
        with output_errors(scene.folder):
            (scene.folder / "scene.json").unlink(missing_ok=True)
            score.replace(scene.score)
            self.mask.replace(scene.mask)
        scene.write()
        self.remove()

    def path(self, zoom: float, index: int) -> Path:
        return self.folder / f"strip_x{zoom:g}_{index:06d}.npz"

    def has(self, zoom: float, index: int, shape: tuple[int, int]) -> bool:
        """Whether a strip is there and whole."""
        try:
            return self.packed(zoom, index).shape == shape
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
            return False

    def put(self, zoom: float, index: int, scores: StripScores) -> None:
        with atomic_write(self.path(zoom, index)) as aside:
            PackedStrip.of(scores).write(aside)

    def packed(self, zoom: float, index: int) -> PackedStrip:
        return PackedStrip.read(self.path(zoom, index))

    def strips(self, view: View) -> Iterator[StripScores]:
        """All strips of a view, from top to bottom."""
        return (self.packed(view.zoom, index).scores() for index in range(len(view.grid)))

    def probability(self, view: View) -> Float32:
        """P(crack) (h, w) of all tiles of a view."""
        parts = []
        for index in range(len(view.grid)):
            with np.load(self.path(view.zoom, index), allow_pickle=False) as arrays:
                parts.append(arrays["probability"])
        return np.concatenate(parts)
