"""Options of a scan that choose the model and how it scores."""

from dataclasses import dataclass
from pathlib import Path

from crackcli.errors import UsageError
from crackcli.registry import DEFAULT_GATE
from crackcli.shipped_models import choose, parse_model


@dataclass(frozen=True)
class ModelOptions:
    """A model, its attribution method, and how an engine runs it.

    The fields are the options of ``crackcli scan`` of the same name; the defaults choose the
    shipped model and what suits the machine. Raises a `UsageError` if a threshold is no
    probability, or if a shipped model does not exist or does not fit the method; whether a file
    and the engine fit shows when they are opened (`crackcli.inference.opening.open_scorer`).
    """

    model: Path | str | None = None  # a file, or the name of a shipped one; None: by the method
    method: str | None = None  # None: that of the model
    start: str | None = None
    baseline: str | None = None
    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    gate: float = DEFAULT_GATE  # P(crack); tiles below it get no attribution
    look: float = 0.0  # P(crack) of the prescreen; 0: no prescreen
    look_in: str = "half"  # kind of prescreen, one of `crackcli.inference.opening.PRESCREENS`

    def __post_init__(self) -> None:
        if isinstance(self.model, str):
            object.__setattr__(self, "model", parse_model(self.model))
        choose(self.model, self.method)
        if not 0 <= self.gate <= 1:
            raise UsageError(f"--gate {self.gate}: must be a probability; use 0 to 1")
        if not 0 <= self.look <= 1:
            raise UsageError(
                f"--look {self.look}: must be a probability; use 0 to 1, where 0 leaves the "
                "prescreen out"
            )
