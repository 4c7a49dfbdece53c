"""The model file and the engine are those asked for, else those that are shipped."""

import sys
from pathlib import Path

import pytest

from crackcli import shipped_models
from crackcli.engines import opening
from crackcli.engines.opening import find_model, open_engine
from crackcli.errors import ModelError, UsageError
from crackcli.registry import ENGINES
from crackcli.shipped_models import MODELS, choose


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the models folder of a clone with a classifier and a student, each with a graph."""
    monkeypatch.setattr(shipped_models, "PACKAGED", tmp_path / "installed")
    monkeypatch.setattr(shipped_models, "CHECKOUT", tmp_path / "models")
    (tmp_path / "models").mkdir()
    files = ("vgg11_128.safetensors", "vgg11_128.lrp.margin.onnx")
    for name in (*files, "student.safetensors", "student.onnx"):
        (tmp_path / "models" / name).touch()
    return tmp_path / "models"


class Opened:
    """Stands for an engine and keeps the arguments it was opened with."""

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

    assert find_model(choose(given, "gradient"), "both", engine) == given


@pytest.mark.parametrize(
    ("engine", "method", "name"),
    [
        ("auto", None, "student.onnx"),
        ("onnx", None, "student.onnx"),
        ("torch", None, "student.safetensors"),
        ("auto", "lrp", "vgg11_128.lrp.margin.onnx"),
        ("onnx", "lrp", "vgg11_128.lrp.margin.onnx"),
        ("torch", "lrp", "vgg11_128.safetensors"),
    ],
)
def test_the_shipped_student_is_the_default_and_lrp_has_the_classifier(
    folder, engine, method, name
):
    assert find_model(choose(None, method), None, engine) == folder / name


def test_each_method_and_start_has_a_graph_of_its_own(folder):
    graph = folder / "vgg11_128.gradient.both.onnx"
    graph.touch()

    assert find_model(choose(None, "gradient"), "both", "auto") == graph


@pytest.mark.parametrize(("method", "start"), [("gradient", None), ("lrp", "both")])
def test_the_error_without_a_shipped_graph_says_how_to_get_one(folder, method, start):
    says = (
        f"--engine onnx: no graph of the shipped model has method {method} and start "
        f"{start or 'margin'}; use --engine torch, or write one with crackcli export"
    )

    with pytest.raises(ModelError) as error:
        find_model(choose(None, method), start, "onnx")

    assert str(error.value) == says
    assert error.value.exit_code == 6


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_torch_runs_any_method_on_the_shipped_model(folder, engine):
    found = find_model(choose(None, "gradient"), "both", engine)

    assert found == folder / "vgg11_128.safetensors"


@pytest.mark.parametrize(("engine", "suffix"), [("auto", ".onnx"), ("torch", ".safetensors")])
def test_a_method_of_another_network_takes_that_network(folder, engine, suffix):
    (folder / f"unet{suffix}").touch()

    assert find_model(choose(None, "unet"), None, engine) == folder / f"unet{suffix}"


def test_a_network_that_is_not_shipped_can_be_trained(folder):
    with pytest.raises(ModelError, match="crackcli train --network autoencoder"):
        find_model(choose(None, "cae"), None, "auto")


def test_method_raw_needs_no_model(folder):
    engine = open_engine(method="raw")

    assert engine.facts.method == "raw"


def test_an_installation_goes_before_a_clone(folder):
    installed = folder.parent / "installed"
    installed.mkdir()
    (installed / "student.onnx").touch()

    assert find_model(choose(None, None), None, "auto").parent == installed


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
def test_the_suffix_of_the_file_decides_unless_an_engine_is_given(file, engine, used):
    opened = open_engine(Path(file), engine=engine)

    assert opened.name == used
    assert opened.arguments == (Path(file), None, None, "auto", None, "float32")


@pytest.mark.usefixtures("_engines")
def test_onnx_runtime_opens_the_shipped_graph_by_default(folder):
    opened = open_engine()

    assert opened.name == "onnx"
    assert opened.arguments[:2] == (folder / "student.onnx", "student")


@pytest.mark.usefixtures("_engines")
def test_an_engine_gets_all_options(folder):
    opened = open_engine(None, "intgrad", "crack", "torch", "cpu", "black", "bfloat16")

    asked = ("intgrad", "crack", "cpu", "black", "bfloat16")
    assert opened.arguments == (folder / "vgg11_128.safetensors", *asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"method": "gradcam"},
            "--method gradcam: unknown; choose one of: cae, deeplift, deepliftshap, gradient, "
            "gradientshap, inputxgrad, intgrad, lrp, lrp-alpha2-beta1, lrp-epsilon-plus, "
            "lrp-gamma-box, raw, student, unet",
        ),
        ({"start": "logit"}, "--start logit: unknown; choose one of: both, crack, margin"),
        ({"engine": "jax"}, "--engine jax: unknown; choose one of: auto, onnx, raw, torch, zennit"),
        (
            {"precision": "float16"},
            "--precision float16: unknown; choose one of: auto, bfloat16, float32",
        ),
        (
            {"engine": "onnx", "precision": "bfloat16"},
            "--precision bfloat16: engine onnx computes in float32; leave it out, or use --engine "
            "torch",
        ),
        (
            {"baseline": "white"},
            "--baseline white: unknown; choose one of: black, mean, photographs",
        ),
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

    with pytest.raises(ModelError, match=r"notes\.onnx: not a usable ONNX graph"):
        open_engine(path, device="cpu")


@pytest.mark.parametrize(
    ("method", "file", "says"),
    [
        ("lrp", "vgg11_128.safetensors", r"vgg11_128\.safetensors: does not exist"),
        (None, "student.safetensors", "model student: not in this installation"),
    ],
)
def test_a_missing_checkpoint_is_named(folder, method, file, says):
    pytest.importorskip("torch")
    (folder / file).unlink()

    with pytest.raises(ModelError, match=says):
        open_engine(method=method, engine="torch", device="cpu")


@pytest.mark.parametrize("name", [".safetensors", ".lrp.margin.onnx", ".lrp.both.onnx"])
def test_the_shipped_models_exist_and_are_small(name):
    path = shipped_models.CHECKOUT / f"{shipped_models.SHIPPED}{name}"

    assert path.is_file()
    assert path.stat().st_size <= 30e6


def test_a_session_uses_no_more_threads_than_the_limit(monkeypatch, tmp_path):
    from crackcli.engines import onnx

    given = []

    def refuse(model, options, **rest):
        given.append(options.intra_op_num_threads)
        raise RuntimeError("no graph")

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(onnx.onnxruntime, "InferenceSession", refuse)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ModelError, match="not a usable ONNX graph"):
        onnx.open_session(tmp_path / "model.onnx", "cpu")

    assert given == [3]


@pytest.mark.usefixtures("folder", "_engines")
@pytest.mark.parametrize(
    ("there", "device", "model", "method", "engine"),
    [
        (True, "auto", None, None, "torch"),
        (True, "cuda", None, "gradient", "torch"),
        (True, "auto", None, "lrp", "torch"),
        (True, "cpu", None, None, "onnx"),
        (False, "auto", None, None, "onnx"),
        (True, "auto", "given.onnx", None, "onnx"),
    ],
)
def test_torch_runs_a_shipped_model_if_it_has_a_gpu(
    monkeypatch, there, device, model, method, engine
):
    monkeypatch.setattr(opening, "has_gpu", lambda: there)

    opened = open_engine(model and Path(model), method, device=device)

    assert opened.name == engine


def test_torch_is_not_imported_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(opening, "DRIVER", tmp_path / "version")
    monkeypatch.setattr(opening.shutil, "which", lambda name: None)
    monkeypatch.setattr(opening, "find_spec", None)  # an error if it is called

    assert not opening.has_gpu()


def test_torch_is_not_used_if_checkpoints_cannot_be_read(monkeypatch):
    monkeypatch.setattr(opening.shutil, "which", lambda name: name)
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "safetensors" else name)

    assert not opening.has_gpu()


@pytest.mark.parametrize("words", ["libcudart.so.12: cannot open shared object file", ""])
def test_torch_is_not_used_if_it_cannot_be_loaded(monkeypatch, caplog, words):
    class Broken:
        """Stands for a module that cannot be loaded."""

        def __getattr__(self, name):
            raise OSError(words)

    monkeypatch.setattr(opening.shutil, "which", lambda name: name)
    monkeypatch.setattr(opening, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "crackcli.engines.device", Broken())

    assert not opening.has_gpu()
    assert (words or "OSError") in caplog.text


@pytest.mark.usefixtures("_engines")
@pytest.mark.parametrize(
    ("vnni", "there", "driver", "options", "name"),
    [
        (True, True, False, {"precision": "auto"}, "student.int8.onnx"),
        (True, True, True, {"precision": "auto", "device": "cpu"}, "student.int8.onnx"),
        (True, True, True, {"precision": "auto", "engine": "onnx"}, "student.onnx"),
        (True, False, False, {"precision": "auto"}, "student.onnx"),
        (False, True, False, {"precision": "auto"}, "student.onnx"),
        (True, True, False, {"precision": "float32"}, "student.onnx"),
        (True, True, False, {"precision": "auto", "engine": "torch"}, "student.safetensors"),
    ],
)
def test_the_int8_graph_is_taken_where_it_is_faster(
    folder, monkeypatch, vnni, there, driver, options, name
):
    monkeypatch.setattr(opening, "multiplies_int8", lambda: vnni)
    monkeypatch.setattr(opening, "has_gpu", lambda: False)
    monkeypatch.setattr(opening, "DRIVER", folder if driver else folder / "none")
    if there:
        (folder / "student.int8.onnx").touch()

    assert open_engine(method="student", **options).arguments[0] == folder / name


def test_cpuinfo_decides_whether_a_processor_has_int8_instructions(monkeypatch, tmp_path):
    monkeypatch.setattr(opening, "CPU_INFO", tmp_path / "cpuinfo")
    assert not opening.multiplies_int8()
    opening.CPU_INFO.write_text("flags : fpu avx512_vnni\n")
    assert opening.multiplies_int8()


@pytest.mark.parametrize("name", [name for name, network in MODELS.items() if network == "student"])
def test_a_shipped_int8_graph_has_the_weights_of_its_checkpoint(name):
    graph = shipped_models.shipped(".int8.onnx", name)
    if not graph.is_file():
        pytest.skip("no int8 graph")

    facts = open_engine(graph, device="cpu").facts

    assert (facts.network, facts.kind, facts.precision) == ("student", "stages", "int8")
