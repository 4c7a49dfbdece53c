"""Options of a scan that choose the model and how it scores."""

from dataclasses import dataclass
from pathlib import Path

from crackcli.errors import UsageError
from crackcli.registry import DEFAULT_GATE


@dataclass(frozen=True)
class ModelOptions:
    """A model, its attribution method, and how an engine runs it.

    The fields are the options of ``crackcli scan`` of the same name; the defaults choose the
    shipped model and what suits the machine. Raises a `UsageError` if a threshold is no
    probability; whether model, method and engine fit each other shows when they are opened
    (`crackcli.inference.opening.open_scorer`).
    """

    model: Path | None = None  # None: the shipped one
    method: str | None = None  # None: that of the model file, else LRP
    start: str | None = None
    baseline: str | None = None
    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    gate: float = DEFAULT_GATE  # P(crack); tiles below it get no attribution
    look: float = 0.0  # P(crack) of the prescreen; 0: no prescreen
    look_in: str = "half"  # kind of prescreen, one of `crackcli.inference.opening.PRESCREENS`

    def __post_init__(self) -> None:
        if not 0 <= self.gate <= 1:
            raise UsageError(f"--gate {self.gate}: must be a probability; use 0 to 1")
        if not 0 <= self.look <= 1:
            raise UsageError(
                f"--look {self.look}: must be a probability; use 0 to 1, where 0 leaves the "
                "prescreen out"
            )
