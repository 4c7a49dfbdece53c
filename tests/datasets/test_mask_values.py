"""Masks as labelling programs write them: read right, or refused with the values they hold."""

import warnings

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from crackcli.datasets.mask_values import MaskValues, decode, parse_values
from crackcli.datasets.pixel_labels import read_mask
from crackcli.errors import InputError, UsageError
from crackcli.rasters.labels.label_image import read_label_image

SHAPE = 40, 50
CRACK = np.zeros(SHAPE, bool)
CRACK[10:20, 10:22] = True
RIM = np.zeros(SHAPE, bool)
RIM[8:10, 10:22] = True
VOC = {0: (0, 0, 0, 255), 1: (128, 0, 0, 255), 2: (0, 128, 0, 255), 255: (224, 224, 192, 255)}


def save(path, values, palette=None, driver="PNG", **options):
    """Write bands (B, rows, cols), or one (rows, cols), as they are."""
    bands = values if values.ndim == 3 else values[None]
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(
            *(path, "w", driver, SHAPE[1], SHAPE[0], len(bands)), dtype=values.dtype, **options
        ) as file,
    ):
        if palette:
            file.write_colormap(1, palette)
        if len(bands) in (2, 4):
            file.colorinterp = [*file.colorinterp[:-1], ColorInterp.alpha]
        file.write(bands)
    return path


def grey(crack, rim=0, dtype="uint8"):
    """Return a mask (rows, cols) with these values at the crack and at its rim."""
    return np.where(CRACK, crack, np.where(RIM, rim, 0)).astype(dtype)


def of(crack=None, ignore=None):
    return MaskValues(
        parse_values("--mask-crack", crack) if crack else None,
        parse_values("--mask-ignore", ignore) if ignore else None,
    )


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (grey(255), {}),
        (grey(1), {}),
        (grey(1), {"nbits": 1}),
        (grey(1), {"driver": "GTiff", "nbits": 1, "photometric": "miniswhite"}),
        (grey(65535, dtype="uint16"), {}),
        (grey(255, dtype="uint16"), {}),
        (grey(1, dtype="float32"), {"driver": "GTiff"}),
        (grey(1, dtype="int32"), {"driver": "GTiff"}),
        (np.stack([grey(255)] * 3), {}),
        (np.stack([*[grey(255)] * 3, np.full(SHAPE, 255, np.uint8)]), {}),
        (np.stack([*[grey(0)] * 3, grey(255)]), {}),  # crack by alpha alone
        (np.stack([grey(255), np.full(SHAPE, 255, np.uint8)]), {}),
        (grey(1), {"palette": VOC}),
        (grey(1), {"palette": {0: (0, 0, 0, 255), 1: (255, 255, 255, 255)}}),
        (grey(0) + ~CRACK, {"palette": {0: (255, 255, 255, 255), 1: (0, 0, 0, 255)}}),
    ],
)
def test_masks_that_can_mean_one_thing_only_are_read(tmp_path, values, options):
    values = values.astype(np.uint8) if values.dtype == bool else values
    path = save(tmp_path / "mask.png", values, **options)

    assert np.array_equal(read_mask(path) > 127, CRACK ^ inverted(values, options))


def inverted(values, options):
    """Return True for the mask whose values mean the opposite: white at 0."""
    return options.get("photometric") == "miniswhite"


@pytest.mark.parametrize(
    ("values", "options", "found", "wanted"),
    [
        (grey(2), {}, r"0 \(94.0 %\), 2 \(6.0 %\)", of("2")),
        (grey(2), {"palette": VOC}, r"0 \(94.0 %\), 2 \(6.0 %\)", of("2")),
        (grey(255), {"palette": VOC}, r"0 \(94.0 %\), 255 \(6.0 %\)", of("255")),
        (grey(1, 255), {"palette": VOC}, r"0 .*, 1 .*, 255 .*--mask-crack 1", of("1", "255")),
        (grey(1, 255), {}, r"0 .*, 1 .*, 255 .*--mask-crack 1", of(ignore="255")),
        (grey(1, 2), {}, r"0 .*, 1 .*, 2 .*--mask-crack 1, --mask-ignore VALUE", of("1", "2")),
        (grey(1) + np.uint8(1), {}, r"1 .*, 2 .*--mask-crack 2,", of("2")),
        (grey(128, 64), {}, r"0 .*, 128 .*, 64 ", of("100-255")),
        (grey(300, 7, "uint16"), {}, r"0 .*, 300 .*, 7 ", of("300")),
        (
            np.stack([grey(255), grey(0, 255), grey(0)]),
            {},
            r"#000000 .*, #ff0000 .*, #00ff00 .*--mask-crack '#ff0000'",
            of("#FF0000", "#00ff00"),
        ),
    ],
)
def test_others_are_refused_with_their_values_and_read_as_told(
    tmp_path, values, options, found, wanted
):
    path = save(tmp_path / "mask.png", values, **options)

    with pytest.raises(InputError, match=rf"mask.png: its values are {found}"):
        read_mask(path)
    mask, ignored = decode(read_label_image(path), path, wanted)

    assert np.array_equal(mask, np.where(CRACK, 255, 0))
    assert np.array_equal(ignored, RIM if wanted.ignore else np.zeros(SHAPE, bool))


def test_masks_with_grey_edges_keep_their_greys(tmp_path):
    line = cv2.line(np.zeros(SHAPE, np.uint8), (5, 5), (44, 33), 255, 3, cv2.LINE_AA)
    smooth = cv2.GaussianBlur(line, (0, 0), 0.7)
    cv2.imwrite(str(tmp_path / "smooth.png"), smooth)
    cv2.imwrite(str(tmp_path / "mask.jpg"), grey(255))
    colours = np.dstack([grey(255)] * 3)
    cv2.imwrite(str(tmp_path / "colours.jpg"), colours)

    smoothed = read_mask(tmp_path / "smooth.png")

    assert np.array_equal(smoothed, smooth)
    for name in ("mask.jpg", "colours.jpg"):
        assert np.array_equal(read_mask(tmp_path / name) > 127, CRACK)


def test_a_score_is_no_mask(tmp_path):
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (40, 1))
    cv2.imwrite(str(tmp_path / "score.png"), ramp)
    save(tmp_path / "fractions.tif", grey(1, 0, "float32") / 2, driver="GTiff")

    with pytest.raises(InputError, match=r"score.png: its values are .* and 42 more; say which"):
        read_mask(tmp_path / "score.png")
    save(tmp_path / "negative.tif", -grey(1, 0, "int16"), driver="GTiff")
    save(tmp_path / "infinite.tif", np.full((40, 50), np.inf, np.float32), driver="GTiff")
    for name in ("fractions.tif", "negative.tif", "infinite.tif"):
        with pytest.raises(InputError, match=rf"{name}: holds fractions or negative numbers; save"):
            read_mask(tmp_path / name)


def test_a_number_for_colours_names_the_colours(tmp_path):
    path = save(tmp_path / "mask.png", np.stack([grey(255), grey(0), grey(0)]))

    with pytest.raises(InputError, match=r"--mask-crack 76: .* #ff0000 .*--mask-crack '#ff0000'"):
        read_mask(path, of("76"))
    with pytest.raises(InputError, match=r"--mask-crack red: .* #ff0000 .*--mask-crack '#ff0000'"):
        read_mask(path, of("red"))


@pytest.mark.parametrize("text", ["", "1,red", "1,#ff0000", "#ff00", "-1", "1,,2"])
def test_values_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match=r"--mask-ignore .*: give values of the mask, such as 2"):
        parse_values("--mask-ignore", text)


def test_a_reversed_range_is_refused():
    with pytest.raises(UsageError, match="--mask-crack 5-3: 5 is above 3; give the lower one"):
        parse_values("--mask-crack", "5-3")
