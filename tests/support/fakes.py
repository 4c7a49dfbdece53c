"""Stand-ins: engines fast enough to scan dozens of rasters in a test, a wall, a full disk."""

import contextlib

import cv2
import numpy as np
import pytest

from crackcli.engines.engine import EngineFacts, ScoreMaps


class LocalEngine:
    """An engine whose results can be checked by hand.

    A cell is the mean darkness of 32 x 32 px. A tile has 2 x 2 cells; its P(crack) is four times
    their mean. The relevance of a cell under a gated tile is its darkness; that of a pixel is its
    own darkness times that of the cell.
    """

    def __init__(self, model=None, method=None, start=None, device="auto"):
        self.facts = EngineFacts(
            engine="local",
            device="cpu",
            model="local.onnx",
            model_sha256="0" * 64,
            network="none",
            method="lrp",
            start="margin",
            tile_px=64,
            stride_px=32,
            reach_px=16,
            margin=4.0,
        )
        self.window_cells = {}
        self.backs = 0

    def explain(self, images, gate):
        window = np.pad(images, [(0, 0), (16, 16), (16, 16), (0, 0)])
        probability, value = self.head(self.features(window), gate)
        return ScoreMaps(self.back(window, value)[:, 16:-16, 16:-16], probability)

    def features(self, images):
        images = images[:, 16:-16, 16:-16]
        b, rows, cols, _ = images.shape
        cells = darkness(images).reshape(b, rows // 32, 32, cols // 32, 32)
        return cells.mean(axis=(2, 4), dtype=np.float64).astype(np.float32)[:, None]

    def head(self, cells, gate):
        c = cells[:, 0]
        means = (c[:, 1:, 1:] + c[:, 1:, :-1] + c[:, :-1, 1:] + c[:, :-1, :-1]) / 4
        probability = (4 * means).clip(0, 1)
        covered = np.zeros(c.shape, bool)
        for row in (0, 1):
            for col in (0, 1):
                part = covered[:, row : row + means.shape[1], col : col + means.shape[2]]
                part |= probability >= gate
        return probability, (c * covered)[:, None]

    def back(self, images, value):
        self.backs += 1
        passed = value[:, 0].repeat(32, axis=1).repeat(32, axis=2)
        return darkness(images) * np.pad(passed, [(0, 0), (16, 16), (16, 16)])


class DirectEngine:
    """An engine without a gate: darkness around a pixel, or its difference to that of the tile."""

    def __init__(self, kind, broken=False):
        tiles = kind == "tiles"
        names = {"engine": "fake", "device": "cpu", "model": "fake.onnx", "model_sha256": "0"}
        self.facts = EngineFacts(
            **names,
            network="none",
            method="cae" if tiles else "unet",
            start="none",
            tile_px=64,
            stride_px=32,
            reach_px=32 if tiles else 5,
            margin=1.0,
            kind=kind,
        )
        self.window_cells = {}
        self.broken = broken

    def maps(self, images):
        dark = 1 - images.mean(axis=-1, dtype=np.float32) / 255
        if self.broken:
            return dark * np.nan
        if self.facts.kind == "window":
            return np.stack([cv2.blur(image, (11, 11)) for image in dark])
        assert images.shape[1:3] == (64, 64)
        return np.abs(dark - dark.mean(axis=(1, 2), keepdims=True))


def darkness(images):
    """Return 1 for black and 0 for white."""
    return 1 - images.mean(axis=-1, dtype=np.float32) / 255


def wall(rows, cols, seed=0, cracks=1):
    """Return an image (rows, cols, 3) of a light grainy wall with dark vertical cracks of 6 px."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(225, 6, (rows, cols)).clip(0, 255)
    for number in range(cracks):
        col = int((number + 0.5) * cols / cracks)
        grey[rows // 6 : rows - rows // 8, col : col + 6] = 25
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def photograph(path, seed=0):
    """Write a small photograph of a cracked wall, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), wall(96, 130, seed))
    return path


@contextlib.contextmanager
def full_disk(at):
    """Let the system refuse to write beyond byte ``at`` of a file, for root as well."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def at_most(seconds):
    """Raise a `TimeoutError` if the block takes longer, even where it waits for a pipe."""
    signal = pytest.importorskip("signal")

    def stop(*_):
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
