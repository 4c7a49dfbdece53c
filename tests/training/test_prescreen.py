"""A prescreen rules out blocks where the network itself sees no crack."""

import cv2
import numpy as np
import pytest
from fakes import wall

torch = pytest.importorskip("torch")

from crackcli.engines.context_prescreen import REACH_CELLS
from crackcli.engines.device import Device
from crackcli.training.calibration.prescreen import LOST, fit_prescreen
from crackcli.training.calibration.whole import cells_of

THRESHOLD = 0.2
CPU = Device.find("cpu")


class DarkPixels:
    """A network that takes dark pixels for crack; its context is the darkness of a cell, and two
    features that tell nothing."""

    stride_px = 32

    def encode(self, images):
        darkness = 1 - images.mean(1, keepdim=True)
        return darkness, darkness, torch.nn.functional.avg_pool2d(darkness, 8)

    def context(self, eighths):
        return torch.cat([0 * eighths, eighths, eighths.roll(9, 2)], 1)

    def decode(self, images, halves, quarters, context):
        return (20 * (halves - 0.5)).sigmoid()[:, 0]


@pytest.fixture(scope="module")
def network():
    return DarkPixels()


@pytest.fixture(scope="module")
def images():
    return [wall(256, 256, cracks=2, seed=seed) for seed in range(6)]


def test_hardly_a_marked_cell_is_ruled_out(network, images):
    found = fit_prescreen(network, images, THRESHOLD, CPU)

    kept, marked = [], []
    for image in images:
        context, highest = cells_of(network, image, CPU)
        value = np.tensordot(np.float32(found["weights"]), context, 1) + np.float32(found["bias"])
        side = 2 * REACH_CELLS + 1
        kept.append(cv2.dilate(value, np.ones((side, side), np.uint8)) >= 0)
        marked.append(highest >= THRESHOLD)
    kept, marked = np.stack(kept), np.stack(marked)
    assert 0.01 < marked.mean() < 0.2
    assert kept[marked].mean() >= 1 - LOST - 1e-3
    assert kept[~marked].mean() < 0.4


def test_photographs_without_any_crack_fit_none(network, images):
    assert fit_prescreen(network, images, 2.0, CPU) is None  # no P(crack) is as high
