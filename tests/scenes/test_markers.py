"""Markers of known size: detected once, at subpixel precision, with an honest uncertainty."""

import cv2
import numpy as np
import pytest
from markers import corners, draw
from PIL import Image

from crackcli.errors import InputError
from crackcli.rasters.reader import inspect
from crackcli.scenes import markers as marker
from crackcli.scenes.markers import find_markers, marker_scale

SIDE_MM = 50.0


def photograph(folder, grey):
    Image.fromarray(grey).save(folder / "wall.png")
    return inspect(folder / "wall.png")


@pytest.mark.parametrize(
    ("side_px", "angle_deg", "blur_px", "gamma"),
    [(60, 0, 0.7, 2.2), (60, 33, 1.2, 2.2), (170, 77, 2.0, 2.2), (170, 10, 1.0, 1.0)],
)
def test_a_marker_gives_the_size_of_a_pixel(tmp_path, side_px, angle_deg, blur_px, gamma):
    quad = corners((200.3, 180.6), side_px, angle_deg)
    info = photograph(tmp_path, draw((400, 420), [quad], blur_px=blur_px, gamma=gamma))

    mm_per_px, sigma, words = marker_scale(info, SIDE_MM)

    assert mm_per_px == pytest.approx(SIDE_MM / side_px, abs=1.5 * sigma)
    assert sigma < 0.035 * mm_per_px
    assert words == "50 mm marker: 4X4_50 number 0"


def test_blurred_edges_do_not_shrink_the_marker(tmp_path):
    quad = corners((200, 200), 150, 20)
    info = photograph(tmp_path, draw((400, 400), [quad], blur_px=1.5))

    (found,) = find_markers(info)

    apart = np.linalg.norm(found.corners[:, None] - quad[None], axis=2).min(axis=1)
    assert apart.max() < 0.25


def test_the_uncertainty_grows_steeply_with_the_tilt_of_a_marker(tmp_path):
    sigmas = []
    for tilt_deg in (0, 15, 30):
        info = photograph(tmp_path, draw((300, 300), [corners((150, 150), 120, 0, tilt_deg)]))
        mm_per_px, sigma, _ = marker_scale(info, SIDE_MM)
        sigmas.append(sigma / mm_per_px)

    assert sigmas[0] < 0.02
    assert sigmas[1] > 3 * sigmas[0]
    assert sigmas[2] > 2 * sigmas[1]


def test_the_uncertainty_covers_the_effect_of_tilt_at_the_edge_of_a_photograph(tmp_path):
    """A wall 3000 px wide, a focal length of 3000 px: the pixel size at the edge, by geometry."""
    tilt_deg = 8
    info = photograph(tmp_path, draw((300, 300), [corners((150, 150), 120, 0, tilt_deg)]))
    mm_per_px, sigma, _ = marker_scale(info, SIDE_MM)

    tan = np.tan(np.radians(tilt_deg))
    farther = 1500 / 3000 * tan  # distance of the wall 1500 px beside the marker, as a fraction
    assert sigma / mm_per_px > farther / np.sqrt(3)
    assert sigma / mm_per_px < 3 * farther


def test_several_markers_are_averaged(tmp_path):
    quads = [corners((120, 140), 80, 5), corners((420, 160), 80.4, 40), corners((260, 380), 79.8)]
    info = photograph(tmp_path, draw((520, 560), quads))

    mm_per_px, sigma, words = marker_scale(info, SIDE_MM)

    assert len(find_markers(info)) == 3
    assert mm_per_px == pytest.approx(SIDE_MM / 80, rel=0.01)
    assert sigma >= np.std([SIDE_MM / 80, SIDE_MM / 80.4, SIDE_MM / 79.8], ddof=1) * 0.5
    assert words.count("number") == 3


def test_the_error_names_markers_that_disagree_with_their_values(tmp_path):
    quads = [corners((120, 140), 80), corners((400, 200), 110)]
    info = photograph(tmp_path, draw((400, 520), quads))

    with pytest.raises(
        InputError, match=r"wall\.png: its markers disagree.* 0\.45\d* mm by .* 0\.62\d* mm by"
    ):
        marker_scale(info, SIDE_MM)


@pytest.mark.parametrize("dictionary", marker.DICTIONARIES)
def test_markers_of_every_dictionary_are_detected(tmp_path, dictionary):
    quad = corners((150, 150), 120, 12)
    info = photograph(tmp_path, draw((300, 300), [quad], dictionary=dictionary))

    (found,) = find_markers(info)

    assert found.name == f"{dictionary.removeprefix('DICT_')} number 0"


def test_the_error_for_a_wall_without_a_marker_proposes_a_remedy(tmp_path):
    rng = np.random.default_rng(3)
    bricks = np.kron(rng.integers(40, 220, (10, 12)), np.ones((30, 30))).astype(np.uint8)
    dark_square = np.full((300, 360), 220, np.uint8)
    dark_square[100:200, 100:200] = 20

    for grey in (bricks, dark_square):
        with pytest.raises(InputError, match=r"wall\.png: shows no marker .* without --marker-mm"):
            marker_scale(photograph(tmp_path, grey), SIDE_MM)


def test_a_marker_that_lies_on_several_tiles_is_detected_once(tmp_path, monkeypatch):
    monkeypatch.setattr(marker, "TILE_PX", 256)
    monkeypatch.setattr(marker, "HALO_PX", 96)
    quads = [corners((252, 258), 60, 15), corners((700, 130), 60, 70)]  # the first on four tiles
    info = photograph(tmp_path, draw((600, 900), quads))

    found = sorted(find_markers(info), key=lambda one: one.middle[0])

    assert [one.name for one in found] == ["4X4_50 number 0", "4X4_50 number 1"]
    assert found[0].middle == pytest.approx([252, 258], abs=0.2)
    assert found[1].middle == pytest.approx([700, 130], abs=0.2)


def test_a_marker_larger_than_a_tile_is_detected_in_the_reduced_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(marker, "TILE_PX", 128)
    monkeypatch.setattr(marker, "HALO_PX", 32)
    monkeypatch.setattr(marker, "REDUCED_PX", 60_000)
    quad = corners((402, 371), 480, 8)
    info = photograph(tmp_path, draw((750, 801), [quad]))

    (found,) = find_markers(info)

    assert found.size_px == pytest.approx(480, rel=0.005)
    assert found.middle == pytest.approx([402, 371], abs=0.5)


def test_tiles_cover_the_raster_once_and_stay_within_their_size(monkeypatch, tmp_path):
    monkeypatch.setattr(marker, "TILE_PX", 100)
    monkeypatch.setattr(marker, "HALO_PX", 20)
    info = photograph(tmp_path, np.full((333, 517), 200, np.uint8))

    seen = np.zeros((333, 517), int)
    for core, padded in marker.tile_windows(info):
        seen[core.row : core.end_row, core.col : core.end_col] += 1
        assert max(padded.shape) <= 140

    assert (seen == 1).all()


def test_a_mirrored_marker_is_not_detected(tmp_path):
    grey = cv2.flip(draw((300, 300), [corners((150, 150), 120)]), 1)

    assert find_markers(photograph(tmp_path, grey)) == []
