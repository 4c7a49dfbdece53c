"""Dense scores, of methods without a gate, do not depend on how a raster is cut."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import DirectEngine, wall

from crackcli.errors import ModelError, UsageError
from crackcli.inference.dense import DenseScorer
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.masking.refinement import Masking
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.rasters.score_mask import Band, read_tags
from crackcli.scan.raster import ScanTask, scan_raster


def photograph(tmp_path, rows=205, cols=331):
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), wall(rows, cols, cracks=2))
    return path


def explained(path, engine, core_px):
    info = inspect(path)
    scorer = DenseScorer(engine)
    grid = scorer.grid(info.rows, info.cols, core_px)
    with Raster(info) as raster:
        strips = [scorer.score_strip(raster, grid, index) for index in range(len(grid))]
    return np.concatenate([strip.relevance for strip in strips]).astype(np.float32)


@pytest.mark.parametrize("kind", ["window", "tiles"])
@pytest.mark.parametrize(("rows", "cols"), [(32, 40), (205, 331)])
def test_the_map_does_not_depend_on_the_blocks(tmp_path, kind, rows, cols):
    path = photograph(tmp_path, rows, cols)

    small, large = (explained(path, DirectEngine(kind), core_px) for core_px in (64, 512))

    assert large.max() > 0.2
    np.testing.assert_allclose(small, large, atol=1e-3)


def test_two_grids_give_a_student_the_same_mask(tmp_path):
    """Its receptive field is wider than the halo."""
    torch = pytest.importorskip("torch")
    from crackcli.networks import student
    from crackcli.networks.checkpoint import Checkpoint

    torch.manual_seed(3)
    arguments = {"channels": (8, 8, 8, 12, 12, 12, 16, 16), "decoder": (8, 8, 8, 12, 12)}
    network = student.build(**arguments).eval()
    path = photograph(tmp_path, 640, 576)
    with Raster(inspect(path)) as raster, torch.inference_mode():
        rgb = raster.read(Window(0, 0, 640, 576)).rgb
        logits = network.logits(torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255)
        network.last.bias -= logits.median()  # so that half of the pixels are marked
    model = tmp_path / "student.safetensors"
    Checkpoint("student", arguments, ("crack",), 192, network.state_dict()).save(model)
    engine = open_scorer(ModelOptions(model, "student", device="cpu")).engine

    small, large = (explained(path, engine, core_px) > 0.5 for core_px in (128, 640))

    assert network.receptive_field_px > engine.facts.reach_px
    assert 0.2 < large.mean() < 0.8
    assert (small & large).sum() / (small | large).sum() >= 0.99


def test_a_pixel_gets_the_mean_of_the_four_tiles_over_it(tmp_path):
    path = photograph(tmp_path)
    with Raster(inspect(path)) as raster:
        rgb = raster.read(Window(-32, -32, 288, 416)).rgb  # half a tile beyond the raster

    actual = explained(path, DirectEngine("tiles"), 128)

    tiles = [(row, col) for row in range(0, 225, 32) for col in range(0, 353, 32)]
    total, count = np.zeros((2, 288, 416))
    for row, col in tiles:
        part = np.s_[row : row + 64, col : col + 64]
        total[part] += DirectEngine("tiles").maps(rgb[part][None])[0]
        count[part] += 1
    inside = np.s_[32 : 32 + 205, 32 : 32 + 331]
    assert (count[inside] == 4).all()
    np.testing.assert_allclose(actual, (total / count)[inside], atol=1e-3)


def test_a_scan_masks_probable_pixels_and_has_no_tile_probabilities(tmp_path):
    task = ScanTask(photograph(tmp_path), tmp_path / "wall", Masking("auto"))

    summary = scan_raster(task, DenseScorer(DirectEngine("window")))

    tags = read_tags(tmp_path / "wall" / "score.tif")
    assert summary.tiles_gated == 1.0
    assert summary.threshold == pytest.approx(0.5**0.5)
    assert tags["CRACKCLI_PROBABILITY"] == "[]"
    with Band(summary.mask) as band:
        marked = band.read(Window(0, 0, *band.shape)) == 1
    expected = explained(task.source, DirectEngine("window"), 512) > 0.5
    assert expected.any()
    assert (marked == expected).mean() > 0.999  # except where the rounding of stored scores decides


def test_method_raw_scores_the_image_itself(tmp_path):
    path = photograph(tmp_path)

    scorer = open_scorer(ModelOptions(method="raw"))
    actual = explained(path, scorer.engine, 512)

    image = cv2.imread(str(path)).mean(axis=2)
    np.testing.assert_allclose(actual, 1 - image / 255, atol=1e-3)
    scan_raster(ScanTask(path, tmp_path / "wall"), scorer)  # a scan works too


def test_a_damaged_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"fake\.onnx: damaged, its scores are not finite"):
        explained(photograph(tmp_path), DirectEngine("window", broken=True), 512)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"model": Path(__file__)}, r"--model .*: method raw needs no model; leave it out"),
        ({"engine": "raw", "method": "lrp"}, "--method lrp: engine raw lacks it; leave --engine"),
        ({"baseline": "mean"}, "method raw has no baseline"),
    ],
)
def test_options_without_effect_on_method_raw_are_errors(asked, says):
    with pytest.raises(UsageError, match=says):
        open_scorer(ModelOptions(**{"method": "raw"} | asked))


@pytest.mark.parametrize("engine", ["auto", "onnx", "torch", "zennit"])
def test_method_raw_works_with_any_engine(engine):
    facts = open_scorer(ModelOptions(method="raw", engine=engine)).engine.facts

    assert (facts.engine, facts.device) == ("raw", "cpu")
