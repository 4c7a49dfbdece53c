"""What a report says in words: never that there are no cracks, never more than was assessed."""

import re

import numpy as np
import pytest
from blocks import of_blocks

from crackcli.detectability.statement import (
    OTHER_SCAN,
    DetectionLimits,
    SceneFindings,
    rounded_up,
    statement,
)

EVEN = of_blocks([[1.9] * 10])
PARTLY = of_blocks([[1.9] * 23 + [np.nan] * 2])


def said(assessed, cracks=0, mm_per_px=None):
    return statement([SceneFindings(cracks, mm_per_px, assessed and DetectionLimits.of(assessed))])


def test_a_wall_without_cracks_is_one_on_which_none_of_a_width_was_seen():
    assert said(EVEN) == "no crack of 2 px or more seen on all of the wall"
    assert said(EVEN, mm_per_px=0.125) == "no crack of 0.25 mm or more seen on all of the wall"


def test_what_is_not_assessable_is_told_with_its_reason():
    assert said(PARTLY, mm_per_px=0.13) == (
        "no crack of 0.25 mm or more seen on 92 % of the wall; 8 % not assessable (too dark)"
    )


def test_with_cracks_it_tells_which_others_would_have_been_seen():
    assert said(PARTLY, 12) == (
        "12 cracks; cracks of 2 px or more would have been seen on 92 % of the wall; "
        "8 % not assessable (too dark)"
    )
    assert said(EVEN, 1).startswith("1 crack; cracks of 2 px")


def test_where_only_wider_ones_would_have_been_seen_is_told_apart():
    wall = of_blocks([[1.9] * 91 + [4.7] * 9])

    assert said(wall) == (
        "no crack of 2 px or more seen on 91 % of the wall, of 5 px or more on 9 % besides"
    )


def test_a_little_that_is_not_assessable_is_never_rounded_away():
    wall = of_blocks([[1.9] * 400 + [np.nan]])

    assert said(wall) == (
        "no crack of 2 px or more seen on 99 % of the wall; less than 1 % not assessable (too dark)"
    )


def test_a_little_where_only_wider_ones_would_have_been_seen_makes_it_less_than_all():
    wall = of_blocks([[1.9] * 400 + [4.7]])

    assert said(wall) == "no crack of 2 px or more seen on more than 99 % of the wall"
    assert said(wall, 2).endswith(" would have been seen on more than 99 % of the wall")


def test_where_hardly_anything_is_assessable_nothing_is_claimed():
    wall = of_blocks([[1.9] + [np.nan] * 299])

    assert said(wall) == "0 cracks seen; less than 1 % of the wall is assessable (too dark)"


def test_where_nothing_is_assessable_nothing_is_claimed():
    nothing = of_blocks([[np.nan, np.nan]])

    assert said(nothing) == "0 cracks seen; none of the wall is assessable (too dark)"
    assert said(nothing, 3) == "3 cracks seen; none of the wall is assessable (too dark)"


def test_without_the_photograph_nothing_is_claimed():
    assert said(None, 2) == (
        "2 cracks seen; how narrow a crack would have been seen is not known: "
        "the photograph is not at hand"
    )


def test_several_walls_are_told_together_by_their_area_in_millimetres():
    seen = DetectionLimits.of(EVEN)
    near, far = (
        SceneFindings(0, 0.1, seen),
        SceneFindings(2, 0.3, seen),
    )  # the far one has nine times the area

    both = statement([near, far])

    assert both == "2 cracks; cracks of 0.6 mm or more would have been seen on all of the wall"


def test_where_one_wall_has_no_scale_all_are_told_in_pixels():
    assert "2 px" in statement(
        [
            SceneFindings(0, 0.1, DetectionLimits.of(EVEN)),
            SceneFindings(0, None, DetectionLimits.of(EVEN)),
        ]
    )


def test_photographs_that_are_not_at_hand_are_counted():
    assert statement(
        [SceneFindings(0, None, DetectionLimits.of(EVEN)), SceneFindings(0, None, None)]
    ).endswith("; 1 of 2 photographs not at hand")


def test_what_is_kept_of_a_wall_does_not_grow_with_it():
    small, large = (
        DetectionLimits.of(of_blocks([[1.9, np.nan, 4.7] * many])) for many in (1, 1000)
    )

    assert small.limit_px.tolist()[:2] == large.limit_px.tolist()[:2] == [1.9, 4.7]
    assert (large.area_px == 1000 * small.area_px).all()
    assert len(large.area_px) == 3


def test_lines_that_were_left_out_as_too_short_are_told():
    some = [
        SceneFindings(0, None, DetectionLimits.of(EVEN), 0, 2, 50.0),
        SceneFindings(0, None, DetectionLimits.of(EVEN), 0, 1, 50.0),
    ]

    assert statement(some) == (
        "0 cracks; cracks of 2 px or more would have been seen on all of the wall; "
        "3 lines shorter than 50 px left out"
    )
    assert statement([SceneFindings(0, None, None, 0, 1, 7.5)]).endswith(
        "; 1 line shorter than 7.5 px left out"
    )


@pytest.mark.parametrize("left_out", [0, 4])
@pytest.mark.parametrize("wall", [EVEN, PARTLY, None, of_blocks([[np.nan]])])
@pytest.mark.parametrize("cracks", [0, 1, 5])
def test_it_never_says_that_there_are_no_cracks(wall, cracks, left_out):
    words = statement(
        [SceneFindings(cracks, None, wall and DetectionLimits.of(wall), 0, left_out, 9.0)]
    ).lower()

    claims = re.findall(r"\bno (?:line|crack).*", words)
    share = r"(?:all|more than 99 %|\d+ %) of the wall"
    assert all(
        re.match(rf"no crack of [\d.]+ (?:px|mm) or more seen on {share}", c) for c in claims
    )
    assert bool(claims) == (not cracks and not left_out and wall in (EVEN, PARTLY))
    assert ("shorter than 9 px left out" in words) == bool(left_out)


def test_limits_of_another_model_or_option_are_not_passed_off_as_its_own():
    other = SceneFindings(0, None, DetectionLimits.of(EVEN), by_default=False)

    words = statement([SceneFindings(0, None, DetectionLimits.of(EVEN)), other])

    assert words == f"no crack of 2 px or more seen on all of the wall{OTHER_SCAN}"
    assert OTHER_SCAN not in statement([SceneFindings(0, None, None, by_default=False)])


def test_widths_are_rounded_up_to_what_people_speak_of():
    pairs = [(0.21, 0.25), (0.25, 0.25), (0.251, 0.3), (0.99, 1), (1.01, 1.5), (7, 8), (8.5, 10)]
    assert [rounded_up(width) for width, _ in pairs] == [spoken for _, spoken in pairs]
