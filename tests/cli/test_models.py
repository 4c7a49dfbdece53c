"""crackcli models, --model NAME, and the licence that scan and report carry along."""

import json
import re

import pytest
from command import crackcli

from crackcli import shipped_models
from crackcli.licences import Licence
from crackcli.registry import METHODS
from crackcli.shipped_models import MODELS, list_models, read_facts, shipped

PATCHES = shipped_models.CHECKOUT.parent / "sample_data" / "patches" / "crack"


def test_every_shipped_model_has_a_licence_and_figures():
    cards = list_models()

    assert {"vgg11_128", "student", "unet", "cae"} <= {card.name for card in cards} <= MODELS.keys()
    for card in cards:
        assert card.licence.name
        assert card.licence.allows
        assert METHODS[card.method].network == card.network
        assert {"deepcrack", "masonry_dais", "cfd"} <= card.f1.keys()
    assert [card.default for card in cards].count(True) == 1


def test_a_licence_is_stated_in_one_place():
    cards = shipped_models.read_cards()

    for name in cards:
        stated = Licence.read(read_facts(shipped(".safetensors", name)).get("licence"))
        assert bool(stated) != ("licence" in cards[name])


def test_the_header_of_a_checkpoint_is_read_without_its_package():
    safetensors = pytest.importorskip("safetensors")
    path = shipped(".safetensors", "unet")

    with safetensors.safe_open(path, "np") as file:
        assert read_facts(path) == json.loads(file.metadata()["checkpoint"])


def test_the_table_has_a_row_for_each_model():
    table = crackcli("models").stdout

    for card in list_models():
        figures = " / ".join(f"{value:.1f}" for value in card.f1["cfd"])
        assert re.search(rf"{card.name} .*{card.licence}.*{figures}", table)


def test_json_has_sources_and_attribution():
    cards = {card["name"]: card for card in json.loads(crackcli("models", "--json").stdout)}

    assert cards["student"]["licence"].keys() == {"name", "allows", "attribution"}
    photographs = sum(source["photographs"] for source in cards["student"]["sources"])
    assert photographs == 5467
    assert cards["student"]["method"] == "student"


def test_a_scan_states_the_licence_once_and_keeps_it(tmp_path):
    photographs = sorted(PATCHES.iterdir())[:2]
    done = crackcli(
        *("scan", *photographs, "-o", tmp_path, "--model", "student"),
        *("--engine", "onnx", "--device", "cpu"),
    )

    assert done.returncode == 0, done.stderr
    line = "model: student (non-commercial research); crackcli models lists others"
    assert done.stderr.splitlines().count(line) == 1
    run = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    card = next(card for card in list_models() if card.name == "student")
    assert Licence.read(run["engine"]["licence"]) == card.licence
    assert run["options"]["model"] == "student"
    assert crackcli("report", tmp_path, "--quiet").returncode == 0
    cracks = json.loads((tmp_path / "cracks.local.geojson").read_text(encoding="utf-8"))
    licences = [scene["model_licence"] for scene in cracks["crackcli"]["scenes"]]
    assert licences == 2 * ["non-commercial research"]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["scan", "a.png"], ["--model"]),
        (["evaluate", "data", "-o", "out"], ["--model"]),
        (["selftest", "a.png", "-o", "out"], ["--model"]),
        (["train", "photos", "-o", "a.safetensors"], ["--from"]),
        (["learn", "out", "--reviewed", "a.gpkg", "-o", "a.safetensors"], ["--from"]),
        (["export", "-o", "a.onnx"], []),
    ],
)
def test_every_command_answers_an_unknown_name_with_the_names(command, option):
    done = crackcli(*command, *option, "opne")

    assert done.returncode == 2
    says = "opne: not a shipped model; choose one of: vgg11_128, student, open, unet, cae, or give"
    assert says in done.stderr


def test_a_model_that_does_not_fit_the_method_is_refused_before_anything_is_read(tmp_path):
    done = crackcli(
        "scan", tmp_path / "no.png", "-o", tmp_path, "--model", "unet", "--method", "lrp"
    )

    assert done.returncode == 2
    assert done.stderr == (
        "Error: --method lrp: needs a vgg11, and model unet is a unet; leave --method out, or use "
        "--model vgg11_128\n"
    )


def test_export_takes_the_method_of_a_shipped_model_and_hands_on_its_licence(tmp_path):
    pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")

    done = crackcli("export", "student", "-o", tmp_path / "a.onnx")

    assert done.returncode == 0, done.stderr
    graph = onnx.load(tmp_path / "a.onnx", load_external_data=False)
    facts = json.loads({prop.key: prop.value for prop in graph.metadata_props}["crackcli"])
    assert (facts["method"], facts["licence"]["name"]) == ("student", "non-commercial research")


def test_an_attribution_needs_a_licence(tmp_path):
    done = crackcli("train", tmp_path, "-o", tmp_path / "a.safetensors", "--attribution", "by Ann")

    assert done.returncode == 2
    assert "--attribution needs --licence" in done.stderr
