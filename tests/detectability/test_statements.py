"""Statements never claim that there are no cracks, nor more than was assessed."""

import re

import numpy as np
import pytest
from blocks import of_blocks

from crackcli.detectability.limits import LRP, STUDENT
from crackcli.detectability.statements import (
    OTHER_OPTIONS,
    DetectionLimits,
    SceneFindings,
    round_up,
    statement,
)

EVEN = of_blocks([[1.9] * 10])
PARTLY = of_blocks([[1.9] * 23 + [np.nan] * 2])


def stated(assessed, cracks=0, mm_per_px=None):
    return statement([SceneFindings(cracks, mm_per_px, assessed and DetectionLimits.of(assessed))])


def test_without_cracks_the_statement_names_the_width_that_was_not_found():
    assert stated(EVEN) == "no crack of 2 px or more seen on all of the surface"
    assert stated(EVEN, mm_per_px=0.125) == "no crack of 0.25 mm or more seen on all of the surface"


def test_the_area_that_is_not_assessable_is_listed_with_its_reason():
    assert stated(PARTLY, mm_per_px=0.13) == (
        "no crack of 0.25 mm or more seen on 92 % of the surface; 8 % not assessable (too dark)"
    )


def test_with_cracks_the_statement_names_which_others_would_have_been_found():
    assert stated(PARTLY, 12) == (
        "12 cracks; cracks of 2 px or more would have been seen on 92 % of the surface; "
        "8 % not assessable (too dark)"
    )
    assert stated(EVEN, 1).startswith("1 crack; cracks of 2 px")


def test_an_area_with_higher_limits_is_listed_separately():
    image = of_blocks([[1.9] * 91 + [4.7] * 9])

    assert stated(image) == (
        "no crack of 2 px or more seen on 91 % of the surface; "
        "on a further 9 % this holds only for cracks of 5 px or more"
    )


def test_a_small_area_that_is_not_assessable_is_never_rounded_away():
    image = of_blocks([[1.9] * 400 + [np.nan]])

    assert stated(image) == (
        "no crack of 2 px or more seen on 99 % of the surface; "
        "less than 1 % not assessable (too dark)"
    )


def test_a_small_area_with_higher_limits_makes_it_less_than_all():
    image = of_blocks([[1.9] * 400 + [4.7]])

    assert stated(image) == "no crack of 2 px or more seen on more than 99 % of the surface"
    assert stated(image, 2).endswith(" would have been seen on more than 99 % of the surface")


def test_nothing_is_claimed_if_less_than_one_percent_is_assessable():
    image = of_blocks([[1.9] + [np.nan] * 299])

    assert stated(image) == "0 cracks seen; less than 1 % of the surface is assessable (too dark)"


def test_nothing_is_claimed_if_nothing_is_assessable():
    nothing = of_blocks([[np.nan, np.nan]])

    assert stated(nothing) == "0 cracks seen; none of the surface is assessable (too dark)"
    assert stated(nothing, 3) == "3 cracks seen; none of the surface is assessable (too dark)"


def test_without_the_photograph_nothing_is_claimed():
    assert stated(None, 2) == "2 cracks seen; detection limit unknown: photograph not available"


def test_several_scenes_are_weighted_by_their_area_in_square_millimetres():
    limits = DetectionLimits.of(EVEN)
    near, far = (
        SceneFindings(0, 0.1, limits),
        SceneFindings(2, 0.3, limits),
    )  # the far one has nine times the area

    both = statement([near, far])

    assert both == "2 cracks; cracks of 0.6 mm or more would have been seen on all of the surface"


def test_widths_are_in_pixels_if_one_scene_has_no_scale():
    assert "2 px" in statement(
        [
            SceneFindings(0, 0.1, DetectionLimits.of(EVEN)),
            SceneFindings(0, None, DetectionLimits.of(EVEN)),
        ]
    )


def test_missing_photographs_are_counted():
    assert statement(
        [SceneFindings(0, None, DetectionLimits.of(EVEN)), SceneFindings(0, None, None)]
    ).endswith("; 1 of 2 photographs not available")


def test_detection_limits_do_not_grow_with_the_photograph():
    small, large = (
        DetectionLimits.of(of_blocks([[1.9, np.nan, 4.7] * many])) for many in (1, 1000)
    )

    assert small.limit_px.tolist()[:2] == large.limit_px.tolist()[:2] == [1.9, 4.7]
    assert (large.area_px == 1000 * small.area_px).all()
    assert len(large.area_px) == 3


def test_lines_left_out_as_too_short_are_counted():
    some = [
        SceneFindings(0, None, DetectionLimits.of(EVEN), 0, 2, 50.0),
        SceneFindings(0, None, DetectionLimits.of(EVEN), 0, 1, 50.0),
    ]

    assert statement(some) == (
        "0 cracks; cracks of 2 px or more would have been seen on all of the surface; "
        "3 lines shorter than 50 px left out"
    )
    assert statement([SceneFindings(0, None, None, 0, 1, 7.5)]).endswith(
        "; 1 line shorter than 7.5 px left out"
    )


@pytest.mark.parametrize("left_out", [0, 4])
@pytest.mark.parametrize("assessed", [EVEN, PARTLY, None, of_blocks([[np.nan]])])
@pytest.mark.parametrize("cracks", [0, 1, 5])
def test_it_never_claims_that_there_are_no_cracks(assessed, cracks, left_out):
    words = statement(
        [SceneFindings(cracks, None, assessed and DetectionLimits.of(assessed), 0, left_out, 9.0)]
    ).lower()

    claims = re.findall(r"\bno (?:line|crack).*", words)
    share = r"(?:all|more than 99 %|\d+ %) of the surface"
    assert all(
        re.match(rf"no crack of [\d.]+ (?:px|mm) or more seen on {share}", c) for c in claims
    )
    assert bool(claims) == (not cracks and not left_out and assessed in (EVEN, PARTLY))
    assert ("shorter than 9 px left out" in words) == bool(left_out)


def test_a_scan_with_other_options_is_pointed_out():
    other = SceneFindings(0, None, DetectionLimits.of(EVEN), by_default=False)

    words = statement([SceneFindings(0, None, DetectionLimits.of(EVEN)), other])

    assert words == f"no crack of 2 px or more seen on all of the surface{OTHER_OPTIONS}"
    assert OTHER_OPTIONS not in statement([SceneFindings(0, None, None, by_default=False)])


def test_cracks_for_which_the_limits_do_not_hold_are_excepted_once_each():
    scans = [
        SceneFindings(0, None, DetectionLimits.of(PARTLY), excepted=excepted)
        for excepted in (STUDENT.excepted, STUDENT.excepted, LRP.excepted)
    ]

    assert statement(scans[:2]) == (
        "no crack of 2 px or more seen on 92 % of the surface; 8 % not assessable (too dark); "
        "faint cracks and cracks in joints excepted"
    )
    assert statement(scans).endswith(
        "; faint cracks and cracks in joints and cracks in masonry excepted"
    )
    assert "excepted" not in statement([SceneFindings(0, None, None, excepted=LRP.excepted)])


def test_widths_are_rounded_up_to_round_numbers():
    pairs = [(0.21, 0.25), (0.25, 0.25), (0.251, 0.3), (0.99, 1), (1.01, 1.5), (7, 8), (8.5, 10)]
    assert [round_up(width) for width, _ in pairs] == [rounded for _, rounded in pairs]
