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
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Sampler

from crackcli.calibration import Reliability, reliability, temperature_of
from crackcli.chain import Chain, fold, tempered
from crackcli.dataset import LABELS, Photograph, balance, list_photographs, split
from crackcli.device import Device
from crackcli.errors import ModelError, OutputError, UsageError
from crackcli.files import written_aside
from crackcli.judging import Judgement, SourceScore, evaluate, is_bag, locate, scaled
from crackcli.networks import Checkpoint
from crackcli.patches import Patches
from crackcli.registry import NETWORKS, load
from crackcli.steps import (
    Strongest,
    blended,
    hide_cells,
    kept,
    moving_average,
    rate,
    untrained,
)

log = logging.getLogger(__name__)

CLIP_NORM = 1.0
FROZEN_WHEN_WARM = 5  # of VGG11's eight convolutions: those above 1/16 of the resolution
WARM_RATE = 4e-5  # without batch norm; at 2e-4 what was learnt before is lost first
FEW = 5  # recognised cracks: the usual margin of fewer is none
EVALUATIONS = 12  # in a run, at equal parts of its schedule

Sides = tuple[Sequence[Photograph], Sequence[Photograph]]  # for training, and held out


@dataclass(frozen=True)
class TrainConfig:
    """What a training run is asked to do; kept in the checkpoint's history."""

    photographs: Path | None  # None: they are handed to `train`
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
    evaluations: int = EVALUATIONS
    keep: float = 0.0  # how much the checkpoint that it starts from holds it back; see `kept`
    blend: float = 0.5  # share of the weights that a warm start began with in what it gives
    calibrate: bool = True  # probabilities by the held-out photographs; a handful cannot
    seed: int = 0
    device: str = "auto"
    arguments: dict[str, Any] = field(default_factory=dict)  # of the network
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.evaluations < 1:
            raise UsageError(
                "a run without an evaluation gives no checkpoint; evaluate once or more"
            )


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

    @property
    def words(self) -> str:
        """Where it is, for a person."""
        judged = f", accuracy {self.accuracy:.1%}" if self.curve else ""
        return f"step {self.step}, loss {self.loss:.3f}{judged}"


@dataclass(frozen=True)
class TrainResult:
    """Where the checkpoint lies and how it fared on the photographs held out."""

    output: Path
    scores: list[SourceScore]
    curve: list[dict[str, float]]
    training: int
    held_out: int
    reliability: Reliability  # of the calibrated P(crack)


def train(
    config: TrainConfig,
    on_step: Callable[[Progress], None] = lambda progress: None,
    sides: Sides | None = None,
) -> TrainResult:
    """Train on ``config.photographs``, or on ``sides``, and write the best checkpoint to
    ``config.output``."""
    refuse_existing(config)
    device = Device.find(config.device)
    torch.manual_seed(config.seed)
    if config.start_from is not None:  # the network is that of the checkpoint
        arguments = Checkpoint.read(config.start_from).arguments
        config = replace(config, arguments=arguments)
    if sides is None:
        if config.photographs is None:
            raise UsageError(
                "no photographs to train on; give a folder with crack and no_crack, or --mine"
            )
        found = list_photographs(config.photographs, config.table)
        sides = split(found, config.held_out, config.seed)
    training, held_out = sides
    log.info("%d photographs for training, %d held out", len(training), len(held_out))

    run = Run(config, start(config), device, len(training))
    progress = run.progress
    patches = Patches(training, run.chain.tile_px, run.chain.stride_px, config.drawn)
    batches = endless(patches, config, skip=progress.step)
    bags = [item for item in training if item.label == 1 and is_bag(item, run.chain)]
    if config.start_from or progress.step:
        patches.windows = locate(run.averaged.module, bags, device)

    while progress.fraction < 1:
        part = int(progress.fraction * config.evaluations)
        run.advance(*next(batches))
        if int(progress.fraction * config.evaluations) > part:
            network = run.network()
            judgement = evaluate(network, held_out, device)
            run.judge(network, judgement, len(training), len(held_out))
            patches.windows = locate(run.averaged.module, bags, device)
        on_step(progress)

    return run.finish()


def refuse_existing(config: TrainConfig) -> None:
    """Before any work: an output that is there is kept."""
    if config.output.exists() and not config.overwrite:
        raise OutputError(f"{config.output} exists; choose another output or add --overwrite")


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
        self.shared = untrained(self.chain) if config.keep else 0
        self.before = deepcopy(self.chain[self.shared :]).eval() if config.keep else None
        self.origin = deepcopy(self.chain) if config.start_from and config.blend else None
        self.averaged = AveragedModel(self.chain, avg_fn=moving_average, use_buffers=True)
        self.peak = config.learning_rate or (WARM_RATE if config.start_from else 1e-3)
        self.second = nn.ModuleList()
        if config.start_from is None:
            channels = self.chain[self.chain.neck].in_channels
            self.second.append(Strongest(channels, self.chain.classes).to(device.torch))
        self.optimiser = torch.optim.AdamW(
            [p for p in (*self.chain.parameters(), *self.second.parameters()) if p.requires_grad],
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
        images, labels = scaled(images, self.device), labels.to(self.device.torch)
        with self.device.autocast():
            cells = self.chain[: self.shared](images)
            features = self.chain[self.shared : self.chain.neck](cells)
            logits = self.chain[max(self.shared, self.chain.neck) :](features)[:, :, 0, 0]
            loss = own = self.criterion(logits, labels)
            for other in self.second:
                loss = loss + self.criterion(other(features), labels)
            if self.before is not None:
                with torch.no_grad():
                    earlier = self.before(cells)[:, :, 0, 0]
                loss = loss + self.config.keep * kept(logits, earlier, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_((*self.chain.parameters(), *self.second.parameters()), CLIP_NORM)
        self.optimiser.step()
        self.averaged.update_parameters(self.chain)

        progress.loss = own.item()
        if not loss.isfinite():
            raise ModelError("the loss is not finite any more; try a lower --learning-rate")
        progress.step += 1
        progress.seconds = time.monotonic() - self.began
        limit = self.config.minutes * 60 if self.config.minutes else math.inf
        progress.fraction = min(1, max(progress.step / progress.steps, progress.seconds / limit))

    def network(self) -> Chain:
        """What the run would give now: averaged over the last steps, and after a warm start part
        of the way back to where it began, which keeps what the photographs do not tell of."""
        if self.origin is None:
            return self.averaged.module
        return blended(self.averaged.module, self.origin, self.config.blend)

    def judge(self, network: Chain, judgement: Judgement, training: int, held_out: int) -> None:
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
        temperature = temperature_of(judgement.margins, judgement.labels)
        merit = -reliability(judgement.over(temperature), judgement.labels).loss
        if merit > progress.best:
            progress.best = merit
            history = {
                "config": {k: v for k, v in asdict(self.config).items() if not is_path(v)},
                "step": progress.step,
                "curve": progress.curve,
                "scores": [asdict(score) for score in scores],
                "photographs": {"training": training, "held_out": held_out},
                "margins": [round(margin, 4) for margin in judgement.margins],
                "labels": judgement.labels,
            }
            if not self.config.calibrate:
                temperature = 1.0
            checkpoint = self.checkpoint(network, judgement, temperature, history)
            checkpoint.save(self.folder / "best.safetensors")
        state = {
            "chain": self.chain.state_dict(),
            "averaged": self.averaged.state_dict(),
            "second": self.second.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(progress),
        }
        with written_aside(self.folder / "state.pt") as aside:
            torch.save(state, aside)

    def checkpoint(
        self, network: Chain, judgement: Judgement, temperature: float, history: dict[str, Any]
    ) -> Checkpoint:
        """A network, batch norm folded away, its probabilities calibrated."""
        plain = tempered(fold(network.eval()).cpu(), temperature)
        return Checkpoint(
            network=self.config.network,
            arguments=self.config.arguments,
            classes=LABELS,
            tile_px=plain.tile_px,
            state={name: value.contiguous() for name, value in plain.state_dict().items()},
            margin=self.margin_of(judgement) / temperature,
            history=history | {"temperature": temperature},
        )

    def margin_of(self, judgement: Judgement) -> float:
        """The usual margin on a crack; that of the checkpoint it started from if too few tell."""
        if len(judgement.recognised) >= FEW or self.config.start_from is None:
            return judgement.margin
        return Checkpoint.read(self.config.start_from).margin

    def resume(self) -> None:
        """Go on where a killed run of the same configuration was last saved."""
        path = self.folder / "state.pt"
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True, map_location=self.device.torch)
            self.chain.load_state_dict(state["chain"])
            self.averaged.load_state_dict(state["averaged"])
            self.second.load_state_dict(state["second"])
            self.optimiser.load_state_dict(state["optimiser"])
            # `finish` needs it, and earlier versions wrote none
            Checkpoint.read(self.folder / "best.safetensors").history["temperature"]
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
        calibrated = [margin / history["temperature"] for margin in history["margins"]]
        return TrainResult(
            output=self.config.output,
            scores=[SourceScore(**score) for score in history["scores"]],
            curve=self.progress.curve,
            reliability=reliability(calibrated, history["labels"]),
            **history["photographs"],
        )


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
