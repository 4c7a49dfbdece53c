"""crackcli train: training loop, objectives, validation, calibration."""

from crackcli.training.config import TrainConfig
from crackcli.training.loop import train

__all__ = ["TrainConfig", "train"]
