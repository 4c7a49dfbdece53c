"""Calibration of a student by photographs that it was not trained on (see
`crackcli.training.calibration.marks`); without masks, by cracks that are drawn onto them."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import cast

import numpy as np

from crackcli.datasets.folders import LabelledImage
from crackcli.engines.device import Device
from crackcli.networks.checkpoint import Checkpoint
from crackcli.networks.student import Student
from crackcli.synthesis.twins import cracked_twin
from crackcli.training.calibration.marks import CalibrationPhotograph, calibrate_marks
from crackcli.training.calibration.prescreen import fit_prescreen
from crackcli.training.calibration.whole import logits_of
from crackcli.training.weak_tiles import whole_photograph

log = logging.getLogger(__name__)

LEAST_SCALE = 1e-3  # of the logits; a lower one would leave the same P(crack) everywhere
COVERED = 0.5  # fraction of a pixel; a drawn crack that covers more of it labels it
DRAWN_CRACKS = "cracks drawn onto crack-free photographs that were held out of training"


def drawn_examples(
    crack_free: Sequence[LabelledImage], network: Student, device: Device
) -> list[CalibrationPhotograph]:
    """Return crack-free photographs, and a tile of each with a crack drawn onto it."""
    found = []
    for number, item in enumerate(crack_free):
        image = whole_photograph(item.path, network.tile_px, network.stride_px)
        tile = image[: network.tile_px, : network.tile_px]
        twin, cover = cracked_twin(tile, np.random.default_rng(number))
        for picture, labelled in (
            (image, np.zeros(image.shape[:2], bool)),
            (twin, cover >= COVERED),
        ):
            logits = logits_of(network, picture, device)
            found.append(CalibrationPhotograph(item.source, picture, logits, labelled))
    return found


def calibrated_student(
    checkpoint: Checkpoint,
    examples: Sequence[CalibrationPhotograph],
    measured_on: str,
    device: Device,
) -> Checkpoint:
    """Return a checkpoint with calibrated P(crack) and a prescreen, from photographs with its own
    logits.

    Its record has the scale and bias that all calibrations together gave to the logits as trained.
    Without a photograph with exact labels that shows a crack, or if the logits do not rise with the
    labels, the checkpoint is returned as it is.
    """
    if not any(each.exact and each.labelled.any() for each in examples):
        return checkpoint
    found = calibrate_marks(examples, measured_on)
    if found.scale < LEAST_SCALE:
        log.warning("P(crack) is not calibrated: it does not rise with the cracks; train longer")
        return checkpoint
    earlier = checkpoint.calibration or {"scale": 1.0, "bias": 0.0}
    both = {
        "scale": found.scale * earlier["scale"],
        "bias": found.scale * earlier["bias"] + found.bias,
    }
    network = cast(Student, checkpoint.build())
    network.scale_logits(found.scale, found.bias)
    network.to(device.torch)
    threshold = found.record["threshold"]
    prescreen = fit_prescreen(network, [each.image for each in examples], threshold, device)
    reliability = {name: asdict(each) for name, each in found.reliability.items()}
    return replace(
        checkpoint,
        state={name: value.cpu() for name, value in network.state_dict().items()},
        calibration=found.record | both | {"prescreen": prescreen},
        history=checkpoint.history | {"reliability": reliability},
    )
