"""Batches of tiles without end, drawn with classes and sources balanced, by worker processes."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from crackcli.datasets.folders import sampling_weights
from crackcli.engines.device import Device
from crackcli.errors import CrackError
from crackcli.training.config import TrainConfig
from crackcli.training.patches import TileDataset

GRACE_S = 3.0  # seconds from SIGTERM until a worker process exits
MAX_WORKERS = 8  # processes; as many keep a GPU busy with one run

Batch = tuple[Tensor, Tensor]  # tiles (B, 3, T, T) uint8 and their targets


class EndlessSampler(Sampler[int]):
    """Indices drawn with ``weights``, with replacement and without end."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.multinomial(
                self.weights, 1024, replacement=True, generator=self.generator
            ).tolist()


def endless_batches(
    tiles: TileDataset, config: TrainConfig, device: Device, skip: int
) -> Iterator[Batch]:
    """Yield batches without end, with classes and sources balanced.

    ``skip``, the number of steps done, is part of the seed. Worker processes have a copy of
    ``tiles``: tiles that are selected later appear in the batches of another call only.
    """
    workers = config.workers
    if workers is None:
        workers = 0 if device.name == "cpu" else min(MAX_WORKERS, os.cpu_count() or 1)
    if workers:  # a forked process would wait for threads of OpenCV that it does not have
        cv2.setNumThreads(1)
    loader = DataLoader(
        tiles,
        batch_size=config.batch_size,
        sampler=EndlessSampler(sampling_weights(tiles.found), seed=config.seed * 1_000_003 + skip),
        num_workers=workers,
        worker_init_fn=init_worker,
        pin_memory=device.name != "cpu",
    )
    try:
        yield from loader
    except CrackError as error:  # torch puts the traceback of the worker before the message
        kind = type(error)
        raise kind(str(error).rpartition(f"{kind.__name__}: ")[2].strip()) from error


def init_worker(worker: int) -> None:
    """Set up a worker process: one thread, and signals left to the main process.

    A signal may reach all processes of a run. A worker that exits at once could hold a lock that
    the main process waits for.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, exit_later)
    # Errors are sent to the main process; the sending threads print tracebacks when they end.
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # until the process ends


def exit_later(*_: object) -> None:
    """Exit silently after `GRACE_S` unless the main process has ended this worker first."""
    timer = threading.Timer(GRACE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()
