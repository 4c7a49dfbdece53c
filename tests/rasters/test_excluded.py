"""Excluded areas are not valid, in every orientation and window, and a mask image is exact."""

import cv2
import numpy as np
import pytest
import shapely
from PIL import Image

from crackcli.errors import InputError
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.areas.mask_image import is_mask_image, mask_image_of, read_mask_image
from crackcli.rasters.grid import Window
from crackcli.rasters.read_ahead import ReadAhead
from crackcli.rasters.reader import Raster, inspect

ROWS, COLS = 90, 130
WHOLE = shapely.box(0, 0, COLS, ROWS)
RING = shapely.Polygon([(20, 15), (80, 15), (80, 70), (20, 70)], [[(40, 30), (60, 30), (60, 49)]])
SLANTED = shapely.Polygon([(90.3, 5.2), (128.9, 40.1), (70.7, 88.4)])


@pytest.fixture
def areas():
    return ExcludedAreas.of([RING, SLANTED], WHOLE)


def centres_in(polygons):
    cols, rows = np.meshgrid(np.arange(COLS) + 0.5, np.arange(ROWS) + 0.5)
    return shapely.contains_xy(polygons, cols, rows)


def written(path, orientation=1, mode="RGB", rows=ROWS, cols=COLS):
    """Write noise so that a viewer shows it as ROWS x COLS."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    shape = (cols, rows) if orientation > 4 else (rows, cols)
    noise = np.random.default_rng(0).integers(0, 256, (*shape, len(mode)), np.uint8)
    Image.fromarray(noise if len(mode) > 1 else noise[..., 0]).save(path, exif=exif)
    return path


def test_a_pixel_is_excluded_if_its_centre_lies_in_a_polygon(areas):
    flags = areas.flags(Window(0, 0, ROWS, COLS))

    assert np.array_equal(flags, centres_in(areas.polygons))
    assert not flags[34, 55]  # in the hole
    for window in (Window(10, 17, 33, 40), Window(60, 100, 30, 30), Window(20, 22, 4, 4)):
        assert np.array_equal(areas.flags(window), flags[window.within(Window(0, 0, ROWS, COLS))])


def test_text_gives_the_same_areas(areas):
    again = ExcludedAreas.from_wkt(areas.wkt)

    assert again.digest == areas.digest
    assert shapely.equals_exact(again.polygons, areas.polygons)
    for text in ("POINT (1 2)", "MULTIPOLYGON (((0 0, 1", "LINESTRING (0 0, 1 1)"):
        with pytest.raises(ValueError, match="excluded areas"):
            ExcludedAreas.from_wkt(text)


def test_areas_beside_the_photograph_are_none():
    assert ExcludedAreas.of([shapely.box(COLS, 0, COLS + 9, ROWS)], WHOLE) is None
    assert ExcludedAreas.of([shapely.box(COLS + 5, 0, COLS + 9, ROWS)], WHOLE) is None
    assert ExcludedAreas.of([], WHOLE) is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_excluded_pixels_are_not_valid_in_the_upright_photograph(tmp_path, areas, orientation):
    plain = inspect(written(tmp_path / "wall.png", orientation))
    info = plain.excluding(areas)
    whole = Window(0, 0, ROWS, COLS)
    kept = ~centres_in(areas.polygons)

    with Raster(info) as raster, Raster(plain) as other:
        pixels, before = raster.read(whole), other.read(whole)
        part = raster.read_valid(Window(12, 30, 50, 70))
        reduced = raster.read_reduced(ROWS, COLS)

    assert plain.orientation == orientation
    assert np.array_equal(pixels.valid, kept)
    assert np.array_equal(pixels.rgb[kept], before.rgb[kept])
    assert (pixels.rgb[~kept] == 0).all()
    assert np.array_equal(part, kept[12:62, 30:100])
    assert np.array_equal(reduced.valid, kept)


@pytest.mark.parametrize("orientation", [1, 6])
def test_reading_ahead_gives_the_same(tmp_path, areas, orientation):
    info = inspect(written(tmp_path / "wall.tif", orientation)).excluding(areas)
    window = Window(-5, -5, ROWS + 10, COLS + 10)

    with Raster(info) as raster, ReadAhead(info) as ahead:
        expected, found = raster.read(window), ahead.read(window)

    assert np.array_equal(found.valid, expected.valid)
    assert np.array_equal(found.rgb[found.valid], expected.rgb[found.valid])


def test_nodata_of_the_file_is_not_counted_as_excluded(tmp_path, areas):
    image = np.full((ROWS, COLS, 4), 200, np.uint8)
    image[:40, :, 3] = 0
    cv2.imwrite(str(tmp_path / "wall.png"), image)

    with Raster(inspect(tmp_path / "wall.png")) as raster:
        count = areas.count(raster)

    assert count == centres_in(areas.polygons)[40:].sum()


def marked(seed=3):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.normal(size=(ROWS, COLS)), (0, 0), 3) > 0.05


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16", "RGBA"])
def test_a_mask_image_excludes_exactly_its_pixels(tmp_path, mode, orientation):
    info = inspect(written(tmp_path / "wall.jpg", orientation))
    flags = marked()
    grey = Image.fromarray((flags * 255).astype(np.uint8))
    if mode == "I;16":
        picture = Image.fromarray(flags.astype(np.uint16))
    elif mode == "P":  # a palette of labels, of which 0 is black
        picture = Image.fromarray(flags.astype(np.uint8) * 2)
        picture.putpalette([0, 0, 0, 9, 9, 9, 128, 0, 0])
    elif mode == "RGBA":  # red on a transparent layer of white
        colours = np.where(flags[..., None], (255, 0, 0, 255), (255, 255, 255, 0))
        picture = Image.fromarray(colours.astype(np.uint8))
    else:
        picture = grey.convert(mode)
    picture.save(mask_image_of(tmp_path / "wall.jpg"))

    areas = ExcludedAreas.of(read_mask_image(info), WHOLE)

    assert np.array_equal(areas.flags(Window(0, 0, ROWS, COLS)), flags)


def test_a_mask_image_has_the_size_of_the_upright_photograph(tmp_path):
    info = inspect(written(tmp_path / "wall.jpg", 6))
    mask = mask_image_of(info.path)
    cv2.imwrite(str(mask), np.zeros((COLS, ROWS), np.uint8))  # as it is stored

    with pytest.raises(InputError) as error:
        read_mask_image(info)

    assert str(error.value) == (
        f"{mask}: is {ROWS} x {COLS} px, but wall.jpg is {COLS} x {ROWS} px as it is seen; draw "
        "the mask on the photograph in its upright form"
    )


def test_a_mask_image_that_is_damaged_is_an_error(tmp_path):
    info = inspect(written(tmp_path / "wall.jpg"))
    mask_image_of(info.path).write_text("no image")

    with pytest.raises(InputError, match=r"wall\.exclude\.png: not a readable image"):
        read_mask_image(info)


def test_without_a_mask_image_nothing_is_excluded(tmp_path):
    assert read_mask_image(inspect(written(tmp_path / "wall.jpg"))) == []
    assert is_mask_image(tmp_path / "Wall.Exclude.PNG")
    assert not is_mask_image(tmp_path / "exclude.png")
