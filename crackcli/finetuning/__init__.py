"""crackcli learn and train --mine: fine-tuning on reviewed cracks and hard negatives."""
