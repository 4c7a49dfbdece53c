"""Scale: from the map, the option, the photograph, or unknown."""

import pytest
from affine import Affine
from rasterio.crs import CRS

from crackcli.errors import InputError, UsageError
from crackcli.scenes.record import SceneRecord
from crackcli.scenes.scale import Scale, check_scale_options, find_scale
from crackcli.scenes.scene import Scene

UTM = CRS.from_epsg(25832).to_wkt()
FEET = CRS.from_epsg(2263).to_wkt()  # US survey feet
DEGREES = CRS.from_epsg(4326).to_wkt()
LOCAL_MM = 'LOCAL_CS["wall",UNIT["millimetre",0.001]]'
# Where a map of UTM is true to scale, 180 km from its middle; in the middle it is 0.9996.
HALF = Affine(0.0005, 0, 319_717, 0, -0.0005, 5_500_000)


def scene(tmp_path, transform=HALF, crs_wkt=UTM):
    return Scene(tmp_path / "wall", 100, 200, transform, crs_wkt)


def test_a_map_in_metres_gives_millimetres(tmp_path):
    assert find_scale(scene(tmp_path)) == Scale(pytest.approx(0.5, rel=1e-6), None, "crs")


def test_a_rotated_map_has_the_same_scale(tmp_path):
    turned = Affine(0.0004, 0.0003, 319_717, 0.0003, -0.0004, 5_500_000)

    assert find_scale(scene(tmp_path, turned)).mm_per_px == pytest.approx(0.5)


def test_feet_are_converted(tmp_path):
    long_island = Affine(0.001, 0, 1_000_000, 0, -0.001, 200_000)
    found = find_scale(scene(tmp_path, long_island, FEET))

    assert found.mm_per_px == pytest.approx(0.3048006, rel=1e-4)


def test_a_local_map_in_millimetres_is_a_scale(tmp_path):
    found = find_scale(scene(tmp_path, Affine.scale(0.2, -0.2), LOCAL_MM))

    assert found.mm_per_px == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("transform", "crs_wkt", "words"),
    [
        (HALF, None, "no mm, as its map has no coordinate reference system"),
        (HALF, "nonsense", "no mm, as its coordinate reference system cannot be read"),
        (Affine.identity(), UTM, None),
        (Affine.identity(), None, None),
    ],
    ids=["no crs", "unreadable", "crs without transform", "nothing"],
)
def test_without_a_place_on_a_map_only_the_option_gives_a_scale(
    tmp_path, caplog, transform, crs_wkt, words
):
    place = scene(tmp_path, transform, crs_wkt)

    assert find_scale(place) is None
    assert [words in line and "--gsd-mm" in line for line in caplog.messages] == [True] * bool(
        words
    )
    assert find_scale(place, 0.7) == Scale(0.7, None, "option")


def mercator(tmp_path):
    """A scene with pixels of 1 mm of Web Mercator at 9 E 50 N: 0.6441 x 0.6423 mm."""
    place = Affine(0.001, 0, 1_001_875.4, 0, -0.001, 6_446_275.8)
    return scene(tmp_path, place, CRS.from_epsg(3857).to_wkt())


def test_the_true_size_of_a_pixel_is_no_contradiction_to_web_mercator(tmp_path, caplog):
    assert find_scale(mercator(tmp_path)).mm_per_px == pytest.approx(0.64316, rel=1e-5)
    assert find_scale(mercator(tmp_path), 0.643) == Scale(0.643, None, "option")
    with pytest.raises(UsageError, match=r"a pixel is 0\.6432 mm by its map, but 1 mm by"):
        find_scale(mercator(tmp_path), 1.0)
    assert caplog.messages == []


def test_a_map_in_degrees_gives_the_size_of_a_square_as_large(tmp_path):
    degrees = scene(tmp_path, Affine(1e-8, 0, 9, 0, -1e-8, 60), DEGREES)

    assert find_scale(degrees).mm_per_px == pytest.approx((0.558 * 1.11412) ** 0.5, rel=1e-4)
    with pytest.raises(
        UsageError, match=r"a pixel is 0\.558 x 1\.114 mm, as large .* but 0\.558 mm by"
    ):
        find_scale(degrees, 0.558)


def test_an_option_for_pixels_that_are_not_square_is_explained(tmp_path, caplog):
    unknown = scene(tmp_path, Affine(0.001, 0, 7, 0, -0.002, 5), None)

    assert find_scale(unknown, 2.0) == Scale(2.0, None, "option")
    assert "pixels are not square; by --gsd-mm they are 1.414 x 2.828 mm, as large" in caplog.text


def test_a_scale_has_seven_digits(tmp_path):
    plane = scene(tmp_path, Affine.scale(0.9999999999999991, -1), LOCAL_MM)

    assert find_scale(plane).mm_per_px == 1.0


def test_the_option_may_differ_from_the_map_by_two_percent(tmp_path):
    assert find_scale(scene(tmp_path), 0.5099) == Scale(0.5099, None, "option")
    with pytest.raises(
        UsageError, match=r"wall: a pixel is 0\.5 mm by its map, but 0\.52 mm by --gsd-mm"
    ):
        find_scale(scene(tmp_path), 0.52)


def scene_with_scales(tmp_path, *scales, transform=None, crs_wkt=None):
    """A scene with these scales from its photograph: (mm per pixel, sigma, source)."""
    names = ("mm_per_px", "sigma", "source")
    found = [dict(zip(names, scale, strict=True)) for scale in scales]
    record = SceneRecord({"photograph": {"scales": found}})
    return Scene(tmp_path / "wall", 100, 200, transform or Affine.identity(), crs_wkt, record)


def test_a_scale_from_the_scan_keeps_its_uncertainty(tmp_path):
    assert find_scale(scene_with_scales(tmp_path, (0.4, 0.01, "marker"))) == Scale(
        0.4, 0.01, "marker"
    )


def test_the_better_of_two_sources_that_agree_is_used(tmp_path):
    both = scene_with_scales(tmp_path, (0.55, 0.11, "exif"), (0.5, 0.005, "marker"))

    assert find_scale(both) == Scale(0.5, 0.005, "marker")
    assert find_scale(both, 0.505, 0.001) == Scale(0.505, 0.001, "option")


@pytest.mark.parametrize(("apart", "agree"), [(0.029, True), (0.031, False)])
def test_sources_agree_within_three_uncertainties(tmp_path, apart, agree):
    both = scene_with_scales(tmp_path, (0.5 + apart, 0.008, "exif"), (0.5, 0.006, "marker"))

    if agree:
        assert find_scale(both).source == "marker"
        return
    with pytest.raises(InputError, match=r"0\.531 mm by EXIF.*, but 0\.5 mm by its markers; "):
        find_scale(both)


def test_any_two_sources_are_compared(tmp_path):
    sources = (0.5, 0.1, "exif"), (0.54, 0.001, "marker")

    with pytest.raises(
        InputError, match=r"wall: a pixel is 0\.5 mm by its map, but 0\.54 mm by its markers"
    ):
        find_scale(scene_with_scales(tmp_path, *sources, transform=HALF, crs_wkt=UTM))


def test_a_trusted_source_is_used_alone(tmp_path):
    sources = (0.54, 0.001, "marker"), (0.9, 0.01, "exif")
    place = scene_with_scales(tmp_path, *sources, transform=HALF, crs_wkt=UTM)

    assert find_scale(place, trust="marker") == Scale(0.54, 0.001, "marker")
    assert find_scale(place, trust="crs").mm_per_px == pytest.approx(0.5)
    assert find_scale(place, 0.7, trust="option") == Scale(0.7, None, "option")
    with pytest.raises(InputError):
        find_scale(place, trust="option")  # there is no such source


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((None, 0.1, None), "--gsd-sigma-mm is the uncertainty of --gsd-mm; give both"),
        ((None, None, "map"), "--scale-source map: unknown source; use option, marker, crs"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        check_scale_options(*options)
