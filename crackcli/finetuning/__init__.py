"""crackcli learn and train --mine: fine-tuning on reviewed cracks and hard negatives."""

from crackcli.finetuning.hard_negatives import train_mined
from crackcli.finetuning.learning import LearnTask, learn

__all__ = ["LearnTask", "learn", "train_mined"]
