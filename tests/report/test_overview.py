"""The overview of a scene: every crack in its place and colour, on any photograph or none."""

import cv2
import numpy as np
import pytest
import shapely
from affine import Affine
from walls import crackcli, photographed, polyline, trace_array, write_scene

from crackcli.figures.chart import Canvas
from crackcli.report import overview
from crackcli.report.formats.qgis_style import COLOURS, GREY
from crackcli.report.overview import View, free_box, legend_entries, rgb, widest, write_overview
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.scale import Scale

ROWS, COLS = 400, 1000  # shown at full size: wider than LEAST_PX, narrower than WIDEST_PX
WIDTHS_PX = (1, 3, 5, 7, 10, 20, 40)
ROW_OF = {width: 40 + 50 * number for number, width in enumerate(WIDTHS_PX)}


@pytest.fixture(scope="module")
def cracks():
    """Seven level cracks, from 1 to 40 px wide."""
    mask = np.zeros((ROWS, COLS), np.uint8)
    for width, row in ROW_OF.items():
        mask |= polyline((ROWS, COLS), [(100.0, row), (900.0, row)], width)
    return mask, trace_array(mask)


@pytest.fixture
def table(tmp_path, cracks):
    mask, traced = cracks
    scene = write_scene(tmp_path / "out" / "wall", mask)
    return SceneCracks(scene, None, traced, ROWS * COLS)


def read(path):
    return cv2.imread(str(path))[..., ::-1]


@pytest.mark.parametrize(
    ("rows", "cols", "shown"),
    [
        (400, 1000, (400, 1000)),
        (3000, 12000, (500, 2000)),
        (50000, 1000, (3000, 60)),
        (256, 256, (900, 900)),
        (32, 40, (128, 160)),
        (20000, 20000, (2000, 2000)),
    ],
)
def test_a_photograph_is_at_most_2000_px_wide_and_a_small_one_is_enlarged(rows, cols, shown):
    view = View.of(rows, cols)

    assert (view.rows, view.cols) == shown
    assert view.factor == pytest.approx(view.cols / cols, rel=0.01)


@pytest.mark.parametrize(
    ("width", "number"), [(1, 0), (3, 1), (5, 2), (7, 2), (10, 3), (20, 4), (40, 5)]
)
def test_a_crack_has_the_colour_of_its_largest_width(table, width, number, monkeypatch):
    monkeypatch.setattr(overview, "LABELLED", 0)  # labels would cover some

    image = read(write_overview(table))

    line = image[ROW_OF[width], 150:850]
    assert (line == rgb(COLOURS[number])).all(axis=1).mean() > 0.95


def test_joints_are_dashed_and_grey(tmp_path, cracks, monkeypatch):
    monkeypatch.setattr(overview, "LABELLED", 0)
    mask, traced = cracks
    scene = write_scene(tmp_path / "out" / "wall", mask)
    table = SceneCracks(scene, None, traced[1:], ROWS * COLS, joints=traced[:1])

    image = read(write_overview(table))

    row = ROW_OF[1]
    grey = (np.abs(image[row, 150:850].astype(int) - rgb(GREY)) < 12).all(axis=1)
    runs = np.flatnonzero(np.diff(grey.astype(int)))
    assert 0.4 < grey.mean() < 0.8
    assert len(runs) > 60


def test_the_five_widest_cracks_are_labelled_widest_first(table):
    found = [crack.widths.max_px for crack in widest(table.cracks)]

    assert found == pytest.approx([40, 20, 10, 7, 5], abs=1)


def test_labels_keep_clear_of_each_other_and_of_the_places_they_name():
    view = View(400, 800, 1.0)
    places = [np.array([400.0 + 6 * number, 200.0]) for number in range(5)]
    taken = []
    for place in places:
        taken.append(free_box(place, (120.0, 40.0), taken, places, view))

    boxes = [shapely.box(*box) for box in taken]
    assert all(shapely.box(0, 0, 800, 400).contains(box) for box in boxes)
    assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)
    assert not any(box.contains(shapely.Point(place)) for box in boxes for place in places)


def test_a_label_that_fits_nowhere_stays_on_the_image():
    view = View(60, 100, 1.0)

    left, top, *_ = free_box(np.array([50.0, 30.0]), (200.0, 40.0), [], [], view)

    assert (left, top) == (0.0, 0.0)


def test_the_legend_counts_every_crack_and_names_millimetres_where_they_are_known(table):
    plain = legend_entries(table)
    scaled = legend_entries(
        SceneCracks(table.scene, Scale(0.5, None, "option"), table.cracks, ROWS * COLS)
    )

    assert [int(text.rpartition(": ")[2]) for text, *_ in plain] == [1, 1, 2, 1, 1, 1]
    assert not any("mm" in text for text, *_ in plain)
    assert scaled[1][0] == "2 to 4 px (1 to 2 mm): 1"


@pytest.mark.parametrize(
    ("mm_per_px", "words", "px"), [(None, "200 px", 200), (0.5, "100 mm", 200), (20, "2 m", 100)]
)
def test_the_scale_bar_has_the_length_it_names(mm_per_px, words, px, monkeypatch):
    said = []
    monkeypatch.setattr(Canvas, "text", lambda self, at, text, **how: said.append(text))
    canvas = Canvas(COLS, 40)
    scale = None if mm_per_px is None else Scale(mm_per_px, None, "option")

    overview.draw_scale_bar(canvas, scale, View(ROWS, COLS, 1.0), 20.0)

    dark = np.flatnonzero((canvas.image()[20] < 128).all(axis=1))
    assert said == [words]
    assert np.ptp(dark) == pytest.approx(px, abs=4)


def test_without_its_photograph_a_scene_is_drawn_on_plain_grey(table):
    image = read(write_overview(table))

    assert (image[5, 5] == overview.PAPER).all()


def test_the_command_draws_cracks_on_the_photograph(tmp_path):
    points = [(100.0, 60.0), (900.0, 60.0)]
    mask = polyline((120, COLS), points, 6)
    image = np.full((120, COLS, 3), (40, 90, 160), np.uint8)
    image[mask == 1] = 20
    photographed(tmp_path / "out", "wall", mask, image)

    done = crackcli("report", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    drawn = read(tmp_path / "out" / "wall" / "overview.png")
    faded = np.array((160, 90, 40)) * (1 - overview.FADED) + 255 * overview.FADED
    np.testing.assert_allclose(drawn[10, 20], faded, atol=2)
    assert drawn.shape[1] == COLS
    assert drawn.shape[0] > 120  # the legend stands below


def test_a_report_is_whole_where_an_overview_cannot_be_written(tmp_path):
    mask = polyline((120, COLS), [(100.0, 30.0), (500.0, 90.0), (700.0, 40.0)], 6)
    write_scene(tmp_path / "out" / "wall", mask)
    (tmp_path / "out" / "wall" / "overview.png").mkdir()

    done = crackcli("report", tmp_path / "out", "--joint-likelihood", "1")

    assert done.returncode == 0, done.stderr
    assert "overview.png" in done.stderr
    assert (tmp_path / "out" / "cracks.csv").read_text().count("wall-0001") == 1


def test_a_georeferenced_scene_has_its_scale_bar_in_millimetres(tmp_path, cracks):
    mask, traced = cracks
    transform = Affine(0.001, 0, 2533000, 0, -0.001, 1152000)
    scene = write_scene(tmp_path / "out" / "wall", mask, transform)
    table = SceneCracks(scene, Scale(1.0, None, "crs"), traced, ROWS * COLS)

    assert overview.summary(table).startswith("wall: 7 cracks, 5.")
    assert write_overview(table) == tmp_path / "out" / "wall" / "overview.png"
