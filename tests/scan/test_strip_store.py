"""Strips in the work folder are read as they were written, to the last bit, or not at all."""

import errno

import cv2
import numpy as np
import pytest
from fakes import LocalEngine, wall

from crackcli.errors import OutputError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.strips import StripScores
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.scan.strip_store import PackedStrip, StripStore


def scores(shape, share, seed=0, holes=False):
    """Relevance in a fraction ``share`` of the pixels, of all magnitudes and signs."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 0x7C00, shape, np.uint16) | (rng.integers(0, 2, shape, np.uint16) << 15)
    bits[rng.random(shape) >= share] = 0
    valid = rng.random(shape) > 0.1 if holes else np.ones(shape, bool)
    return StripScores(bits.view(np.float16), valid, rng.random((3, 4), np.float32))


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("share", [0, 0.0005, 0.3, 1])
@pytest.mark.parametrize("shape", [(64, 96), (33, 71), (1, 1), (130, 31)])
def test_a_stored_strip_is_read_unchanged(tmp_path, shape, share, holes):
    work, given = StripStore(tmp_path, ""), scores(shape, share, holes=holes)

    work.put(0.5, 3, given)
    packed = work.packed(0.5, 3)
    back = packed.scores()

    np.testing.assert_array_equal(back.relevance.view(np.uint16), given.relevance.view(np.uint16))
    np.testing.assert_array_equal(back.valid, given.valid)
    np.testing.assert_array_equal(back.probability, given.probability)
    assert (packed.valid is None) == given.valid.all()
    assert work.has(0.5, 3, shape)
    assert not work.has(0.5, 3, (shape[0] + 1, shape[1]))
    assert not work.has(1.0, 3, shape)


def test_a_negative_zero_is_kept(tmp_path):
    given = StripScores(np.zeros((40, 40), np.float16), np.ones((40, 40), bool), np.zeros((0, 0)))
    given.relevance[35, 2] = -0.0

    assert np.signbit(PackedStrip.of(given).scores().relevance).sum() == 1


def test_a_crack_free_strip_takes_hardly_any_space(tmp_path):
    work = StripStore(tmp_path, "")
    work.put(1, 0, scores((1024, 4096), 0))

    assert work.path(1, 0).stat().st_size < 10_000


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7])
def test_a_changed_byte_is_an_error(tmp_path, where):
    work = StripStore(tmp_path, "")
    work.put(1, 0, scores((256, 256), 0.5))
    content = bytearray(work.path(1, 0).read_bytes())
    content[int(where * len(content))] ^= 1
    work.path(1, 0).write_bytes(content)

    assert not work.has(1, 0, (256, 256))


def test_a_file_of_another_kind_is_no_strip(tmp_path):
    np.savez(tmp_path / "strip_x1_000000.npz", relevance=np.zeros((3, 3)))

    assert not StripStore(tmp_path, "").has(1, 0, (3, 3))


@pytest.mark.parametrize("full_at", [0, 1, 3])
def test_a_strip_that_cannot_be_written_ends_the_scan_and_earlier_ones_are_kept(
    tmp_path, monkeypatch, full_at
):
    cv2.imwrite(str(tmp_path / "wall.png"), wall(250, 200))
    task = ScanTask(tmp_path / "wall.png", tmp_path / "wall", core_px=64)
    write, written = PackedStrip.write, []

    def on_a_small_disk(packed, path):
        if len(written) == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(packed, path)

    monkeypatch.setattr(PackedStrip, "write", on_a_small_disk)
    with pytest.raises(OutputError, match=r"strip_.*: cannot be written \(No space left on device"):
        scan_raster(task, ClassifierScorer(LocalEngine(), 0.3))
    monkeypatch.undo()

    kept = sorted(path.name for path in (tmp_path / "wall" / ".crackcli-work").iterdir())
    assert kept == [*(f"strip_x1_{n:06d}.npz" for n in range(full_at)), "work.json"]
    assert scan_raster(task, ClassifierScorer(LocalEngine(), 0.3)).status == "done"
