"""Records of scenes: typed values, defaults for missing ones, and the file unchanged."""

import json

import pytest
from affine import Affine

from crackcli.errors import InputError
from crackcli.scenes.record import ScanResult, SceneRecord
from crackcli.scenes.scene import Scene

FACTS = {
    "source": {"file": "wall.jpg", "sha256": "ab", "megapixels": 0.5},
    "photograph": {"asked": {}, "acquired_utc": None, "scales": []},
    "scored": {
        "engine": {"model": "a.onnx", "model_sha256": "12", "method": "lrp", "later": 1},
        "gate": 0.5,
        "look": None,
        "zooms": [0.5, 1.0],
    },
    "masking": {"recipe": "refined", "threshold": None, "min_area_px": None},
    "threshold": 0.2,
    "tiles_gated": 0.1,
    "crack_px": 7,
    "seconds": {"explain": 1.5},
    "later": [1, 2],
}


def scene(folder, facts):
    return Scene(folder, 10, 20, Affine.identity(), None, SceneRecord(facts))


def test_a_scene_is_written_again_as_it_was_read(tmp_path):
    (tmp_path / "wall").mkdir()
    scene(tmp_path / "wall", FACTS).write()
    before = (tmp_path / "wall" / "scene.json").read_bytes()

    read = Scene.read(tmp_path / "wall")
    read.write()

    assert (tmp_path / "wall" / "scene.json").read_bytes() == before
    assert list(json.loads(before))[-len(FACTS) :] == list(FACTS)


def test_other_scales_take_the_place_of_the_earlier_ones():
    found = {"asked": {}, "acquired_utc": "2026-05-01T10:00:00+00:00", "scales": []}

    record = SceneRecord(FACTS).with_photograph(found)

    assert list(record.facts) == list(FACTS)
    assert record.acquired_utc == found["acquired_utc"]
    assert SceneRecord(FACTS).acquired_utc is None


def test_values_are_those_of_the_file():
    record = SceneRecord(FACTS)

    assert (record.source_file, record.source_sha256) == ("wall.jpg", "ab")
    assert (record.model, record.model_sha256, record.method) == ("a.onnx", "12", "lrp")
    assert (record.gate, record.look, record.zooms) == (0.5, None, [0.5, 1.0])
    assert record.result == ScanResult(megapixels=0.5, crack_px=7, threshold=0.2, tiles_gated=0.1)
    assert record.complete
    assert record.options() == {
        "method": "lrp",
        "gate": 0.5,
        "look": None,
        "zoom": [0.5, 1.0],
        "masking": "refined",
        "threshold": None,
        "min-area-px": None,
    }


@pytest.mark.parametrize("facts", [{}, {"scored": None, "source": None, "photograph": None}])
def test_missing_values_have_their_defaults(facts):
    record = SceneRecord(facts)

    assert record.zooms == [1.0]
    assert (record.scales, record.tile_grids, record.seconds, record.engine) == ([], [], {}, {})
    assert (record.source_sha256, record.threshold, record.device, record.gate) == (None,) * 4
    assert record.options() == {}
    assert not record.complete
    with pytest.raises(InputError, match=r"scene\.json: .* scan this image again"):
        _ = record.result


DAMAGES = {
    "rows": ["ten", -1, 0, 2.5, None, True],
    "cols": [[], {}, 0],
    "transform": [
        [],
        [1, 0, 0, 0, 0, 0],
        ["a"] * 6,
        [float("nan")] * 6,
        [2, 4, 0, 1, 2, 0],
        None,
        7,
    ],
    "crs_wkt": [7, []],
    "source": [7, "wall.jpg", [1]],
    "photograph": ["none"],
    "scored": [[1]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in DAMAGES.items() for value in values]
)
def test_a_damaged_record_is_an_input_error(tmp_path, name, value):
    (tmp_path / "wall").mkdir()
    scene(tmp_path / "wall", FACTS).write()
    path = tmp_path / "wall" / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))

    with pytest.raises(InputError, match=r"scene\.json: cannot be read \(.*\); scan this image"):
        Scene.read(tmp_path / "wall")


@pytest.mark.parametrize("content", ["", "[]", "7", '"text"', "{}", "{", "\0\0\0"])
def test_a_record_of_another_kind_is_an_input_error(tmp_path, content):
    (tmp_path / "scene.json").write_text(content)

    with pytest.raises(InputError, match=r"scene\.json: cannot be read"):
        Scene.read(tmp_path)
