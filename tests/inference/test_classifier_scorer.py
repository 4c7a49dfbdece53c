"""The relevance map does not depend on how a raster is cut, and is as good at its edges."""

from dataclasses import replace

import numpy as np
import pytest
from explaining import explained, write
from fakes import LocalEngine, wall

from crackcli.errors import ModelError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.rasters.nodata import FADE_PX, FILL_GREY, fill_nodata

TINY = {"widths": [4, 0, 6, 0, 8, 8, 0, 8, 8, 0, 16, 16, 0], "hidden": 8, "tile_cells": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny untrained network, with a mean and two crack-free photographs."""
    torch = pytest.importorskip("torch")
    from crackcli.networks import vgg11
    from crackcli.networks.checkpoint import Checkpoint

    torch.manual_seed(4)
    chain = vgg11.build(**TINY)
    path = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    references = torch.randint(256, (3, 3, chain.tile_px, chain.tile_px), dtype=torch.uint8)
    made = Checkpoint("vgg11", TINY, ("no_crack", "crack"), chain.tile_px, chain.state_dict())
    replace(made, references=references).save(path)
    return path


@pytest.fixture(scope="module")
def network(checkpoint):
    """The torch engine of the tiny network, with LRP."""
    from crackcli.engines.torch import TorchEngine

    return TorchEngine(checkpoint, device="cpu")


def in_one_pass(engine, image, gate):
    """Relevance and P(crack) of a whole image, mirrored at its edges and not cut at all."""
    facts = engine.facts
    step, tile = facts.stride_px, facts.tile_px // facts.stride_px
    beyond = tile // 2  # cells beyond the edge whose tiles count
    reach = -(-facts.reach_px // step)
    rim = beyond + reach  # plus their receptive field
    rows, cols = (-(-side // step) for side in image.shape[:2])
    fill_up = [
        (rim * step, (rim + cells) * step - side)
        for cells, side in zip((rows, cols), image.shape[:2], strict=True)
    ]
    padded = np.pad(image, (*fill_up, (0, 0)), mode="reflect")[None]
    more = reach * step - facts.reach_px
    window = padded[:, more : -more or None, more : -more or None]
    tiles, value = engine.head(engine.features(window), gate)
    if facts.kind == "passes":
        none = 2 * [(rim - beyond, rim - beyond)]  # no tiles further out
        maps = in_all_passes(engine, padded, np.pad(tiles >= gate, [(0, 0), *none]), rim)
    else:
        maps = np.pad(engine.back(window, value), [(0, 0), (more, more), (more, more)])
    maps = maps[0][rim * step :, rim * step :]
    return maps[: image.shape[0], : image.shape[1]], tiles[0][:rows, :cols]


def in_all_passes(engine, padded, gated, rim):
    """Maps of a method of several passes; ``padded`` starts ``rim`` cells before the raster."""
    import torch

    place = torch.tensor([-rim * engine.facts.stride_px] * 2)
    images, method = engine.device.send_images(padded), engine.attribution
    with torch.inference_mode():
        return sum(
            method.pass_map(
                images, torch.from_numpy(gated).float()[:, None], torch.tensor(number), place
            )
            for number in range(engine.facts.passes)
        ).numpy()


@pytest.mark.parametrize("method", ["deepliftshap", "gradientshap"])
@pytest.mark.parametrize("gated", [False, True])
def test_passes_of_blocks_equal_passes_of_the_whole_image(checkpoint, tmp_path, method, gated):
    from crackcli.engines.torch import TorchEngine

    engine = TorchEngine(checkpoint, method, device="cpu")
    image = wall(205, 331, cracks=2)
    _, tiles = in_one_pass(engine, image, 0.0)
    gate = in_the_widest_gap(tiles) if gated else 0.0
    expected, _ = in_one_pass(engine, image, gate)

    relevance, tiles, _ = explained(write(tmp_path / "wall.tif", image), engine, 64, gate)

    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(relevance, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("gated", [False, True])
def test_blocks_and_strips_equal_one_pass(network, tmp_path, gated):
    image = wall(205, 331, cracks=2)
    _, tiles = in_one_pass(network, image, 0.0)
    gate = in_the_widest_gap(tiles) if gated else 0.0
    expected, expected_tiles = in_one_pass(network, image, gate)

    relevance, tiles, _ = explained(write(tmp_path / "wall.tif", image), network, 64, gate)

    assert (expected_tiles >= gate).any()
    assert (expected_tiles < gate).any() == gated
    np.testing.assert_allclose(tiles, expected_tiles, atol=1e-5)
    np.testing.assert_allclose(relevance, expected, atol=2e-3 * np.abs(expected).max())


def in_the_widest_gap(values):
    """The middle of the widest gap between the values."""
    rising = np.sort(values, axis=None)
    widest = np.diff(rising).argmax()
    return float(rising[widest : widest + 2].mean())


def test_pixels_beyond_the_edge_are_mirrored(tmp_path):
    half = wall(161, 225, cracks=0)
    half[:, :9] = 28  # only tiles centred on the edge reach the gate
    half[::2, :9] = 32  # of two colours, as a flat border would be nodata
    mirrored = np.concatenate([half[:, :0:-1], half], axis=1)  # the first column occurs once
    paths = write(tmp_path / "half.tif", half), write(tmp_path / "mirrored.tif", mirrored)

    at_edge, edge_tiles, _ = explained(paths[0], LocalEngine(), 96, gate=0.95)
    amid, tiles, _ = explained(paths[1], LocalEngine(), 96, gate=0.95)

    assert (edge_tiles >= 0.95).any(axis=0).tolist() == [True] + 7 * [False]
    assert at_edge[:, :9].all()
    np.testing.assert_array_equal(edge_tiles, tiles[:, 7:])
    np.testing.assert_array_equal(at_edge[:, :200], amid[:, 224:424])


@pytest.mark.parametrize(("rows", "cols"), [(32, 32), (333, 517), (640, 96)])
def test_the_map_does_not_depend_on_the_blocks(network, tmp_path, rows, cols):
    path = write(tmp_path / "wall.tif", wall(rows, cols, cracks=2))

    small, tiles, _ = explained(path, network, core_px=96)
    large, same_tiles, _ = explained(path, network, core_px=1024)

    np.testing.assert_allclose(tiles, same_tiles, atol=1e-5)
    assert np.abs(large).max() > 0
    np.testing.assert_allclose(small, large, atol=2e-3 * np.abs(large).max())


def test_strips_of_a_wide_raster_are_lower():
    scorer = ClassifierScorer(LocalEngine(), 0.5)
    for cols, rows in ((3000, 1024), (16384, 1024), (30000, 544), (65536, 256), (10**6, 256)):
        assert scorer.grid(10**5, cols, 1024).core_px == rows
    assert scorer.grid(10**5, 30000, 256).core_px == 256  # as requested


def test_a_map_shifts_with_its_photograph(network, tmp_path):
    image = wall(640, 640, cracks=3)
    moved = np.roll(image, (64, 128), axis=(0, 1))

    here, *_ = explained(write(tmp_path / "a.tif", image), network, core_px=256)
    there, *_ = explained(write(tmp_path / "b.tif", moved), network, core_px=256)

    inner = slice(256, 384)  # out of reach of either seam
    expected = here[192:320, 128:256]
    np.testing.assert_allclose(there[inner, inner], expected, atol=2e-3 * np.abs(here).max())


def test_relevance_at_edges_is_that_of_the_middle(tmp_path):
    image = np.full((256, 256, 3), 150, np.uint8)

    relevance, tiles, _ = explained(write(tmp_path / "even.tif", image), LocalEngine(), 128)

    assert np.ptp(relevance) == 0
    assert relevance[0, 0] > 0
    assert np.ptp(tiles) == 0


def test_nothing_is_back_propagated_if_no_tile_reaches_the_gate(tmp_path):
    engine = LocalEngine()

    relevance, tiles, _ = explained(
        write(tmp_path / "wall.tif", wall(300, 300)), engine, core_px=128, gate=1.01
    )

    assert not relevance.any()
    assert tiles.max() > 0
    assert engine.backs == 0


def test_only_blocks_near_a_gated_tile_are_explained(tmp_path):
    image = wall(320, 1280, cracks=0)
    image[:, 40:60] = 0
    engine = LocalEngine()

    relevance, *_ = explained(write(tmp_path / "wall.tif", image), engine, core_px=128, gate=0.9)

    assert relevance[:, 40:60].all()
    assert not relevance[:, 256:].any()
    assert engine.backs < 9  # of 30 blocks


def test_nodata_gets_no_relevance_and_black_pixels_do(tmp_path):
    image = wall(256, 256, cracks=0)
    image[:, 100:110] = 0
    valid = np.ones((256, 256), bool)
    valid[200:] = False

    relevance, _, known = explained(write(tmp_path / "wall.tif", image, valid), LocalEngine(), 128)

    np.testing.assert_array_equal(known, valid)
    assert not relevance[200:].any()
    assert relevance[:200, 100:110].all()


def test_the_map_around_nodata_does_not_depend_on_the_blocks(network, tmp_path):
    valid = np.ones((200, 520), bool)
    valid[20:180, 150:400] = False  # wider than the fade of the fill
    path = write(tmp_path / "wall.tif", wall(200, 520, cracks=4), valid)

    small, *_ = explained(path, network, core_px=64)
    large, *_ = explained(path, network, core_px=1024)

    np.testing.assert_allclose(small, large, atol=2e-3 * np.abs(large).max())


def test_p_crack_is_stored_at_the_centre_of_its_tile(tmp_path):
    image = np.full((160, 256, 3), 255, np.uint8)
    image[::159, ::255] = 200  # the corners, so that white is no border
    image[64:128, 128:192] = 0  # one tile of 64 px, its centre at (96, 160)

    _, tiles, _ = explained(write(tmp_path / "wall.tif", image), LocalEngine(), 64)

    assert tiles.shape == (5, 8)  # a centre every 32 px, from (0, 0) on
    assert tiles[3, 5] == tiles.max() == 1
    assert tiles[0].max() < 0.001
    assert tiles[:, 7].max() < 0.001


def test_a_raster_of_nodata_gets_no_relevance(tmp_path):
    path = write(tmp_path / "empty.tif", np.zeros((96, 160, 3), np.uint8), np.zeros((96, 160)))

    relevance, _, known = explained(path, LocalEngine(), 64)

    assert not known.any()
    assert not relevance.any()


def test_nodata_is_filled_with_the_nearest_colour_fading_to_grey():
    rgb = np.zeros((3, 200, 3), np.uint8)
    rgb[:, 0] = (200, 100, 50)
    valid = np.zeros((3, 200), bool)
    valid[:, 0] = True

    filled = fill_nodata(rgb, valid)

    assert filled[1, 0].tolist() == [200, 100, 50]
    np.testing.assert_allclose(filled[1, 1], (200, 100, 50), atol=3)
    np.testing.assert_allclose(filled[1, FADE_PX // 2], (164, 114, 89), atol=2)  # half way
    assert (filled[1, FADE_PX + 1 :] == FILL_GREY).all()


def test_maps_that_are_not_finite_are_an_error(tmp_path):
    engine = LocalEngine()
    engine.back = lambda images, value: np.full(images.shape[:3], np.nan, np.float32)

    with pytest.raises(
        ModelError, match=r"local\.onnx: damaged, its scores are not finite; get the file again"
    ):
        explained(write(tmp_path / "wall.tif", wall(128, 128)), engine, 64)


def test_probabilities_that_are_not_finite_are_an_error(tmp_path):
    engine = LocalEngine()
    head = engine.head
    engine.head = lambda cells, gate: (np.full_like(head(cells, gate)[0], np.nan), cells)

    with pytest.raises(ModelError, match=r"local\.onnx: damaged") as error:
        explained(write(tmp_path / "wall.tif", wall(128, 128)), engine, 64)

    assert error.value.exit_code == 6
    assert engine.backs == 0


def test_tiles_far_from_data_get_the_probability_of_fill_without_the_head(network, tmp_path):
    valid = np.zeros((64, 3072), bool)
    valid[:, :64] = True
    path = write(tmp_path / "wall.tif", wall(*valid.shape), valid)
    calls = []

    class Counting:
        facts, features, back = network.facts, network.features, network.back
        window_cells = network.window_cells

        def head(self, cells, gate):
            calls.append(cells.shape)
            return network.head(cells, gate)

    _, probability, _ = explained(path, Counting(), 64, gate=0.9)

    side_px = 256 + 2 * network.facts.reach_px
    fill_only = network.features(np.full((1, side_px, side_px, 3), FILL_GREY, np.uint8))
    expected = network.head(fill_only, 0.0)[0].flat[0]
    np.testing.assert_allclose(probability[:, 64:], expected, atol=1e-6)
    assert abs(probability[:, :2] - expected).max() > 1e-4
    assert len(calls) <= 2


def test_an_image_as_grey_as_the_fill_is_explained_if_it_reaches_the_gate(tmp_path):
    grey = np.full((96, 128, 3), FILL_GREY, np.uint8)

    relevance, probability, _ = explained(
        write(tmp_path / "grey.tif", grey), LocalEngine(), 64, 0.5
    )

    assert (probability >= 0.5).all()
    assert (relevance > 0).all()


def test_a_block_of_nodata_is_not_explained_even_near_a_crack(tmp_path):
    valid = np.ones((192, 192), bool)
    valid[64:128, 64:128] = False
    path = write(tmp_path / "wall.tif", np.full((192, 192, 3), 20, np.uint8), valid)
    engine = LocalEngine()

    relevance, probability, _ = explained(path, engine, 64, gate=0.3)

    assert (probability >= 0.3).all()
    np.testing.assert_array_equal(relevance > 0, valid)
