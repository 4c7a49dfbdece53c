"""Store the strips of a scan in progress in its work folder.

Of a strip only the squares with relevance are stored; a crack-free strip takes hardly more space
than its P(crack). They are not compressed: relevance hardly shrinks, and compressing it took
longer than all other steps of writing it.
"""

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crackcli.arrays import Bools, Float16, Float32
from crackcli.errors import InputError
from crackcli.files import (
    atomic_write,
    claim_folder,
    output_errors,
    read_note,
    remove_folder,
    replace_durably,
    sha256,
    sync_folder,
)
from crackcli.inference.strips import StripScores
from crackcli.inference.views import View
from crackcli.rasters.score_mask import read_tags
from crackcli.rasters.writing.raster_style import add_styles
from crackcli.scenes.scene import Scene

SQUARE_PX = 32

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class PackedStrip:
    """The scores of a strip of ``shape`` (rows, cols).

    ``squares`` (N, 32, 32) float16 is the relevance in the N squares ``marked`` (R, C), padded with
    zeros at the edges; it is zero elsewhere. ``valid`` (rows, cols) is None if all pixels are
    valid; ``probability`` is that of `StripScores`.
    """

    shape: tuple[int, int]
    marked: Bools
    squares: Float16
    valid: Bools | None
    probability: Float32

    @classmethod
    def of(cls, scores: StripScores) -> "PackedStrip":
        """Pack the scores of a strip."""
        bits = scores.relevance.view(np.uint16)  # as bits, so that negative zeros are kept
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
        """Return the scores that were packed."""
        valid = np.ones(self.shape, bool) if self.valid is None else self.valid
        return StripScores(self.spread_out(self.squares), valid, self.probability)

    def spread_out(self, squares: NDArray[Number]) -> NDArray[Number]:
        """Return an array (rows, cols) with ``squares`` (N, 32, 32) in place of the marked ones,
        zero elsewhere."""
        whole = np.zeros(self.shape, squares.dtype)
        first = 0
        for number in np.flatnonzero(self.marked.any(axis=1)):
            flags = self.marked[number]
            end = first + int(np.count_nonzero(flags))
            line = np.zeros((SQUARE_PX, len(flags), SQUARE_PX), squares.dtype)
            line[:, flags] = squares[first:end].swapaxes(0, 1)
            part = whole[number * SQUARE_PX : (number + 1) * SQUARE_PX]
            part[:] = line.reshape(SQUARE_PX, -1)[: len(part), : self.shape[1]]
            first = end
        return whole

    def write(self, path: Path) -> None:
        """Write the strip as an uncompressed npz file."""
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
        """Read a strip; checksums of all bytes make a damaged file raise an error."""
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
    """The work folder of a scene: one file for each finished strip.

    It belongs to one fingerprint (``digest``); strips with another are deleted. The rasters of the
    scene are made here too.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        self.score, self.mask = folder / "score.tif", folder / "mask.tif"

    def begin(self) -> None:
        """Delete strips with another fingerprint, and claim the folder for this one.

        Raises `InTheWay` if crackcli did not make the folder.
        """
        if not self.is_ours():
            self.remove()
            claim_folder(self.folder, digest=self.digest)

    def is_ours(self) -> bool:
        """Return True if the strips in the folder have the same fingerprint."""
        note = read_note(self.folder)
        return note is not None and note.get("digest") == self.digest

    def remove(self) -> None:
        """Delete the folder if crackcli made it, and that of the scene if it is empty then."""
        remove_folder(self.folder)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def has_digest(self, score: Path) -> bool:
        """Return True if a score raster exists and has the same fingerprint."""
        try:
            return read_tags(score).get("CRACKCLI_SCORED") == self.digest
        except InputError:
            return False

    def publish(self, scene: Scene, score: Path) -> None:
        """Replace the files of a scene by those made here; ``score`` may be its own already.

        ``scene.json`` comes last, with their digests.
        """
        with output_errors(scene.folder):
            digests = {"mask.tif": sha256(self.mask), "score.tif": sha256(score)}
            record = scene.folder / "scene.json"
            if record.exists():
                scene.overview.unlink(missing_ok=True)  # it shows the mask before
                record.unlink()
                sync_folder(scene.folder)
            if score != scene.score:
                replace_durably(score, scene.score)
            replace_durably(self.mask, scene.mask)
            add_styles(scene.folder)
        replace(scene, record=scene.record.with_files(digests)).write()
        self.remove()

    def path(self, zoom: float, index: int) -> Path:
        """Return the file of a strip."""
        return self.folder / f"strip_x{zoom:g}_{index:06d}.npz"

    def has(self, zoom: float, index: int, shape: tuple[int, int]) -> bool:
        """Return True if a strip is stored, undamaged and of this shape."""
        try:
            return self.packed(zoom, index).shape == shape
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
            return False

    def put(self, zoom: float, index: int, scores: StripScores) -> None:
        """Store a strip."""
        with atomic_write(self.path(zoom, index), durable=False) as aside:
            PackedStrip.of(scores).write(aside)

    def packed(self, zoom: float, index: int) -> PackedStrip:
        """Read a strip."""
        return PackedStrip.read(self.path(zoom, index))

    def strips(self, view: View) -> Iterator[StripScores]:
        """Yield all strips of a view from top to bottom."""
        return (self.packed(view.zoom, index).scores() for index in range(len(view.grid)))

    def probability(self, view: View) -> Float32:
        """Return P(crack) (h, w) of all tiles of a view."""
        parts = []
        for index in range(len(view.grid)):
            with np.load(self.path(view.zoom, index), allow_pickle=False) as arrays:
                parts.append(arrays["probability"])
        return np.concatenate(parts)
