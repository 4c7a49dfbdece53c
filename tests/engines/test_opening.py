"""Which file and which engine are used: what was asked for, and else what is shipped."""

import sys
from pathlib import Path

import pytest

from crackcli import shipped_models
from crackcli.engines import opening as models
from crackcli.engines.opening import find_model, open_engine
from crackcli.errors import ModelError, UsageError
from crackcli.registry import ENGINES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A clone with the shipped checkpoint and its default graph, and nothing installed."""
    monkeypatch.setattr(shipped_models, "PACKAGED", tmp_path / "installed")
    monkeypatch.setattr(shipped_models, "CHECKOUT", tmp_path / "models")
    (tmp_path / "models").mkdir()
    for suffix in (".safetensors", ".lrp.margin.onnx"):
        (tmp_path / "models" / f"vgg11_128{suffix}").touch()
    return tmp_path / "models"


class Opened:
    """Stands for an engine and keeps what it was opened with."""

    name = ""

    def __init__(self, *arguments):
        self.arguments = arguments


class OpenedOnnx(Opened):
    name = "onnx"


class OpenedTorch(Opened):
    name = "torch"


@pytest.fixture
def _engines(monkeypatch):
    for engine in (OpenedOnnx, OpenedTorch):
        monkeypatch.setitem(ENGINES, engine.name, f"{__name__}:{engine.__name__}")


@pytest.mark.parametrize("engine", ["auto", "onnx", "torch"])
def test_a_model_that_is_given_is_used(folder, engine):
    given = Path("mine.safetensors")

    assert find_model(given, "gradient", "both", engine) == given


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("auto", "vgg11_128.lrp.margin.onnx"),
        ("onnx", "vgg11_128.lrp.margin.onnx"),
        ("torch", "vgg11_128.safetensors"),
    ],
)
def test_without_a_model_the_shipped_one_is_used(folder, engine, name):
    assert find_model(None, None, None, engine) == folder / name


def test_each_method_and_start_has_a_graph_of_its_own(folder):
    graph = folder / "vgg11_128.gradient.both.onnx"
    graph.touch()

    assert find_model(None, "gradient", "both", "auto") == graph


@pytest.mark.parametrize(("method", "start"), [("gradient", None), (None, "both")])
def test_where_no_graph_is_shipped_the_user_is_told_how_to_get_one(folder, method, start):
    method_used, start_used = method or "lrp", start or "margin"
    says = (
        f"no graph of the shipped model has method {method_used} and start {start_used}; "
        "use --engine torch, or write one with crackcli export"
    )

    with pytest.raises(ModelError) as error:
        find_model(None, method, start, "onnx")

    assert str(error.value) == says
    assert error.value.exit_code == 6


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_torch_explains_the_shipped_model_by_any_method(folder, engine):
    found = find_model(None, "gradient", "both", engine)

    assert found == folder / "vgg11_128.safetensors"


@pytest.mark.parametrize(("engine", "suffix"), [("auto", ".onnx"), ("torch", ".safetensors")])
def test_a_method_with_a_network_of_its_own_takes_that_network(folder, engine, suffix):
    (folder / f"unet{suffix}").touch()

    assert find_model(None, "unet", None, engine) == folder / f"unet{suffix}"


def test_a_network_that_is_not_shipped_can_be_trained(folder):
    with pytest.raises(ModelError, match="crackcli train --network autoencoder"):
        find_model(None, "cae", None, "auto")


def test_the_picture_itself_needs_no_model(folder):
    engine = open_engine(method="raw")

    assert engine.facts.method == "raw"


def test_an_installation_goes_before_a_clone(folder):
    installed = folder.parent / "installed"
    installed.mkdir()
    (installed / "vgg11_128.lrp.margin.onnx").touch()

    assert find_model(None, None, None, "auto").parent == installed


@pytest.mark.usefixtures("_engines")
@pytest.mark.parametrize(
    ("file", "engine", "used"),
    [
        ("mine.onnx", "auto", "onnx"),
        ("mine.safetensors", "auto", "torch"),
        ("MINE.SAFETENSORS", "auto", "torch"),
        ("mine.safetensors", "onnx", "onnx"),
    ],
)
def test_the_suffix_decides_unless_an_engine_is_asked_for(file, engine, used):
    opened = open_engine(Path(file), engine=engine)

    assert opened.name == used
    assert opened.arguments == (Path(file), None, None, "auto", None, "float32")


@pytest.mark.usefixtures("_engines")
def test_the_shipped_graph_is_opened_by_the_engine_that_needs_no_torch(folder):
    opened = open_engine()

    assert opened.name == "onnx"
    assert opened.arguments[0] == folder / "vgg11_128.lrp.margin.onnx"


@pytest.mark.usefixtures("_engines")
def test_an_engine_is_told_what_was_asked_for(folder):
    opened = open_engine(None, "intgrad", "crack", "torch", "cpu", "black", "bfloat16")

    asked = ("intgrad", "crack", "cpu", "black", "bfloat16")
    assert opened.arguments == (folder / "vgg11_128.safetensors", *asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"method": "gradcam"},
            "'gradcam' is not known; choose one of: cae, deeplift, deepliftshap, gradient, "
            "gradientshap, inputxgrad, intgrad, lrp, lrp-alpha2-beta1, lrp-epsilon-plus, "
            "lrp-gamma-box, raw, unet",
        ),
        ({"start": "logit"}, "'logit' is not known; choose one of: both, crack, margin"),
        ({"engine": "jax"}, "'jax' is not known; choose one of: auto, onnx, raw, torch, zennit"),
        (
            {"precision": "float16"},
            "'float16' is not known; choose one of: auto, bfloat16, float32",
        ),
        (
            {"engine": "onnx", "precision": "bfloat16"},
            "engine onnx computes in float32; leave --precision out, or use --engine torch",
        ),
        ({"baseline": "white"}, "'white' is not known; choose one of: black, mean, photographs"),
    ],
)
def test_an_unknown_name_is_answered_with_the_menu(folder, asked, says):
    with pytest.raises(UsageError) as error:
        open_engine(**asked)

    assert str(error.value) == says


def test_a_file_of_the_wrong_kind_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "notes.onnx"
    path.write_text("no graph")

    with pytest.raises(ModelError, match=r"notes\.onnx is not a usable ONNX graph"):
        open_engine(path, device="cpu")


def test_a_checkpoint_that_is_not_there_is_named(folder):
    pytest.importorskip("torch")
    (folder / "vgg11_128.safetensors").unlink()

    with pytest.raises(ModelError, match=r"vgg11_128\.safetensors does not exist"):
        open_engine(engine="torch", device="cpu")


@pytest.mark.parametrize("name", [".safetensors", ".lrp.margin.onnx", ".lrp.both.onnx"])
def test_the_models_of_this_clone_are_there_and_small(name):
    path = shipped_models.CHECKOUT / f"{shipped_models.SHIPPED}{name}"

    assert path.is_file()
    assert path.stat().st_size <= 30e6


@pytest.mark.parametrize(
    ("told", "cores", "expected"),
    [("", 4, 0), ("", 2, 2), ("3", 4, 3), ("0", 4, 0), ("2,1", 4, 2)],
)
def test_onnx_runtime_takes_no_more_cores_than_it_is_given(monkeypatch, told, cores, expected):
    from crackcli.engines import onnx

    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr(onnx.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(onnx.os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)

    assert onnx.threads() == expected


def test_a_session_is_given_that_many_threads(monkeypatch, tmp_path):
    from crackcli.engines import onnx

    given = []

    def refuse(model, options, **rest):
        given.append(options.intra_op_num_threads)
        raise RuntimeError("no graph")

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(onnx.onnxruntime, "InferenceSession", refuse)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ModelError, match="is not a usable ONNX graph"):
        onnx.open_session(tmp_path / "model.onnx", "cpu")

    assert given == [3]


@pytest.mark.usefixtures("folder", "_engines")
@pytest.mark.parametrize(
    ("there", "device", "model", "method", "engine"),
    [
        (True, "auto", None, None, "torch"),
        (True, "cuda", None, "gradient", "torch"),
        (True, "cpu", None, None, "onnx"),
        (False, "auto", None, None, "onnx"),
        (True, "auto", "given.onnx", None, "onnx"),
    ],
)
def test_a_shipped_model_goes_to_torch_where_that_has_a_gpu(
    monkeypatch, there, device, model, method, engine
):
    monkeypatch.setattr(models, "gpu", lambda: there)

    opened = open_engine(model and Path(model), method, device=device)

    assert opened.name == engine


def test_torch_is_not_asked_for_a_gpu_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "DRIVER", tmp_path / "version")
    monkeypatch.setattr(models.shutil, "which", lambda name: None)
    monkeypatch.setattr(models, "find_spec", None)  # an error if it is called

    assert not models.gpu()


def test_torch_is_not_taken_where_checkpoints_cannot_be_read(monkeypatch):
    monkeypatch.setattr(models.shutil, "which", lambda name: name)
    monkeypatch.setattr(models, "find_spec", lambda name: None if name == "safetensors" else name)

    assert not models.gpu()


@pytest.mark.parametrize("words", ["libcudart.so.12: cannot open shared object file", ""])
def test_torch_is_not_taken_where_it_cannot_be_loaded(monkeypatch, caplog, words):
    class Broken:
        """In the place of a module; whatever is asked of it, it cannot be loaded."""

        def __getattr__(self, name):
            raise OSError(words)

    monkeypatch.setattr(models.shutil, "which", lambda name: name)
    monkeypatch.setattr(models, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "crackcli.engines.device", Broken())

    assert not models.gpu()
    assert (words or "OSError") in caplog.text
