"""Darkness of the image itself as the score: no model, no torch, and the CPU only."""

from pathlib import Path

import numpy as np

from crackcli import __version__
from crackcli.arrays import Float32, UInt8
from crackcli.engines.engine import DEVICES, EngineFacts, ScoreMaps, ungated
from crackcli.errors import DeviceError, UsageError
from crackcli.registry import check_choice, find_baseline


class RawEngine:
    """The score 1 - grey of each pixel, with grey the mean of its channels in [0, 1]."""

    def __init__(
        self,
        model: Path | None = None,
        method: str | None = "raw",
        start: str | None = None,
        device: str = "auto",
        baseline: str | None = None,
        precision: str = "float32",
    ) -> None:
        if model is not None:
            raise UsageError(f"--model {model}: method raw needs no model; leave it out")
        if method not in (None, "raw"):
            raise UsageError(f"--method {method}: engine raw lacks it; leave --engine out")
        find_baseline("raw", baseline)
        check_choice("--device", DEVICES, device)
        if device == "cuda":
            raise DeviceError("--device cuda: method raw runs on the CPU only; leave it out")
        self.window_cells: dict[str, int] = {}
        self.facts = EngineFacts(
            engine="raw",
            device="cpu",
            model="none",
            model_sha256=__version__,
            network="none",
            method="raw",
            start="none",
            tile_px=256,
            stride_px=32,
            reach_px=0,
            margin=1.0,
            kind="window",
        )

    def explain(self, images: UInt8, gate: float) -> ScoreMaps:
        return ungated(self.maps(images))

    def maps(self, images: UInt8) -> Float32:
        maps: Float32 = 1 - images.mean(axis=-1, dtype=np.float32) / 255
        return maps
