"""What a training run is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crackcli.errors import UsageError

EVALUATIONS = 12  # in a run, at equal parts of its schedule


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
    learning_rate: float | None = None  # peak; None: that of the objective, lower when warm
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
    workers: int | None = None  # processes that read and draw; None: 0 on a CPU, else up to 8
    arguments: dict[str, Any] = field(default_factory=dict)  # of the network
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.evaluations < 1:
            raise UsageError(
                "a run without an evaluation gives no checkpoint; evaluate once or more"
            )
