"""Options of a training run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crackcli.errors import UsageError
from crackcli.licences import Licence, Source

EVALUATIONS = 12  # validations in a run, at equal parts of its schedule


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training run; all but the paths are kept in the checkpoint's history.

    Raises a `UsageError` if the run would never be validated.
    """

    photographs: Path | None  # None: `train` gets a list of photographs instead
    output: Path
    table: Path | None = None  # CSV with path, photo, source
    network: str = "vgg11"
    start_from: Path | None = None  # checkpoint of a warm start
    frozen: int | None = None  # convolutions that stay fixed; None: 5 in a warm start, else 0
    epochs: float = 20
    minutes: float | None = None  # the schedule ends after this time if it comes first
    batch_size: int = 16
    learning_rate: float | None = None  # peak; None: that of the objective, lower in a warm start
    weight_decay: float = 0.02
    label_smoothing: float = 0.02
    drawn: float = 0.0  # fraction of tiles replaced by twins drawn onto crack-free photographs
    held_out: float = 0.15  # fraction of the photographs
    evaluations: int = EVALUATIONS
    keep: float = 0.0  # weight of the distillation loss, see `distillation_loss`
    blend: float = 0.5  # fraction of the initial weights in the result, see `blended`
    mask_crack: str = ""  # values of crack in masks, as `parse_values` reads them
    calibrate: bool = True  # by the held-out photographs; a handful of them is too few
    seed: int = 0
    device: str = "auto"
    workers: int | None = None  # processes that read and draw; None: 0 on a CPU, else up to 8
    arguments: dict[str, Any] = field(default_factory=dict)  # of the network
    taught_by: tuple[Source, ...] = ()  # models whose marks are labels
    licence: Licence = Licence()  # of the result; not stated: that of ``start_from``
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.evaluations < 1:
            raise UsageError(
                f"evaluations {self.evaluations}: without a validation a run has no checkpoint to "
                "keep; evaluate once or more"
            )
