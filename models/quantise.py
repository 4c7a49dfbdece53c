"""Writes ``vgg11_128.int8.onnx``: the features of the shipped classifier in int8.

    python models/quantise.py DATA/train

Weights are scaled per channel, activations by their smallest and largest values in the centres of
64 photographs of ``crack/`` and ``no_crack/``, chosen with a fixed seed. The network is the same,
without padding.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from crackcli.engines.onnx import INT8_INPUT, as_input
from crackcli.export.graph_surgery import refer_to_weights, store_in_half
from crackcli.networks.chain import unpadded
from crackcli.networks.checkpoint import Checkpoint
from crackcli.shipped_models import shipped

PATCHES, SIDE_PX = 64, 256


class Patches(CalibrationDataReader):
    """Calibration images: the centres of photographs."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png")
        )
        order = np.random.default_rng(0).permutation(len(paths))
        images = (cv2.imread(str(paths[at])) for at in order)
        found = (each for each in images if each is not None and min(each.shape[:2]) >= SIDE_PX)
        self.middles = (middle(each) for each, _ in zip(found, range(PATCHES), strict=False))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.middles, None)


def middle(image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the input of the graph for the centre of a photograph (BGR)."""
    row, col = ((side - SIDE_PX) // 2 for side in image.shape[:2])
    part = image[row : row + SIDE_PX, col : col + SIDE_PX, ::-1]
    return {INT8_INPUT: as_input(part[None])}


def main() -> None:
    """Export, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    folder = parser.parse_args().photographs
    chain = Checkpoint.read(shipped(".safetensors")).build().eval()
    features = unpadded(chain[: chain.head_start])
    axes = {0: "count", 2: "rows", 3: "cols"}
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        plain, ready, whole = (Path(name) / f"{words}.onnx" for words in ("a", "b", "c"))
        torch.onnx.export(
            *(features, (torch.rand(1, 3, SIDE_PX, SIDE_PX),), plain),
            dynamo=False,
            input_names=[INT8_INPUT],
            output_names=["cells"],
            dynamic_axes={INT8_INPUT: axes, "cells": axes},
        )
        quant_pre_process(plain, ready)
        quantize_static(
            *(ready, whole, Patches(folder)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"AddQDQPairToWeight": True},  # weights stay those of the checkpoint
        )
        graph = onnx.load(whole)
        store_in_half(graph)
        refer_to_weights(graph, shipped(".safetensors"))
        onnx.save(graph, shipped(".int8.onnx"))


if __name__ == "__main__":
    main()
