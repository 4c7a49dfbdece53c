"""Any file is read as upright RGB with a mask of valid pixels."""

import struct
import warnings
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp

from crackcli.errors import InputError, OutputError, UsageError
from crackcli.rasters import reader as door
from crackcli.rasters.bands import parse_bands
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import Raster, inspect
from crackcli.rasters.score_mask import read_band, read_tags
from crackcli.rasters.writing.cog import write_cog

ROWS, COLS = 45, 70
TURNED = Affine(0.002, 0.001, 500_000, 0.001, -0.002, 5_500_000)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def picture(bands=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (bands, ROWS, COLS)).astype(np.uint8)


def write(path, bands, colours=None, mask=None, palette=None, **profile):
    """Write a raster (bands, rows, cols) on a rotated map."""
    known = {"driver": "GTiff", "count": len(bands), "height": ROWS, "width": COLS}
    known |= {"dtype": bands.dtype, "transform": TURNED, "crs": "EPSG:25832"}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **known | profile) as file,
    ):
        if colours:
            file.colorinterp = colours
        file.write(bands)
        if palette:
            file.write_colormap(1, palette)
        if mask is not None:
            file.write_mask(mask)
    return path


def read(path, window=None):
    info = inspect(path)
    with Raster(info) as raster:
        return raster.read(window or Window(0, 0, info.rows, info.cols))


RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def test_rgb_is_read_as_it_is(tmp_path):
    bands = picture()
    pixels = read(write(tmp_path / "rgb.tif", bands, photometric="rgb"))

    np.testing.assert_array_equal(pixels.rgb, np.moveaxis(bands, 0, -1))
    assert pixels.valid.all()


def test_grey_becomes_three_equal_channels(tmp_path):
    bands = picture(1)
    pixels = read(write(tmp_path / "grey.tif", bands))

    np.testing.assert_array_equal(pixels.rgb, np.repeat(bands[0][..., None], 3, axis=2))


def test_black_is_a_colour_where_no_nodata_is_declared(tmp_path):
    assert read(write(tmp_path / "black.tif", 0 * picture())).valid.all()


def test_declared_nodata_is_invalid(tmp_path):
    bands = picture(1).clip(1)
    bands[0, :5] = 0

    valid = read(write(tmp_path / "nodata.tif", bands, nodata=0)).valid

    assert not valid[:5].any()
    assert valid[5:].all()


@pytest.mark.parametrize("extra", [0, 1], ids=["rgba", "rgb, alpha, infrared"])
def test_transparent_pixels_are_invalid(tmp_path, extra):
    bands = picture(4 + extra)
    bands[3] = 255
    bands[3, 10:20] = 0
    colours = [*RGBA, *[ColorInterp.undefined] * extra]

    pixels = read(write(tmp_path / "alpha.tif", bands, colours, photometric="rgb"))

    colours = np.moveaxis(bands[:3], 0, -1)
    np.testing.assert_array_equal(pixels.rgb, np.where(pixels.valid[..., None], colours, 0))
    np.testing.assert_array_equal(pixels.valid, bands[3] > 0)


def test_extra_bands_are_left_out(tmp_path):
    bands = picture(6)

    pixels = read(write(tmp_path / "six.tif", bands, photometric="rgb"))

    np.testing.assert_array_equal(pixels.rgb, np.moveaxis(bands[:3], 0, -1))


def test_a_mask_band_marks_invalid_pixels(tmp_path):
    mask = np.full((ROWS, COLS), 255, np.uint8)
    mask[:, 30:] = 0

    pixels = read(write(tmp_path / "mask.tif", picture(), mask=mask, photometric="rgb"))

    np.testing.assert_array_equal(pixels.valid, mask > 0)


def test_a_palette_is_looked_up(tmp_path):
    index = picture(1) % 3
    colours = {0: (10, 20, 30, 255), 1: (200, 100, 50, 255), 2: (0, 0, 0, 255)}

    pixels = read(write(tmp_path / "palette.tif", index, palette=colours))

    expected = np.array([colour[:3] for colour in colours.values()])[index[0]]
    np.testing.assert_array_equal(pixels.rgb, expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_other_types_are_stretched_to_8_bits(tmp_path, dtype):
    ramp = np.linspace(1000, 5000, ROWS * COLS).reshape(1, ROWS, COLS).astype(dtype)

    path = write(tmp_path / "deep.tif", ramp)
    with Raster(inspect(path, (1,))) as raster:
        rgb = raster.read(Window(0, 0, ROWS, COLS)).rgb.astype(int)

    expected = (ramp[0] - 1000) / 4000 * 255
    np.testing.assert_allclose(rgb[..., 0], expected, atol=2)


def test_nan_is_invalid(tmp_path):
    values = picture(1).astype(np.float32)
    values[0, 7, 9] = np.nan

    with Raster(inspect(write(tmp_path / "nan.tif", values), (1,))) as raster:
        valid = raster.read(Window(0, 0, ROWS, COLS)).valid

    assert not valid[7, 9]
    assert valid.sum() == ROWS * COLS - 1


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("big.tif", {"BIGTIFF": "YES"}),
        ("tiled.tif", {"tiled": True, "blockxsize": 16, "blockysize": 16}),
        ("planes.tif", {"interleave": "band", "compress": "lzw"}),
        ("cog.tif", {"driver": "COG"}),
        ("wall.png", {"driver": "PNG"}),
    ],
)
def test_lossless_files_are_read_as_they_are(tmp_path, name, profile):
    bands = picture()
    source = write(tmp_path / "source.tif", bands, photometric="rgb")
    path = tmp_path / name
    rasterio.shutil.copy(source, path, **{"driver": "GTiff"} | profile)

    np.testing.assert_array_equal(read(path).rgb, np.moveaxis(bands, 0, -1))


def with_orientation(image, orientation):
    """Return a JPEG with an EXIF orientation."""
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(file, "JPEG", quality=98, subsampling=0, exif=exif)
    return file.getvalue()


STORED = {  # the stored array of an upright image, by the definition of EXIF
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_read_upright(tmp_path, orientation):
    y, x = np.mgrid[:48, :80]
    upright = np.stack([3 * x, 5 * y, 128 + 0 * x], axis=-1).astype(np.uint8)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(stored, orientation))

    whole, part = read(path), read(path, Window(8, 40, 16, 24))

    assert whole.rgb.shape == (48, 80, 3)
    np.testing.assert_allclose(whole.rgb.astype(int), upright, atol=6)
    np.testing.assert_array_equal(part.rgb, whole.rgb[8:24, 40:64])


@pytest.mark.parametrize(
    "window", [Window(0, 0, ROWS, COLS), Window(-20, -9, 30, 25), Window(40, 60, 30, 100)]
)
def test_pixels_beyond_an_edge_are_reflected(tmp_path, window):
    bands = picture()
    path = write(tmp_path / "rgb.tif", bands, photometric="rgb")
    padded = np.pad(bands, ((0, 0), (100, 100), (100, 100)), mode="reflect")

    actual = read(path, window).rgb

    rows = slice(window.row + 100, window.end_row + 100)
    cols = slice(window.col + 100, window.end_col + 100)
    np.testing.assert_array_equal(actual, np.moveaxis(padded[:, rows, cols], 0, -1))


def test_validity_beyond_an_edge_is_reflected(tmp_path):
    bands = picture(1).clip(1)
    bands[0, 0] = 0
    path = write(tmp_path / "nodata.tif", bands, nodata=0)

    valid = read(path, Window(-2, 0, 5, COLS)).valid

    assert valid.all(axis=1).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("profile", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
@pytest.mark.parametrize("window", [Window(0, 0, ROWS, COLS), Window(7, 11, 30, 41)])
def test_a_window_does_not_depend_on_the_pieces_it_is_read_in(
    tmp_path, monkeypatch, profile, window
):
    bands = picture()
    path = write(tmp_path / "rgb.tif", bands, photometric="rgb", **profile)
    monkeypatch.setattr(door, "PIECE_PX", 200)

    pixels = read(path, window)

    part = window.within(Window(0, 0, ROWS, COLS))
    np.testing.assert_array_equal(pixels.rgb, np.moveaxis(bands, 0, -1)[part])


def half_nodata():
    bands = picture(1) % 4
    bands[..., : COLS // 2] = 3
    return bands


def infinite(path):
    values = picture().astype(np.float32)
    values[0, 3:9] = np.inf
    write(path, values, photometric="rgb")


def transparent(path):
    image = Image.fromarray(picture(1)[0] % 2).convert("P")
    image.save(path, "PNG", transparency=bytes([255, 0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda path: write(path, picture(4), RGBA, photometric="rgb"),
        lambda path: write(path, half_nodata(), nodata=3),
        transparent,
        infinite,
    ],
    ids=["alpha", "nodata", "palette", "infinite"],
)
def test_validity_alone_equals_that_read_with_the_pixels(tmp_path, make):
    make(tmp_path / "wall.tif")
    window = Window(1, 2, 40, 60)

    with Raster(inspect(tmp_path / "wall.tif")) as raster:
        valid, pixels = raster.read_valid(window), raster.read(window)

    np.testing.assert_array_equal(valid, pixels.valid)
    assert 0 < valid.sum() < valid.size


def test_the_georeference_is_kept(tmp_path):
    info = inspect(write(tmp_path / "rgb.tif", picture(), photometric="rgb"))

    assert info.transform.almost_equals(TURNED)
    assert "25832" in info.crs_wkt
    assert info.georeferenced


def text(path):
    path.write_text("not an image")


def cut_off(path):
    write(path, picture(), photometric="rgb")
    path.write_bytes(path.read_bytes()[:300])


def tiny(path):
    write(path, picture()[:, :31], photometric="rgb", height=31)


def complex_numbers(path):
    write(path, picture(1).astype(np.complex64))


def cmyk(path):
    write(path, picture(4).astype(np.uint16), photometric="cmyk")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text, "not a readable image, or damaged"),
        (tiny, r": is too small \(70 x 31 px\); give an image with sides of at least 32 px"),
        (complex_numbers, ": complex numbers; give a photograph"),
        (cmyk, ": CMYK colours; save it as RGB"),
        (lambda path: None, "does not exist; check the name"),
    ],
    ids=["text", "tiny", "complex", "cmyk", "missing"],
)
def test_an_unusable_file_is_named_with_the_reason(tmp_path, make, message):
    path = tmp_path / "wall.tif"
    make(path)

    with pytest.raises(InputError, match=message) as caught:
        inspect(path)

    assert "wall.tif" in str(caught.value)


def test_a_truncated_tiff_is_reported_as_damaged(tmp_path):
    path = tmp_path / "wall.tif"
    cut_off(path)

    with pytest.raises(InputError, match=r"wall\.tif: not a readable image, or damaged"):
        read(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "jp2"])
def test_a_truncated_photograph_is_reported_as_damaged(tmp_path, suffix):
    path = tmp_path / f"wall.{suffix}"
    Image.fromarray(np.moveaxis(picture(), 0, -1)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])

    with pytest.raises(InputError, match=rf"wall\.{suffix}: not a readable image, or damaged"):
        read(path)


def test_a_written_raster_is_a_cog_on_the_same_grid(tmp_path):
    info = inspect(write(tmp_path / "rgb.tif", picture(), photometric="rgb"))
    values = picture(1)[0] % 2
    path = tmp_path / "new" / "mask.tif"

    write_cog(path, [values[:20], values[20:]], info, {"MADE_BY": "a test"}, "mode")

    np.testing.assert_array_equal(read_band(path, Window(0, 0, ROWS, COLS)), values)
    assert read_tags(path)["MADE_BY"] == "a test"
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.transform.almost_equals(TURNED)
        assert file.crs.to_epsg() == 25832
        assert file.nodata == 255
    assert [p.name for p in path.parent.iterdir()] == ["mask.tif"]


def test_a_raster_is_written_whole_or_not_at_all(tmp_path):
    info = inspect(write(tmp_path / "rgb.tif", picture(), photometric="rgb"))
    path = tmp_path / "out" / "mask.tif"

    def strips():
        yield picture(1)[0][:20]
        raise InputError("the photograph went away")

    with pytest.raises(InputError, match="went away"):
        write_cog(path, strips(), info, {}, "mode")

    assert list(path.parent.iterdir()) == []


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    info = inspect(write(tmp_path / "rgb.tif", picture(), photometric="rgb"))
    (tmp_path / "out").touch()

    with pytest.raises(OutputError, match=r"mask\.tif: cannot be written .* choose another output"):
        write_cog(tmp_path / "out" / "mask.tif", [picture(1)[0]], info, {}, "mode")


def test_the_digest_follows_the_content(tmp_path):
    path = write(tmp_path / "rgb.tif", picture(), photometric="rgb")
    before = inspect(path).digest
    write(path, picture(seed=1), photometric="rgb")

    assert inspect(path).digest != before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(before) == 64


def test_a_raster_with_white_as_zero_is_inverted(tmp_path):
    bands = picture(1)
    pixels = read(write(tmp_path / "negative.tif", bands, photometric="miniswhite"))

    np.testing.assert_array_equal(pixels.rgb[..., 0], 255 - bands[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32, np.uint32])
def test_measurements_are_refused_unless_a_band_is_chosen(tmp_path, dtype):
    heights = np.linspace(100, 140, ROWS * COLS).reshape(1, ROWS, COLS).astype(dtype)
    path = write(tmp_path / "heights.tif", heights)

    with pytest.raises(InputError, match=rf"measurements \({np.dtype(dtype)}\).*--bands 1"):
        inspect(path)
    with Raster(inspect(path, (1,))) as raster:
        assert raster.read(Window(0, 0, ROWS, COLS)).rgb.max() == 255
    with pytest.raises(InputError, match="has 1 bands; --bands names 4"):
        inspect(path, (4, 3, 2))


def test_floats_that_are_declared_to_be_colours_are_a_photograph(tmp_path):
    path = write(tmp_path / "light.tif", picture().astype(np.float32), photometric="rgb")

    assert inspect(path).stretch is not None


def test_chosen_bands_are_read_in_their_order(tmp_path):
    bands = picture(5)
    path = write(tmp_path / "spectral.tif", bands)

    with Raster(inspect(path, (4, 3, 2))) as raster:
        found = raster.read(Window(0, 0, ROWS, COLS)).rgb

    np.testing.assert_array_equal(found, np.moveaxis(bands[[3, 2, 1]], 0, -1))


@pytest.mark.parametrize("text", ["", "0", "1,2", "a", "1,2,3,4", "-1"])
def test_bands_that_are_not_one_or_three_are_refused(text):
    with pytest.raises(UsageError, match=f"--bands {text}: give the number of one band"):
        parse_bands(text)


def png_with(chunk, content, image):
    """A PNG of ``image`` with one more chunk after its header."""
    file = BytesIO()
    cv2_bytes = cv2.imencode(".png", image)[1].tobytes()
    file.write(cv2_bytes[:33])
    file.write(struct.pack(">I", len(content)) + chunk + content)
    file.write(struct.pack(">I", zlib.crc32(chunk + content)) + cv2_bytes[33:])
    return file.getvalue()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_a_png_that_states_its_gamma_is_read_as_srgb(tmp_path, bits, gamma):
    """The same light, encoded as sRGB and by the exponent of the chunk gAMA."""
    white = 2**bits - 1
    kind = np.uint8 if bits == 8 else np.uint16
    light = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    encoded = np.rint(white * light**gamma).astype(kind)
    stated, plain = tmp_path / "stated.png", tmp_path / "plain.png"
    stated.write_bytes(png_with(b"gAMA", struct.pack(">I", round(1e5 * gamma)), encoded))
    cv2.imwrite(str(plain), np.rint(white * srgb).astype(kind))

    info = inspect(stated)
    found, expected = (read(path).rgb[..., 0].astype(int) for path in (stated, plain))

    assert info.gamma == gamma
    bright = light > 0.05  # 8 bits of linear light have few values in the dark
    np.testing.assert_allclose(found[bright], expected[bright], atol=1 if bits == 16 else 3)
    small = [door.Raster(inspect(path)) for path in (stated, plain)]
    with small[0] as one, small[1] as other:
        reduced = [each.read_reduced(32, 32).rgb.astype(int) for each in (one, other)]
    bright = reduced[1] > 64
    np.testing.assert_allclose(reduced[0][bright], reduced[1][bright], atol=4)


@pytest.mark.parametrize("gamma", [45455, 48000, 0])
def test_the_gamma_of_srgb_and_a_senseless_one_change_nothing(tmp_path, gamma):
    image = np.arange(64 * 64).reshape(64, 64).astype(np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(png_with(b"gAMA", struct.pack(">I", gamma), image))

    assert inspect(path).gamma is None
    np.testing.assert_array_equal(read(path).rgb[..., 0], image)
