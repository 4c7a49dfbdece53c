"""An exported graph is plain and small, and agrees with torch."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import SMALL_STUDENT

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from crackcli.engines.onnx import (
    METADATA,
    WHOLE,
    OnnxEngine,
    as_input,
    open_session,
)
from crackcli.engines.torch import TorchEngine
from crackcli.errors import ModelError, OutputError
from crackcli.export.onnx_file import ExportTask, export
from crackcli.networks import autoencoder, student, unet, vgg11
from crackcli.networks.checkpoint import Checkpoint
from crackcli.registry import METHODS

TINY = {"widths": [4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 64, 64, 0], "hidden": 16, "tile_cells": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(9)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    chain = vgg11.build(**TINY)
    side = chain.tile_px
    references = torch.randint(256, (3, 3, side, side), dtype=torch.uint8)
    made = Checkpoint("vgg11", TINY, ("no_crack", "crack"), side, chain.state_dict())
    replace(made, references=references).save(path)
    return path


@pytest.fixture(scope="module")
def graph(checkpoint):
    return export(ExportTask(checkpoint, checkpoint.with_name("tiny.onnx"), weights_beside=True))


@pytest.fixture
def images():
    return np.random.default_rng(10).integers(0, 256, (2, 96, 128, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Return a folder with checkpoints of the networks of direct methods."""
    torch.manual_seed(9)
    folder = tmp_path_factory.mktemp("others")
    for method, build, arguments in (
        ("cae", autoencoder.build, {"down": (4, 0, 4, 0), "up": ((4, 4), (4, 3)), "tile_px": 64}),
        ("student", student.build, SMALL_STUDENT),
        ("unet", unet.build, {"widths": ((4,), (4,), (4, 4), (4, 4), (4, 4))}),
    ):
        network = build(**arguments)
        saved = Checkpoint(METHODS[method].network, arguments, ("crack",), 64, network.state_dict())
        saved.save(folder / f"{method}.safetensors")
    return folder


QUICK = {"cae", "deepliftshap", "inputxgrad", "lrp", "student", "unet"}  # one method of each kind


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, marks=[] if method in QUICK else pytest.mark.slow)
        for method in sorted(METHODS.keys() - {"raw"})
    ],
)
def test_the_graph_agrees_with_torch(checkpoint, others, images, method):
    model = others / f"{method}.safetensors" if METHODS[method].direct else checkpoint
    if method == "cae":
        images = images[:, :64, :64]  # its input is one tile
    path = checkpoint.with_name(f"{method}.onnx")
    if not path.exists():
        export(ExportTask(model, path, method=method))

    actual = OnnxEngine(path, device="cpu").explain(images, 0.0)

    expected = TorchEngine(model, method, device="cpu").explain(images, 0.0)
    np.testing.assert_allclose(actual.probability, expected.probability, atol=1e-5)
    scale = np.abs(expected.maps).max()
    np.testing.assert_allclose(actual.maps / scale, expected.maps / scale, atol=1e-3)


def test_its_parts_give_for_a_window_what_the_whole_gives_there(graph, checkpoint):
    engine = OnnxEngine(graph, device="cpu")
    images = np.random.default_rng(11).integers(0, 256, (1, 256, 288, 3), dtype=np.uint8)
    window = images[:, 5:-5, 5:-5]  # of the cells at least two away from the edges

    cells = engine.features(window)
    _, value = engine.head(cells, 0.0)
    maps = engine.back(window, value)

    seen, passed = np.s_[:, :, 2:-2, 2:-2], np.s_[:, 5:-5, 5:-5]
    (whole,) = engine.run(["features"], images=as_input(images), stage=WHOLE)
    np.testing.assert_allclose(cells, whole[seen], rtol=1e-4, atol=1e-6)
    method = TorchEngine(checkpoint, device="cpu").attribution
    given = np.zeros_like(whole)
    given[seen] = value
    expected = method.back(torch.from_numpy(as_input(images)), torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(maps, expected[passed], atol=1e-3 * expected.max())
    assert maps.any()


def test_only_images_are_required_and_the_default_gate_is_a_half(graph, images):
    engine = OnnxEngine(graph, device="cpu")
    batch = np.moveaxis(images, -1, 1).astype(np.float32) / 255

    (actual,) = engine.session.run(["relevance"], {"images": batch})

    assert [value.name for value in engine.session.get_inputs()] == ["images"]
    np.testing.assert_array_equal(actual, engine.explain(images, 0.5).maps)


def test_it_has_standard_operators_only_and_contains_no_paths_of_this_machine(graph):
    model = onnx.load(graph)

    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    assert b"site-packages" not in graph.read_bytes()
    assert str(graph.parent).encode() not in graph.read_bytes()


def test_large_weights_are_in_the_checkpoint_beside_it_only(graph, checkpoint):
    model = onnx.load(graph, load_external_data=False)

    outside = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]

    large = [w.shape for w in Checkpoint.read(checkpoint).state.values() if w.numel() >= 4096]
    assert sorted(tuple(tensor.dims) for tensor in outside) == sorted(large)
    places = {p.value for t in outside for p in t.external_data if p.key == "location"}
    assert places == {checkpoint.name}


@pytest.fixture
def _ready_made(graph, monkeypatch):
    """Skip the slow part of an export, that of torch."""
    monkeypatch.setattr("crackcli.export.onnx_file.export_graph", lambda scorer: onnx.load(graph))
    monkeypatch.setattr("crackcli.export.onnx_file.store_in_half", lambda model: None)


@pytest.mark.usefixtures("_ready_made")
def test_a_graph_for_qgis_has_the_metadata_of_deepness(checkpoint):
    path = checkpoint.with_name("qgis.onnx")
    export(ExportTask(checkpoint, path, qgis=True, gsd_mm=2.0))

    session, _ = open_session(path, "cpu")
    metadata = session.get_modelmeta().custom_metadata_map
    (score,) = session.run(None, {"images": np.random.default_rng(1).random((1, 3, 512, 512), "f")})

    assert json.loads(metadata["model_type"]) == "Regressor"
    assert json.loads(metadata["resolution"]) == pytest.approx(0.2)  # cm per px
    assert json.loads(metadata["tile_size"]) == 512
    assert json.loads(metadata["reg_output_scaling"]) == 255  # results are stored as bytes
    assert score.shape == (1, 1, 512, 512)
    assert 0 <= score.min() <= score.max() <= 1
    with pytest.raises(ModelError, match="exported for QGIS; export one for scan"):
        OnnxEngine(path, device="cpu")


@pytest.mark.usefixtures("_ready_made")
def test_a_graph_that_differs_from_torch_is_not_written(checkpoint, monkeypatch):
    monkeypatch.setattr(TorchEngine, "back", lambda self, images, value: np.ones(images.shape[:3]))
    path = checkpoint.with_name("wrong.onnx")

    with pytest.raises(
        ModelError, match=r"wrong\.onnx: not written, since its back differs from torch"
    ):
        export(ExportTask(checkpoint, path))

    assert not list(path.parent.glob("*wrong*"))


def test_an_existing_file_is_kept(graph, checkpoint):
    with pytest.raises(
        OutputError, match="exists already; choose another output or add --overwrite"
    ):
        export(ExportTask(checkpoint, graph))


def test_other_weights_beside_the_graph_are_an_error(graph, checkpoint, tmp_path):
    copy = tmp_path / graph.name
    copy.write_bytes(graph.read_bytes())
    chain = vgg11.build(**TINY)
    other = Checkpoint("vgg11", TINY, ("no_crack", "crack"), 64, chain.state_dict())
    other.save(tmp_path / checkpoint.name)

    with pytest.raises(ModelError, match=r"exported with other weights than .*tiny.safetensors"):
        OnnxEngine(copy, device="cpu")


def test_the_metadata_contains_method_and_target(graph):
    session = OnnxEngine(graph, device="cpu").session

    facts = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])

    assert (facts["method"], facts["start"], facts["reach_px"]) == ("lrp", "margin", 59)


@pytest.mark.slow
def test_the_command_prints_the_path_or_json(checkpoint, capsys):
    from crackcli.cli.export import export as command

    path = checkpoint.with_name("printed.onnx")
    command(checkpoint, path, quiet=True)
    assert capsys.readouterr().out.splitlines() == [str(path)]
    command(checkpoint, path, method="gradient", overwrite=True, quiet=True, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert (told["output"], told["method"], told["start"]) == (str(path), "gradient", None)
