"""What a photograph could have shown: its place, nodata, detection limits, traces in the score."""

import numpy as np
import pytest
import shapely
from affine import Affine

from crackcli.comparison.evidence.visibility import FAINT, Hidden, Visibility, most_common
from crackcli.rasters.reader import RasterInfo
from crackcli.rasters.writing.cog import write_cog
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scene import Scene

ROWS, COLS, THRESHOLD = 100, 160, 0.4
PLACES = np.array([[20.0, 30.0], [60.0, 30.0], [100.0, 30.0]])


@pytest.fixture
def seen(tmp_path):
    """A photograph without a score but for a faint spot at (60, 30) and nodata right of col 150;
    its right half is not assessable, and cracks below 2 px are not found in the left."""
    score = np.zeros((ROWS, COLS), np.uint8)
    score[28:32, 58:62] = round(254 * THRESHOLD * (FAINT + 0.1))
    score[:, 150:] = 255
    info = RasterInfo(tmp_path / "wall.jpg", ROWS, COLS, Affine.identity(), None, 1, None, "")
    write_cog(tmp_path / "score.tif", [score], info, {}, "average")
    record = SceneRecord({"threshold": THRESHOLD})
    scene = Scene(tmp_path, ROWS, COLS, Affine.identity(), None, record)
    areas = np.array([shapely.box(0, 0, 80, ROWS), shapely.box(80, 0, COLS, ROWS)], object)
    return Visibility(scene, areas, np.array([2.0, np.nan]))


def reasons(seen, points, width=3.0, aligned=True, reach=3.0):
    count = len(points)
    return seen.reasons(
        np.asarray(points), np.full(count, width), np.full(count, aligned), reach
    ).tolist()


def test_a_crack_is_shown_where_nothing_is_against_it(seen):
    assert reasons(seen, PLACES) == [Hidden.SHOWN, Hidden.FAINT, Hidden.NOT_ASSESSABLE]


def test_a_trace_counts_within_reach(seen):
    near = [[65.0, 30.0]]

    assert reasons(seen, near, reach=5) == [Hidden.FAINT]
    assert reasons(seen, near, reach=2) == [Hidden.SHOWN]


def test_a_crack_narrower_than_the_limit_is_below_it(seen):
    assert reasons(seen, PLACES[:1], width=1.9) == [Hidden.BELOW_LIMIT]
    assert reasons(seen, PLACES[:1], width=np.nan) == [Hidden.SHOWN]


@pytest.mark.parametrize("point", [(-1.0, 5.0), (5.0, 100.0), (155.0, 50.0)])
def test_beyond_the_edge_and_at_nodata_nothing_is_shown(seen, point):
    assert reasons(seen, [point]) == [Hidden.OUTSIDE]


def test_what_is_not_aligned_is_not_compared(seen):
    assert reasons(seen, PLACES, aligned=False) == [Hidden.UNALIGNED] * 3


def test_without_detection_limits_only_place_and_score_count(seen):
    bare = Visibility(seen.scene)

    assert not bare.known
    assert reasons(bare, PLACES, width=0.1) == [Hidden.SHOWN, Hidden.FAINT, Hidden.SHOWN]


def test_scores_do_not_depend_on_the_tiles_they_are_read_in(seen, monkeypatch):
    points = np.random.default_rng(0).uniform((0, 0), (COLS, ROWS), (300, 2))
    whole = seen.scores(points, 4.0)
    monkeypatch.setattr("crackcli.comparison.evidence.visibility.TILE_PX", 16)

    np.testing.assert_array_equal(seen.scores(points, 4.0), whole)


def test_a_crack_is_hidden_if_most_of_it_is():
    shown, faint, outside = Hidden.SHOWN, Hidden.FAINT, Hidden.OUTSIDE

    def named(*found):
        return most_common(np.array(found, object))

    assert named(shown, shown, faint) == shown
    assert named(shown, faint, faint, outside) == faint
    assert named() == shown
