"""Training: one plain loop from labelled photographs to a checkpoint.

The phases of a step, in order: set the rate, forward and backward, clip, step, average; now and
then evaluate and save.  Kept is the checkpoint that is best on photographs held out.  The state of
the run lies in a folder beside the output, so that a killed run goes on where it was last saved.
"""

import logging
import math
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Sampler

from crackcli.chain import Chain, fold
from crackcli.dataset import LABELS, balance, list_photographs, split
from crackcli.device import Device
from crackcli.errors import ModelError, OutputError, UsageError
from crackcli.files import written_aside
from crackcli.judging import Judgement, SourceScore, evaluate, is_bag, locate, scaled
from crackcli.networks import Checkpoint
from crackcli.patches import Patches
from crackcli.registry import NETWORKS, load

log = logging.getLogger(__name__)

CLIP_NORM = 1.0
AVERAGING = 0.99  # the averaged weights forget within about 100 steps, at the start sooner
HIDDEN = 0.15  # share of feature cells hidden in a step: the others must tell the crack as well,
# so that an explanation spreads over all of it, not over its most telling part only
FROZEN_WHEN_WARM = 5  # of VGG11's eight convolutions: those above 1/16 of the resolution
WARM_RATE = 4e-5  # without batch norm; at 2e-4 what was learnt before is lost first
WARM_UP = 0.1  # share of the schedule in which the rate rises
EVALUATIONS = 12  # in a run, at equal parts of its schedule


@dataclass(frozen=True)
class TrainConfig:
    """What a training run is asked to do; kept in the checkpoint's history."""

    photographs: Path
    output: Path
    table: Path | None = None  # CSV with path, photo, source
    network: str = "vgg11"
    start_from: Path | None = None  # a checkpoint for a warm start
    frozen: int | None = None  # convolutions left as they are; None: 5 when warm, else 0
    epochs: float = 20
    minutes: float | None = None  # the schedule ends at this time if it comes first
    batch_size: int = 16
    learning_rate: float | None = None  # peak; None: 4e-5 when warm, else 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.02
    drawn: float = 0.0  # share of twins drawn onto crack-free photographs
    held_out: float = 0.15
    seed: int = 0
    device: str = "auto"
    arguments: dict[str, Any] = field(default_factory=dict)  # of the network
    overwrite: bool = False


@dataclass
class Progress:
    """Where a run is; handed to the caller after every step."""

    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    fraction: float = 0.0  # of the schedule, by steps or by time, whichever is further
    loss: float = math.nan
    accuracy: float = math.nan  # held-out, mean over sources
    best: float = -math.inf
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TrainResult:
    """Where the checkpoint lies and how it fared on the photographs held out."""

    output: Path
    scores: list[SourceScore]
    curve: list[dict[str, float]]
    training: int
    held_out: int


def train(
    config: TrainConfig, on_step: Callable[[Progress], None] = lambda progress: None
) -> TrainResult:
    """Train on ``config.photographs`` and write the best checkpoint to ``config.output``."""
    if config.output.exists() and not config.overwrite:
        raise OutputError(f"{config.output} exists; choose another output or add --overwrite")
    device = Device.find(config.device)
    torch.manual_seed(config.seed)
    found = list_photographs(config.photographs, config.table)
    training, held_out = split(found, config.held_out, config.seed)
    log.info("%d photographs for training, %d held out", len(training), len(held_out))

    run = Run(config, start(config), device, len(training))
    progress = run.progress
    patches = Patches(training, run.chain.tile_px, run.chain.stride_px, config.drawn)
    batches = endless(patches, config, skip=progress.step)
    bags = [item for item in training if item.label == 1 and is_bag(item, run.chain)]
    if config.start_from:
        patches.windows = locate(run.averaged.module, bags, device)

    while progress.fraction < 1:
        part = int(progress.fraction * EVALUATIONS)
        run.advance(*next(batches))
        if int(progress.fraction * EVALUATIONS) > part:
            judgement = evaluate(run.averaged.module, held_out, device)
            run.judge(judgement, len(training), len(held_out))
            patches.windows = locate(run.averaged.module, bags, device)
        on_step(progress)

    return run.finish()


def start(config: TrainConfig) -> Chain:
    """The network as training begins: new with batch norm, or a checkpoint's, partly frozen."""
    if config.start_from is None:
        if config.frozen:
            raise UsageError("--frozen needs --from: untrained layers must not be kept")
        return load(NETWORKS, config.network)(**config.arguments, batch_norm=True)
    checkpoint = Checkpoint.read(config.start_from)
    if checkpoint.network != config.network:
        raise ModelError(
            f"{config.start_from} is a {checkpoint.network}, not a {config.network}; "
            f"use --network {checkpoint.network}"
        )
    chain = checkpoint.build()
    frozen = FROZEN_WHEN_WARM if config.frozen is None else config.frozen
    for layer in [layer for layer in chain if isinstance(layer, nn.Conv2d)][:frozen]:
        layer.requires_grad_(False)
    return chain


class Run:
    """A training run: network, averaged network, optimiser and progress, saved and resumed as one.

    Its folder beside the output is removed when the run is finished.
    """

    def __init__(self, config: TrainConfig, chain: Chain, device: Device, photographs: int) -> None:
        self.config = config
        self.device = device
        chain[chain.neck].register_forward_pre_hook(hide_cells)
        self.chain = chain.to(device.torch, memory_format=torch.channels_last)
        self.averaged = AveragedModel(self.chain, avg_fn=moving_average, use_buffers=True)
        self.peak = config.learning_rate or (WARM_RATE if config.start_from else 1e-3)
        self.optimiser = torch.optim.AdamW(
            [p for p in self.chain.parameters() if p.requires_grad],
            lr=self.peak,
            weight_decay=config.weight_decay,
        )
        self.criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
        self.folder = config.output.with_name(config.output.name + ".run")
        self.progress = Progress(steps=math.ceil(config.epochs * photographs / config.batch_size))
        self.resume()
        self.began = time.monotonic() - self.progress.seconds

    def advance(self, images: Tensor, labels: Tensor) -> None:
        """One step on ``images`` (B, 3, T, T) uint8 and ``labels`` (B)."""
        progress = self.progress
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak * rate(progress.fraction)

        self.chain.train()
        with self.device.autocast():
            logits = self.chain(scaled(images, self.device))[:, :, 0, 0]
            loss = self.criterion(logits, labels.to(self.device.torch))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.chain.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.averaged.update_parameters(self.chain)

        progress.loss = loss.item()
        if not math.isfinite(progress.loss):
            raise ModelError("the loss is not finite any more; try a lower --learning-rate")
        progress.step += 1
        progress.seconds = time.monotonic() - self.began
        limit = self.config.minutes * 60 if self.config.minutes else math.inf
        progress.fraction = min(1, max(progress.step / progress.steps, progress.seconds / limit))

    def judge(self, judgement: Judgement, training: int, held_out: int) -> None:
        """Note an evaluation, keep the network if it is the best so far, save the run."""
        progress = self.progress
        scores, loss = judgement.scores, judgement.loss
        progress.accuracy = sum(score.accuracy for score in scores) / len(scores)
        progress.curve.append(
            {
                "step": progress.step,
                "seconds": round(progress.seconds, 1),
                "training_loss": progress.loss,
                "held_out_loss": loss,
                "held_out_accuracy": progress.accuracy,
            }
        )
        merit = progress.accuracy - 0.1 * loss  # accuracy first; the loss tells ties apart
        if merit > progress.best:
            progress.best = merit
            history = {
                "config": {k: v for k, v in asdict(self.config).items() if not is_path(v)},
                "step": progress.step,
                "curve": progress.curve,
                "scores": [asdict(score) for score in scores],
                "photographs": {"training": training, "held_out": held_out},
            }
            self.checkpoint(history, judgement.margin).save(self.folder / "best.safetensors")
        state = {
            "chain": self.chain.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(progress),
        }
        with written_aside(self.folder / "state.pt") as aside:
            torch.save(state, aside)

    def checkpoint(self, history: dict[str, Any], margin: float) -> Checkpoint:
        """The averaged network, batch norm folded away."""
        plain = fold(self.averaged.module.eval()).cpu()
        state = {name: value.contiguous() for name, value in plain.state_dict().items()}
        config = self.config
        return Checkpoint(
            config.network, config.arguments, LABELS, plain.tile_px, state, margin, history
        )

    def resume(self) -> None:
        """Go on where a killed run of the same configuration was last saved."""
        path = self.folder / "state.pt"
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True, map_location=self.device.torch)
            self.chain.load_state_dict(state["chain"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"{path} is of a run with other options or is damaged; remove {self.folder} to "
                "start anew"
            ) from error
        self.progress = Progress(**state["progress"])
        log.info("going on at step %d of %d", self.progress.step, self.progress.steps)

    def finish(self) -> TrainResult:
        """Move the best checkpoint into place and clear up."""
        best = Checkpoint.read(self.folder / "best.safetensors")
        with written_aside(self.config.output) as aside:
            shutil.copyfile(self.folder / "best.safetensors", aside)
        shutil.rmtree(self.folder)
        history = best.history
        return TrainResult(
            output=self.config.output,
            scores=[SourceScore(**score) for score in history["scores"]],
            curve=self.progress.curve,
            **history["photographs"],
        )


def hide_cells(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    """In training, a random share of the cells (B, C, F, G) as zeros, the others scaled up.

    Source: Singh and Lee 2017 (hide-and-seek), here on features.
    """
    if not layer.training:
        return None
    (cells,) = inputs
    kept = torch.rand_like(cells[:, :1]) >= HIDDEN
    return (cells * kept / (1 - HIDDEN),)


def moving_average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """The exponential average after ``count`` earlier steps; young averages forget faster."""
    if not averaged.is_floating_point():  # the counter of a batch norm
        return current
    keep = min(AVERAGING, (1 + int(count)) / (10 + int(count)))
    return averaged * keep + current * (1 - keep)


def rate(fraction: float) -> float:
    """The learning rate as a share of its peak: a linear rise, then half a cosine to zero."""
    if fraction < WARM_UP:
        return 0.04 + 0.96 * fraction / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))


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


def endless(patches: Patches, config: TrainConfig, skip: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, classes and sources in balance; a resumed run draws others."""
    return iter(
        DataLoader(
            patches,
            batch_size=config.batch_size,
            sampler=Endless(balance(patches.found), seed=config.seed * 1_000_003 + skip),
        )
    )


def is_path(value: object) -> bool:
    """Paths say something of one machine only and stay out of a checkpoint."""
    return isinstance(value, Path)
