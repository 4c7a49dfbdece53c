"""A photograph that is changed while it is scanned leaves no result."""

import os

import cv2
import pytest
from fakes import LocalEngine, wall

from crackcli.errors import InputError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.masking.refinement import Masking
from crackcli.scan.raster import ScanTask, scan_raster

SHAPE = (400, 130)


@pytest.fixture
def photograph(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.bmp"), wall(*SHAPE))
    return tmp_path / "wall.bmp"


def other(folder):
    """Write another photograph whose file has the same size."""
    cv2.imwrite(str(folder / "other.bmp"), wall(*SHAPE, seed=1, cracks=2))
    return folder / "other.bmp"


def overwritten(path):
    path.write_bytes(other(path.parent).read_bytes())


def replaced(path):
    other(path.parent).replace(path)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def removed(path):
    path.unlink()


def written_with_the_same_time(path):
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    overwritten(path)
    os.utime(path, ns=times)


def replaced_with_the_same_time(path):
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    replaced(path)
    os.utime(path, ns=times)


CHANGES = [overwritten, replaced, truncated, removed]
CHANGES += [written_with_the_same_time, replaced_with_the_same_time]


def scan(photograph, progress=lambda share, words: None, **options):
    task = ScanTask(photograph, photograph.with_suffix(""), core_px=64, **options)
    return scan_raster(task, ClassifierScorer(LocalEngine(), 0.3), progress)


@pytest.mark.parametrize("stage", ["scores", "mask"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_photograph_leaves_no_result(photograph, tmp_path, change, stage):
    done = []

    def change_once(share, words):
        if not done and words.endswith(stage):
            done.append(change(photograph))

    with pytest.raises(InputError, match=r"wall\.bmp: ") as caught:
        scan(photograph, change_once)

    assert caught.value.exit_code == 4
    assert done
    assert not (tmp_path / "wall").exists()


def test_a_changed_photograph_leaves_the_finished_scene(photograph, tmp_path):
    scan(photograph)
    before = {path.name: path.read_bytes() for path in (tmp_path / "wall").iterdir()}
    done = []

    def change_once(share, words):
        if not done:
            done.append(overwritten(photograph))

    with pytest.raises(InputError, match=r"wall\.bmp: was changed while it was read"):
        scan(photograph, change_once, masking=Masking("study"))

    assert {path.name: path.read_bytes() for path in (tmp_path / "wall").iterdir()} == before


def test_strips_of_another_photograph_are_not_used_after_the_first_is_back(photograph, tmp_path):
    original = photograph.read_bytes()
    expected = scan(photograph).mask.read_bytes()
    (tmp_path / "wall").rename(tmp_path / "before")
    done = []

    def change_once(share, words):
        if not done and share > 0.3:
            done.append(overwritten(photograph))

    with pytest.raises(InputError, match="was changed"):
        scan(photograph, change_once)
    photograph.write_bytes(original)

    assert scan(photograph).mask.read_bytes() == expected
