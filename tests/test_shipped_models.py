"""The names of shipped models, and which model and method a request means."""

from pathlib import Path

import pytest

from crackcli.errors import UsageError
from crackcli.registry import METHODS, NETWORK_METHODS, NETWORKS
from crackcli.shipped_models import MODELS, choose, parse_model


@pytest.mark.parametrize("text", ["open.onnx", "./open", "models/open", "/models/open"])
def test_text_with_a_suffix_or_a_separator_is_a_file(text):
    assert parse_model(text) == Path(text)


def test_other_text_is_a_name_even_if_such_a_file_exists(tmp_path, monkeypatch):
    (tmp_path / "student").touch()
    monkeypatch.chdir(tmp_path)

    assert parse_model("student") == "student"


def test_an_unknown_name_is_answered_with_the_names():
    says = (
        "--model opne: not a shipped model; choose one of: vgg11_128, student, open, unet, cae, or "
        r"give a file with its suffix \(.onnx or .safetensors\)"
    )

    with pytest.raises(UsageError, match=says):
        parse_model("opne")


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_a_method_of_its_own(network):
    assert METHODS[NETWORK_METHODS[network]].network == network


@pytest.mark.parametrize(
    ("model", "method"),
    [("open", "student"), ("student", "student"), ("unet", "unet"), ("cae", "cae")],
)
def test_a_model_without_a_method_has_that_of_its_network(model, method):
    assert choose(model) == (model, method)


@pytest.mark.parametrize(
    ("method", "model"),
    [("gradient", "vgg11_128"), ("student", "student"), ("cae", "cae"), ("raw", None)],
)
def test_a_method_without_a_model_has_the_first_of_its_network(method, model):
    assert choose(None, method) == (model, method)


@pytest.mark.parametrize("method", [None, "lrp"])
def test_the_method_of_a_file_is_not_guessed(method):
    assert choose(Path("mine.onnx"), method) == (Path("mine.onnx"), method)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_does_not_fit_the_method_is_answered_with_those_that_do(model):
    method = "unet" if model != "unet" else "student"
    fitting = "--model unet" if model != "unet" else "--model student or --model open"

    with pytest.raises(UsageError) as error:
        choose(model, method)

    assert str(error.value) == (
        f"--method {method}: needs a {method}, and model {model} is a {MODELS[model]}; leave "
        f"--method out, or use {fitting}"
    )
