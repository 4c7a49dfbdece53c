"""Cracks traced strip by strip equal those traced at once, and memory follows their pixels."""

import tracemalloc

import numpy as np
import pytest
from walls import picture, polyline, random_mask, trace_array, write_scene

from crackcli.cracks import tracing
from crackcli.cracks.tracing import trace, trace_runs
from crackcli.errors import InputError
from crackcli.masking.runs import find_runs


def as_values(cracks):
    """Return all fields of cracks in a form that can be compared."""
    return [
        (
            *(
                value
                for name, value in vars(crack).items()
                if name not in ("centreline", "lines", "outline")
            ),
            [line.tolist() for line in crack.centreline],
            crack.outline.wkt,
        )
        for crack in cracks
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("strip_rows", [1, 5, 16])
def test_streamed_cracks_equal_whole_image_cracks(seed, strip_rows):
    mask = random_mask(seed, (80, 110))
    mask[30:34, 40:60] = 255

    assert as_values(trace_array(mask, strip_rows)) == as_values(trace_array(mask))


def test_a_long_diagonal_crack_is_the_same_in_strips():
    mask = polyline((400, 380), [(3.0, 5.0), (371.0, 392.0)], 4)
    mask |= polyline((400, 380), [(180.0, 5.0), (10.0, 300.0)], 2)

    assert as_values(trace_array(mask, 7)) == as_values(trace_array(mask))


def test_cracks_do_not_depend_on_the_batches(monkeypatch):
    mask = random_mask(4, (120, 150))
    expected = as_values(trace_array(mask))

    monkeypatch.setattr(tracing, "BATCH_PX", 50)

    assert as_values(trace_array(mask)) == expected


def test_memory_of_a_long_crack_follows_its_pixels_not_its_box():
    rows = cols = 12_000

    def strips():
        for row in range(0, rows, 100):
            strip = np.zeros((100, cols), np.uint8)
            for i in range(100):
                strip[i, row + i : row + i + 4] = 1
            yield strip, strip

    tracemalloc.start()
    (crack,) = trace_runs(find_runs(strips(), rows, cols), "wall")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert crack.length_px == pytest.approx(rows * np.sqrt(2), rel=0.001)
    assert peak < rows * cols / 2  # bytes; its box has 144 million pixels


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 70])
def test_rotated_cracks_have_the_same_total_length(angle_deg):
    wall = [
        [(60.0, 80.0), (120.0, 90.0), (240.0, 70.0)],
        [(120.0, 90.0), (135.0, 210.0)],
        [(180.0, 200.0), (230.0, 150.0), (250.0, 230.0)],
    ]

    def total_length(angle):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        mask = np.zeros((310, 310), np.uint8)
        for points in wall:
            turned = (np.array(points) - 155) @ turn + 155
            mask |= polyline(mask.shape, list(map(tuple, turned)), 4)
        return sum(crack.length_px for crack in trace_array(mask))

    assert total_length(np.radians(angle_deg)) == pytest.approx(total_length(0.1), rel=0.01)


def test_a_mirrored_and_a_turned_mask_have_the_same_cracks():
    mask = polyline((150, 150), [(10.0, 20.0), (80.0, 60.0), (130.0, 140.0)], 5)
    expected = trace_array(mask)[0]

    for other in (mask[::-1], mask[:, ::-1], mask.T, np.rot90(mask)):
        (crack,) = trace_array(np.ascontiguousarray(other))
        assert crack.length_px == pytest.approx(expected.length_px, rel=0.01)
        assert crack.widths.mean_px == pytest.approx(expected.widths.mean_px, rel=0.02)


def test_ids_follow_the_first_pixel_and_boxes_and_flags_are_right():
    cracks = trace_array(picture("...#\n....\n##..\n....\n.#..\n??.."))

    assert [crack.id for crack in cracks] == ["wall-0001", "wall-0002", "wall-0003"]
    assert [crack.bbox for crack in cracks] == [(3, 0, 3, 0), (0, 2, 1, 2), (1, 4, 1, 4)]
    assert [crack.touches_edge for crack in cracks] == [True, True, False]
    assert [crack.touches_nodata for crack in cracks] == [False, False, True]
    assert [crack.score for crack in cracks] == [0.5, 0.5, 0.5]


def test_a_mask_of_another_size_is_an_error(tmp_path):
    scene = write_scene(tmp_path / "wall", np.zeros((40, 50), np.uint8))

    with pytest.raises(InputError, match=r"mask\.tif: 50 x 40 px, but scene\.json says 50 x 41"):
        trace(scene.mask, scene.score, (41, 50))
