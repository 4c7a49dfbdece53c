"""Worker processes that read and draw tiles: their errors and signals."""

import os
import signal
import subprocess
import sys
from itertools import islice

import pytest
from tiny import write_photographs

pytest.importorskip("torch")

from crackcli.datasets.folders import list_photographs
from crackcli.engines.device import Device
from crackcli.errors import InputError
from crackcli.training.batches import endless_batches
from crackcli.training.config import TrainConfig
from crackcli.training.patches import Patches

posix = pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes")

RUN = """
import signal
import sys
from pathlib import Path
from crackcli import cli
from crackcli.datasets.folders import list_photographs
from crackcli.engines.device import Device
from crackcli.training.patches import Patches
from crackcli.training.config import TrainConfig
from crackcli.training.batches import endless_batches

def app(**_):
    config = TrainConfig(Path(sys.argv[1]), Path("unwritten"), batch_size=2, workers=2)
    tiles = Patches(list_photographs(config.photographs), 64, 32)
    for _ in endless_batches(tiles, config, Device("cpu", False), 0):
        print("ready", flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler if sys.argv[2:] else signal.SIG_IGN)
cli.app = app
cli.main()
"""


def running(photographs, *words):
    """Start a run in a process group of its own and wait for two batches; it is in the background
    unless ``words`` are "in front"."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(photographs), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(run, 2)
    return run


def wait_for(run, batches):
    for _ in range(batches):
        assert run.stdout.readline() == "ready\n"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photograph_that_is_deleted_is_named_whichever_process_reads_it(tmp_path, workers):
    found = list_photographs(write_photographs(tmp_path))
    settings = TrainConfig(tmp_path, tmp_path / "model.safetensors", batch_size=8, workers=workers)
    batches = endless_batches(Patches(found, 64, 32), settings, Device("cpu", bf16=False), 0)
    next(batches)
    for item in found:
        item.path.unlink()

    with pytest.raises(InputError, match=r"^[^\n]*\.png: [^\n]*$") as caught:
        list(islice(batches, 20))
    assert "Caught" not in str(caught.value)


@posix
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_run_ends_it_in_one_line(tmp_path, signum):
    with running(write_photographs(tmp_path), "in front") as run:
        os.killpg(run.pid, signum)
        _, stderr = run.communicate(timeout=60)

    assert run.returncode == 128 + signum
    assert stderr.startswith("Error: ")
    assert stderr.count("\n") == 1


@posix
def test_in_the_background_all_processes_of_a_run_ignore_ctrl_c(tmp_path):
    with running(write_photographs(tmp_path)) as run:
        os.killpg(run.pid, signal.SIGINT)
        wait_for(run, 40)  # more than were prefetched
        os.killpg(run.pid, signal.SIGTERM)
        run.communicate(timeout=60)

    assert run.returncode == 128 + signal.SIGTERM
