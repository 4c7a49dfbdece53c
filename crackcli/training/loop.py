"""The training loop: from labelled photographs to a checkpoint, the same for every network.

A step sets the learning rate, runs forward and backward, clips the gradient, updates the weights
and their moving average. At equal parts of the schedule the averaged network is validated on
held-out photographs and the run is saved; the best network becomes the checkpoint. The state of the
run lies in a folder beside the output, so that a killed run resumes where it was last saved. What
differs between networks is in their objective (`crackcli.training.objective`).

Sources: Loshchilov and Hutter 2017 (cosine schedule), 2019 (AdamW).
"""

import logging
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from crackcli.datasets.folders import (
    ALL_LABELS,
    LABELS,
    LabelledImage,
    list_photographs,
    split,
)
from crackcli.engines.device import Device
from crackcli.errors import InputError, ModelError, UsageError
from crackcli.files import atomic_write, refuse_existing, refuse_special, remove_files
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import OBJECTIVES, load
from crackcli.training.batches import endless_batches
from crackcli.training.calibration.reliability import Reliability
from crackcli.training.config import TrainConfig
from crackcli.training.objective import Objective, Score, Validation
from crackcli.training.provenance import find_provenance
from crackcli.training.regularisation import moving_average
from crackcli.training.validation import network_input

log = logging.getLogger(__name__)

CLIP_NORM = 1.0  # of the gradient
BEST, STATE = "best.safetensors", "state.pt"  # files of a run that is saved
WARM_UP = 0.1  # fraction of the schedule in which the learning rate rises
SAVED_AS = {"validation_summary": "judged"}  # key in a saved run, where it is not the field's name
AUXILIARY_KEY = "second"  # of the auxiliary heads in a saved run

Split = tuple[Sequence[LabelledImage], Sequence[LabelledImage]]  # training and held-out photographs


@dataclass
class TrainingState:
    """The progress of a run, passed to ``on_step`` after every step."""

    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    fraction: float = 0.0  # of the schedule, by steps or by time, whichever is further
    loss: float = math.nan
    validation_summary: str = ""  # of the last validation
    best: float = -math.inf  # figure of merit of the best validation
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """Step, loss and last validation, for the progress bar."""
        validation = f", {self.validation_summary}" if self.validation_summary else ""
        return f"step {self.step}, loss {self.loss:.3f}{validation}"


@dataclass(frozen=True)
class TrainResult:
    """The checkpoint of a run and its performance on the held-out photographs."""

    output: Path
    scores: list[Score]
    curve: list[dict[str, float]]
    training: int  # photographs
    held_out: int
    step: int  # of the best validation; 0: the weights of a warm start are kept
    reliability: dict[str, Reliability]  # see `Objective.reliability`


def train(
    config: TrainConfig,
    on_step: Callable[[TrainingState], None] = lambda state: None,
    data: Split | None = None,
) -> TrainResult:
    """Train a network and write the best checkpoint to ``config.output``.

    Photographs come from the folder ``config.photographs``, or from ``data``.
    """
    refuse_existing(config.output, overwrite=config.overwrite)
    device = Device.find(config.device)
    torch.manual_seed(config.seed)
    if config.start_from is not None:  # the checkpoint determines the network
        arguments = Checkpoint.read(config.start_from).arguments
        config = replace(config, arguments=arguments)
    objective: Objective[nn.Module] = load("--network", OBJECTIVES, config.network)(config, device)
    if data is None:
        if config.photographs is None:
            raise UsageError(
                "no photographs to train on; give a folder with crack and no_crack, or --mine"
            )
        label = objective.required_label
        needed = ALL_LABELS if label is None else (label,)
        found = list_photographs(config.photographs, config.table, needed)
        data = split(found, config.held_out, config.seed, needed)
    training, held_out = suitable(objective, data)
    log.info(
        "training on %s: %d photographs, %d held out", device.name, len(training), len(held_out)
    )

    used, models = [*training, *held_out], [*objective.weight_sources, *config.taught_by]
    origin = find_provenance(config.licence, used, config.start_from, models)
    references = objective.references(training)
    run = Run(objective, len(training), references=references, **origin._asdict())
    state = run.state
    tiles = objective.tile_dataset(training)
    if config.start_from or state.step:
        objective.select_tiles(run.averaged.module)
    if config.start_from and objective.may_keep_initial and not state.curve:
        initial = objective.validate(run.network, held_out)
        run.record(run.network, initial, len(training), len(held_out))
    batches = endless_batches(tiles, config, device, skip=state.step)

    while state.fraction < 1:
        period = int(state.fraction * config.evaluations)
        run.advance(*next(batches))
        if int(state.fraction * config.evaluations) > period:
            network = objective.candidate(run.averaged.module)
            validation = objective.validate(network, held_out)
            run.record(network, validation, len(training), len(held_out))
            objective.select_tiles(run.averaged.module)
            batches = endless_batches(tiles, config, device, skip=state.step)
        on_step(state)

    return run.finish(held_out)


def suitable(objective: Objective[nn.Module], data: Split) -> Split:
    """Return the photographs that an objective can use.

    Raise an `InputError` if no photograph of the required label is left on a side.
    """
    usable = set(objective.suitable([*data[0], *data[1]]))
    training, held_out = ([item for item in side if item in usable] for side in data)
    label = objective.required_label
    for name, side in (("training", training), ("held-out", held_out)):
        if label is not None and all(item.label != label for item in side):
            raise InputError(
                f"the usable photographs in '{LABELS[label]}' come from so few sites that no "
                f"{name} ones are left; add photographs, or change --held-out"
            )
    return training, held_out


def warmup_cosine(fraction: float) -> float:
    """Return the learning rate, relative to its peak, at a fraction of the schedule.

    It rises linearly, then falls to zero as half a cosine.
    """
    if fraction < WARM_UP:
        return 0.04 + 0.96 * fraction / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))


class Run:
    """A training run: network, averaged network, optimiser and state, saved and resumed together.

    It is saved in ``<output>.run/``. When the run is finished, its files are removed, and the
    folder too if nothing else lies in it.
    """

    def __init__(self, objective: Objective[nn.Module], photographs: int, **constant: Any) -> None:
        self.objective = objective
        self.constant = constant  # fields of the checkpoint that no step changes
        self.config = config = objective.config
        self.device = objective.device
        self.network = objective.network
        self.averaged = AveragedModel(self.network, avg_fn=moving_average, use_buffers=True)
        usual = objective.warm_peak_rate if config.start_from else objective.peak_rate
        self.peak_rate = config.learning_rate or usual
        self.optimiser = torch.optim.AdamW(
            objective.parameter_groups([each for each in self.parameters() if each.requires_grad]),
            lr=self.peak_rate,
            weight_decay=config.weight_decay,
        )
        self.folder = config.output.with_name(config.output.name + ".run")
        self.state = TrainingState(steps=math.ceil(config.epochs * photographs / config.batch_size))
        self.resume()
        self.began = time.monotonic() - self.state.seconds

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the network and of its auxiliary heads."""
        return [*self.network.parameters(), *self.objective.auxiliary.parameters()]

    def advance(self, images: Tensor, targets: Tensor) -> None:
        """Train one step on ``images`` (B, 3, T, T) uint8 and the targets of the objective.

        Raise a `ModelError` if the loss is not finite.
        """
        state = self.state
        for group in self.optimiser.param_groups:
            scale = group.get("scale", 1.0)
            group["lr"] = self.peak_rate * scale * warmup_cosine(state.fraction)

        self.network.train()
        images, targets = network_input(images, self.device), targets.to(self.device.torch)
        with self.device.autocast():
            loss, logged = self.objective.loss(images, targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        nn.utils.clip_grad_norm_(self.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)

        state.loss = logged.item()
        if not loss.isfinite():
            raise ModelError(
                f"the loss is not finite any more at step {state.step + 1}, at a learning rate of "
                f"{self.peak_rate:g}; try a lower one"
            )
        state.step += 1
        state.seconds = time.monotonic() - self.began
        limit = self.config.minutes * 60 if self.config.minutes else math.inf
        state.fraction = min(1, max(state.step / state.steps, state.seconds / limit))

    def record(
        self, network: nn.Module, validation: Validation, training: int, held_out: int
    ) -> None:
        """Add a validation to the curve, save the network if it is the best, and save the run."""
        state = self.state
        state.validation_summary = validation.summary
        state.curve.append(
            {
                "step": state.step,
                "seconds": round(state.seconds, 1),
                "training_loss": state.loss,
                "held_out_loss": validation.loss,
                **{f"held_out_{name}": value for name, value in validation.metrics.items()},
            }
        )
        if validation.merit > state.best:
            state.best = validation.merit
            config = asdict(self.config).items()
            history = {
                "config": {key: value for key, value in config if not isinstance(value, Path)},
                "device": self.device.name,
                "step": state.step,
                "curve": state.curve,
                "scores": [asdict(score) for score in validation.scores],
                "photographs": {"training": training, "held_out": held_out},
            }
            checkpoint = self.checkpoint(network, validation, history | validation.history)
            checkpoint.save(self.folder / BEST)
        saved = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            AUXILIARY_KEY: self.objective.auxiliary.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": {SAVED_AS.get(name, name): value for name, value in asdict(state).items()},
        }
        with atomic_write(self.folder / STATE) as aside:
            torch.save(saved, aside)

    def checkpoint(
        self, network: nn.Module, validation: Validation, history: dict[str, Any]
    ) -> Checkpoint:
        """Return the checkpoint of a network in the form used for inference."""
        folded = self.objective.for_inference(network, validation)
        return Checkpoint(
            network=self.config.network,
            arguments=self.config.arguments,
            classes=self.objective.classes,
            tile_px=self.objective.tile_px,
            state={name: value.contiguous() for name, value in folded.state_dict().items()},
            margin=validation.margin,
            history=history,
            **self.constant,
        )

    def resume(self) -> None:
        """Load the last saved state of a killed run with the same options, if there is one."""
        path = self.folder / STATE
        refuse_special(path, InputError, "remove it")
        if not path.exists():
            return
        try:
            saved = torch.load(path, weights_only=True, map_location=self.device.torch)
            self.network.load_state_dict(saved["network"])
            self.averaged.load_state_dict(saved["averaged"])
            self.objective.auxiliary.load_state_dict(saved[AUXILIARY_KEY])
            self.optimiser.load_state_dict(saved["optimiser"])
            names, progress = {key: name for name, key in SAVED_AS.items()}, saved["progress"]
            self.state = TrainingState(**{names.get(key, key): progress[key] for key in progress})
            self.result(self.best())  # `finish` needs it: check it now
        except (RuntimeError, TypeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"{path}: belongs to a run with other options, or is damaged; remove "
                f"{self.folder} to start anew"
            ) from error
        log.info("resuming at step %d of %d", self.state.step, self.state.steps)

    def best(self) -> Checkpoint:
        """Read the best checkpoint of the run so far."""
        return Checkpoint.read(self.folder / BEST)

    def result(self, checkpoint: Checkpoint) -> TrainResult:
        """Return the result of the run, as the history of a checkpoint records it."""
        history = checkpoint.history
        return TrainResult(
            output=self.config.output,
            scores=[self.objective.score_type(**score) for score in history["scores"]],
            curve=self.state.curve,
            step=history["step"],
            reliability=self.objective.reliability(history),
            **history["photographs"],
        )

    def finish(self, held_out: Sequence[LabelledImage]) -> TrainResult:
        """Write the best checkpoint, calibrated, to the output and remove the files of the run."""
        checkpoint = self.objective.calibrated(self.best(), held_out)
        result = self.result(checkpoint)
        checkpoint.save(self.config.output)
        remove_files(self.folder, (BEST, STATE))
        if result.step == 0:
            log.warning(
                "the weights of %s are kept: on the held-out photographs no later ones were better",
                self.config.start_from,
            )
        return result
