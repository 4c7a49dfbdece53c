"""A flat border is nodata; black in the middle is a colour, also if it is declared nodata."""

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image

from crackcli.rasters.grid import Window
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import Raster, inspect, inspect_header
from crackcli.rasters.validity.find import find_validity

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SIDE = 640
BESIDE_PX = 20  # of a border, in which pixels of the wall may be lost
MIXED_PX = 3  # beside the wall, in which a border may be of its colour
GREYS = [(0, 0, 0), (255, 255, 255)]
rng = np.random.default_rng(3)


def wall(rows=SIDE, cols=SIDE, level=120, seed=3):
    """A rough wall."""
    noise = np.random.default_rng(seed).normal(0, 12, (rows, cols, 3)).astype(np.float32)
    shade = cv2.resize(noise[: rows // 32, : cols // 32], (cols, rows))
    return np.clip(level + noise + shade, 20, 235).astype(np.uint8)


def rotated(degrees=20, colour=(0, 0, 0), level=120):
    """A wall turned in its frame, and the pixels (rows, cols) that show it."""
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, 0.8)
    size = (SIDE, SIDE)
    turned = cv2.warpAffine(wall(level=level), turn, size, borderValue=colour)
    shown = cv2.warpAffine(np.full(size, 255, np.uint8), turn, size, flags=cv2.INTER_NEAREST)
    return turned, shown > 0


def write(path, image, **profile):
    if path.suffix != ".tif":
        Image.fromarray(image).save(path, **profile)
        return path
    with rasterio.open(
        path, "w", width=image.shape[1], height=image.shape[0], count=3, dtype="uint8", **profile
    ) as file:
        file.write(np.moveaxis(image, -1, 0))
    return path


def valid_of(path):
    info = inspect(path)
    with Raster(info) as raster:
        return raster.read(Window(0, 0, info.rows, info.cols)).valid


def grown(flags, px):
    return cv2.dilate(flags.astype(np.uint8), np.ones((2 * px + 1, 2 * px + 1))) > 0


FILES = {
    "png": {},
    "jpg": {"quality": 75},
    "webp": {"quality": 75},
    "tif": {"compress": "jpeg", "photometric": "ycbcr", "tiled": True},
}


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (0, 90, 200)])
def test_the_collar_of_a_turned_wall_is_nodata(tmp_path, suffix, colour):
    level = 60 if colour == (128, 128, 128) else 120
    image, shown = rotated(colour=colour, level=level)

    valid = valid_of(write(tmp_path / f"wall.{suffix}", image, **FILES[suffix]))

    assert not valid[~grown(shown, MIXED_PX if colour in GREYS else BESIDE_PX)].any()
    assert valid[~shown].mean() < 0.01
    assert valid[~grown(~shown, BESIDE_PX)].all()
    assert valid[shown].mean() > 0.97


def test_a_collar_with_noise_is_nodata(tmp_path):
    image, shown = rotated()
    noise = rng.integers(0, 6, image.shape).astype(np.uint8)

    valid = valid_of(write(tmp_path / "wall.png", np.where(shown[..., None], image, noise)))

    assert not valid[~shown].any()
    assert valid[~grown(~shown, BESIDE_PX)].all()


@pytest.mark.parametrize("thick", [3, 5, 20])
def test_a_thin_frame_is_nodata(tmp_path, thick):
    image = wall()
    image[:thick] = image[-thick:] = image[:, :thick] = image[:, -thick:] = 0
    inside = np.zeros((SIDE, SIDE), bool)
    inside[thick:-thick, thick:-thick] = True

    valid = valid_of(write(tmp_path / "wall.png", image))

    if thick >= 4:  # a cell
        assert not valid[~inside].any()
    assert valid[~grown(~inside, BESIDE_PX)].all()


def black_in_the_middle(image):
    image[200:400, 250:380] = 0


def black_crack_to_the_edge(image):
    cv2.line(image, (100, 0), (300, SIDE), (0, 0, 0), 9)


def black_hole_and_white_patch(image):
    cv2.circle(image, (300, 300), 60, (0, 0, 0), -1)
    image[100:180, 400:500] = 255


def burnt_patch_at_the_edge(image):
    image[200:400, :150] = 255


def shade_to_the_edge(image):
    light = np.linspace(-0.6, 1, SIDE).clip(0, 1)[:, None, None]
    image[:] = (image * light).astype(np.uint8)


def glare_to_the_edge(image):
    light = np.linspace(0, 400, SIDE)[None, :, None]
    image[:] = np.clip(image + light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "draw",
    [
        black_in_the_middle,
        black_crack_to_the_edge,
        black_hole_and_white_patch,
        burnt_patch_at_the_edge,
        shade_to_the_edge,
        glare_to_the_edge,
        lambda image: None,
    ],
)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_what_is_no_border_stays_a_colour(tmp_path, draw, suffix):
    image = wall()
    draw(image)

    info = inspect(write(tmp_path / f"wall.{suffix}", image))

    assert not info.notes
    assert not info.masked


@pytest.mark.parametrize(
    "box",
    [None, (0, 0, 60, 60), (SIDE - 50, SIDE - 70, 51, 70)],
    ids=["no border", "upper left", "lower right"],
)
def test_pixels_are_read_only_if_a_corner_is_flat(tmp_path, monkeypatch, box):
    image = wall(SIDE + 1, SIDE)  # rows that are no multiple of a cell
    if box is not None:
        row, col, rows, cols = box
        image[row : row + rows, col : col + cols] = 0
    path = write(tmp_path / "wall.tif", image, tiled=True, blockxsize=128, blockysize=128)
    read, read_piece = [], Raster.read_piece

    def counted(raster, piece, *pixels):
        read.append(piece.rows * piece.cols)
        read_piece(raster, piece, *pixels)

    monkeypatch.setattr(Raster, "read_piece", counted)
    info = inspect(path)

    assert (info.validity is not None) == (box is not None)
    assert (sum(read) <= 4 * 16) == (box is None)  # four cells of 4 x 4 px


def test_a_photograph_of_one_colour_stays_valid(tmp_path):
    assert valid_of(write(tmp_path / "wall.png", np.full((SIDE, SIDE, 3), 128, np.uint8))).all()


@pytest.mark.parametrize("tiled", [True, False])
def test_black_cracks_are_pixels_where_black_is_declared_nodata(tmp_path, tiled):
    image, shown = rotated()
    cracks = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(cracks, [np.array([[200, 250], [330, 300], [420, 420]])], False, 1, 9)
    cv2.line(cracks, (0, 0), (SIDE, SIDE), 1, 8)  # from collar to collar
    image[(cracks > 0) & shown] = 0

    path = write(tmp_path / "wall.tif", image, nodata=0, tiled=tiled, blockysize=16)
    info = inspect(path)
    valid = valid_of(path)

    assert valid[~grown(~shown, BESIDE_PX)].all()
    assert not valid[~grown(shown, MIXED_PX)].any()
    assert "has the nodata value but is enclosed in the wall" in info.notes[0]


def test_a_hole_of_declared_nodata_stays_nodata(tmp_path):
    image = wall()
    image[100:200, 300:420] = 0

    valid = valid_of(write(tmp_path / "wall.tif", image, nodata=0))

    assert not valid[100:200, 300:420].any()
    assert valid[:90].all()


def test_transparent_specks_stay_nodata(tmp_path):
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    cv2.line(alpha, (100, 100), (500, 420), 0, 7)
    Image.fromarray(np.dstack([wall(), alpha])).save(tmp_path / "wall.png")

    np.testing.assert_array_equal(valid_of(tmp_path / "wall.png"), alpha > 0)


def test_near_black_of_jpeg_beside_declared_nodata_is_nodata(tmp_path):
    image, shown = rotated()
    path = write(
        tmp_path / "wall.tif", image, nodata=0, tiled=True, compress="jpeg", photometric="ycbcr"
    )
    with Raster(inspect_header(path)) as raster:
        assert raster.read(Window(0, 0, SIDE, SIDE)).valid[~shown].any()  # by the file alone

    assert not valid_of(path)[~grown(shown, MIXED_PX)].any()


@pytest.mark.parametrize("window", [Window(0, 0, 100, 640), Window(37, 201, 133, 251)])
def test_validity_does_not_depend_on_the_window(tmp_path, window):
    image, _ = rotated()
    path = write(tmp_path / "wall.jpg", image, quality=80)
    whole, info = valid_of(path), inspect(path)

    with Raster(info) as raster, ReadAhead(info) as ahead:
        ahead.begin_strip(Window(0, 0, SIDE, SIDE))
        for reader in (raster, ahead):
            np.testing.assert_array_equal(reader.read(window).valid, whole[window.within(FULL)])
            np.testing.assert_array_equal(reader.read_valid(window), whole[window.within(FULL)])


FULL = Window(0, 0, SIDE, SIDE)


@pytest.mark.parametrize("block", [(1, SIDE), (37, SIDE), (128, 64), (SIDE, SIDE)])
def test_validity_does_not_depend_on_the_blocks_of_the_file(tmp_path, block, monkeypatch):
    monkeypatch.setattr("crackcli.rasters.validity.find.WINDOW_PX", 2**14)
    image, _ = rotated()
    with Raster(inspect_header(write(tmp_path / "wall.png", image))) as raster:
        expected = find_validity(raster, by_value=False)
        raster.block = block
        found = find_validity(raster, by_value=False)

    assert found.notes == expected.notes
    np.testing.assert_array_equal(found.border.read(FULL), expected.border.read(FULL))


@pytest.mark.parametrize("side", [8, 16])
def test_a_large_raster_has_coarser_cells_and_the_same_border(tmp_path, monkeypatch, side):
    image, shown = rotated()
    path = write(tmp_path / "wall.png", image)
    monkeypatch.setattr("crackcli.rasters.validity.cells.MAX_CELLS", SIDE**2 // side**2)

    info = inspect(path)

    assert info.validity.side == side
    with Raster(info) as raster:
        valid = raster.read(FULL).valid
    assert not valid[~grown(shown, MIXED_PX)].any()
    assert valid[~grown(~shown, BESIDE_PX)].all()


def test_a_turned_photograph_has_its_border_where_it_is_seen(tmp_path):
    image = wall(400, SIDE)
    image[:, :80] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(image).save(tmp_path / "wall.png", exif=exif)

    valid = valid_of(tmp_path / "wall.png")

    assert valid.shape == (SIDE, 400)
    assert not valid[:80].any()
    assert valid[100:].all()


def test_a_reduced_raster_has_the_same_validity(tmp_path):
    image, shown = rotated()
    info = inspect(write(tmp_path / "wall.tif", image, tiled=True))
    with Raster(info) as raster:
        valid = raster.read_reduced(SIDE // 4, SIDE // 4).valid

    assert (valid == shown[2::4, 2::4]).mean() > 0.97


def test_pixels_of_nodata_are_black(tmp_path):
    image, shown = rotated(colour=(255, 255, 255))
    info = inspect(write(tmp_path / "wall.png", image))
    with Raster(info) as raster:
        assert not raster.read(FULL).rgb[~shown].any()
