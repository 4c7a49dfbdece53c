"""Crack-free patches of a reviewed photograph: not where a pixel is nodata, excluded, or crack."""

from types import SimpleNamespace

import numpy as np
from walls import write_scene

from crackcli.finetuning.corrections import ordinary_patches
from crackcli.rasters.grid import Window


class Tiles:
    """Tiles of 64 px side by side, to all of which a model gives P(crack) 0."""

    cracked_from = 0.5
    probability = np.zeros((4, 4), np.float32)

    def apart(self, places, most):
        return places[:most]

    def window(self, place):
        row, col = divmod(int(place), 4)
        return Window(64 * row, 64 * col, 64, 64)


def test_ordinary_patches_have_only_pixels_known_to_be_no_crack(tmp_path):
    mask = np.zeros((256, 256), np.uint8)
    mask[:, :130] = 255  # excluded
    mask[200, 140:150] = 1
    photograph = SimpleNamespace(
        tiles=Tiles(), cracks=[], scene=write_scene(tmp_path / "wall", mask)
    )

    patches = ordinary_patches(photograph, 99, np.random.default_rng(0))

    assert sorted((patch.window.row, patch.window.col) for patch in patches) == [
        *((0, 192), (64, 192), (128, 192), (192, 192)),
    ]
