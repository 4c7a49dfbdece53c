"""Views of a raster do not depend on the window read, lie in place, and merge."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from fakes import LocalEngine, wall

from crackcli.errors import InTheWay, UsageError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.strips import StripScores
from crackcli.inference.views import merge_views, resample_back
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.rasters.resampled import (
    AUTO_ZOOMS,
    ZOOMS,
    ResampledRaster,
    parse_zooms,
    resampled_shape,
)
from crackcli.rasters.score_mask import read_tags
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.scan.survey import SurveyTask
from crackcli.scenes.scene import Scene

OTHERS = [zoom for zoom in ZOOMS if zoom != 1]


def write(path, image, valid=None):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "rgb"}
    profile |= {"crs": "EPSG:2056", "transform": Affine(0.001, 0, 0, 0, -0.001, 0)}
    profile |= {"height": image.shape[0], "width": image.shape[1]}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        file.write(np.moveaxis(image, -1, 0))
        if valid is not None:
            file.write_mask(valid.astype(np.uint8) * 255)
    return path


def noise(rows, cols, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, cols, 3)).astype(np.uint8)


def seen(path, zoom, window=None):
    """Pixels of a window of a view, or of all of it."""
    info = inspect(path)
    with Raster(info) as raster:
        return ResampledRaster(raster, zoom).read(
            window or Window(0, 0, *resampled_shape(info, zoom))
        )


def scan(path, folder, zooms, engine=None, progress=lambda share, words: None, **options):
    task = ScanTask(path, folder, zooms=zooms, **{"core_px": 64} | options)
    return scan_raster(task, ClassifierScorer(engine or LocalEngine(), gate=0.3), progress)


def everything(path):
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize(
    ("text", "zooms"),
    [("1", (1,)), ("2", (2,)), ("1,0.5", (0.5, 1)), (" 2, 1 ,2", (1, 2)), ("auto", AUTO_ZOOMS)],
)
def test_zooms_are_parsed(text, zooms):
    assert parse_zooms(text) == zooms


@pytest.mark.parametrize("text", ["", "3", "1,3", "1;2", "two", "nan", "-1", "1,,2"])
def test_an_unknown_zoom_is_answered_with_the_menu(text):
    with pytest.raises(UsageError, match=r"not supported; use 0\.25, 0\.5, 1, 2 or 4, "):
        parse_zooms(text)


@pytest.mark.parametrize("zooms", [(), (3.0,), (1.0, 1.5)])
def test_zooms_given_in_python_are_checked_too(tmp_path, zooms):
    for make in (
        lambda: ScanTask(tmp_path, tmp_path, zooms=zooms),
        lambda: SurveyTask((tmp_path,), tmp_path, zooms=zooms),
    ):
        with pytest.raises(UsageError, match="not supported"):
            make()


def test_the_order_of_zooms_has_no_effect(tmp_path):
    tasks = [ScanTask(tmp_path, tmp_path, zooms=zooms) for zooms in ((1, 2), (2.0, 1.0, 1))]

    assert [task.zooms for task in tasks] == [(1.0, 2.0)] * 2
    assert all(isinstance(zoom, float) for task in tasks for zoom in task.zooms)


@pytest.mark.parametrize("zoom", OTHERS)
@pytest.mark.parametrize("holes", [False, True])
def test_a_pixel_of_a_view_is_the_same_in_any_window(tmp_path, monkeypatch, zoom, holes):
    valid = np.ones((67, 90), bool)
    if holes:
        valid[20:50, 30:41], valid[60, 80], valid[:, :5] = False, False, False
    path = write(tmp_path / "noise.tif", noise(67, 90), valid if holes else None)
    rows, cols = resampled_shape(inspect(path), zoom)
    beyond = round(40 * zoom)
    whole = Window(-beyond, -beyond, rows + 2 * beyond, cols + 2 * beyond)
    expected = seen(path, zoom, whole)

    monkeypatch.setattr("crackcli.rasters.resampled.PIECE_ROWS", 12)
    monkeypatch.setattr("crackcli.rasters.resampled.PIECE_COLS", 20)
    rng = np.random.default_rng(1)
    for _ in range(20):
        row, col = rng.integers(0, whole.rows - 3), rng.integers(0, whole.cols - 3)
        side = rng.integers(1, (whole.rows - row, whole.cols - col))
        window = Window(int(row) - beyond, int(col) - beyond, *map(int, side))
        part = seen(path, zoom, window)
        place = window.within(whole)
        np.testing.assert_array_equal(part.valid, expected.valid[place])
        np.testing.assert_array_equal(
            part.rgb[part.valid], expected.rgb[place][expected.valid[place]]
        )


@pytest.mark.parametrize("zoom", OTHERS)
def test_read_valid_equals_the_valid_pixels_of_read(tmp_path, zoom):
    valid = np.random.default_rng(0).random((67, 90)) > 0.9
    path = write(tmp_path / "noise.tif", noise(67, 90), valid)
    info = inspect(path)
    rows, cols = resampled_shape(info, zoom)

    window = Window(8, 0, rows - 8, cols)
    with Raster(info) as raster:
        alone = ResampledRaster(raster, zoom).read_valid(window)

    inside = np.s_[: int(67 * zoom) - 8, : int(90 * zoom)]  # the last pixel may be half outside
    np.testing.assert_array_equal(alone[inside], seen(path, zoom, window).valid[inside])


@pytest.mark.parametrize("zoom", OTHERS)
def test_a_view_keeps_positions(tmp_path, zoom):
    """A linear slope is resampled exactly if positions are exact."""
    rows, cols = np.mgrid[:64, :80]
    slope = np.stack([3 * rows, 3 * cols, rows + cols], axis=-1).astype(np.uint8)

    rgb = seen(write(tmp_path / "slope.tif", slope), zoom).rgb

    rows, cols = ((i + 0.5) / zoom - 0.5 for i in np.mgrid[: rgb.shape[0], : rgb.shape[1]])
    expected = np.stack([3 * rows, 3 * cols, rows + cols], axis=-1)
    inner = slice(round(4 * zoom), -round(4 * zoom))  # at the edges the slope is mirrored
    np.testing.assert_allclose(rgb[inner, inner], expected[inner, inner], atol=0.51)


@pytest.mark.parametrize("zoom", OTHERS)
def test_a_view_of_a_mirrored_photograph_is_the_mirrored_view(tmp_path, zoom):
    image = noise(64, 96)

    plain = seen(write(tmp_path / "a.tif", image), zoom).rgb
    turned = seen(write(tmp_path / "b.tif", image[::-1, ::-1]), zoom).rgb

    np.testing.assert_allclose(turned[::-1, ::-1].astype(int), plain, atol=1)


@pytest.mark.parametrize("zoom", OTHERS)
def test_colours_under_nodata_do_not_count(tmp_path, zoom):
    valid = np.ones((64, 96), bool)
    valid[10:30, 17:60] = False
    image = wall(64, 96)
    views = [
        seen(write(tmp_path / f"{grey}.tif", np.where(valid[..., None], image, grey), valid), zoom)
        for grey in (np.uint8(0), np.uint8(255))
    ]

    np.testing.assert_array_equal(views[0].valid, views[1].valid)
    known = views[0].valid
    np.testing.assert_array_equal(views[0].rgb[known], views[1].rgb[known])
    assert (~known).sum() <= 20 * 43 * zoom**2


@pytest.mark.parametrize("zoom", OTHERS)
def test_resampling_back_keeps_position_and_mean(zoom):
    relevance = np.random.default_rng(0).random((32, 64)).astype(np.float16)

    back = resample_back(relevance, zoom)

    assert back.shape == (32 / zoom, 64 / zoom)
    assert back.mean(dtype=float) == pytest.approx(relevance.mean(dtype=float), rel=1e-3)
    spot = np.zeros((32, 64), np.float16)
    spot[24:28, 40:44] = 1
    place = np.argwhere(resample_back(spot, zoom)).mean(axis=0)
    np.testing.assert_allclose((place + 0.5) * zoom, (26, 42))


@pytest.mark.parametrize("cuts", [[(100,), (100,)], [(30, 60, 10), (45, 55)], [(64, 36), (100,)]])
def test_views_cut_in_different_places_are_merged(cuts):
    rng = np.random.default_rng(0)
    wholes = [rng.random((100, 7)).astype(np.float16) for _ in cuts]
    valid = rng.random((100, 7)) > 0.5
    views = [
        (
            StripScores(part, known, np.zeros((1, 1), np.float32))
            for part, known in zip(
                np.split(whole, np.cumsum(rows)[:-1]),
                np.split(valid, np.cumsum(rows)[:-1]),
                strict=True,
            )
        )
        for whole, rows in zip(wholes, cuts, strict=True)
    ]

    strips = list(merge_views(views))

    np.testing.assert_array_equal(
        np.concatenate([strip.relevance for strip in strips]), np.maximum(*wholes)
    )
    np.testing.assert_array_equal(np.concatenate([strip.valid for strip in strips]), valid)


@pytest.fixture
def photograph(tmp_path):
    return write(tmp_path / "wall.tif", wall(201, 315, cracks=2))


@pytest.mark.parametrize("zooms", [(2.0,), (0.5,), (1.0, 2.0), (0.5, 1.0, 2.0)])
def test_cracks_are_masked_in_place_at_any_zoom(photograph, tmp_path, zooms):
    summary = scan(photograph, tmp_path / "out", zooms)

    mask = everything(summary.mask)
    assert mask.shape == (201, 315)
    for col in (78, 236):
        assert (mask[50:150, col : col + 6] == 1).mean() > 0.9
    assert (mask[:, 120:190] == 0).all()


@pytest.mark.parametrize("zoom", OTHERS)
@pytest.mark.parametrize(("rows", "cols"), [(32, 32), (33, 130), (99, 63)])
def test_any_size_can_be_scanned_at_any_zoom(tmp_path, zoom, rows, cols):
    summary = scan(write(tmp_path / "small.tif", wall(rows, cols)), tmp_path / "out", (zoom,))

    assert everything(summary.mask).shape == (rows, cols)


@pytest.mark.parametrize("zooms", [(0.5,), (2.0,), (0.5, 1.0, 2.0)])
def test_the_mask_does_not_depend_on_the_blocks(photograph, tmp_path, monkeypatch, zooms):
    expected = everything(scan(photograph, tmp_path / "a", zooms).mask)
    monkeypatch.setattr("crackcli.masking.scene_mask.CORE_PX", 96)

    actual = everything(scan(photograph, tmp_path / "b", zooms, core_px=320).mask)

    both = ((actual == 1) & (expected == 1)).sum()
    assert both > 1000
    assert both / ((actual == 1) | (expected == 1)).sum() >= 0.99


def test_scores_at_edges_are_those_of_the_middle(tmp_path):
    path = write(tmp_path / "even.tif", np.full((64, 96, 3), 100, np.uint8))

    for zoom in OTHERS:
        scan(path, tmp_path / f"{zoom}", (zoom,), masking=replace(ScanTask.masking, threshold=9.0))

        score = everything(tmp_path / f"{zoom}" / "score.tif")
        assert score.min() == score.max() > 0


def test_nodata_stays_nodata_at_every_zoom(tmp_path):
    valid = np.ones((101, 150), bool)
    valid[:, :37], valid[50:, 140:] = False, False
    path = write(tmp_path / "wall.tif", wall(101, 150), valid)

    mask = everything(scan(path, tmp_path / "out", (0.25, 1.0, 2.0)).mask)

    np.testing.assert_array_equal(mask != 255, valid)


class Stopped(BaseException):
    """Stands in for a signal."""


@pytest.mark.parametrize("strips", [1, 5])
def test_an_interrupted_scan_continues_at_the_zoom_it_had_reached(
    photograph, tmp_path, strips, monkeypatch
):
    zooms = (0.5, 1.0, 2.0)
    fresh, engine, done, asked = LocalEngine(), LocalEngine(), [], []
    scan(photograph, tmp_path / "whole", zooms, fresh)
    score_strip = ClassifierScorer.score_strip

    def one_too_many(*arguments):
        asked.append(arguments)
        if len(asked) > strips:
            raise Stopped
        return score_strip(*arguments)

    monkeypatch.setattr(ClassifierScorer, "score_strip", one_too_many)
    with pytest.raises(Stopped):
        scan(photograph, tmp_path / "again", zooms, engine)
    monkeypatch.undo()
    assert len(list((tmp_path / "again" / ".crackcli-work").glob("strip_*.npz"))) == strips
    scan(photograph, tmp_path / "again", zooms, engine, lambda share, words: done.append(share))

    assert engine.backs == fresh.backs
    assert done == sorted(done)
    assert done[-1] == 1
    for name in ("score.tif", "mask.tif"):
        whole, again = (tmp_path / which / name for which in ("whole", "again"))
        assert whole.read_bytes() == again.read_bytes()


def test_another_zoom_is_scanned_again(photograph, tmp_path):
    scan(photograph, tmp_path / "out", (1.0,))

    with pytest.raises(InTheWay, match="--zoom 1, now 1,2"):
        scan(photograph, tmp_path / "out", (1.0, 2.0))
    summaries = [
        scan(photograph, tmp_path / "out", (1.0, 2.0), overwrite=overwrite)
        for overwrite in (True, False)
    ]

    assert [summary.status for summary in summaries] == ["done", "unchanged"]
    assert Scene.read(tmp_path / "out").record.zooms == [1.0, 2.0]
    assert read_tags(tmp_path / "out" / "score.tif")["CRACKCLI_ZOOMS"] == "1,2"


def test_the_record_summarises_p_crack_of_each_view(tmp_path):
    image = np.full((160, 256, 3), 255, np.uint8)
    image[::159, ::255] = 200  # the corners, so that white is no border
    image[64:128, 128:192] = 0  # one tile of 64 px at zoom 1
    summary = scan(write(tmp_path / "wall.tif", image), tmp_path / "out", (0.5, 1.0))

    half, plain = json.loads((tmp_path / "out" / "scene.json").read_text())["probability"]
    assert (half["zoom"], half["rows"], half["cols"], half["stride_px"]) == (0.5, 3, 4, 64)
    assert (plain["zoom"], plain["rows"], plain["cols"], plain["stride_px"]) == (1, 5, 8, 32)
    # 4 tiles hold a quarter of the square or more; P is 1 there, as it is four times the darkness
    assert plain["max"] == 1
    assert sum(plain["histogram"]) == 40
    assert plain["histogram"][9] == round(plain["share_at_gate"] * 40) == 9
    assert plain["mean"] == pytest.approx(9 / 40, abs=0.001)
    gated = round(half["share_at_gate"] * 12) + 9
    assert summary.tiles_gated == pytest.approx(gated / 52)
