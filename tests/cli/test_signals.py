"""A signal ends a run wherever it arrives."""

import logging
import os
import signal
import time

import cv2
import numpy as np
import pytest
import rasterio
from command import crackcli
from fakes import at_most, wall

from crackcli.cli import catch_signals
from crackcli.errors import Interrupted


@pytest.fixture
def caught():
    """Turn signals into errors, as the command does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    catch_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class SendsSignal(logging.Handler):
    """A handler that gets a signal with its first record."""

    sent = 0

    def emit(self, record):
        if not self.sent:
            self.sent += 1
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)  # the signal arrives in here


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_signal_during_a_log_call_of_gdal_is_not_lost(tmp_path, caught, caplog):
    caplog.set_level(logging.WARNING, "rasterio")  # commands run by other tests raise it
    path, handler = tmp_path / "wall.tif", SendsSignal()
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=3, height=64, width=64) as f:
        f.write(np.moveaxis(wall(64, 64), -1, 0))
    content = path.read_bytes()
    at = content.index(b"\x06\x01\x03\0\x01")  # the tag Photometric, which GDAL warns about
    path.write_bytes(content[: at + 1] + b"\x7f" + content[at + 2 :])
    logger = logging.getLogger("rasterio")
    logger.addHandler(handler)

    try:
        with at_most(60), pytest.raises(Interrupted, match="terminated; give the same"):  # noqa: PT012
            with rasterio.open(path) as file:
                file.tags()
            time.sleep(30)
    finally:
        logger.removeHandler(handler)

    assert handler.sent == 1


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    for name in ("wall.png", "model.onnx", "weights.safetensors"):
        os.mkfifo(tmp_path / name)
    cv2.imwrite(str(tmp_path / "real.png"), wall(96, 130))
    cases = {
        ("wall.png",): (4, r"wall.png: is a pipe; give an image file"),
        ("real.png", "--model", "model.onnx"): (6, "model.onnx: is a pipe; give a model file"),
        ("real.png", "--model", "weights.safetensors"): (6, "weights.safetensors: is a pipe; give"),
    }

    for arguments, (code, message) in cases.items():
        paths = [tmp_path / each if "." in each else each for each in arguments]
        with at_most(120):
            done = crackcli("scan", *paths, "-o", tmp_path / "out")
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr
