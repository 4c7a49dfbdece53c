"""crackcli train: training loop, objectives, validation, calibration."""

from crackcli.training.config import TrainConfig
from crackcli.training.loop import TrainResult, train

__all__ = ["TrainConfig", "TrainResult", "train"]
