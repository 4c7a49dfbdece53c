"""A pipe or a folder in place of a file is refused at once: nothing waits for a pipe."""

import json
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import at_most
from tiny import write_photographs
from walls import picture, write_scene

from crackcli.datasets.folders import list_photographs
from crackcli.datasets.pixel_labels import find_sets
from crackcli.engines.opening import open_engine
from crackcli.errors import InputError, ModelError
from crackcli.files import sha256
from crackcli.finetuning.reviews import read_reviews
from crackcli.outputs import Record, digest_of
from crackcli.rasters.reader import inspect
from crackcli.report.formats.csv import read_rows
from crackcli.report.severity import read_profiles
from crackcli.report.write import ReportTask, write_report
from crackcli.scenes.source import read_run_record
from crackcli.shipped_models import shipped

SPECIAL = {"pipe": os.mkfifo, "folder": Path.mkdir}


@pytest.fixture(params=SPECIAL)
def special(request, tmp_path):
    """Make a pipe or a folder of a name; a test that waits for one is ended after 20 s."""

    def make(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        SPECIAL[request.param](path)
        return path

    make.words = f"is a {request.param}"
    signal.alarm(20)
    yield make
    signal.alarm(0)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (read_reviews, "cracks.gpkg"),
        (read_rows, "cracks.csv"),
        (read_profiles, "own.toml"),
        (lambda path: read_run_record(path.parent), "run.json"),
        (sha256, "mask.tif"),
    ],
)
def test_a_special_file_is_named(special, read, name):
    path = special(name)

    with pytest.raises(OSError, match=special.words) as caught:
        read(path)

    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["wall.png.aux.xml", "wall.png.ovr", "WALL.pgw"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_side_file_of_a_photograph_is_not_waited_for(tmp_path, suffix, name):
    path = tmp_path / f"wall.{suffix}"
    cv2.imwrite(str(path), np.full((64, 64, 3), 200, np.uint8))
    os.mkfifo(tmp_path / name)

    with at_most(20), pytest.raises(InputError, match=r"is a pipe; move it away from wall\."):
        inspect(path)


@pytest.mark.parametrize("name", ["own.onnx", "own.safetensors"])
def test_a_special_file_is_no_model(special, name):
    with pytest.raises(ModelError, match=f"{name}: {special.words}; give a model file"):
        open_engine(special(name))


def test_weights_beside_a_graph_are_a_file(special, tmp_path):
    graph = tmp_path / "own.onnx"
    graph.write_bytes(shipped(".lrp.margin.onnx", "vgg11_128").read_bytes())
    special("vgg11_128.safetensors")

    with pytest.raises(ModelError, match=r"is a pipe|weights beside it are missing"):
        open_engine(graph)


def test_the_table_of_photographs_is_a_file(special, tmp_path):
    photographs = write_photographs(tmp_path, 2)
    special("photographs.csv")

    with pytest.raises(InputError, match=rf"photographs\.csv: {special.words}"):
        list_photographs(photographs)


@pytest.mark.parametrize("folder", ["crack", "masks"])
def test_labelled_photographs_and_masks_are_files(special, tmp_path, folder):
    write_photographs(tmp_path, 2)
    (tmp_path / "masks").mkdir()
    special(f"{folder}/odd.png")

    with pytest.raises(InputError):
        find_sets(tmp_path)
    if folder == "crack":
        assert len(list_photographs(tmp_path)) == 4


def test_a_record_that_is_no_file_is_none(special):
    path = special("report.json")

    assert Record.read(path).facts == {}
    assert digest_of(path) == "damaged"


@pytest.mark.parametrize("name", ["cracks.gpkg", "cracks.csv"])
def test_a_report_keeps_what_is_in_the_way(special, tmp_path, name):
    out = tmp_path / "out"
    write_scene(out / "wall", picture("....\n.##.\n...."))
    (out / "run.json").write_text(json.dumps({"scenes": []}))
    special(f"out/{name}")

    if special.words.endswith("folder"):
        with pytest.raises(OSError, match="is a folder, in the way of a file; rename it"):
            write_report(ReportTask(out))
        return
    write_report(ReportTask(out))

    assert (out / name).is_file()
    assert list(out.glob("*.edited*"))
