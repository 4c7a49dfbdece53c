"""Training: one plain loop from photographs to a checkpoint, whatever the network is trained for.

The phases of a step, in order: set the rate, forward and backward, clip, step, average; now and
then evaluate and save.  Kept is the checkpoint that is best on photographs held out.  The state of
the run lies in a folder beside the output, so that a killed run goes on where it was last saved.
What differs between networks is in `crackcli.training.objective`.
"""

import logging
import math
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Sampler

from crackcli.datasets.folders import (
    ALL_LABELS,
    LABELS,
    LabelledImage,
    list_photographs,
    sampling_weights,
    split,
)
from crackcli.engines.device import Device
from crackcli.errors import CrackError, InputError, ModelError, UsageError
from crackcli.files import atomic_write, refuse_existing
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import OBJECTIVES, load
from crackcli.training.calibration import Reliability
from crackcli.training.config import TrainConfig
from crackcli.training.objective import Objective, Score, TileDataset, Verdict
from crackcli.training.steps import moving_average, rate
from crackcli.training.validation import scaled

log = logging.getLogger(__name__)

CLIP_NORM = 1.0
GRACE_S = 3.0  # of a process that reads and draws, once it is told to end
MOST_WORKERS = 8  # as many keep a GPU busy with one run

Sides = tuple[Sequence[LabelledImage], Sequence[LabelledImage]]  # for training, and held out


@dataclass
class Progress:
    """Where a run is; handed to the caller after every step."""

    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    fraction: float = 0.0  # of the schedule, by steps or by time, whichever is further
    loss: float = math.nan
    judged: str = ""  # what the photographs held out say, for a person
    best: float = -math.inf
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def words(self) -> str:
        """Where it is, for a person."""
        judged = f", {self.judged}" if self.judged else ""
        return f"step {self.step}, loss {self.loss:.3f}{judged}"


@dataclass(frozen=True)
class TrainResult:
    """Where the checkpoint lies and how it fared on the photographs held out."""

    output: Path
    scores: list[Score]
    curve: list[dict[str, float]]
    training: int
    held_out: int
    reliability: Reliability | None  # of the calibrated P(crack), where there is one


def train(
    config: TrainConfig,
    on_step: Callable[[Progress], None] = lambda progress: None,
    sides: Sides | None = None,
) -> TrainResult:
    """Train on ``config.photographs``, or on ``sides``, and write the best checkpoint to
    ``config.output``."""
    refuse_existing(config.output, overwrite=config.overwrite)
    device = Device.find(config.device)
    torch.manual_seed(config.seed)
    if config.start_from is not None:  # the network is that of the checkpoint
        arguments = Checkpoint.read(config.start_from).arguments
        config = replace(config, arguments=arguments)
    objective = load(OBJECTIVES, config.network)(config, device)
    if sides is None:
        if config.photographs is None:
            raise UsageError(
                "no photographs to train on; give a folder with crack and no_crack, or --mine"
            )
        needed = ALL_LABELS if objective.needed is None else (objective.needed,)
        found = list_photographs(config.photographs, config.table, needed)
        sides = split(found, config.held_out, config.seed, needed)
    training, held_out = usable(objective, sides)
    log.info(
        "training on %s: %d photographs, %d held out", device.name, len(training), len(held_out)
    )

    run = Run(objective, len(training), objective.compared_with(training))
    progress = run.progress
    tiles = objective.tiles(training)
    if config.start_from or progress.step:
        objective.aim(run.averaged.module)
    batches = endless(tiles, config, device, skip=progress.step)

    while progress.fraction < 1:
        part = int(progress.fraction * config.evaluations)
        run.advance(*next(batches))
        if int(progress.fraction * config.evaluations) > part:
            network = objective.given(run.averaged.module)
            verdict = objective.judge(network, held_out)
            run.note(network, verdict, len(training), len(held_out))
            objective.aim(run.averaged.module)
            batches = endless(tiles, config, device, skip=progress.step)
        on_step(progress)

    return run.finish()


def usable(objective: Objective, sides: Sides) -> Sides:
    """What an objective can use of both sides, which it must not leave without."""
    good = set(objective.suitable([*sides[0], *sides[1]]))
    training, held_out = ([item for item in side if item in good] for side in sides)
    for name, side in (("training", training), ("held-out", held_out)):
        if objective.needed is not None and all(item.label != objective.needed for item in side):
            raise InputError(
                f"the usable '{LABELS[objective.needed]}' photographs come from so few photos that "
                f"no {name} ones are left; add photographs, or change --held-out"
            )
    return training, held_out


class Run:
    """A training run: network, averaged network, optimiser and progress, saved and resumed as one.

    Its folder beside the output is removed when the run is finished.
    """

    def __init__(
        self, objective: Objective, photographs: int, references: Tensor | None = None
    ) -> None:
        self.objective = objective
        self.references = references
        self.config = config = objective.config
        self.device = objective.device
        self.network = objective.network
        self.averaged = AveragedModel(self.network, avg_fn=moving_average, use_buffers=True)
        usual = objective.warm_peak if config.start_from else objective.peak
        self.peak = config.learning_rate or usual
        self.optimiser = torch.optim.AdamW(
            [parameter for parameter in self.parameters() if parameter.requires_grad],
            lr=self.peak,
            weight_decay=config.weight_decay,
        )
        self.folder = config.output.with_name(config.output.name + ".run")
        self.progress = Progress(steps=math.ceil(config.epochs * photographs / config.batch_size))
        self.resume()
        self.began = time.monotonic() - self.progress.seconds

    def parameters(self) -> list[nn.Parameter]:
        """Of the network and of what is trained along with it."""
        return [*self.network.parameters(), *self.objective.second.parameters()]

    def advance(self, images: Tensor, targets: Tensor) -> None:
        """One step on ``images`` (B, 3, T, T) uint8 and what the objective takes with them."""
        progress = self.progress
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak * rate(progress.fraction)

        self.network.train()
        images, targets = scaled(images, self.device), targets.to(self.device.torch)
        with self.device.autocast():
            loss, shown = self.objective.loss(images, targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)

        progress.loss = shown.item()
        if not loss.isfinite():
            raise ModelError("the loss is not finite any more; try a lower --learning-rate")
        progress.step += 1
        progress.seconds = time.monotonic() - self.began
        limit = self.config.minutes * 60 if self.config.minutes else math.inf
        progress.fraction = min(1, max(progress.step / progress.steps, progress.seconds / limit))

    def note(self, network: nn.Module, verdict: Verdict, training: int, held_out: int) -> None:
        """Note an evaluation, keep the network if it is the best so far, save the run."""
        progress = self.progress
        progress.judged = verdict.words
        progress.curve.append(
            {
                "step": progress.step,
                "seconds": round(progress.seconds, 1),
                "training_loss": progress.loss,
                "held_out_loss": verdict.loss,
                **{f"held_out_{name}": share for name, share in verdict.shares.items()},
            }
        )
        if verdict.merit > progress.best:
            progress.best = verdict.merit
            history = {
                "config": {k: v for k, v in asdict(self.config).items() if not is_path(v)},
                "device": self.device.name,
                "step": progress.step,
                "curve": progress.curve,
                "scores": [asdict(score) for score in verdict.scores],
                "photographs": {"training": training, "held_out": held_out},
            }
            checkpoint = self.checkpoint(network, verdict, history | verdict.notes)
            checkpoint.save(self.folder / "best.safetensors")
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "second": self.objective.second.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(progress),
        }
        with atomic_write(self.folder / "state.pt") as aside:
            torch.save(state, aside)

    def checkpoint(
        self, network: nn.Module, verdict: Verdict, history: dict[str, Any]
    ) -> Checkpoint:
        """A network in plain layers, and what is to be known of it."""
        plain = self.objective.plain(network, verdict)
        return Checkpoint(
            network=self.config.network,
            arguments=self.config.arguments,
            classes=self.objective.classes,
            tile_px=plain.tile_px,
            state={name: value.contiguous() for name, value in plain.state_dict().items()},
            margin=verdict.margin,
            history=history,
            references=self.references,
        )

    def resume(self) -> None:
        """Go on where a killed run of the same configuration was last saved."""
        path = self.folder / "state.pt"
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True, map_location=self.device.torch)
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.objective.second.load_state_dict(state["second"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.progress = Progress(**state["progress"])
            self.result()  # what `finish` needs of the best one is there
        except (RuntimeError, TypeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"{path} is of a run with other options or is damaged; remove {self.folder} to "
                "start anew"
            ) from error
        log.info("going on at step %d of %d", self.progress.step, self.progress.steps)

    def result(self) -> TrainResult:
        """What the best checkpoint so far says."""
        history = Checkpoint.read(self.folder / "best.safetensors").history
        return TrainResult(
            output=self.config.output,
            scores=[self.objective.score(**score) for score in history["scores"]],
            curve=self.progress.curve,
            reliability=self.objective.reliability(history),
            **history["photographs"],
        )

    def finish(self) -> TrainResult:
        """Move the best checkpoint into place and clear up."""
        result = self.result()
        with atomic_write(self.config.output) as aside:
            shutil.copyfile(self.folder / "best.safetensors", aside)
        shutil.rmtree(self.folder)
        return result


class Endless(Sampler[int]):
    """Positions drawn with ``weights``, without end; another ``seed``, other draws."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.multinomial(
                self.weights, 1024, replacement=True, generator=self.generator
            ).tolist()


def endless(
    tiles: TileDataset, config: TrainConfig, device: Device, skip: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, classes and sources in balance; after ``skip`` steps others are drawn.

    Processes that read and draw work on a copy of ``tiles``: what has been aimed anew since is
    seen by the batches of another call.
    """
    workers = config.workers
    if workers is None:
        workers = 0 if device.name == "cpu" else min(MOST_WORKERS, os.cpu_count() or 1)
    if workers:  # a process that is forked would wait for OpenCV's threads, which it has not
        cv2.setNumThreads(1)
    loader = DataLoader(
        tiles,
        batch_size=config.batch_size,
        sampler=Endless(sampling_weights(tiles.found), seed=config.seed * 1_000_003 + skip),
        num_workers=workers,
        worker_init_fn=alone,
        pin_memory=device.name != "cpu",
    )
    try:
        yield from loader
    except CrackError as error:  # torch puts the traceback of its process before what it says
        kind = type(error)
        raise kind(str(error).rpartition(f"{kind.__name__}: ")[2].strip()) from error


def alone(worker: int) -> None:
    """One core for each process that reads and draws, which lets the first process of a run end it
    where a signal is sent to all: one that left at once might do so with a lock that the first one
    waits for."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave_later)
    # What goes wrong is sent to that process; threads that send tell their own end by tracebacks.
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # until the process ends


def leave_later(*_: object) -> None:
    """Leave without a word, if nobody has ended this process by then."""
    timer = threading.Timer(GRACE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()


def is_path(value: object) -> bool:
    """Paths say something of one machine only and stay out of a checkpoint."""
    return isinstance(value, Path)
