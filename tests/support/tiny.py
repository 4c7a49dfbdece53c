"""A network of 64-px tiles that learns in seconds to distinguish a dark line from noise."""

import cv2
import numpy as np

TINY = {"widths": [8, 0, 8, 0, 12, 12, 0, 12, 12, 0, 16, 16, 0], "hidden": 16, "tile_cells": 2}
SHALLOW = {"widths": [8, 0, 12, 0, 12, 0, 16, 0, 16, 0], "hidden": 16, "tile_cells": 2}
# SHALLOW has a receptive-field radius of 31 px, so that P(crack) of a tile depends little on the
# surroundings of the tile.
SMALL_AUTOENCODER = {
    "down": (4, 0, 4, 0, 6, 6, 0, 8, 8, 0, 8, 8, 0),
    "up": ((8, 8), (8, 6), (6, 4), (4, 4), (4, 3)),
    "hidden": 12,
    "latent": 5,
    "tile_px": 64,
}
SMALL_STUDENT = {  # as deep as the default, with a fifth of its receptive field's layers
    "channels": (8, 8, 8, 12, 12, 12, 16, 16),
    "blocks": (1, 1, 1, 1, 1, 1, 1),
    "decoder": (8, 8, 8, 12, 12),
    "tile_px": 64,
}


def picture(rng, *, cracked, side=64):
    """Return grey noise, with a dark line across if cracked."""
    image = rng.normal(150, 10, (side, side, 3))
    if cracked:
        row = int(rng.integers(side // 4, 3 * side // 4))
        cv2.line(image, (0, row), (side, side - row), (20, 20, 20), 5)
    return image.clip(0, 255).astype(np.uint8)


def write_photographs(folder, number=24):
    """Write a training folder with ``number`` pictures of each class."""
    rng = np.random.default_rng(11)
    for label in ("crack", "no_crack"):
        (folder / label).mkdir(parents=True)
        for index in range(number):
            image = picture(rng, cracked=label == "crack")
            cv2.imwrite(str(folder / label / f"wall_{index}.png"), image)
    return folder


def train_shallow(photographs, output):
    """Train and return a checkpoint that recognises dark lines."""
    from crackcli.training import TrainConfig, train

    config = TrainConfig(
        photographs=photographs,
        output=output,
        epochs=16,
        batch_size=8,
        learning_rate=3e-3,
        arguments=SHALLOW,
        device="cpu",
        held_out=0.25,
        evaluations=1,
    )
    return train(config).output


def student_config(photographs, output, **changes):
    """Return options that train a small student in seconds."""
    from crackcli.training import TrainConfig

    given = {
        "photographs": photographs,
        "output": output,
        "network": "student",
        "arguments": SMALL_STUDENT,
        "epochs": 50,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "device": "cpu",
        "held_out": 0.25,
    }
    return TrainConfig(**given | changes)
