"""The candidates of `speed`: loops over tiles, and scans."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.masking import scene_mask as mask_scene
from crackcli.networks.checkpoint import Checkpoint
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.scan import raster as scan
from crackcli.scan.strip_store import StripStore
from crackcli.threads import BackgroundWorker

TILE_PX = 256
STEP_PX = 128  # of the loops: half a tile
STAGES = {
    "read": [(ReadAhead, "read"), (ReadAhead, "read_valid"), (scan, "inspect")],
    "mask": [(scan, "find_threshold"), (scan, "write_mask")],
    "write": [
        *((BackgroundWorker, "hand_over"), (StripStore, "packed")),
        *((scan, "write_cog"), (mask_scene, "write_cog")),
    ],
}
ENGINE_STAGES = {"forward": ("features", "head"), "backward": ("back",)}


clock = time.perf_counter


class Watch:
    """Seconds in each stage; what a stage calls of another counts there only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.running: list[tuple[str, float]] = []

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        self.turn(stage)
        try:
            yield
        finally:
            self.turn(None)

    def turn(self, stage: str | None) -> None:
        """Begin a stage inside of the one that runs, or end that one."""
        now = clock()
        if self.running:
            name, since = self.running.pop()
            self.seconds[name] += now - since
            if stage is not None:
                self.running.append((name, now))
            elif self.running:
                self.running[-1] = (self.running[-1][0], now)
        if stage is not None:
            self.running.append((stage, now))

    @contextmanager
    def over(self, places: dict[str, list[tuple[Any, str]]]) -> Iterator[None]:
        """Functions and methods watched while the context lasts."""
        kept = []
        for stage, owners in places.items():
            for owner, name in owners:
                kept.append((owner, name, vars(owner)[name]))
                setattr(owner, name, self.watched(kept[-1][2], stage))
        try:
            yield
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)

    def watched(self, function: Callable, stage: str) -> Callable:
        def call(*arguments, **named):
            with self.on(stage):
                return function(*arguments, **named)

        return call


class Counted:
    """An engine that notes what its calls were, so that their FLOPs can be told afterwards."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.facts = engine, engine.facts
        self.window_cells = engine.window_cells
        self.calls: list[tuple[str, tuple[int, ...]]] = []

    def features(self, images):
        self.calls.append(("features", images.shape))
        return self.engine.features(images)

    def head(self, cells, gate):
        self.calls.append(("head", cells.shape))
        return self.engine.head(cells, gate)

    def back(self, images, value):
        self.calls.append(("back", images.shape))
        return self.engine.back(images, value)


class Flops:
    """How many FLOPs the convolutions of a method take, by the shapes they are called with."""

    def __init__(self, method: torch.nn.Module) -> None:
        self.method = method.to("meta")
        self.known: dict[tuple[str, tuple[int, ...]], int] = {}

    def of(self, calls: list[tuple[str, tuple[int, ...]]]) -> int:
        return sum(self.one(*call) for call in calls)

    def one(self, stage: str, shape: tuple[int, ...]) -> int:
        if (stage, shape) not in self.known:
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                self.run(stage, shape)
            self.known[stage, shape] = counter.get_total_flops()
        return self.known[stage, shape]

    def run(self, stage: str, shape: tuple[int, ...]) -> None:
        if stage == "head":  # without the backward pass, which crack-free tiles do not need
            neck = self.method.chain.head_start
            self.method.chain[neck:](torch.empty(shape, device="meta"))
            return
        count, rows, cols, _ = shape
        images = torch.empty(count, 3, rows, cols, device="meta")
        if stage == "features":
            self.method.window_features(images)
            return
        chain = self.method.chain
        cells = ((side - 2 * chain.reach_px) // chain.stride_px for side in (rows, cols))
        value = torch.empty(count, chain[chain.head_start].in_channels, *cells, device="meta")
        self.method.window_back(images, value)


def scanned(source: Path, folder: Path, scorer: ClassifierScorer) -> tuple[float, Watch, Any]:
    """Seconds of a scan, how they were spent, and its summary."""
    watch = Watch()
    engine = type(scorer.engine)
    places = STAGES | {
        stage: [(engine, name) for name in names] for stage, names in ENGINE_STAGES.items()
    }
    with watch.over(places):
        began = clock()
        summary = scan.scan_raster(
            scan.ScanTask(source, folder, core_px=scorer.core_px, overwrite=True), scorer
        )
        seconds = clock() - began
    watch.seconds["rest"] = seconds - sum(watch.seconds.values())
    return seconds, watch, summary


def tiles_of(image: np.ndarray) -> list[tuple[int, int]]:
    """Where the tiles of a loop begin: every half tile, and one that ends at each edge."""
    rows, cols = (
        sorted({*range(0, side - TILE_PX + 1, STEP_PX), side - TILE_PX}) for side in image.shape[:2]
    )
    return [(row, col) for row in rows for col in cols]


class Loop:
    """Tiles of 256 px at every 128, each explained by a library, in batches."""

    def __init__(self, library: str, model: Path, batch: int, device: str = "cpu") -> None:
        chain = Checkpoint.read(model).build().eval()
        self.library, self.batch = library, batch
        self.network = torch.nn.Sequential(*chain, torch.nn.Flatten()).to(device)
        for layer in self.network:
            if isinstance(layer, torch.nn.ReLU):
                layer.inplace = False

    def explain(self, images: torch.Tensor) -> torch.Tensor:
        """Attributions (B, 3, 256, 256)."""
        if self.library == "zennit":
            from zennit.attribution import Gradient
            from zennit.composites import EpsilonGammaBox

            with Gradient(self.network, EpsilonGammaBox(low=0.0, high=1.0)) as attributor:
                _, relevance = attributor(images, torch.eye(2).to(images)[[1] * len(images)])
            return relevance
        from captum.attr import DeepLift

        return DeepLift(self.network).attribute(
            images, baselines=torch.full_like(images, 0.5), target=1
        )

    def seconds_a_tile(self, image: np.ndarray, most: int) -> float:
        """Of the first ``most`` tiles across a wall, in full batches."""
        places = tiles_of(image)
        chosen = places[:: max(1, len(places) // most)][:most]
        took = []
        for start in range(0, len(chosen) - self.batch + 1, self.batch):
            part = [
                image[row : row + TILE_PX, col : col + TILE_PX]
                for row, col in chosen[start : start + self.batch]
            ]
            batch = torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float() / 255
            began = clock()
            self.explain(batch)
            took.append((clock() - began) / self.batch)
        return float(np.median(took))


def matrix_rate(precision: str = "float32", side: int = 2048, times: int = 5) -> float:
    """FLOP/s of a plain product of matrices, the best of a few."""
    a, b = (torch.randn(side, side).to(getattr(torch, precision)) for _ in range(2))
    best = np.inf
    for _ in range(times):
        began = clock()
        a @ b
        best = min(best, clock() - began)
    return 2 * side**3 / best
