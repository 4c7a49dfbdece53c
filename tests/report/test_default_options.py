"""Scans by default options: recorded options decide, missing ones count as defaults."""

from dataclasses import asdict
from pathlib import Path

import pytest
from affine import Affine

from crackcli.files import sha256
from crackcli.masking.refinement import Masking
from crackcli.registry import DEFAULT_GATE
from crackcli.report.default_options import by_default
from crackcli.scan.survey import SurveyTask
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene
from crackcli.shipped_models import shipped


def scene(**record):
    return Scene(Path("wall"), 9, 9, Affine.identity(), None, SceneRecord(record))


LRP = ({"method": "lrp", "start": "margin"}, {"gate": 0.5})
STUDENT = ({"method": "student", "start": "none"}, {"gate": 0.0})


def scanned(engine=(), masking=(), default=LRP, **scored):
    facts, gate = default
    facts = facts | dict(engine)
    scored = {"engine": facts, "look": None, "zooms": [1.0], **gate, **scored}
    return scene(scored=scored, masking={**asdict(Masking()), **dict(masking)})


def test_a_scan_without_other_options_is_by_default():
    graph, student = sha256(shipped(".lrp.margin.onnx")), sha256(shipped(".onnx", "student"))

    assert by_default(scene())
    assert by_default(scanned())
    assert by_default(scanned({"model_sha256": graph}))
    assert by_default(scanned({"model_sha256": student}, default=STUDENT))
    assert not by_default(scanned({"model_sha256": graph}, default=STUDENT))
    assert not by_default(scanned({"model_sha256": student}))


@pytest.mark.parametrize(
    "other",
    [
        scanned({"model_sha256": "0" * 64}),
        scanned({"method": "gradient"}),
        scanned({"start": "both"}),
        scanned(gate=0.9),
        scanned(look=0.1),
        scanned(zooms=[0.5, 1.0]),
        scanned(masking={"recipe": "study"}),
        scanned(masking={"threshold": 0.01}),
        scanned(masking={"recipe": "plain"}, default=STUDENT),
    ],
    ids=["model", "method", "start", "gate", "look", "zoom", "recipe", "threshold", "student"],
)
def test_another_model_or_option_is_not_by_default(other):
    assert not by_default(other)


def test_the_gate_of_the_survey_is_the_same_default(tmp_path):
    assert SurveyTask((tmp_path,), tmp_path).model_options.gate == DEFAULT_GATE
