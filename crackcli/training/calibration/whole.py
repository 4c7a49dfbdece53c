"""What a student computes for a photograph of any size: logits, and the context of its cells."""

import cv2
import numpy as np
import torch
from torch import Tensor

from crackcli.arrays import Float32, UInt8
from crackcli.engines.device import Device
from crackcli.networks.student import Student
from crackcli.training.augmentation import to_tensor
from crackcli.training.validation import network_input

RIM_PX = 64  # px; the photograph is reflected there, as in a scan
CELL_PX = 8  # side of a cell of the context


def framed_input(network: Student, image: UInt8, device: Device) -> Tensor:
    """Return a photograph (rows, cols, 3) with a rim, as input (1, 3, H, W) of a network."""
    rows, cols = image.shape[:2]
    below, right = (RIM_PX + -side % network.stride_px for side in (rows, cols))
    framed = cv2.copyMakeBorder(image, RIM_PX, below, RIM_PX, right, cv2.BORDER_REFLECT_101)
    return network_input(to_tensor(framed.astype(np.uint8, copy=False))[None], device)


@torch.inference_mode()
def logits_of(network: Student, image: UInt8, device: Device) -> Float32:
    """Return logit(crack) (rows, cols) of a photograph (rows, cols, 3) of any size."""
    rows, cols = image.shape[:2]
    logits = network.logits(framed_input(network, image, device))[0].float().cpu().numpy()
    inner: Float32 = logits[RIM_PX : RIM_PX + rows, RIM_PX : RIM_PX + cols]
    return inner


@torch.inference_mode()
def cells_of(network: Student, image: UInt8, device: Device) -> tuple[Float32, Float32]:
    """Return the context (C, h, w) of the cells of a photograph, and the highest P(crack) (h, w) in
    each, rim included."""
    images = framed_input(network, image, device)
    halves, quarters, eighths = network.encode(images)
    context = network.context(eighths)
    probability = network.decode(images, halves, quarters, context)[0]
    rows, cols = (side // CELL_PX for side in probability.shape)
    highest = probability.reshape(rows, CELL_PX, cols, CELL_PX).amax((1, 3))
    return context[0].float().cpu().numpy(), highest.float().cpu().numpy()
