"""Scale: from the map, from the option, or none; never made up."""

import pytest
from affine import Affine
from rasterio.crs import CRS

from crackcli.errors import UsageError
from crackcli.scale import Scale, find_scale
from crackcli.scene import Scene

UTM = CRS.from_epsg(25832).to_wkt()
FEET = CRS.from_epsg(2263).to_wkt()  # US survey feet
DEGREES = CRS.from_epsg(4326).to_wkt()
LOCAL_MM = 'LOCAL_CS["wall",UNIT["millimetre",0.001]]'
HALF = Affine(0.0005, 0, 500_000, 0, -0.0005, 5_500_000)


def scene(tmp_path, transform=HALF, crs_wkt=UTM):
    return Scene(tmp_path / "wall", 100, 200, transform, crs_wkt)


def test_a_map_in_metres_gives_millimetres(tmp_path):
    assert find_scale(scene(tmp_path)) == Scale(pytest.approx(0.5), None, "crs")


def test_a_turned_map_has_the_same_scale(tmp_path):
    turned = Affine(0.0004, 0.0003, 500_000, 0.0003, -0.0004, 5_500_000)

    assert find_scale(scene(tmp_path, turned)).mm_per_px == pytest.approx(0.5)


def test_feet_are_converted(tmp_path):
    found = find_scale(scene(tmp_path, Affine.scale(0.001, -0.001), FEET))

    assert found.mm_per_px == pytest.approx(0.3048006, rel=1e-6)


def test_a_local_map_in_millimetres_is_a_scale(tmp_path):
    found = find_scale(scene(tmp_path, Affine.scale(0.2, -0.2), LOCAL_MM))

    assert found.mm_per_px == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("transform", "crs_wkt"),
    [(HALF, None), (HALF, DEGREES), (Affine.identity(), UTM), (Affine.identity(), None)],
    ids=["no crs", "degrees", "crs without transform", "nothing"],
)
def test_without_a_map_in_lengths_only_the_option_gives_a_scale(tmp_path, transform, crs_wkt):
    place = scene(tmp_path, transform, crs_wkt)

    assert find_scale(place) is None
    assert find_scale(place, 0.7) == Scale(0.7, None, "option")


def test_the_option_may_differ_from_the_map_by_two_percent(tmp_path):
    assert find_scale(scene(tmp_path), 0.5099) == Scale(0.5099, None, "option")
    with pytest.raises(UsageError, match=r"wall is 0\.5 mm by its map, but 0\.52 mm by --gsd-mm"):
        find_scale(scene(tmp_path), 0.52)
