"""Options that only explanations use are errors for methods that explain nothing."""

from pathlib import Path

import pytest
from fakes import DirectEngine, LocalEngine

from crackcli.errors import UsageError
from crackcli.inference import opening
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions

EXPLAINING = [
    ({"start": "both"}, "--start both"),
    ({"gate": 0.3}, "--gate 0.3"),
    ({"look": 0.1}, "--look 0.1"),
]


@pytest.mark.parametrize(("asked", "words"), EXPLAINING)
def test_the_default_method_explains_nothing_and_the_error_names_one_that_does(asked, words):
    with pytest.raises(UsageError) as error:
        open_scorer(ModelOptions(device="cpu", **asked))

    assert str(error.value) == (
        f"{words}: for methods that explain a classifier, and student scores pixels without one; "
        "add --method lrp"
    )


@pytest.mark.parametrize("given", [{"method": "unet"}, {"model": Path(__file__)}])
@pytest.mark.parametrize(("asked", "words"), EXPLAINING)
def test_with_a_direct_method_that_was_chosen_they_can_only_be_left_out(
    monkeypatch, given, asked, words
):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: DirectEngine("window"))

    with pytest.raises(UsageError) as error:
        open_scorer(ModelOptions(**given, **asked))

    assert str(error.value) == (
        f"{words}: for methods that explain a classifier, and unet scores pixels without one; "
        "leave it out"
    )


@pytest.mark.parametrize(("asked", "words"), EXPLAINING)
def test_methods_that_explain_take_them(monkeypatch, asked, words):
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())

    scorer = open_scorer(ModelOptions(method="lrp", **asked))

    assert scorer.gate == asked.get("gate", 0.5), words
    assert (scorer.prescreen is not None) == ("look" in asked)
